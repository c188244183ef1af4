"""What silver tells of each batch date: counts, and the outcome of every check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import Workspace, among
from lakehouse_assets.store import receipts
from lakehouse_assets.tables.contract import Category, Dataset
from lakehouse_assets.tables.registry import DATASETS
from lakehouse_assets.tables.rules import LOST_ORIGIN, Rule, foreign_key_rules, own_rules

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SAMPLES = 5

AUDITS: Final = ("keys_unique",)
"""The checks without which `publish` commits nothing."""


def checks(dataset: Dataset) -> dict[str, str]:
    """Silver's checks by name, with what each says when it passes."""
    found = {
        "structure": "The table has the contract's columns and types.",
        "keys_unique": f"Every {', '.join(dataset.key_columns)} stands once.",
        "accounting": "Every row of every file has exactly one fate.",
    }
    for name, group in _rule_groups(dataset).items():
        found[name] = "No row breaks " + ", ".join(map(str, group)) + "."
    return found | {a.name: a.description for a in dataset.advice}


def rule_checks(dataset: Dataset) -> Collection[str]:
    """The checks, by name, that fail where rows are rejected."""
    return _rule_groups(dataset).keys()


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
    lake, dates = work.lake, sorted({*asked, *moved})
    days = among("_batch_date", dates)
    found = receipts.current(lake, dataset.name, dates)
    totals = {day: receipts.Counts() for day in dates}
    for receipt in found:
        totals[receipt.path.batch_date] += receipt.counts
    published = work.now(dataset.silver).where(days)
    _check_structure(work, result, dataset, dates)
    _check_keys(result, dataset, published, totals)
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
    _check_rules(work, result, dataset, dates, totals)
    _check_advice(work, result, dataset, published, dates)


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
    published: DataFrame,
    totals: Mapping[date, receipts.Counts],
) -> None:
    key = dataset.key_columns
    repeated = published.groupBy(*key).count().where("count > 1").select(*key)
    samples = [" ".join(map(str, row)) for row in repeated.limit(_SAMPLES).collect()]
    for day, total in totals.items():
        result.checks.append(
            Check(
                "keys_unique",
                not samples,
                day,
                description=checks(dataset)["keys_unique"] if not samples else "keys repeat",
                metadata={"rows": total.published, "sample_keys": samples},
            )
        )


def _check_rules(
    work: Workspace,
    result: Result,
    dataset: Dataset,
    dates: Sequence[date],
    totals: Mapping[date, receipts.Counts],
) -> None:
    """One outcome per date and group of rules, from the rows in quarantine."""
    rejected = work.now(dataset.rejected).where(among("_batch_date", dates))
    exploded = select(rejected, "_batch_date", "_row", "_subject", rule="explode(_rules)")
    by_rule = exploded.groupBy("_batch_date", "rule").agg({"_row": "count", "_subject": "min"})
    counts = {
        (row["_batch_date"], row["rule"]): (row["count(_row)"], row["min(_subject)"])
        for row in by_rule.collect()
    }
    for day in dates:
        read = totals[day].read - totals[day].held
        for name, group in _rule_groups(dataset).items():
            broken = {r.name: counts[day, r.name][0] for r in group if (day, r.name) in counts}
            samples = [counts[day, r][1].removeprefix("=") for r in broken]
            share = max(broken.values(), default=0) / read if read else 0.0
            beyond = share > dataset.hold.share and read >= dataset.hold.least_rows
            own = all(r.category is not Category.REFERENTIAL_INTEGRITY for r in group)
            result.checks.append(
                Check(
                    name,
                    not broken,
                    day,
                    Severity.ERROR if beyond and own else Severity.WARN,
                    checks(dataset)[name]
                    if not broken
                    else "rejected rows: " + ", ".join(f"{r} {n:,}" for r, n in broken.items()),
                    {
                        "rows": read,
                        "broken": broken,
                        "threshold": dataset.hold.share,
                        "sample_keys": samples,
                    },
                )
            )


def _check_advice(
    work: Workspace, result: Result, dataset: Dataset, published: DataFrame, dates: Sequence[date]
) -> None:
    if not dataset.advice:
        return
    asked_of = " ".join(advice.sql for advice in dataset.advice).lower()
    for other in DATASETS.values():
        if other.name in asked_of:
            work.now(other.silver).createOrReplaceTempView(other.name)
    published.createOrReplaceTempView("published")
    asked = [
        f"SELECT {i} AS which, _batch_date, count(*) AS rows, CAST(min(sample) AS STRING) AS sample"
        f" FROM (\n{advice.sql}\n) GROUP BY _batch_date"
        for i, advice in enumerate(dataset.advice)
    ]
    found = work.spark.sql("\nUNION ALL\n".join(asked)).collect()
    counts = {(r["which"], r["_batch_date"]): (r["rows"], r["sample"]) for r in found}
    for i, advice in enumerate(dataset.advice):
        for day in dates:
            number, sample = counts.get((i, day), (0, ""))
            result.checks.append(
                Check(
                    advice.name,
                    number == 0,
                    day,
                    Severity.WARN,
                    advice.description
                    if number == 0
                    else f"{advice.description} Not so: {number:,} row(s), such as {sample}",
                    {"rows": number, "sample": sample},
                )
            )
