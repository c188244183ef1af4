"""What the SQL in contracts cannot say: found when definitions load, told in one line each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from lakehouse_assets.errors import ContractError
from lakehouse_assets.tables import column_lineage
from lakehouse_assets.tables.contract import Column, Dataset, Derived
from lakehouse_assets.tables.registry import DATASETS, DERIVED, contract_of, sources

# What would make the tables depend on something else than the landed files.
_UNSTEADY: Final = (
    exp.CurrentDate,
    exp.CurrentTimestamp,
    exp.CurrentUser,
    exp.Rand,
    exp.Randn,
    exp.Uuid,
)
_UNSTEADY_NAMES: Final = ("now", "random", "monotonically_increasing_id", "spark_partition_id")


def check_all() -> None:
    """Raise ContractError, which names file and column, for the first SQL that cannot be."""
    for dataset in DATASETS.values():
        try:
            _check(dataset)
        except ContractError as error:
            raise ContractError(f"{contract_of(dataset.silver)}: {error}") from None
    for derived in DERIVED.values():
        column_lineage.columns(derived)
        try:
            _check_proofs(derived)
        except ContractError as error:
            raise ContractError(f"{contract_of(derived.table)}: {error}") from None


def _check(dataset: Dataset) -> None:
    for column in dataset.columns:
        if column.derived:
            _expression(f"column {column.name!r}: derived", column.derived, dataset.sources)
    for rule in dataset.row_rules:
        what = f"row rule {rule.name!r}: its SQL"
        found = _expression(what, rule.sql, dataset.columns)
        if found.type and not found.is_type("boolean", "unknown", "null"):
            raise ContractError(
                f"{what} is no condition but {found.type.sql('spark')}; "
                "write what must be true of a row, such as price >= 0"
            )
    tables = {d.name: d.silver.columns for d in DATASETS.values()}
    tables["published"] = dataset.silver.columns
    for advice in dataset.advice:
        what = f"advice {advice.name!r}: its SQL"
        query = _qualified(what, advice.sql, tables)
        if sorted(query.named_selects) != ["_batch_date", "sample"]:
            raise ContractError(
                f"{what} gives {', '.join(query.named_selects)}; "
                "it must give _batch_date and sample"
            )


def _check_proofs(derived: Derived) -> None:
    read = {name: sources()[name].table.columns for name in column_lineage.inputs(derived)}
    for proof in derived.reconciliations:
        what = f"reconciliation {proof.name!r}"
        own = {"computed": derived.columns}
        _qualified(f"{what}: gold", f"SELECT {proof.gold} AS value FROM computed", own)
        _qualified(f"{what}: silver", proof.silver, read)


def _expression(what: str, sql: str, columns: Collection[Column]) -> exp.Expr:
    """An expression over a row's columns, with its type as far as that can be told."""
    query = _qualified(what, f"SELECT {sql} AS value FROM row", {"row": columns})
    inner = (exp.Query, exp.AggFunc, exp.Window, exp.Explode, exp.Star)
    if len(query.selects) != 1 or any(n is not query for n in query.find_all(*inner)):
        raise ContractError(
            f"{what} must be one expression over a row's columns, without SELECT, sums, windows"
        )
    return query.selects[0].unalias()


def _qualified(what: str, sql: str, tables: Mapping[str, Collection[Column]]) -> exp.Select:
    schema: dict[str, object] = {
        name: {c.name: c.type for c in columns} for name, columns in tables.items()
    }
    try:
        trees = sqlglot.parse(sql, dialect="spark")
    except ParseError as error:
        at = error.errors[0]
        raise ContractError(
            f"{what} cannot be read: {at['description']} at {at['highlight']!r}, "
            f"line {at['line']} of the text; correct it"
        ) from None
    [tree] = trees if len(trees) == 1 else [None]
    if not isinstance(tree, exp.Select):
        raise ContractError(f"{what} must be one SELECT")
    unnamed = (f for f in tree.find_all(exp.Anonymous) if f.name.lower() in _UNSTEADY_NAMES)
    if unsteady := tree.find(*_UNSTEADY) or next(unnamed, None):
        raise ContractError(
            f"{what} asks {unsteady.sql('spark')}, and tables depend on the landed files alone; "
            "take it out"
        )
    named = {t.name for t in tree.find_all(exp.Table)} - {c.alias for c in tree.find_all(exp.CTE)}
    if unknown := sorted(named - {*tables}):
        raise ContractError(f"{what}: no table is named {unknown[0]!r}; use {', '.join(tables)}")
    try:
        qualified = qualify(tree, schema=schema, dialect="spark", quote_identifiers=False)
        found: exp.Select = annotate_types(qualified, schema=schema, dialect="spark")
    except OptimizeError as error:
        there = ([c.name for c in tables[name]] for name in sorted(named))
        raise ContractError(f"{what}: {column_lineage.unresolved(error, there)}") from None
    return found
