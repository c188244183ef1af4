"""The only writer of tables: audit, compare, then one commit.

Every commit replaces whole partitions, those in which a row differs, and is atomic: a crash before
it leaves the table as it was, one after it leaves it done. Doing it again commits nothing, because
nothing differs. A MERGE would rewrite the same files, and could not be audited beforehand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.pipeline.difference import difference
from lakehouse_assets.pipeline.select import cast, select
from lakehouse_assets.pipeline.workspace import Workspace, among
from lakehouse_assets.tables.contract import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row


class AuditError(LakehouseError):
    """Rows that may not be published; nothing was."""


@dataclass(frozen=True)
class Replaced:
    """What a publication did: the table's version now, and how many rows are new and gone in it.

    A row that changed counts in both. ``rows`` are all of these, without maps and with arrays as
    text; None where nothing was committed. ``totals`` has what was asked for of all rows.
    """

    version: int
    totals: Row
    removed: int = 0
    added: int = 0
    rows: DataFrame | None = None


def replace_rows(
    work: Workspace,
    table: Table,
    *,
    owned: DataFrame | None,
    others: DataFrame,
    rows: DataFrame,
    grain: Sequence[str],
    required: Sequence[str] = (),
    totals: DataFrame | None = None,
) -> Replaced:
    """Put ``rows`` in the place of ``owned``; what is in ``others`` stays.

    Only partitions in which a row differs are written, all in one commit.

    Args:
        work: The run's engine and lake.
        table: What is written.
        owned: The table's rows that ``rows`` stand for; None where it is known to have none.
        others: All its other rows.
        rows: What is to be there; staged, because it is read several times.
        grain: The columns that together are unique in ``rows``.
        required: The columns that may not be null in ``rows``.
        totals: One row of what else is to be known, asked for in one query with the audit.

    Raises:
        AuditError: A grain repeats, or a required column is null; nothing was written.
    """
    rows = cast(rows, table.columns)
    version = work.lake.create(table)
    comparable = _comparable(table)
    if owned is None:
        differing = select(rows, **comparable, _removed="0", _added="1")
    else:
        old, new = select(owned, **comparable), select(rows, **comparable)
        differing = difference(work, old, new, [*comparable])
    grains = rows.groupBy(*grain).count()  # null is a value of its own here
    # One query: what the audit needs to know, and a row for each partition in which rows differ.
    asked = _totals(grains, rows, required)
    found = (asked if totals is None else asked.crossJoin(totals)).unionByName(
        differing.groupBy(*table.partition_by)
        .agg({"_removed": "sum", "_added": "sum"})
        .where("`sum(_removed)` + `sum(_added)` > 0"),
        allowMissingColumns=True,
    )
    [answer, *partitions] = sorted(found.collect(), key=lambda row: row["_most"] is None)
    _audit(table, grains, answer, grain, required)
    if not partitions:
        return Replaced(version, answer)
    where = " AND ".join(among(c, {row[c] for row in partitions}) for c in table.partition_by)
    if where:
        others, rows = others.where(where), rows.where(where)
    commit(work, table, others.unionByName(rows), where)
    return Replaced(
        version=work.lake.create(table),
        totals=answer,
        removed=sum(row["sum(_removed)"] for row in partitions),
        added=sum(row["sum(_added)"] for row in partitions),
        rows=differing,
    )


def commit(work: Workspace, table: Table, rows: DataFrame, where: str) -> None:
    """Replace what ``where`` (over partition columns) covers by ``rows``, in one commit.

    An empty ``where`` replaces the whole table. The rows must lie within it: Sail would take
    others, too (`sail_quirks`).
    """
    writer = select(rows, **_as_stored(work, table)).write.format("delta").mode("overwrite")
    if table.partition_by:
        writer = writer.partitionBy(*table.partition_by).option("replaceWhere", where)
    writer.option("userMetadata", work.run_id).save(work.uri(table))


def _as_stored(work: Workspace, table: Table) -> dict[str, str]:
    """SQL for the table's columns in its own order; those that the contract has not are null."""
    there = work.lake.shape(table)
    if there.keys() <= set(table.names):
        return {name: f"`{name}`" for name in there}
    types = dict(work.spark.read.format("delta").load(work.uri(table)).dtypes)
    return {
        name: f"`{name}`" if name in table.names else f"CAST(NULL AS {types[name]})"
        for name in there
    }


def _totals(grains: DataFrame, rows: DataFrame, required: Sequence[str]) -> DataFrame:
    """One row: the most rows of a grain (0 where there is none), and the nulls of each column."""
    most = select(grains, _most="coalesce(max(`count`), 0)")
    # Not counted by grain: a table of ten million grains would hold as many counts of each column.
    nulls = {f"_null_{c}": f"count_if(`{c}` IS NULL)" for c in required}
    return most.crossJoin(select(rows, **nulls)) if nulls else most


def _audit(
    table: Table, grains: DataFrame, totals: Row, grain: Sequence[str], required: Sequence[str]
) -> None:
    """Refuse rows that may not be published. Raises AuditError."""
    if totals["_most"] > 1:
        [first] = grains.where("`count` > 1").limit(1).collect()
        sample = ", ".join(f"{c}={first[c]}" for c in grain)
        keys = ", ".join(f"`{c}`" for c in grain)
        raise AuditError(
            f"{table.id}: grain ({keys}) repeats at {sample}; nothing published: name in the "
            "contract's grain all columns that tell rows apart"
        )
    missing = {c: totals[f"_null_{c}"] for c in required if totals[f"_null_{c}"]}
    if missing:
        listed = ", ".join(f"{c} ({n})" for c, n in missing.items())
        raise AuditError(f"{table.id}: null in required column {listed}; nothing published")


def _comparable(table: Table) -> dict[str, str]:
    """SQL for the columns by which rows are compared.

    Arrays are compared as text; maps, which no engine compares, are left out.
    """
    return {
        c.name: f"array_join(`{c.name}`, ',')" if c.type == "ARRAY<STRING>" else f"`{c.name}`"
        for c in table.columns
        if not c.type.startswith("MAP")
    }
