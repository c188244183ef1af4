"""What bronze tells of each batch date: counts, and the outcome of every check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from fractions import Fraction
from statistics import median
from typing import Final

from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.store import receipts
from lakehouse_assets.store.facts import Judgement, Kind
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset

STRUCTURE: Final = "structure"
"""The check of files: each line of what it says is about one of them."""
REJECT_RATE: Final = "reject_rate"
"""The check of the share of faulty rows: each line of what it says is about one file."""
ABOUT_FILES: Final = (STRUCTURE, REJECT_RATE)

CHECKS = {
    STRUCTURE: "Every file of the batch can be read, and has no unexpected columns.",
    REJECT_RATE: "In every file the share of rows that break a rule is within the limit.",
    "volume": (
        "Where files came, their rows are between half and twice the usual (the median); mended "
        "rows do not count."
    ),
}
"""Bronze's checks by name, with what each says when it passes."""

_VOLUME_WINDOW = 28
_VOLUME_LEAST = 3


def report(
    result: Result, lake: Lake, state: State, dataset: Dataset, dates: Sequence[date]
) -> None:
    """Add to a result, for each of these dates, the counts and every check's outcome."""
    waiting = {p: v for p, v in state.waiting(lake.raw, dates) if p.dataset == dataset.name}
    mended = _mended(lake, state, dataset, dates)
    read_per_day = rows_per_day(state, dataset, with_repairs=True)
    came = rows_per_day(state, dataset, with_repairs=False)
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
        result.checks.append(reject_rate(dataset, day, verdicts, state, mended))
        result.checks.append(volume(came, day))


def rows_per_day(state: State, dataset: Dataset, *, with_repairs: bool) -> dict[date, int]:
    """The rows of the files in force, by batch date.

    Without repairs a file of nothing else is none: it came when somebody had mended its rows.
    """
    found: dict[date, int] = {}
    for past in state.of(dataset.name):
        digest = past.in_force
        if digest and digest in past.judgements:
            day, judged = past.path.batch_date, past.judgements[digest]
            mended = 0 if with_repairs else judged.repairs
            if judged.read > mended or not mended:
                found[day] = found.get(day, 0) + judged.read - mended
    return found


def _mended(
    lake: Lake, state: State, dataset: Dataset, dates: Sequence[date]
) -> frozenset[FilePath]:
    """The files of which no row is rejected any more, by what runs before this one have found."""
    if not any(past.standing and past.standing.faulty for past in state.of(dataset.name, dates)):
        return frozenset()  # without a look at the receipts: no row was ever rejected
    return frozenset(
        r.path
        for r in receipts.current(lake, dataset.name, dates)
        if r.digest == state.at(r.path).in_force and r.counts.read and not r.counts.rejected
    )


def reject_rate(
    dataset: Dataset,
    day: date,
    verdicts: Mapping[FilePath, Judgement],
    state: State,
    mended: Collection[FilePath] = (),
) -> Check:
    """The share of faulty rows: of each file beyond the limit, or else of all files together.

    A small file whose faulty rows are all ``mended`` is no reason to warn any more.
    """
    limit = dataset.hold
    held = {p for p, v in verdicts.items() if v.kind is Kind.HELD}
    readable = {
        p: v
        for p, v in sorted(verdicts.items(), key=lambda it: (it[0] not in held, it[0]))
        if v.kind is not Kind.UNREADABLE
    }  # what waits for a person is said first
    beyond = {p for p, v in readable.items() if v.faulty > Fraction(str(limit.share)) * v.read}
    beyond -= {p for p in mended if p in beyond - held and readable[p].read < limit.least_rows}
    small = {p for p in beyond - held if readable[p].read < limit.least_rows}
    accepted = {p for p in beyond - held - small if state.at(p).accepted}
    lines = []
    for path, verdict in readable.items():
        told = f"{path}: {_share(verdict.faulty, verdict.read)}"
        over = f"{told}, above the limit of {_percent(limit.share)}"
        if path in held:
            lines += clear_lines(path, verdict)
        elif path in small:
            lines.append(f"{over}; a file below {limit.least_rows} rows is not held")
        elif path in accepted:
            lines.append(f"{over}; accepted by a person")
        elif path in beyond:  # an admission is a recorded decision: the limit was another then
            lines.append(f"{over}; admitted before")
    rows, faulty = sum(v.read for v in readable.values()), sum(v.faulty for v in readable.values())
    if readable and not lines:
        lines = [f"{_share(faulty, rows)}, no file above the limit of {_percent(limit.share)}"]
    shares = [v.faulty / v.read for v in readable.values() if v.read]
    return Check(
        REJECT_RATE,
        not (held or small),
        day,
        Severity.ERROR if held or not small else Severity.WARN,
        "\n".join(lines) or "No file of this date can be read.",
        {
            "limit": limit.share,
            "highest_share": round(max(shares, default=0.0), 4),
            "rows": rows,
            "faulty_rows": faulty,
            "held_rows": sum(readable[p].read for p in held),
        },
    )


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _share(faulty: int, rows: int) -> str:
    """``55 of 200 rows (27.5 %) broke a rule when read``: some may have been mended since."""
    share = f" ({faulty / rows * 100:.1f} %)" if rows else ""
    return f"{faulty:,} of {rows:,} row{'' if rows == 1 else 's'}{share} broke a rule when read"


def volume(read_per_day: Mapping[date, int], day: date) -> Check:
    """Rows against the usual; ``read_per_day`` has the dates of which a file is in force.

    Files of mended rows alone are none of these.
    """
    before = [read_per_day[d] for d in sorted(read_per_day) if d < day][-_VOLUME_WINDOW:]
    if day not in read_per_day:
        return Check("volume", True, day, Severity.WARN, "No file of this date is in force.")
    rows = read_per_day[day]
    told = f"{rows:,} row{'' if rows == 1 else 's'}"
    if len(before) < _VOLUME_LEAST:
        few = f"{len(before)} date{'' if len(before) == 1 else 's'} with files before"
        note = f"{told}; {few}: too few to say what is usual."
        return Check("volume", True, day, Severity.WARN, note, {"rows": rows})
    usual = median(before)
    passed = usual / 2 <= rows <= usual * 2
    which = "as usual" if passed else "where that is not usual"
    note = f"{told}, {which}: the median of {len(before)} dates before is {usual:,.0f}."
    return Check("volume", passed, day, Severity.WARN, note, {"rows": rows, "median": usual})
