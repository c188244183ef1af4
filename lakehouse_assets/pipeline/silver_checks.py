"""What silver tells of each batch date: counts, and the outcome of every check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, TypeAlias

from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import Workspace, among, union
from lakehouse_assets.store import receipts
from lakehouse_assets.tables.contract import Advice, Category, Dataset
from lakehouse_assets.tables.registry import DATASETS
from lakehouse_assets.tables.rules import LOST_ORIGIN, Rule, foreign_key_rules, own_rules
from lakehouse_assets.tables.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_KEY: Final = "keys_unique"

AUDITS: Final = (_KEY,)
"""The checks without which `publish` commits nothing."""


def checks(dataset: Dataset) -> dict[str, str]:
    """Silver's checks by name, with what each says when it passes."""
    found = {
        "structure": "The table has the contract's columns and types.",
        _KEY: f"Each {', '.join(dataset.key_columns)} occurs once.",
        "accounting": "Every row of every file has exactly one fate.",
    }
    for name, group in _rule_groups(dataset).items():
        found[name] = "No row breaks " + ", ".join(map(str, group)) + "."
    return found | {a.name: a.description for a in dataset.advice}


def rule_checks(dataset: Dataset) -> Collection[str]:
    """The checks, by name, that fail where rows are rejected by their own values or a parent."""
    return _rule_groups(dataset).keys() - {LOST_ORIGIN.name}


def _rule_groups(dataset: Dataset) -> dict[str, list[Rule]]:
    groups: dict[str, list[Rule]] = {}
    for rule in own_rules(dataset):
        groups.setdefault(f"valid_{rule.column}" if rule.column else "valid_rows", []).append(rule)
    for rule in foreign_key_rules(dataset):
        groups[f"foreign_key_{rule.column}"] = [rule]
    return groups | {"origin": [LOST_ORIGIN]}


def report(
    work: Workspace,
    result: Result,
    dataset: Dataset,
    asked: Sequence[date],
    moved: Collection[date] = (),
) -> None:
    """Add to a result, for each date, the counts and every check's outcome.

    Of dates that were not asked for and have ``moved``, the checks' outcomes alone: a parent that
    came on another day has let rows in, and what was said of their date is no longer true.
    """
    dates = sorted({*asked, *moved})
    found = receipts.current(work.lake, dataset.name, dates)
    totals = {day: receipts.Counts() for day in dates}
    for receipt in found:
        totals[receipt.path.batch_date] += receipt.counts
    breaches = _breaches(work, dataset, dates)
    _check_structure(work, result, dataset, dates)
    _check_keys(result, dataset, breaches, totals)
    uneven = [r for r in found if not r.counts.adds_up]
    for day in dates:
        total = totals[day]
        if day in asked:
            result.days[day] = {**total.__dict__}
        wrong = [str(r.path) for r in uneven if r.path.batch_date == day]
        result.checks.append(
            Check(
                "accounting",
                not wrong,
                day,
                description=checks(dataset)["accounting"]
                if not wrong
                else f"rows do not add up: {', '.join(wrong)}",
                metadata=dict(total.__dict__),
            )
        )
    _check_rules(result, dataset, breaches, totals)
    _check_advice(result, dataset, breaches, dates)


@dataclass(frozen=True)
class _Breach:
    """How many rows of a batch date break something, and what one of them is."""

    rows: int
    sample: str


_Breaches: TypeAlias = Mapping[tuple[str, date | None], _Breach]
"""By a rule's name, `_of` an advice or `_KEY`, and the batch date, which a repeated key has not."""


def _breaches(work: Workspace, dataset: Dataset, dates: Sequence[date]) -> _Breaches:
    """What the checks ask of the tables' rows of these dates: one query, as each has its price."""
    published = work.now(dataset.silver).where(among("_batch_date", dates))
    asked = [_repeated_keys(dataset, published), *_against_advice(work, dataset, published)]
    if work.may_hold(dataset.rejected):
        asked.append(_broken_rules(work.now(dataset.rejected).where(among("_batch_date", dates))))
    return {
        (row["name"], row["_batch_date"]): _Breach(row["rows"], row["sample"])
        for row in union(asked).collect()
        if row["rows"]
    }


