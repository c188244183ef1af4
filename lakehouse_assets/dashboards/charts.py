"""The chart of a visual as a Vega-Lite specification, without its rows and without colours.

Rows come under one name, `ROWS`, in a form that depends on the kind of visual alone: ``c`` or ``x``
is where a mark stands, ``y`` how much, ``s`` of which series. Texts ``…_label`` are for people, as
the client writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.tables.dashboard import (
    Bars,
    Field,
    Form,
    Funnel,
    HeatMap,
    Line,
    Measure,
    Scatter,
    Visual,
)

if TYPE_CHECKING:
    import altair as alt

ROWS: Final = "rows"
"""The name of the data in every specification."""
HEIGHT: Final = 260
"""Pixels of a chart that does not grow with its rows."""
_STEP: Final = 26
_PLAIN_ZERO: Final = "datum.value === 0 ? '0' : datum.label"  # and not 0k


def _ticks(days: int) -> dict[str, str]:
    """As many as there is room for, and none between: Vega takes no least step of times."""
    return {"expr": f"min(ceil(width / 40), max(1, round(span(domain('x')) / {days * 864e5:.0f})))"}


_AXIS: Final[dict[Form, dict[str, Any]]] = {
    Form.COUNT: {"format": "~s", "tickMinStep": 1, "labelExpr": _PLAIN_ZERO},
    Form.MONEY: {"format": "~s", "labelExpr": _PLAIN_ZERO},
    Form.DECIMAL: {"format": "~s", "labelExpr": _PLAIN_ZERO},
    Form.PERCENT: {"format": ".0%"},
    Form.SECONDS: {"labelExpr": "format(datum.value / 1000, '~g') + ' s'"},
    Form.DAY: {"format": "%-d %b", "tickCount": _ticks(1)},
    Form.MONTH: {"format": "%b %Y", "tickCount": _ticks(30)},
}


def chart(visual: Visual) -> dict[str, Any] | None:
    """The specification of a visual's chart; None for what is no chart."""
    drawn = _drawn(visual)
    if drawn is None:
        return None
    found: dict[str, Any] = drawn.properties(width="container").to_dict()
    found.pop("config", None)  # the theme's, which can change
    return found


def is_ordered(field: Field) -> bool:
    """Whether values stand in their own order: days and months do."""
    return field.form in {Form.DAY, Form.MONTH}


def _drawn(visual: Visual) -> alt.Chart | alt.LayerChart | None:
    if isinstance(visual, Line):
        return _line(visual)
    if isinstance(visual, Bars):
        return _columns(visual) if is_ordered(visual.category) else _bars(visual)
    if isinstance(visual, HeatMap):
        return _heat_map(visual)
    if isinstance(visual, Scatter):
        return _scatter(visual)
    return _funnel(visual) if isinstance(visual, Funnel) else None


def _base() -> alt.Chart:
    import altair as alt  # noqa: PLC0415 - takes a second, and only who draws pays for it

    return alt.Chart(alt.NamedData(ROWS))


def _line(visual: Line) -> alt.LayerChart:
    import altair as alt  # noqa: PLC0415 - as above

    day = is_ordered(visual.x)
    x = alt.X("x:T" if day else "x:Q").title(None if day else visual.x.title)
    x = (x.scale(type="utc") if day else x).axis(**_axis(visual.x.form))
    form = Form.PERCENT if visual.cumulative else visual.measures[0].form
    y = alt.Y("y:Q").title(visual.measures[0].unit if not visual.cumulative else None)
    y = y.axis(**_axis(form), tickCount=5).scale(zero=True)
    base = _base().encode(x=x, y=y, tooltip=_tips(visual.x.title, "Value"))
    # Or the legend shows the points that nobody sees.
    legend = alt.Legend(symbolType="stroke", symbolStrokeWidth=3, symbolOpacity=1)
    colour = alt.Color("s:N").sort(None).legend(legend)
    hit = {"size": 80, "opacity": 0}  # what a pointer can find
    thin = base.transform_filter("!datum.average").mark_line(
        strokeWidth=1.5 if visual.average_days else 2, point=hit
    )
    thick = base.transform_filter("datum.average").mark_line(strokeWidth=3, point=hit)
    # One place alone makes no line.
    alone = base.transform_filter("datum.alone").mark_point(filled=True, size=60, opacity=1)
    layers = [thin, thick, alone]
    if visual.average_days or visual.series or len(visual.measures) > 1:
        layers = [layer.encode(color=colour) for layer in layers]
    return alt.layer(*layers).properties(height=HEIGHT)


def _columns(visual: Bars) -> alt.Chart:
    import altair as alt  # noqa: PLC0415 - as above

    form = visual.category.form
    # A bar is around its day's tick, not between that and the next day's.
    x = (
        alt.X("x:T")
        .timeUnit("utcyearmonth" if form is Form.MONTH else "utcyearmonthdate")
        .bandPosition(0)
        .title(None)
        .axis(**_axis(form))
    )
    y = (
        alt.Y("y:Q")
        .title(visual.measures[0].unit)
        .axis(**_axis(visual.measures[0].form), tickCount=5)
    )
    drawn = _base().mark_bar().encode(x=x, y=y, tooltip=_tips(visual.category.title, "Value"))
    if visual.series or len(visual.measures) > 1:
        drawn = drawn.encode(color=alt.Color("s:N").sort(None), order=alt.Order("place:Q"))
    return drawn.properties(height=HEIGHT)


