"""A dashboard's visuals as QuickSight draws them: one function for each kind.

https://docs.aws.amazon.com/quicksight/latest/APIReference/API_Visual.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from deploy.quicksight.data_sets import Json
from deploy.quicksight.fields import Wells, chosen_span, expression, span_before
from lakehouse_assets.dashboards.charts import is_ordered
from lakehouse_assets.dashboards.questions import order_of
from lakehouse_assets.dashboards.theme import COLOURS
from lakehouse_assets.queries.named import named
from lakehouse_assets.tables.dashboard import (
    Bars,
    Field,
    Figure,
    Form,
    Funnel,
    HeatMap,
    Line,
    RankedTable,
    Scatter,
    Visual,
)

THEME: Final = "light"
"""Of the page's themes, the one that the dashboards have."""


def visual(shown: Visual, wells: Wells, day: str) -> Json:
    """A visual, without its actions. ``day`` is the column that the date filter acts on, if any."""
    for kind, (name, make) in _KINDS.items():
        if isinstance(shown, kind):
            chart = make(shown, wells, day)
            return {
                name: {
                    "VisualId": wells.visual,
                    "Title": _visible({"PlainText": shown.title}),
                    "Subtitle": _visible({"PlainText": said})
                    if (said := subtitle(shown))
                    else _HIDDEN,
                    "ChartConfiguration": chart,
                    "VisualContentAltText": f"{shown.title}. {said}".strip(),
                }
            }
    raise TypeError(f"{type(shown).__name__}: no visual of QuickSight's; say how it is drawn there")


_HIDDEN: Final = {"Visibility": "HIDDEN"}


def _visible(text: Json) -> Json:
    return {"Visibility": "VISIBLE", "FormatText": text}


def subtitle(shown: Visual) -> str:
    """What one should know: a figure's unit, and the note."""
    unit = f"{shown.measure.unit}." if isinstance(shown, Figure) else ""
    return " ".join(filter(None, (unit[:1].upper() + unit[1:], shown.note)))


# --------------------------------------------------------------------------------- each kind


def _figure(shown: Figure, wells: Wells, day: str) -> Json:
    options: Json = {
        "PrimaryValueDisplayType": "ACTUAL",
        "ProgressBar": _HIDDEN,
        "TrendArrows": {"Visibility": "VISIBLE" if shown.change else "HIDDEN"},
    }
    if not shown.change:
        return {
            "FieldWells": {"Values": [wells.measure(shown.measure)]},
            "KPIOptions": options,
        }
    is_share = shown.measure.form is Form.PERCENT  # of which the difference is in points
    options["Comparison"] = {"ComparisonMethod": "DIFFERENCE" if is_share else "PERCENT_DIFFERENCE"}
    before = wells.measure(shown.measure, span_before(day), ", in as many days before")
    return {
        "FieldWells": {
            "Values": [wells.measure(shown.measure, chosen_span(day))],
            "TargetValues": [before],
        },
        "KPIOptions": options,
    }


def _line(shown: Line, wells: Wells, _: str) -> Json:
    x = wells.dimension(shown.x)
    if shown.cumulative:
        values = [_running_share(shown, wells)]
    else:
        values = [wells.measure(measure) for measure in shown.measures]
        if shown.average_days and not shown.series:  # with series, a line shows one value
            values += _averages(shown, wells)
    unit = "share" if shown.cumulative else shown.measures[0].unit
    chart: Json = {
        "FieldWells": {
            "LineChartAggregatedFieldWells": {
                "Category": [x],
                "Values": values,
                **_colours(shown.series, wells),
            }
        },
        "SortConfiguration": {"CategorySort": [_sorted(x, "ASC")]},
        "Type": "LINE",
        "XAxisLabelOptions": _label(shown.x.title),
        "PrimaryYAxisLabelOptions": _label(unit),
    }
    if shown.average_days:  # a day without rows counts as 0
        zero = {"MissingDataConfigurations": [{"TreatmentOption": "SHOW_AS_ZERO"}]}
        chart["PrimaryYAxisDisplayOptions"] = zero
    return chart


