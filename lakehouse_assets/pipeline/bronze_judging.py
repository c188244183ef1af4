"""Each content read gets its judgement: admitted, held or unreadable, by itself alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from lakehouse_assets.parse.model import READING, shown
from lakehouse_assets.pipeline.bronze_reading import Staged, Summary
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.pipeline.workspace import among
from lakehouse_assets.store.facts import Admitted, Fact, Held, Judgement, Landed, Unreadable
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.rules import own_rules

_MOST_RULES: Final = 20
_LONGEST_VALUE: Final = 40
# Sheet and row as one number, so that the first place is a minimum: no sheet has so many rows.
_PLACE: Final = f"CAST(_sheet_no AS BIGINT) * {2**40} + _row"


@dataclass(frozen=True)
class BrokenRule:
    """A rule that rows of a content break: how many, and the first of them with its value."""

    rule: str
    rows: int
    sheet: str | None
    row: int
    value: str

    @property
    def place(self) -> str:
        """Where the first of them stands."""
        return f"line {self.row}" if self.sheet is None else f"[{self.sheet}] row {self.row}"

    def __str__(self) -> str:
        return f"{self.rule} {self.rows:,} ({self.place}: {self.value})"


def judge(
    dataset: Dataset, state: State, staged: Staged, stamps: Mapping[FilePath, str], run_id: str
) -> list[Fact]:
    """Facts: what landed by being read, then what was found in each content.

    ``stamps`` are those of the files at their paths.
    """
    large = [s.content for s in staged.summaries if s.read >= dataset.hold.least_rows]
    faulty = faulty_rows(dataset, staged, large)
    held = [s for s in staged.summaries if _is_held(dataset, s, faulty.get(s.content, 0))]
    reasons = broken_rules(dataset, staged, [summary.content for summary in held])
    landed: list[Fact] = []
    verdicts: list[Fact] = []
    for summary in staged.summaries:
        path, digest, past = summary.path, summary.digest, state.at(summary.path)
        # Bytes at the path itself that are not those landed last land by being read.
        if summary.at_path and (not past.last or past.last.digest != digest):
            landed.append(Fact(Landed("run", stamps.get(path, "")), path, digest, run_id))
        broken = reasons.get(summary.content)
        verdict = _verdict(dataset, summary, faulty.get(summary.content, 0), broken)
        if digest in past.admitted:
            verdict = _still_admitted(past.judgements.get(digest), verdict)
        verdicts.append(Fact(verdict, path, digest, run_id))
    return landed + verdicts


def broken_rules(
    dataset: Dataset, staged: Staged, contents: Collection[str]
) -> dict[str, list[BrokenRule]]:
    """The rules that rows of these contents break on their own, by content; the commonest first."""
    if not contents:
        return {}
    bronze = staged.rows.where(among("_content", contents))
    each = judged(bronze, dataset).selectExpr(
        "_content", f"{_PLACE} AS _place", "explode(_own) AS _rule"
    )
    found = each.groupBy("_content", "_rule").agg({"*": "count", "_place": "min"}).collect()
    headers = {rule.name: _header(dataset, rule.column) for rule in own_rules(dataset)}
    texts = sorted({header for header in headers.values() if header})
    columns = [f"`{name}`" for name in ("_content", "_sheet", "_row", "_raw", *texts)]
    places = sorted({row["min(_place)"] for row in found})
    rows = bronze.selectExpr(f"{_PLACE} AS _place", *columns)
    # A place is of one content or of several: the rows are few, whichever.
    first = {
        (row["_content"], row["_place"]): row
        for row in (rows.where(among("_place", places)).collect() if places else ())
    }
    reasons: dict[str, list[BrokenRule]] = {}
    for count in sorted(found, key=lambda row: (-row["count(1)"], row["_rule"])):
        row, rule = first[count["_content"], count["min(_place)"]], count["_rule"]
        value = row[headers[rule] or "_raw"]
        reasons.setdefault(count["_content"], []).append(
            BrokenRule(
                rule,
                count["count(1)"],
                None if row["_sheet"] is None else shown(row["_sheet"]),
                row["_row"],
                shown(value or "", _LONGEST_VALUE) or "no value",
            )
        )
    return reasons


def _header(dataset: Dataset, column: str) -> str | None:
    """The raw file's header of a rule's column; None where the rule is of the row."""
    return dataset.silver.column(column).header if column else None


def faulty_rows(dataset: Dataset, staged: Staged, contents: Collection[str]) -> dict[str, int]:
    """How many rows of these contents break a rule of their own, by content; none where none do."""
    if not contents:
        return {}
    rows = judged(staged.rows.where(among("_content", contents)), dataset)
    counted = rows.where("size(_own) > 0").groupBy("_content").count().collect()
    return {row["_content"]: row["count"] for row in counted}


def _is_held(dataset: Dataset, summary: Summary, faulty: int) -> bool:
    limit = dataset.hold
    return (
        summary.error is None
        and summary.read >= limit.least_rows
        and faulty > Fraction(str(limit.share)) * summary.read
    )


def _verdict(
    dataset: Dataset, summary: Summary, faulty: int, broken: Sequence[BrokenRule] | None
) -> Judgement:
    """The judgement of a content; it is held where there are ``broken`` rules to say why."""
    kind: type[Judgement] = Admitted
    error = summary.error
    if error is not None:
        kind = Unreadable
    elif broken is not None:
        kind = Held
        told = [str(rule) for rule in broken[:_MOST_RULES]]
        if len(broken) > _MOST_RULES:
            told.append(f"and {len(broken) - _MOST_RULES} rules more")
        error = (
            f"held: {faulty:,} of {summary.read:,} rows break a rule: {', '.join(told)}; "
            "mend the file and land it again, or let it in with lakehouse accept"
        )
    return kind(
        read=summary.read,
        faulty=faulty,
        error=error,
        sheets=summary.sheets,
        rules=dataset.rules_digest,
        unexpected=summary.unexpected,
        repairs=summary.repairs,
        headers=dataset.headers,
        warnings=summary.warnings,
        notes=summary.notes,
        reading=READING,
    )


def _still_admitted(before: Judgement | None, now: Judgement) -> Judgement:
    """An admission is a recorded decision: what is new is that it has been read, and how."""
    if before is None or before.reading == READING:
        return before or now
    if isinstance(now, Unreadable):  # its rows stay, as they were read before
        return replace(before, reading=READING)
    return Admitted(**{**vars(now), "error": None})
