"""A dashboard's main chart as a PNG, for where a page cannot be shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from lakehouse_assets.dashboards.charts import ROWS, chart, is_ordered
from lakehouse_assets.dashboards.questions import Answered, Answers
from lakehouse_assets.dashboards.theme import COLOURS, config
from lakehouse_assets.tables.dashboard import Bars, Dashboard, Field, Form, Line, Measure

MOST_BYTES: Final = 100_000
"""How heavy a picture may be: it is kept with each materialization."""
_WIDTH: Final = 720
_SCALES: Final = (1.0, 0.7, 0.5)
"""How large it is drawn, the first that is light enough."""
_DAY: Final = timedelta(days=1)

Row = Mapping[str, Any]


def picture(dashboard: Dashboard, answers: Answers) -> bytes | None:
    """The main chart over all days, without filters; None where there is nothing to draw.

    Only lines and bars have a picture, of at most `MOST_BYTES`.
    """
    main = next(visual for visual in dashboard.visuals if visual.title == dashboard.main)
    rows = _counted(answers.by_source[main.source])
    if not (rows and isinstance(main, Line | Bars)):
        return None
    marks = _line(main, rows) if isinstance(main, Line) else _bars(main, rows)
    spec = chart(main)
    assert spec is not None  # both are charts
    import vl_convert  # noqa: PLC0415 - takes a second, and only who draws pays for it

    drawn = spec | {
        "data": {"name": ROWS, "values": marks},
        "width": _WIDTH,
        "config": config("light") | {"background": COLOURS["light"]["card"]},
        "title": main.title,
    }
    pngs = (bytes(vl_convert.vegalite_to_png(drawn, scale=scale)) for scale in _SCALES)
    return next((png for png in pngs if len(png) <= MOST_BYTES), None)


def _counted(answered: Answered) -> list[Row]:
    """The rows that count where nothing is chosen."""
    rows = [dict(zip(answered.names, row, strict=True)) for row in answered.rows]
    whole = answered.source.whole
    return [row for row in rows if all(row[column] is None for column in whole)]


def _value(rows: Iterable[Row], measure: Measure) -> float:
    rows = list(rows)
    total = sum((Decimal(row[measure.column] or 0) for row in rows), Decimal(0))
    if not measure.over:
        return float(total)
    below = sum((Decimal(row[measure.over] or 0) for row in rows), Decimal(0))
    return float(total / below) if below else 0.0


def _grouped(rows: Iterable[Row], column: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[column], []).append(row)
    return found


def _line(visual: Line, rows: Sequence[Row]) -> list[dict[str, Any]]:
    measure = visual.measures[0]
    values = {x: _value(some, measure) for x, some in _grouped(rows, visual.x.column).items()}
    if is_ordered(visual.x) and not measure.over:
        first, last = min(values), max(values)
        every = [first + n * _DAY for n in range((last - first).days + 1)]
        values = {day: values.get(day, 0.0) for day in every}
    marks = [
        {"x": _place(x), "y": y, "s": "each day", "average": False, "alone": len(values) == 1}
        for x, y in sorted(values.items())
    ]
    days = visual.average_days
    if days:
        in_order = [mark["y"] for mark in marks]
        for at, mark in enumerate(marks[days - 1 :]):
            average = sum(in_order[at : at + days]) / days
            name = f"{days}-day average"
            marks.append({**mark, "y": average, "s": name, "average": True, "alone": False})
    return marks


def _bars(visual: Bars, rows: Sequence[Row]) -> list[dict[str, Any]]:
    measure, series = visual.measures[0], visual.series
    groups = _grouped(rows, visual.category.column)
    totals = {key: _value(some, measure) for key, some in groups.items()}
    keys = sorted(totals, key=lambda key: (-totals[key], str(key)))[: visual.top]
    keys = sorted(totals) if is_ordered(visual.category) else keys
    names = sorted(_grouped(rows, series.column), key=str) if series else [measure.title]
    marks = []
    for key in keys:
        parts = _grouped(groups[key], series.column) if series else {measure.title: groups[key]}
        for place, name in enumerate(names):
            mark = {
                "x": _place(key) if is_ordered(visual.category) else None,
                "c": str(key),
                "y": _value(parts.get(name, ()), measure),
                "s": _named(name, series),
                "place": place,
                "total": totals[key],
            }
            first = {
                "end_label": _written(totals[key], measure.form),
                "room": totals[keys[0]] * 1.1,
            }
            marks.append(mark | (first if place == 0 else {}))
    return marks


def _named(name: Any, series: Field | None) -> str:
    is_words = series is not None and series.form is Form.WORDS
    return str(name).replace("_", " ") if is_words else str(name)


def _place(x: Any) -> Any:
    """Days as Vega knows them: milliseconds since the epoch."""
    if not isinstance(x, date):
        return x
    return int(datetime(x.year, x.month, x.day, tzinfo=UTC).timestamp() * 1000)


def _written(value: float, form: Form) -> str:
    return f"{value:,.2f}" if form is Form.MONEY else f"{value:,.0f}"
