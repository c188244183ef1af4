"""What keeps named queries to what Athena and the embedded engine answer alike.

What is not known to be answered alike is refused: a query may use the forms listed here, and
`make test-athena` compares each of them on both engines, value by value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lakehouse_assets.queries.named import tables
from lakehouse_assets.tables.registry import example

_STRUCTURE: Final = (
    *(exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Union),
    *(exp.With, exp.CTE, exp.Subquery, exp.Table, exp.TableAlias, exp.Alias, exp.Identifier),
    *(exp.Order, exp.Ordered, exp.Limit, exp.Distinct, exp.Unnest, exp.Column, exp.Star),
    *(exp.Window, exp.WindowSpec, exp.Interval, exp.Var, exp.DataType, exp.DataTypeParam),
    *(exp.Literal, exp.Null, exp.Boolean, exp.Placeholder, exp.Paren),
)
_OPERATORS: Final = (
    *(exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg),
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.Is),
    *(exp.And, exp.Or, exp.Not, exp.Case, exp.If, exp.Cast),
)
_FUNCTIONS: Final = (
    *(exp.Count, exp.Sum, exp.Min, exp.Max, exp.Coalesce, exp.Nullif),
    *(exp.DateDiff, exp.TimestampTrunc, exp.RowNumber, exp.Rank, exp.Ntile, exp.Lag),
)
ALLOWED: Final = frozenset({*_STRUCTURE, *_OPERATORS, *_FUNCTIONS})
"""What a query's tree may be made of."""

_GUARD_DIGITS: Final = 4
_UNITS: Final = frozenset({"MONTH", "QUARTER", "YEAR"})
_TABLES: Final = tables()
_COLUMNS: Final = [column for table in _TABLES.values() for column in table.columns]
_TIMES: Final = {c.name for c in _COLUMNS if c.type == "TIMESTAMP"}
_NO_TEXTS: Final = {c.name for c in _COLUMNS if c.type not in {"BIGINT", "INT", "STRING"}}
_INSTEAD: Final[dict[type[exp.Expr], str]] = {
    exp.AtTimeZone: "days: they are of UTC already",
    exp.Avg: "a sum divided by a count",
    exp.DayOfWeek: "date_diff('day', DATE '2001-01-01', <day>) % 7, which is 0 on Mondays",
    exp.DayOfWeekIso: "date_diff('day', DATE '2001-01-01', <day>) % 7, which is 0 on Mondays",
    exp.Extract: "date_trunc, or date_diff('day', DATE '2001-01-01', <day>) % 7 for week days",
    exp.Greatest: "CASE: a null among its values is passed over by one engine only",
    exp.Least: "CASE: a null among its values is passed over by one engine only",
    exp.Version: "the table as it is: Athena reads no other version of Delta tables",
}


def lint(sql: str) -> list[str]:
    """What keeps the text from being a named query, a line each; nothing where it may be one."""
    try:
        statements = sqlglot.parse(sql, read="trino")
    except SqlglotError as error:
        return [f"cannot be parsed: {str(error).splitlines()[0]}"]
    [tree, *more] = statements
    if more or not isinstance(tree, exp.Select | exp.Union):
        return ["is no single SELECT; Athena only reads these tables"]
    faults = [*_order(tree), *_tables(tree), *filter(None, map(_fault, tree.walk()))]
    return list(dict.fromkeys(faults))


def _order(tree: exp.Select | exp.Union) -> Iterator[str]:
    order = tree.args.get("order")
    if order is None:
        yield "has no ORDER BY; rows come in another order each time"
    elif any(o.this.name not in tree.named_selects for o in order.expressions):
        yield "sorts by what it does not show; ORDER BY columns of the result"


def _tables(tree: exp.Expr) -> Iterator[str]:
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        name = ".".join(part.name for part in table.parts)
        if name not in _TABLES and name not in own:
            yield f"{name}: no such table; name one such as {example()}"


def _fault(node: exp.Expr) -> str | None:
    """What is wrong with one node of the tree, seen with what stands around it."""
    if type(node) in ALLOWED:
        fault = _RULES[type(node)](node) if type(node) in _RULES else None
    else:
        instead = _INSTEAD.get(type(node), "what lint.py allows, or add it there and to its tests")
        fault = f"not known to be answered alike; use {instead}"
    return fault and f"{node.sql('trino')}: {fault}"


