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
    cut = is_cut(dashboard, answers)
    waits = {visual.selected_by for visual in dashboard.visuals if visual.selected_by}
    return {
        "name": dashboard.name,
        "firstDay": first and first.isoformat(),
        "lastDay": last and last.isoformat(),
        "days": (last - first).days + 1 if first and last else 0,
        "isCut": cut,
        "dates": asdict(dashboard.dates) if dashboard.dates else None,
        "choices": [asdict(choice) for choice in dashboard.choices],
        "choosable": sorted({*waits, *(choice.column for choice in dashboard.choices)}),
        "sources": [_source(dashboard, answered, cut) for answered in answers.by_source.values()],
        "visuals": [_visual(visual, at) for visual in dashboard.visuals],
        "charts": [chart(visual) for visual in dashboard.visuals],
        "themes": {theme: config(theme) for theme in COLOURS},
        "titles": dict(_titles(dashboard)),
        "waits": {column: f"a {dict(_titles(dashboard))[column].lower()}" for column in waits},
        "daysBack": _days_back(dashboard),
    }


def extent(dashboard: Dashboard, answers: Answers) -> tuple[date | None, date | None]:
    """The first and the last day that its date filter can choose; none where there is no day.

    Where some answers are cut, days that they lack cannot be chosen for the others either.
    """
    spans = _spans(dashboard, answers.by_source.values())
    if not spans:
        return None, None
    cut = _spans(dashboard, _as_of(answers)) if is_cut(dashboard, answers) else spans
    return min(first for first, _ in cut), max(last for _, last in spans)


def is_cut(dashboard: Dashboard, answers: Answers) -> bool:
    """Whether there are days before the first one that is shown."""
    firsts = [first for first, _ in _spans(dashboard, _as_of(answers))]
    return bool(answers.first_day and firsts and answers.first_day < min(firsts))


def _as_of(answers: Answers) -> list[Answered]:
    """The answers that may be cut: of so many days up to the last."""
    return [answered for answered in answers.by_source.values() if answered.as_of]


def _spans(dashboard: Dashboard, answers: Iterable[Answered]) -> list[tuple[date, date]]:
    return [span for answered in answers if (span := _span(dashboard, answered))]


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


def _source(dashboard: Dashboard, answered: Answered, is_page_cut: bool) -> dict[str, Any]:
    span = _span(dashboard, answered)
    return {
        **packed(answered),
        "whole": list(answered.source.whole),
        "total": answered.total,
        "first": span and span[0].isoformat(),
        "last": span and span[1].isoformat(),
        "isCut": bool(answered.as_of) and is_page_cut,
        "asOf": answered.as_of and answered.as_of.isoformat(),
        "missing": list(answered.missing),
    }


def _span(dashboard: Dashboard, answered: Answered) -> tuple[date, date] | None:
    for column in dashboard.dates.columns if dashboard.dates else ():
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
