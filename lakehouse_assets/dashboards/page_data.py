"""What a page is told, as JSON: the dashboard, its answers, its charts and its colours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from lakehouse_assets.dashboards.charts import chart
from lakehouse_assets.dashboards.questions import Answered, Answers, packed
from lakehouse_assets.dashboards.theme import COLOURS, config
from lakehouse_assets.tables.dashboard import (
    Bars,
    Dashboard,
    Field,
    Measure,
    RankedTable,
    Scatter,
    Source,
    Visual,
)


def page_data(dashboard: Dashboard, answers: Answers) -> dict[str, Any]:
    """All that the page's script needs."""
    at = {source: place for place, source in enumerate(answers.by_source)}
    first, last = extent(dashboard, answers)
    waits = {visual.selected_by for visual in dashboard.visuals if visual.selected_by}
    return {
        "name": dashboard.name,
        "firstDay": first and first.isoformat(),
        "lastDay": last and last.isoformat(),
        "days": (last - first).days + 1 if first and last else 0,
        "isCut": is_cut(dashboard, answers),
        "dates": asdict(dashboard.dates) if dashboard.dates else None,
        "choices": [asdict(choice) for choice in dashboard.choices],
        "choosable": sorted({*waits, *(choice.column for choice in dashboard.choices)}),
        "sources": [_source(dashboard, answered) for answered in answers.by_source.values()],
        "visuals": [_visual(visual, at) for visual in dashboard.visuals],
        "charts": [chart(visual) for visual in dashboard.visuals],
        "themes": {theme: config(theme) for theme in COLOURS},
        "titles": dict(_titles(dashboard)),
        "waits": {column: f"a {dict(_titles(dashboard))[column].lower()}" for column in waits},
        "changeTitle": f"Change in {_days_back(dashboard)} days",
    }


def extent(dashboard: Dashboard, answers: Answers) -> tuple[date | None, date | None]:
    """The first and the last day that its date filter can choose; none where there is no day."""
    columns = dashboard.dates.columns if dashboard.dates else ()
    spans = [_span(answered, columns) for answered in answers.by_source.values()]
    days = [day for span in spans if span for day in span]
    return (min(days), max(days)) if days else (None, None)


def is_cut(dashboard: Dashboard, answers: Answers) -> bool:
    """Whether there are days before the first one that is shown."""
    columns = dashboard.dates.columns if dashboard.dates else ()
    asked = [answered for answered in answers.by_source.values() if answered.as_of]
    firsts = [span[0] for answered in asked if (span := _span(answered, columns))]
    return bool(answers.first_day and firsts and answers.first_day < min(firsts))


def drill_down_column(visual: Visual) -> str:
    """The column of which a click chooses a value; nothing where none does."""
    if isinstance(visual, RankedTable):
        return visual.drill_down
    if isinstance(visual, Bars) and visual.drill_down:
        return visual.category.column
    return visual.point.column if isinstance(visual, Scatter) and visual.drill_down else ""


def parts(visual: Visual) -> Iterator[Field | Measure]:
    """The fields and measures that a visual shows, in their order."""
    for value in vars(visual).values():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Field | Measure):
                yield part


def _source(dashboard: Dashboard, answered: Answered) -> dict[str, Any]:
    span = _span(answered, dashboard.dates.columns if dashboard.dates else ())
    return {
        **packed(answered),
        "whole": list(answered.source.whole),
        "total": answered.total,
        "first": span and span[0].isoformat(),
        "last": span and span[1].isoformat(),
        "asOf": answered.as_of and answered.as_of.isoformat(),
        "missing": list(answered.missing),
    }


def _span(answered: Answered, columns: Iterable[str]) -> tuple[date, date] | None:
    for column in columns:
        if column in answered.names:
            place = answered.names.index(column)
            days = [row[place] for row in answered.rows if row[place] is not None]
            return (min(days), max(days)) if days else None
    return None


def _visual(visual: Visual, at: Mapping[Source, int]) -> dict[str, Any]:
    found = {"before": None, **asdict(visual), "kind": type(visual).__name__}
    found["source"] = at[visual.source]
    if isinstance(visual, Bars | RankedTable) and visual.before:
        found["before"] = at[visual.before]
    return found | {"chooses": drill_down_column(visual)}


def _titles(dashboard: Dashboard) -> Iterator[tuple[str, str]]:
    for visual in dashboard.visuals:
        for part in parts(visual):
            if isinstance(part, Field):
                yield part.column, part.title


def _days_back(dashboard: Dashboard) -> int:
    """How far back earlier answers are: one number, or the page would say it of each."""
    days = {
        visual.before.days_back - visual.source.days_back
        for visual in dashboard.visuals
        if isinstance(visual, Bars | RankedTable) and visual.before
    }
    return max(days, default=0)
