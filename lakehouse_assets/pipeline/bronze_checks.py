"""What bronze tells of each batch date: counts, and the outcome of every check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from statistics import median
from typing import Final

from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.store.facts import Kind
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.storage import Storage
from lakehouse_assets.tables.contract import Dataset

STRUCTURE: Final = "structure"
"""The check of files: each line of what it says is about one of them."""

CHECKS = {
    STRUCTURE: "Every file of the batch can be read, and has no unexpected columns.",
    "reject_rate": "No file is held: faulty rows stay within the contract's limit.",
    "volume": "Rows of the batch lie between half and twice the median of the batches before.",
}
"""Bronze's checks by name, with what each says when it passes."""

_VOLUME_WINDOW = 28
_VOLUME_LEAST = 3


def report(
    result: Result, raw: Storage, state: State, dataset: Dataset, dates: Sequence[date]
) -> None:
    """Add to a result, for each of these dates, the counts and every check's outcome."""
    waiting = {p: v for p, v in state.waiting(raw, dates) if p.dataset == dataset.name}
    read_per_day: dict[date, int] = {}
    for past in state.of(dataset.name):
        digest = past.in_force
        if digest and digest in past.judgements:
            day = past.path.batch_date
            read_per_day[day] = read_per_day.get(day, 0) + past.judgements[digest].read
    for path, judgement in waiting.items():
        result.lines += clear_lines(path, judgement)
    for day in dates:
        paths = [past for past in state.of(dataset.name, [day]) if past.standing]
        verdicts = {past.path: past.standing for past in paths if past.standing}
        held = {p: v for p, v in verdicts.items() if v.kind is Kind.HELD}
        broken = {p: v for p, v in verdicts.items() if p in waiting and p not in held}
        unexpected = {str(p): list(v.unexpected) for p, v in verdicts.items() if v.unexpected}
        result.days[day] = {
            "files": len(paths),
            "read": read_per_day.get(day, 0),
            "held": sum(v.read for v in held.values()),
        }
        lines = [line for p, v in sorted(broken.items()) for line in clear_lines(p, v)]
        warned = [f"{p}: {line}" for p, v in sorted(verdicts.items()) for line in v.warnings]
        result.lines += [f"{p}: {line}" for p, v in sorted(verdicts.items()) for line in v.notes]
        extra = [f"{p}: unexpected columns {', '.join(c)}" for p, c in sorted(unexpected.items())]
        result.checks.append(
            Check(
                STRUCTURE,
                not (broken or unexpected or warned),
                day,
                Severity.ERROR if broken else Severity.WARN,
                "\n".join(lines + warned + extra) or CHECKS[STRUCTURE],
                {"files": len(paths), "unreadable": lines, "unexpected_columns": unexpected},
            )
        )
        held_lines = [line for p, v in sorted(held.items()) for line in clear_lines(p, v)]
        result.checks.append(
            Check(
                "reject_rate",
                not held,
                day,
                Severity.ERROR,
                "\n".join(held_lines) or CHECKS["reject_rate"],
                {
                    "limit": dataset.hold.share,
                    "held_rows": result.days[day]["held"],
                    "faulty_rows": sum(v.faulty for v in verdicts.values()),
                },
            )
        )
        result.checks.append(_volume(read_per_day, day))


def _volume(read_per_day: Mapping[date, int], day: date) -> Check:
    before = [read_per_day[d] for d in sorted(read_per_day) if d < day][-_VOLUME_WINDOW:]
    rows = read_per_day.get(day, 0)
    if len(before) < _VOLUME_LEAST:
        note = f"{len(before)} batches before, too few to compare"
        return Check("volume", True, day, Severity.WARN, note, {"rows": rows})
    usual = median(before)
    passed = usual / 2 <= rows <= usual * 2
    note = CHECKS["volume"] if passed else f"{rows:,} rows where {usual:,.0f} are usual"
    return Check("volume", passed, day, Severity.WARN, note, {"rows": rows, "median": usual})
