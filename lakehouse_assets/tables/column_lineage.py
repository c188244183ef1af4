"""What a derived table's SELECT says of where its columns come from, read by sqlglot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.lineage import Node, lineage

from lakehouse_assets.errors import ContractError, meant
from lakehouse_assets.tables.contract import Derived
from lakehouse_assets.tables.registry import contract_of, sources


@cache
def inputs(table: Derived) -> tuple[str, ...]:
    """The tables that the SELECT reads, by their names there, sorted.

    Raises ContractError where the SQL is no SELECT, names a table that there is not, or leaves
    out what the unit or a reconciliation needs.
    """
    contract = contract_of(table.table)
    found = _tables(contract, table.sql)
    if not found:
        raise ContractError(f"{contract}: its SELECT reads no silver table")
    unit = (table.unit or "").partition(".")[0]
    if unit and unit not in found:
        raise ContractError(
            f"{contract}: its unit is of {unit}, which its SELECT does not read; "
            f"take a unit of {' or '.join(found)}"
        )
    for proof in table.reconciliations:
        # Only what the SELECT reads is cut down to the units at hand.
        if more := [n for n in _tables(contract, proof.silver) if n not in found]:
            raise ContractError(
                f"{contract}: reconciliation {proof.name!r} reads {more[0]}, "
                f"which its SELECT does not; use {' or '.join(found)}"
            )
    return found


def _tables(contract: str, sql: str) -> tuple[str, ...]:
    tree = _select(contract, sql)
    own = {cte.alias_or_name for cte in tree.find_all(exp.CTE)}
    found = {t.name for t in tree.find_all(exp.Table)} - own
    unknown = sorted(found - set(sources()))
    if unknown:
        known = ", ".join(sorted(sources()))
        raise ContractError(f"{contract}: no silver table is named {unknown[0]!r}; use {known}")
    return tuple(sorted(found))


@cache
def _select(contract: str, sql: str) -> exp.Query:
    try:
        tree = sqlglot.parse_one(sql, dialect="spark")
    except ParseError as error:
        at = error.errors[0]
        raise ContractError(
            f"{contract}: its SQL cannot be read: {at['description']} at "
            f"{at['highlight']!r}, line {at['line']} of the text"
        ) from None
    if not isinstance(tree, exp.Query):
        raise ContractError(f"{contract}: its SQL must be one SELECT")
    return tree


@cache
def columns(table: Derived) -> dict[str, tuple[tuple[str, str], ...]]:
    """For each column of the table, the (table's id, column) pairs that its values come from.

    Raises ContractError where the SELECT gives other columns than the contract has, or names
    one that no silver table has.
    """
    contract = contract_of(table.table)
    given, wanted = _select(contract, table.sql).named_selects, table.table.names
    if "*" in given:
        raise ContractError(f"{contract}: its SELECT gives *; name the columns one by one")
    if missing := [n for n in wanted if n not in given]:
        raise ContractError(
            f"{contract}: its SELECT gives no column {missing[0]!r}; it gives {', '.join(given)}"
        )
    if extra := [n for n in given if n not in wanted]:
        raise ContractError(
            f"{contract}: its SELECT gives {extra[0]!r}, which is no column of the "
            "contract; add it there, or take it out"
        )
    for select in _select(contract, table.sql).find_all(exp.Select):
        if column := _ungrouped(select):
            raise ContractError(
                f"{contract}: its SELECT gives {column!r} beside aggregates, and does not group "
                "by it; add it to GROUP BY, or take it out"
            )
    read = {name: source for name, source in sources().items() if name in inputs(table)}
    schema = {n: {c.name: c.type for c in s.table.columns} for n, s in read.items()}
    try:
        # Nobody looks at the nodes' own SELECTs, and to trim each takes as long as all the rest.
        tree = _select(contract, table.sql)
        nodes = lineage(
            None,
            tree,
            schema=schema,
            dialect="spark",
            trim_selects=False,
            validate_qualify_columns=True,
        )
    except SqlglotError as error:
        raise ContractError(f"{contract}: its SQL: {unresolved(error, schema.values())}") from None
    # What counts rows names none of their columns: it comes from which rows there are.
    keys = tuple((s.table.id, part) for s in read.values() for part in s.dataset.key_columns)
    # sqlglot writes names small, as Spark compares them.
    tables = {name: source.table.id for name, source in read.items()}
    return {name: tuple(sorted(_leaves(nodes[name.lower()], tables))) or keys for name in wanted}


def _ungrouped(select: exp.Select) -> str | None:
    """A column that stands beside aggregates and in no GROUP BY; None where none surely does.

    What engines say of it names none of the contract's columns.
    """
    group = select.args.get("group")
    parts = [part for each in select.selects for part in _on_top(each)]
    if group is None and not any(isinstance(part, exp.AggFunc) for part in parts):
        return None
    group = group or exp.Group()
    if group.args.get("all") or any(key.is_int for key in group.expressions):
        return None
    known = {column.name.lower() for column in group.find_all(exp.Column)}
    for each in select.selects:
        if each.alias.lower() in known:  # grouped by its new name
            known |= {column.name.lower() for column in each.find_all(exp.Column)}
    plain = (part for part in parts if isinstance(part, exp.Column))
    return next((it.name for it in plain if it.name.lower() not in known), None)


def _on_top(node: exp.Expr) -> Iterator[exp.Expr]:
    """The columns and aggregates of an expression, but for what these, or a window, take."""
    if isinstance(node, (exp.Column, exp.AggFunc)):
        yield node
    elif not isinstance(node, (exp.Anonymous, exp.Window, exp.Query)):
        for part in node.iter_expressions():
            yield from _on_top(part)


def unresolved(error: SqlglotError, tables: Iterable[Iterable[str]]) -> str:
    """What sqlglot cannot resolve, in one line, with the nearest of the tables' columns."""
    [line, *_] = str(error).split(". Line:")
    line = " ".join(line.split())
    there = dict.fromkeys(name for table in tables for name in table)
    named = re.fullmatch(r"(?:Column '(.*)' could not be resolved|Unknown column: (.*))", line)
    name = next(filter(None, named.groups())) if named else ""
    told = f"no column is named {name!r}" if name else line
    return f"{told}; {meant(name.rpartition('.')[2], there, 'the columns are')}"


def names(expression: str) -> tuple[str, ...]:
    """The columns that a SQL expression over a row names, sorted."""
    tree = sqlglot.parse_one(expression, dialect="spark")
    return tuple(sorted({column.name for column in tree.find_all(exp.Column)}))


def _leaves(node: Node, tables: Mapping[str, str]) -> set[tuple[str, str]]:
    leaves: set[tuple[str, str]] = set()
    for step in node.walk():
        table = step.expression
        if isinstance(table, exp.Table) and not step.downstream and table.name in tables:
            leaves.add((tables[table.name], step.name.split(".")[-1].strip('`"')))
    return leaves
