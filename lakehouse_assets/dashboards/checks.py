"""What is wrong with a dashboard: a query, column or filter that there is not, in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from string import Formatter

from lakehouse_assets.dashboards.page_data import drill_down_column, parts
from lakehouse_assets.dashboards.questions import (
    AS_OF,
    answer_columns,
    source_columns,
    sources,
    tables_asked,
)
from lakehouse_assets.errors import meant
from lakehouse_assets.queries.named import NamedQueryError, named, tables
from lakehouse_assets.tables.dashboard import (
    Aggregate,
    Bars,
    Dashboard,
    Figure,
    Line,
    Measure,
    RankedTable,
    Source,
    Visual,
)


def faults(dashboard: Dashboard) -> Iterator[str]:
    """What is wrong with a dashboard, each in a line that says what to do."""
    asked = list(_of_sources(dashboard))
    yield from asked
    if not asked:  # or each would be told again for every visual
        yield from _of_visuals(dashboard)
        yield from _of_filters(dashboard)


def _of_sources(dashboard: Dashboard) -> Iterator[str]:
    known = tables()
    for source in sources(dashboard):
        try:
            query = named(source.query)
        except NamedQueryError as error:
            yield str(error)
            continue
        if absent := [table for table in tables_asked(query) if table not in known]:
            told = meant(absent[0], sorted(known), "there are")
            yield f"query {query.name} asks {absent[0]}, which there is not; {told}"
            continue
        if others := [name for name in query.parameters if name != AS_OF]:
            yield (
                f"query {query.name} has the parameter {others[0]}, and a dashboard only gives "
                f"{AS_OF}; ask another"
            )
        answered, order = answer_columns(query), [source.order_by] if source.order_by else []
        inner = [*source.by, *source.sums, *([source.keep[0]] if source.keep else [])]
        inner += [source.among] if source.among else []
        yield from _unknown(query.name, inner, answered)
        yield from _unknown(query.name, [*order, *source.whole], source_columns(source))
        if bool(source.among) != bool(source.of):
            yield f"query {query.name}: among needs of, the source that answers its values"
        elif source.of:
            yield from _unknown(source.of.query, [source.among], source_columns(source.of))
        if (source.count or source.sums) and not source.by:
            yield f"query {query.name}: count and sums are of groups; say by what"


def _of_visuals(dashboard: Dashboard) -> Iterator[str]:
    titles = [visual.title for visual in dashboard.visuals]
    for title in sorted({title for title in titles if titles.count(title) > 1}):
        yield f"two visuals are titled {title!r}; title them apart"
    if dashboard.main not in titles:
        yield f"main is {dashboard.main!r}, which titles no visual; name one of {titles}"
    for visual in dashboard.visuals:
        for fault in _of_visual(visual, dashboard):
            yield f"{visual.title!r}: {fault}"


def _of_visual(visual: Visual, dashboard: Dashboard) -> Iterator[str]:
    shown = list(_columns(visual))
    for source in _answers_of(visual):
        yield from _unknown(source.query, shown, source_columns(source))
    dates = dashboard.dates.columns if dashboard.dates else ()
    if isinstance(visual, Figure) and visual.change and not _dated(visual.source, dates):
        yield "a change needs a day to tell the spans apart, and no date filter acts on it"
    if isinstance(visual, Line) and visual.average_days and visual.x.column not in dates:
        yield f"an average of days is over a column of the date filter, not {visual.x.column}"
    for measure in parts(visual):
        if isinstance(measure, Measure) and (
            (measure.aggregate is Aggregate.FIRST_SEEN) != bool(measure.since)
        ):
            yield f"{measure.title}: first_seen needs since, the day before; and no other does"
    chosen = drill_down_column(visual)
    if chosen and chosen not in _choosable(dashboard):
        yield f"drills down to {chosen}, which nothing is chosen by; add a Choice or selected_by"
    if visual.selected_by and visual.selected_by not in set(_drillable(dashboard)):
        yield f"waits for a {visual.selected_by}, which no drill-down chooses; add one"


def _of_filters(dashboard: Dashboard) -> Iterator[str]:
    there = {column for source in sources(dashboard) for column in source_columns(source)}
    dates = dashboard.dates.columns if dashboard.dates else ()
    for column in (*dates, *(choice.column for choice in dashboard.choices)):
        if column not in there:
            told = meant(column, sorted(there), "there are")
            yield f"a filter acts on {column}, which no query answers; {told}"


def _unknown(query: str, columns: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    there = list(known)
    for column in dict.fromkeys(columns):
        if column not in there:
            told = meant(column, sorted(there), "there are")
            yield f"query {query} answers no column {column}; {told}"


def _answers_of(visual: Visual) -> list[Source]:
    before = visual.before if isinstance(visual, Bars | RankedTable) else None
    return [visual.source, *([before] if before else [])]


def _columns(visual: Visual) -> Iterator[str]:
    """Every column of its source that a visual shows, or is selected by."""
    for part in parts(visual):
        yield part.column
        if isinstance(part, Measure):
            yield from filter(None, (part.over, part.since))
        else:
            yield from filter(None, (part.key,))
            for _, text in part.texts:
                yield from (name for _, name, _, _ in Formatter().parse(text) if name)
    order = getattr(visual, "order", "")
    yield from filter(None, (visual.selected_by, order))


def _dated(source: Source, dates: Iterable[str]) -> bool:
    return bool(set(dates) & set(source_columns(source)))


def _drillable(dashboard: Dashboard) -> Iterator[str]:
    yield from filter(None, map(drill_down_column, dashboard.visuals))
    yield from (choice.column for choice in dashboard.choices)


def _choosable(dashboard: Dashboard) -> set[str]:
    return {choice.column for choice in dashboard.choices} | {
        visual.selected_by for visual in dashboard.visuals
    }