def _bars(visual: Bars) -> alt.LayerChart:
    import altair as alt  # noqa: PLC0415 - as above

    stacked = bool(visual.series) or len(visual.measures) > 1
    y = alt.Y("c:N").sort(None).title(None).axis(ticks=False, domain=False, labelPadding=6)
    x = (
        alt.X("y:Q")
        .title(visual.measures[0].unit)
        .axis(**_axis(visual.measures[0].form), tickCount=4)
    )
    base = _base().encode(y=y, tooltip=_tips(visual.category.title, "Value"))
    bars = base.mark_bar(cursor="pointer" if visual.drill_down else "default").encode(x=x)
    if stacked:
        bars = bars.encode(color=alt.Color("s:N").sort(None), order=alt.Order("place:Q"))
    ends = base.transform_filter("isValid(datum.end_label)").mark_text(align="left", dx=5)
    ends = ends.encode(x=alt.X("total:Q"), text="end_label:N")
    return alt.layer(bars, ends, _room(base)).properties(height=alt.Step(_STEP))


def _heat_map(visual: HeatMap) -> alt.LayerChart:
    import altair as alt  # noqa: PLC0415 - as above

    # Empty cells are not drawn, and axes have their places all the same.
    x = (
        alt.X("x:N")
        .sort(field="across", op="min")
        .title(visual.x.title)
        .axis(orient="top", labelAngle=0, ticks=False, domain=False)
    )
    y = alt.Y("c:N").sort(field="down", op="min").title(visual.y.title)
    y = y.axis(ticks=False, domain=False)
    tips = [
        alt.Tooltip("c_label:N", title=visual.y.title),
        alt.Tooltip("x_label:N", title=visual.x.title),
        alt.Tooltip("y_label:N", title=visual.measure.title),
    ]
    base = _base().encode(x=x, y=y, tooltip=tips)
    colour = alt.Color("y:Q").legend(None).scale(zero=True)
    cells = base.mark_rect(stroke="transparent", strokeWidth=2).encode(color=colour)
    # A cell's text is written in what can be read on it, which depends on the theme.
    texts = base.mark_text(fontSize=11).encode(
        text="short:N", color=alt.Color("ink:N").scale(None).legend(None)
    )
    drawn = alt.layer(cells, texts).resolve_scale(color="independent")
    return drawn.properties(height=alt.Step(30))


def _scatter(visual: Scatter) -> alt.Chart:
    import altair as alt  # noqa: PLC0415 - as above

    x = (
        alt.X("x:Q")
        .title(_named(visual.x))
        .axis(**_axis(visual.x.form), tickCount=6)
        .scale(zero=False)
    )
    y = (
        alt.Y("y:Q")
        .title(_named(visual.y))
        .axis(**_axis(visual.y.form), tickCount=5)
        .scale(zero=False)
    )
    size = alt.Size("size:Q").legend(None).scale(range=[30, 500])
    tips = [
        alt.Tooltip("c_label:N", title=visual.point.title),
        alt.Tooltip("x_label:N", title=visual.x.title),
        alt.Tooltip("y_label:N", title=visual.y.title),
        alt.Tooltip("size_label:N", title=visual.size.title),
    ]
    drawn = _base().mark_circle(opacity=0.65).encode(x=x, y=y, size=size, tooltip=tips)
    if visual.series:
        drawn = drawn.encode(color=alt.Color("s:N").sort(None))
    return drawn.properties(height=HEIGHT + 60)


def _funnel(visual: Funnel) -> alt.LayerChart:
    import altair as alt  # noqa: PLC0415 - as above

    y = alt.Y("c:N").sort(None).title(None).axis(ticks=False, domain=False, labelPadding=6)
    base = _base().encode(y=y, tooltip=_tips(visual.stage.title, visual.measure.title))
    x = alt.X("y:Q").title(visual.measure.unit).axis(**_axis(visual.measure.form), tickCount=4)
    ends = base.mark_text(align="left", dx=5).encode(x="y:Q", text="end_label:N")
    bars = base.mark_bar().encode(x=x)
    return alt.layer(bars, ends, _room(base)).properties(height=alt.Step(_STEP + 6))


def _room(base: alt.Chart) -> alt.Chart:
    """Nothing to see: the axis goes so far that the texts at the bars' ends have their place."""
    return base.transform_filter("isValid(datum.room)").mark_point(opacity=0).encode(x="room:Q")


def _tips(where: str, much: str) -> list[alt.Tooltip]:
    import altair as alt  # noqa: PLC0415 - as above

    return [
        alt.Tooltip("c_label:N", title=where),
        alt.Tooltip("s:N", title=" "),
        alt.Tooltip("y_label:N", title=much),
    ]


def _named(measure: Measure) -> str:
    return f"{measure.title} ({measure.unit})"


def _axis(form: Form) -> dict[str, Any]:
    return _AXIS.get(form, {})
