"""What a dashboard asks: each of its sources as a query, and the answers in a form for a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import sqlglot
from sqlglot import exp

from lakehouse_assets.queries.named import NamedQuery, named
from lakehouse_assets.tables.dashboard import Bars, Dashboard, RankedTable, Source

if TYPE_CHECKING:
    from lakehouse_assets.queries.engine import Ask
    from lakehouse_assets.store.lake import Lake

DAYS_QUERY: Final = "order_days"
"""The query that says which days there are: what is asked as of a day is asked as of the last."""
AS_OF: Final = "as_of"
"""The one parameter that a dashboard gives."""
TOTAL: Final = "rows_in_all"
"""Column of a source that keeps the ``top`` rows: of how many."""


@dataclass(frozen=True)
class Answered:
    """A source's answer: ``total`` are the rows that there are where only the top was taken.

    ``missing`` are the tables that it asks and that there are not yet: then it has no rows.
    """

    source: Source
    query: NamedQuery
    as_of: date | None
    names: list[str]
    rows: list[tuple[Any, ...]]
    total: int
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answers:
    """All that a dashboard shows, with its first and its last day, if there are any."""

    first_day: date | None
    last_day: date | None
    by_source: Mapping[Source, Answered]


def sources(dashboard: Dashboard) -> list[Source]:
    """Every source of a dashboard once, in the order of its visuals."""
    return list(dict.fromkeys(_sources(dashboard)))


def _sources(dashboard: Dashboard) -> Iterator[Source]:
    for visual in dashboard.visuals:
        if visual.source.of:
            yield visual.source.of  # its answer is needed to ask the next
        yield visual.source
        if isinstance(visual, Bars | RankedTable) and visual.before:
            yield visual.before


def answer_columns(query: NamedQuery) -> list[str]:
    """The columns of a named query's answer, as its text says."""
    return list(_tree(query.sql).named_selects)


def order_of(query: NamedQuery) -> list[str]:
    """The columns that a named query's answer is ordered by, as its text says."""
    order = _tree(query.sql).args["order"]
    return [column.sql("trino") for column in order.expressions]


def question(source: Source, among: Iterable[Any] = ()) -> NamedQuery:
    """The query of a source: the named one, or one over it that aggregates or keeps rows.

    ``among`` are the values that another source answered, where it keeps those.
    """
    query = named(source.query)
    if not (source.by or source.keep or source.top or source.of):
        return query
    return replace(query, sql=_over(source, query, list(among)))


def source_columns(source: Source) -> list[str]:
    """The columns of a source's answer that can be shown."""
    if not source.by:
        return answer_columns(named(source.query))
    return [*source.by, *([source.count] if source.count else []), *source.sums]


def tables_asked(query: NamedQuery) -> list[str]:
    """The tables that a query names, by the names that queries know them by."""
    tree = _tree(query.sql)
    own = {cte.alias for cte in tree.find_all(exp.CTE)}
    found = (".".join(p.name for p in table.parts) for table in tree.find_all(exp.Table))
    return sorted({name for name in found if name not in own})


@cache  # every process that loads definitions asks of every query, and again for every visual
def _tree(sql: str) -> exp.Query:
    tree = sqlglot.parse_one(sql, read="trino")
    assert isinstance(tree, exp.Query)  # the lint refuses all else
    return tree


def ask(dashboard: Dashboard, lake: Lake, engine: Ask) -> Answers:
    """Ask all that a dashboard shows. What asks a table that there is not yet has no rows."""
    there = Present(lake)
    days = named(DAYS_QUERY)
    first, last = (None, None)
    if not there.missing(days):
        _, [(first, last, _)] = engine(days, [])
    asked: dict[Source, Answered] = {}
    for source in sources(dashboard):
        among = _values(asked[source.of], source.among) if source.of else []
        asked[source] = _asked(source, among, last, there, engine)
    return Answers(first, last, asked)


class Present:
    """Which tables there are."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def missing(self, query: NamedQuery) -> tuple[str, ...]:
        """The tables that a query asks and that there are not yet."""
        from lakehouse_assets.queries.named import tables  # noqa: PLC0415 - of the tables in use

        known = tables()
        return tuple(
            name for name in tables_asked(query) if self._lake.version(known[name]) is None
        )


def _values(answered: Answered, column: str) -> list[Any]:
    place = answered.names.index(column)
    return [row[place] for row in answered.rows]


def _asked(
    source: Source, among: Sequence[Any], last: date | None, there: Present, engine: Ask
) -> Answered:
    query = question(source, among)
    missing = there.missing(query)
    as_of = last - timedelta(days=source.days_back) if last and query.parameters else None
    nothing_to_ask = (query.parameters and as_of is None) or (source.of and not among)
    if missing or nothing_to_ask:
        return Answered(source, query, as_of, source_columns(source), [], 0, missing)
    names, rows = engine(query, [as_of] if as_of else [])
    total = len(rows)
    if source.top:
        total = int(rows[0][-1]) if rows else 0
        names, rows = names[:-1], [row[:-1] for row in rows]
    return Answered(source, query, as_of, names, rows, total)


def _over(source: Source, query: NamedQuery, among: list[Any]) -> str:
    """Aggregate, or keep some rows of, a named query's answer; in the dialect of Athena."""
    shown = source_columns(source)
    computed = {source.count: f"count(*) AS {source.count}"} if source.count else {}
    computed |= {name: f"sum({name}) AS {name}" for name in source.sums}
    columns = [computed.get(name, name) for name in shown]
    if source.top:
        columns.append(f"count(*) OVER () AS {TOTAL}")
    order = [f"{source.order_by} DESC"] if source.order_by else []
    if source.by or source.top:
        order += [name for name in (source.by or shown) if name != source.order_by]
    else:
        order += order_of(query)
    lines = [f"SELECT {', '.join(columns)}", f"FROM (\n{query.sql}\n) AS answer"]
    kept = [_one_of(*source.keep)] if source.keep else []
    kept += [_one_of(source.among, among or [None])] if source.of else []
    if kept:
        lines.append(f"WHERE {' AND '.join(kept)}")
    if source.by:
        lines.append(f"GROUP BY {', '.join(source.by)}")
    lines.append(f"ORDER BY {', '.join(order)}")
    if source.top:
        lines.append(f"LIMIT {source.top}")
    return "\n".join(lines)


def _one_of(column: str, values: Iterable[Any]) -> str:
    literals = ", ".join(exp.convert(value).sql("trino") for value in values)
    return f"{column} IN ({literals})"


def packed(answered: Answered) -> dict[str, Any]:
    """An answer as JSON has it: by column, and texts and days that repeat once each."""
    columns = list(zip(*answered.rows, strict=True)) or [() for _ in answered.names]
    return {
        "rows": len(answered.rows),
        "columns": {
            name: _packed(values) for name, values in zip(answered.names, columns, strict=True)
        },
    }


def _packed(values: Sequence[Any]) -> Any:
    plain = [_plain(value) for value in values]
    if not any(isinstance(value, str) for value in plain):
        return plain
    known: dict[Any, int] = {}
    places = [known.setdefault(value, len(known)) for value in plain]
    return {"values": list(known), "at": places}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.isoformat() if isinstance(value, date) else value
