"""Each content read gets its judgement: admitted, held or unreadable, by itself alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from lakehouse_assets.parse.model import READING, columns_unread, shown
from lakehouse_assets.pipeline.bronze_reading import Staged, Summary
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import among
from lakehouse_assets.store.facts import Admitted, Fact, Held, Judgement, Landed, Unreadable
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.rules import own_rules

if TYPE_CHECKING:
    from pyspark.sql import Row

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
    value: str | None
    """None where the rule is about no single value."""

    @property
    def place(self) -> str:
        """Where the first of them stands."""
        return f"line {self.row}" if self.sheet is None else f"[{self.sheet}] row {self.row}"

    def __str__(self) -> str:
        first = self.place if self.value is None else f"{self.place}: {self.value}"
        return f"{self.rule} {self.rows:,} ({first})"


def judge(
    dataset: Dataset, state: State, staged: Staged, stamps: Mapping[FilePath, str], run_id: str
) -> list[Fact]:
    """Facts: what landed by being read, then what was found in each content.

    ``stamps`` are those of the files at their paths.
    """
    read = [s.content for s in staged.summaries if s.read]  # of small ones the share is told too
    found = faults(dataset, staged, read)
    faulty = {content: its.rows for content, its in found.items()}
    held = [s for s in staged.summaries if _is_held(dataset, s, faulty.get(s.content, 0))]
    reasons = broken_rules(dataset, staged, {s.content: found[s.content] for s in held})
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


@dataclass(frozen=True)
class Faults:
    """How many rows of a content break a rule of their own; each rule's rows and first place."""

    rows: int
    rules: Mapping[str, tuple[int, int]]


NO_FAULTS: Final = Faults(0, {})


def faults(dataset: Dataset, staged: Staged, contents: Collection[str]) -> dict[str, Faults]:
    """What rows of these contents break on their own, by content; those without are not there."""
    if not contents:
        return {}
    rows = judged(staged.rows.where(among("_content", contents)), dataset)
    # Each faulty row counts for its rules, and once for itself: under no rule's name. Not by a
    # filter before: the engine would judge once for that, and again for what passes.
    rules = "explode(CASE WHEN size(_own) > 0 THEN concat(array(''), _own) END)"
    each = select(rows, "_content", _place=_PLACE, _rule=rules)
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for row in each.groupBy("_content", "_rule").agg({"*": "count", "_place": "min"}).collect():
        of_content = found.setdefault(row["_content"], {})
        of_content[row["_rule"]] = row["count(1)"], row["min(_place)"]
    return {content: Faults(rules.pop("")[0], rules) for content, rules in found.items()}


def broken_rules(
    dataset: Dataset, staged: Staged, found: Mapping[str, Faults]
) -> dict[str, list[BrokenRule]]:
    """The rules that rows of these contents break on their own, by content; the commonest first."""
    places = sorted({place for its in found.values() for _, place in its.rules.values()})
    if not places:
        return {}
    headers = {rule.name: _header(dataset, rule.column) for rule in own_rules(dataset)}
    # All of them: an unreadable cell may be of a column that has no rule.
    names = ["_content", "_sheet", "_row", "_raw", "_fault", *dataset.headers]
    rows = select(staged.rows.where(among("_content", found)), *names, _place=_PLACE)
    # A place is of one content or of several: the rows are few, whichever.
    first = {
        (row["_content"], row["_place"]): row
        for row in rows.where(among("_place", places)).collect()
    }
    reasons: dict[str, list[BrokenRule]] = {}
    for content, its in found.items():
        for rule, (count, place) in sorted(its.rules.items(), key=lambda it: (-it[1][0], it[0])):
            row = first[content, place]
            reasons.setdefault(content, []).append(
                BrokenRule(
                    rule,
                    count,
                    None if row["_sheet"] is None else shown(row["_sheet"]),
                    row["_row"],
                    _value(row, headers[rule]),
                )
            )
    return reasons


def _value(row: Row, header: str | None) -> str | None:
    """What breaks a rule in a bronze row: a cell's text, or the row's where it is not split."""
    if header is not None:
        return shown(row[header] or "", _LONGEST_VALUE) or "no value"
    unread = columns_unread(row["_fault"])
    text = row[unread[0]] if unread else row["_raw"]
    return None if text is None else shown(text, _LONGEST_VALUE)


def _header(dataset: Dataset, column: str) -> str | None:
    """The raw file's header of a rule's column; None where the rule is of the row."""
    return dataset.silver.column(column).header if column else None


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
        dialect=dataset.dialect.reading,
    )


def _still_admitted(before: Judgement | None, now: Judgement) -> Judgement:
    """An admission is a recorded decision: what is new is that it has been read, and how."""
    if before is None or before.is_read_like(now):
        return before or now
    if isinstance(now, Unreadable):  # its rows stay, as they were read before
        return replace(before, reading=now.reading, dialect=now.dialect)
    return Admitted(**{**vars(now), "error": None})