def _averages(shown: Line, wells: Wells) -> list[Json]:
    days, x = shown.average_days, shown.x.column
    return [
        wells.calculated_measure(
            f"{measure.title}, average of {days} days",
            f"windowAvg({expression(wells.of_days(measure))}, [{{{x}}} ASC], {days - 1}, 0)",
            measure.form,
        )
        for measure in shown.measures
    ]


def _running_share(shown: Line, wells: Wells) -> Json:
    [measure] = shown.measures
    total = expression(wells.of_days(measure))
    share = f"runningSum({total}, [{{{shown.x.column}}} ASC]) / nullIf(sumOver({total}, []), 0)"
    return wells.calculated_measure(f"{measure.title}, share so far", share, Form.PERCENT)


def _bars(shown: Bars, wells: Wells, _: str) -> Json:
    category = wells.dimension(shown.category)
    values = [wells.measure(measure) for measure in shown.measures]
    is_stacked = bool(shown.series) or len(values) > 1
    in_order = is_ordered(shown.category)
    sort = _sorted(category, "ASC") if in_order else _sorted(values[0], "DESC")
    sorting: Json = {"CategorySort": [sort]}
    if not in_order:
        sorting["CategoryItemsLimit"] = {"ItemsLimit": shown.top, "OtherCategories": "EXCLUDE"}
    return {
        "FieldWells": {
            "BarChartAggregatedFieldWells": {
                "Category": [category],
                "Values": values,
                **_colours(shown.series, wells),
            }
        },
        "SortConfiguration": sorting,
        "Orientation": "VERTICAL" if in_order else "HORIZONTAL",
        "BarsArrangement": "STACKED" if is_stacked else "CLUSTERED",
        "CategoryLabelOptions": _label(shown.category.title),
        "ValueLabelOptions": _label(shown.measures[0].unit),
    }


def _table(shown: RankedTable, wells: Wells, _: str) -> Json:
    if shown.measures:
        rows = [wells.dimension(field) for field in shown.fields]
        values = [wells.measure(measure) for measure in shown.measures]
        behind = _keys(shown.fields, wells)
        wanted: Json = {
            "TableAggregatedFieldWells": {"GroupBy": [*rows, *behind], "Values": values}
        }
        sorts, hidden = [_sorted(values[0], "DESC")], {field_id(key) for key in behind}
    else:
        rows = [wells.row_value(field) for field in shown.fields]
        sorts, ordering = _as_asked(shown, wells, rows)
        wanted = {"TableUnaggregatedFieldWells": {"Values": [*rows, *ordering]}}
        hidden = {field["FieldId"] for field in ordering}
    options = [
        {"FieldId": known, "CustomLabel": title} | (_HIDDEN if known in hidden else {})
        for known, title in wells.labels.items()
    ]
    chart: Json = {
        "FieldWells": wanted,
        "FieldOptions": {"SelectedFieldOptions": options},
        "TableOptions": {"Orientation": "HORIZONTAL" if shown.turned else "VERTICAL"},
    }
    return chart | ({"SortConfiguration": {"RowSort": sorts}} if sorts else {})


def _keys(shown: Sequence[Field], wells: Wells) -> list[Json]:
    """What tells apart what reads alike."""
    return [wells.dimension(Field(field.key, field.key)) for field in shown if field.key]


def _as_asked(
    shown: RankedTable, wells: Wells, rows: Sequence[Json]
) -> tuple[list[Json], list[Json]]:
    """The order of the query's rows, and the columns of it that the table has behind the others."""
    source = shown.source
    order = [f"{source.order_by} DESC"] if source.order_by else order_of(named(source.query))
    known = {row["Column"]["ColumnName"]: row for row in rows}
    sorts, behind = [], []
    for text in order:
        column, _, direction = text.partition(" ")
        if column not in wells.data_set.columns:
            continue
        if column not in known:
            known[column] = wells.row_value(Field(column, column))
            behind.append(known[column])
        sorts.append(_by(known[column]["FieldId"], "DESC" if direction == "DESC" else "ASC"))
    return sorts, behind