def _division(node: exp.Expr) -> str | None:
    # Whole numbers are divided differently, the scale of a decimal quotient is another, and of
    # a double's halves (9.075) one engine rounds the text, the other what is really stored.
    below, exact, result = node.expression, node.parent, node.parent and node.parent.parent
    if (
        _is_cast(node.this, exp.DType.DOUBLE)
        and _is_cast(below.this if isinstance(below, exp.Nullif) else below, exp.DType.DOUBLE)
        and (more := _scale(exact)) is not None
        and (places := _scale(result)) is not None
        and more == places + _GUARD_DIGITS
    ):
        return None
    return (
        "write CAST(CAST(CAST(a AS DOUBLE) / NULLIF(CAST(b AS DOUBLE), 0) AS DECIMAL(38, 8)) "
        "AS DECIMAL(18, 4)), without NULLIF where b is never 0"
    )


def _cast(node: exp.Expr) -> str | None:
    if _is_cast(node, exp.DType.DOUBLE):
        above = node.parent
        above = above.parent if isinstance(above, exp.Nullif) else above
        divided = isinstance(above, exp.Div)
        return None if divided else "sums and texts of doubles differ; only to be divided"
    if _is_cast(node, exp.DType.DATE) or _scale(node) is not None:
        return None
    if _is_cast(node, exp.DType.VARCHAR) and type(node.this) is exp.Column:
        return None if node.this.name not in _NO_TEXTS else "texts of such values differ"
    return (
        "cast to DATE, to DECIMAL(p, s), a column of whole numbers to VARCHAR or, to be divided, "
        "to DOUBLE"
    )


def _difference(node: exp.Expr) -> str | None:
    # Of milliseconds both count those begun: Athena has cut the times to them before.
    if node.text("unit").upper() in {"DAY", "MILLISECOND"}:
        return None
    return "one engine counts whole units, one those begun; use days, or milliseconds of times"


def _truncation(node: exp.Expr) -> str | None:
    if node.text("unit").upper() in _UNITS and _is_cast(node.parent, exp.DType.DATE):
        return None
    return "write CAST(date_trunc('month', ...) AS DATE), quarter or year"


def _interval(node: exp.Expr) -> str | None:
    if isinstance(node.parent, exp.WindowSpec):
        return None
    return "a day and an interval make a time on one engine only; use date_diff"


def _star(node: exp.Expr) -> str | None:
    if isinstance(node.parent, exp.Count):
        return None
    return "a table's columns may become more; name those that are meant"


def _placeholder(node: exp.Expr) -> str | None:
    if _is_cast(node.parent, exp.DType.DATE):
        return None
    return "has no type of its own; write CAST(? AS DATE)"


def _column(node: exp.Expr) -> str | None:
    if node.name not in _TIMES:
        return None
    user = node.parent
    user = user.parent if isinstance(user, exp.Min | exp.Max) else user
    if isinstance(user, exp.DateDiff) and user.text("unit").upper() == "MILLISECOND":
        return None
    if _is_cast(user, exp.DType.DATE):
        return None
    return "Athena cuts times to milliseconds; use the day beside it, or CAST(... AS DATE)"


def _limit(node: exp.Expr) -> str | None:
    if node.parent and node.parent.args.get("order"):
        return None
    return "keeps other rows each time; add an ORDER BY"


_RULES: Final[dict[type[exp.Expr], Callable[[exp.Expr], str | None]]] = {
    exp.Div: _division,
    exp.Cast: _cast,
    exp.DateDiff: _difference,
    exp.TimestampTrunc: _truncation,
    exp.Interval: _interval,
    exp.Star: _star,
    exp.Placeholder: _placeholder,
    exp.Column: _column,
    exp.Limit: _limit,
}


def _is_cast(node: exp.Expr | None, to: exp.DType) -> bool:
    return type(node) is exp.Cast and node.to.this is to


def _scale(node: exp.Expr | None) -> int | None:
    """The places of a cast to DECIMAL(digits, places); None for anything else."""
    if not isinstance(node, exp.Cast) or not _is_cast(node, exp.DType.DECIMAL):
        return None
    _, *places = node.to.expressions or [None]
    return int(places[0].name) if places else None