def _repeated_keys(dataset: Dataset, published: DataFrame) -> DataFrame:
    key = dataset.key_columns
    listed = ", ".join(f"`{column}`" for column in key)
    return select(
        published.groupBy(*key).count().where("count > 1"),
        name=f"'{_KEY}'",
        _batch_date="CAST(NULL AS DATE)",
        rows="count(*)",
        sample=f"min(concat_ws(' ', {listed}))",
    )


def _broken_rules(rejected: DataFrame) -> DataFrame:
    broken = select(rejected, "_batch_date", "_row", "_subject", name="explode(_rules)")
    found = broken.groupBy("name", "_batch_date").agg({"_row": "count", "_subject": "min"})
    rows, sample = "`count(_row)`", "`min(_subject)`"
    return select(found, "name", "_batch_date", rows=rows, sample=sample)


def _against_advice(work: Workspace, dataset: Dataset, published: DataFrame) -> list[DataFrame]:
    """One frame of all advice; none where there is none."""
    if not dataset.advice:
        return []
    asked = "\nUNION ALL\n".join(
        f"SELECT {literal(_of(advice))} AS name, _batch_date, count(*) AS rows, "
        f"CAST(min(sample) AS STRING) AS sample FROM (\n{advice.sql}\n) GROUP BY _batch_date"
        for advice in dataset.advice
    )
    tables = {d.name: work.now(d.silver) for d in DATASETS.values() if d.name in asked.lower()}
    return [work.sql(asked, {**tables, "published": published})]


def _of(advice: Advice) -> str:
    """Like no rule's name."""
    return f"advice:{advice.name}"


def _check_structure(
    work: Workspace, result: Result, dataset: Dataset, dates: Sequence[date]
) -> None:
    present = dict(work.now(dataset.silver).dtypes)
    wanted = {c.name: c.type.lower() for c in dataset.silver.columns}
    differing = sorted(n for n in wanted if present.get(n) != wanted[n])
    for day in dates:
        note = f"differs from the contract: {differing}" if differing else ""
        result.checks.append(
            Check("structure", not differing, day, description=note or checks(dataset)["structure"])
        )


def _check_keys(
    result: Result,
    dataset: Dataset,
    breaches: _Breaches,
    totals: Mapping[date, receipts.Counts],
) -> None:
    found = breaches.get((_KEY, None))
    said = f"{found.rows:,} repeat" if found else checks(dataset)[_KEY]
    for day, total in totals.items():
        about = {"rows": total.published, "sample_keys": [found.sample] if found else []}
        result.checks.append(Check(_KEY, not found, day, description=said, metadata=about))


def _check_rules(
    result: Result,
    dataset: Dataset,
    breaches: _Breaches,
    totals: Mapping[date, receipts.Counts],
) -> None:
    """One outcome per date and group of rules, from the rows in quarantine."""
    for day, total in totals.items():
        read = total.read - total.held
        for name, group in _rule_groups(dataset).items():
            found = {r.name: breaches[r.name, day] for r in group if (r.name, day) in breaches}
            broken = {name: breach.rows for name, breach in found.items()}
            samples = [breach.sample.removeprefix("=") for breach in found.values()]
            share = max(broken.values(), default=0) / read if read else 0.0
            beyond = share > dataset.hold.share and read >= dataset.hold.least_rows
            own = all(r.category is not Category.REFERENTIAL_INTEGRITY for r in group)
            said = "rejected rows: " + ", ".join(f"{r} {n:,}" for r, n in broken.items())
            if LOST_ORIGIN in group:
                said += "; what they mend is not in force here"
            result.checks.append(
                Check(
                    name,
                    not broken,
                    day,
                    Severity.ERROR if beyond and own else Severity.WARN,
                    said if broken else checks(dataset)[name],
                    {
                        "rows": read,
                        "broken": broken,
                        "threshold": dataset.hold.share,
                        "sample_keys": samples,
                    },
                )
            )


def _check_advice(
    result: Result, dataset: Dataset, breaches: _Breaches, dates: Sequence[date]
) -> None:
    for advice in dataset.advice:
        for day in dates:
            found, said = breaches.get((_of(advice), day)), advice.description
            if found:
                said += f" Not true of {found.rows:,} row(s), such as {found.sample}"
            about = {"rows": found.rows if found else 0, "sample": found.sample if found else ""}
            result.checks.append(Check(advice.name, not found, day, Severity.WARN, said, about))