def _heat_map(shown: HeatMap, wells: Wells, _: str) -> Json:
    y, x = wells.dimension(shown.y), wells.dimension(shown.x)
    colours = [{"Color": colour(name)} for name in ("weak", "strong")]
    return {
        "FieldWells": {
            "HeatMapAggregatedFieldWells": {
                "Rows": [y],
                "Columns": [x],
                "Values": [wells.measure(shown.measure)],
            }
        },
        "SortConfiguration": {
            "HeatMapRowSort": [_sorted(y, "ASC" if is_ordered(shown.y) else "DESC")],
            "HeatMapColumnSort": [_sorted(x, "ASC")],
        },
        "ColorScale": {"Colors": colours, "ColorFillType": "GRADIENT"},
        "DataLabels": {"Visibility": "VISIBLE"},
        "RowLabelOptions": _label(shown.y.title),
        "ColumnLabelOptions": _label(shown.x.title),
    }


def _scatter(shown: Scatter, wells: Wells, _: str) -> Json:
    point = wells.dimension(shown.point)
    wanted: Json = {
        "XAxis": [wells.measure(shown.x)],
        "YAxis": [wells.measure(shown.y)],
        "Size": [wells.measure(shown.size)],
        "Category": [wells.dimension(shown.series)] if shown.series else [point],
    }
    if told := [*([point] if shown.series else []), *_keys([shown.point], wells)]:
        wanted["Label"] = told
    return {
        "FieldWells": {"ScatterPlotCategoricallyAggregatedFieldWells": wanted},
        "XAxisLabelOptions": _label(f"{shown.x.title} ({shown.x.unit})"),
        "YAxisLabelOptions": _label(f"{shown.y.title} ({shown.y.unit})"),
    }


def _funnel(shown: Funnel, wells: Wells, _: str) -> Json:
    first = {
        "SortBy": wells.column(shown.order),
        "Direction": "ASC",
        "AggregationFunction": {
            "NumericalAggregationFunction": {"SimpleNumericalAggregation": "MIN"}
        },
    }
    return {
        "FieldWells": {
            "FunnelChartAggregatedFieldWells": {
                "Category": [wells.dimension(shown.stage)],
                "Values": [wells.measure(shown.measure)],
            }
        },
        "SortConfiguration": {"CategorySort": [{"ColumnSort": first}]},
        "DataLabelOptions": {
            "Visibility": "VISIBLE",
            "MeasureDataLabelStyle": "VALUE_AND_PERCENTAGE_BY_FIRST_STAGE",
        },
        "CategoryLabelOptions": _label(shown.stage.title),
        "ValueLabelOptions": _label(shown.measure.unit),
    }


_KINDS: Final[Mapping[type[Visual], tuple[str, Callable[[Any, Wells, str], Json]]]] = {
    Figure: ("KPIVisual", _figure),
    Line: ("LineChartVisual", _line),
    Bars: ("BarChartVisual", _bars),
    RankedTable: ("TableVisual", _table),
    HeatMap: ("HeatMapVisual", _heat_map),
    Scatter: ("ScatterPlotVisual", _scatter),
    Funnel: ("FunnelChartVisual", _funnel),
}


# ------------------------------------------------------------------------------------- parts


def colour(name: str) -> str:
    """One of the page's colours, written as QuickSight takes it."""
    return COLOURS[THEME][name].upper()


def _colours(series: Field | None, wells: Wells) -> Json:
    return {"Colors": [wells.dimension(series)]} if series else {}


def _label(text: str) -> Json:
    return {"AxisLabelOptions": [{"CustomLabel": text}]}


def _sorted(of: Json, direction: str) -> Json:
    return _by(field_id(of), direction)


def _by(known: str, direction: str) -> Json:
    return {"FieldSort": {"FieldId": known, "Direction": direction}}


def field_id(of: Json) -> str:
    """The id of a dimension or a measure."""
    [told] = of.values()
    known: str = told["FieldId"]
    return known


def fields_of(made: Json) -> Iterable[Json]:
    """Every field in the wells of a visual that was made here."""
    [told] = made.values()
    return _fields(told["ChartConfiguration"]["FieldWells"])


def _fields(of: Any) -> Iterable[Json]:
    if isinstance(of, dict) and "FieldId" in of:
        yield of
    elif isinstance(of, dict | list):
        for part in of.values() if isinstance(of, dict) else of:
            yield from _fields(part)
