"""What a gold table's SELECT says of where its columns come from, read by sqlglot."""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.lineage import Node, lineage

from lakehouse_assets.contract import Gold
from lakehouse_assets.tables import DATASETS


@cache
def inputs(table: Gold) -> tuple[str, ...]:
    """The datasets whose silver tables the SELECT reads, sorted.

    Raises ValueError where it names a table that is no dataset.
    """
    tree = sqlglot.parse_one(table.sql, dialect="spark")
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    found = {t.name for t in tree.find_all(exp.Table)} - own
    unknown = sorted(found - set(DATASETS))
    if unknown:
        known = ", ".join(sorted(DATASETS))
        raise ValueError(f"{table.table.id}: no silver table is named {unknown[0]!r}; use {known}")
    return tuple(sorted(found))


@cache
def columns(table: Gold) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each column of the table, the (dataset, column) pairs that its values come from."""
    schema = {
        d.name: {c.name: c.type for c in d.silver.columns}
        for d in DATASETS.values()
        if d.name in inputs(table)
    }
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for column in table.columns:
        node = lineage(column.name, table.sql, schema=schema, dialect="spark")
        found[column.name] = tuple(sorted(_leaves(node)))
    return found


def names(expression: str) -> tuple[str, ...]:
    """The columns that a SQL expression over a row names, sorted."""
    tree = sqlglot.parse_one(expression, dialect="spark")
    return tuple(sorted({column.name for column in tree.find_all(exp.Column)}))


def _leaves(node: Node) -> set[tuple[str, str]]:
    leaves: set[tuple[str, str]] = set()
    for step in node.walk():
        table = step.expression
        if isinstance(table, exp.Table) and not step.downstream and table.name in DATASETS:
            leaves.add((table.name, step.name.split(".")[-1].strip('`"')))
    return leaves
