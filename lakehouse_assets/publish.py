"""The only writer of tables: compare, audit, then one commit.

Every write replaces whole partitions, the ones in which a row really differs. One primitive
serves every layer and both engines: it is atomic, it can be repeated, and what is equal
already commits nothing. (A MERGE rewrites the same files, and cannot be audited before.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse_assets.contract import Table
from lakehouse_assets.workspace import Workspace, among

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class AuditError(Exception):
    """Rows that may not be published; nothing was."""


@dataclass(frozen=True)
class Published:
    """What a publication did: the version now, and how many rows went and came.

    ``rows`` are both, without maps and with arrays as text; None where there were none.
    """

    version: int
    gone: int = 0
    come: int = 0
    rows: DataFrame | None = None


def replace_rows(
    work: Workspace,
    table: Table,
    *,
    owned: DataFrame,
    others: DataFrame,
    rows: DataFrame,
    grain: Sequence[str],
    required: Sequence[str] = (),
) -> Published:
    """Put ``rows`` in the place of ``owned``; what is in ``others`` stays.

    ``owned`` and ``others`` are the table's present rows, divided; ``rows`` is staged. Only
    partitions in which a row goes or comes are written, all in one commit. Raises AuditError
    where a grain repeats or a required column is null in ``rows``.
    """
    rows = rows.selectExpr(*(f"CAST(`{c.name}` AS {c.type}) AS `{c.name}`" for c in table.columns))
    version = work.lake.create(table)
    _audit(table, rows, grain, required)
    owned_count = owned.count()
    if owned_count:
        gone = work.stage(_comparable(table, owned).exceptAll(_comparable(table, rows)))
        come = work.stage(_comparable(table, rows).exceptAll(_comparable(table, owned)))
    else:
        gone, come = owned, rows
    touched = _partition_values(table, come)
    if owned_count:
        touched |= _partition_values(table, gone)
    if not touched:
        return Published(version)
    where = " AND ".join(
        among(c, {values[i] for values in touched}) for i, c in enumerate(table.partition_by)
    )
    content = others.where(where or "true").unionByName(rows.where(where or "true"))
    commit(work, table, content, where)
    return Published(
        version=work.lake.create(table),
        gone=gone.count() if owned_count else 0,
        come=come.count(),
        rows=_comparable(table, come) if not owned_count else gone.unionByName(come),
    )


def commit(work: Workspace, table: Table, rows: DataFrame, where: str) -> None:
    """Replace what ``where`` (over partition columns) covers by ``rows``, in one commit.

    An empty ``where`` replaces the whole table. The rows must lie within it: Sail would
    accept others.
    """
    writer = rows.select(*table.names).write.format("delta").mode("overwrite")
    if table.partition_by:
        writer = writer.partitionBy(*table.partition_by).option("replaceWhere", where)
    writer.option("userMetadata", work.run_id).save(work.lake.uri(table))


def _audit(table: Table, rows: DataFrame, grain: Sequence[str], required: Sequence[str]) -> None:
    keys = ", ".join(f"`{c}`" for c in grain)
    # Null is a value of its own in a grain, as GROUP BY has it.
    repeated = rows.groupBy(*grain).count().where("count > 1").limit(1).collect()
    if repeated:
        sample = ", ".join(f"{c}={repeated[0][c]}" for c in grain)
        raise AuditError(f"{table.id}: grain ({keys}) repeats at {sample}; nothing published")
    if not required:
        return
    counts = rows.selectExpr(*(f"count_if(`{c}` IS NULL) AS `{c}`" for c in required))
    nulls = {c: n for c, n in counts.collect()[0].asDict().items() if n}
    if nulls:
        listed = ", ".join(f"{c} ({n})" for c, n in nulls.items())
        raise AuditError(f"{table.id}: null in required column {listed}; nothing published")


def _comparable(table: Table, rows: DataFrame) -> DataFrame:
    """The rows without maps, which no engine compares, and arrays as text."""
    expressions = [
        f"array_join(`{c.name}`, ',') AS `{c.name}`" if c.type == "ARRAY<STRING>" else f"`{c.name}`"
        for c in table.columns
        if not c.type.startswith("MAP")
    ]
    return rows.selectExpr(*expressions)


def _partition_values(table: Table, rows: DataFrame) -> set[tuple[object, ...]]:
    if not table.partition_by:
        return {()} if rows.limit(1).collect() else set()
    found = rows.select(*table.partition_by).distinct().collect()
    return {tuple(row) for row in found}
