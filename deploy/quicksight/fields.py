"""Fields of visuals: columns by their types, measures as QuickSight's expressions, and formats.

An expression is in QuickSight's own language, ``{column}`` and ``${Parameter}`` in it:
https://docs.aws.amazon.com/quicksight/latest/user/calculated-field-reference.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Final

from deploy.quicksight.data_sets import DataSet, Json
from lakehouse_assets.tables.dashboard import Aggregate, Field, Form, Measure

DAYS_FROM, DAYS_TO = "DaysFrom", "DaysTo"
"""The parameters of a span of days: its first and its last."""
_DAY_FORMAT, _MONTH_FORMAT = "YYYY-MM-DD", "YYYY-MM"
_PLACES: Final = {Form.MONEY: 2, Form.DECIMAL: 2, Form.SECONDS: 2, Form.PERCENT: 1}
"""Decimal places, as the page has them; 0 of others."""
_NO_NUMBER: Final = "\u2013"
"""What the page writes where there is no value."""


@dataclass(frozen=True)
class Span:
    """Days of which a measure is: ``condition`` holds for a row of one; ``begin`` is the first."""

    condition: str
    begin: str


def chosen_span(day: str) -> Span:
    """The days that are chosen, of rows whose day is that column's."""
    begin, end = f"${{{DAYS_FROM}}}", f"${{{DAYS_TO}}}"
    return Span(f"{{{day}}} >= {begin} AND {{{day}}} <= {end}", begin)


def span_before(day: str) -> Span:
    """As many days, right before the chosen ones."""
    first, last = f"${{{DAYS_FROM}}}", f"${{{DAYS_TO}}}"
    begin = f'addDateTime(-1 - dateDiff({first}, {last}, "DD"), "DD", {first})'
    return Span(f"{{{day}}} >= {begin} AND {{{day}}} < {first}", begin)


def expression(measure: Measure, span: Span | None = None) -> str:
    """What a measure is of several rows; of a span's days alone, if one is given."""
    conditions = [span.condition] if span else []
    if measure.since:
        begin = span.begin if span else f"${{{DAYS_FROM}}}"
        conditions.append(f"(isNull({{{measure.since}}}) OR {{{measure.since}}} < {begin})")
    function = "max" if measure.aggregate is Aggregate.MAX else "sum"
    above = _aggregated(function, measure.column, conditions)
    if measure.over:  # the first factor, or whole numbers might be divided as such
        below = _aggregated("sum", measure.over, conditions)
        return f"1.0 * {above} / nullIf({below}, 0)"
    return f"{above} / 1000.0" if measure.form is Form.SECONDS else above


def _aggregated(function: str, column: str, conditions: list[str]) -> str:
    if not conditions:
        return f"{function}({{{column}}})"
    # Of no row at all there is no number: neither 0, nor a change since 0.
    return f"{function}(ifelse({' AND '.join(conditions)}, {{{column}}}, NULL))"


@dataclass
class Wells:
    """Makes the fields of one visual, and keeps what had to be calculated for them.

    A calculated field's name begins with the visual's title, which is there once in a dashboard.
    """

    visual: str
    title: str
    data_set: DataSet
    has_days: bool = True
    """Whether the dashboard has a span of days to choose."""
    calculated: list[Json] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    """What fields are called for people, by their ids."""

    def column(self, name: str) -> Json:
        """A column, or a calculated field, of the visual's data set."""
        return {"DataSetIdentifier": self.data_set.name, "ColumnName": name}

    def calculate(self, what: str, how: str) -> str:
        """The name of a calculated field of the visual."""
        name = f"{self.title}: {what}"
        made = {"DataSetIdentifier": self.data_set.name, "Name": name, "Expression": how}
        if made not in self.calculated:
            self.calculated.append(made)
        return name

    def dimension(self, shown: Field) -> Json:
        """What rows are told apart by."""
        name, kind = self._shown(shown)
        told = {"FieldId": self._id(shown.column, shown.title), "Column": self.column(name)}
        if kind == "DATETIME":
            grain = "MONTH" if shown.form is Form.MONTH else "DAY"
            told |= {"DateGranularity": grain, "FormatConfiguration": _date(shown.form)}
            return {"DateDimensionField": told}
        if kind == "STRING":
            return {"CategoricalDimensionField": told}
        return {"NumericalDimensionField": told | {"FormatConfiguration": number(shown.form)}}

    def row_value(self, shown: Field) -> Json:
        """A column of a row as it stands."""
        name, kind = self._shown(shown)
        told = {"FieldId": self._id(shown.column, shown.title), "Column": self.column(name)}
        if kind == "DATETIME":
            told["FormatConfiguration"] = {"DateTimeFormatConfiguration": _date(shown.form)}
        elif kind != "STRING":
            told["FormatConfiguration"] = {"NumberFormatConfiguration": number(shown.form)}
        return told

    def measure(self, shown: Measure, span: Span | None = None, suffix: str = "") -> Json:
        """A number of several rows."""
        shown = self.of_days(shown)
        plain = not (span or shown.over or shown.since or shown.form is Form.SECONDS)
        if not plain:
            return self.calculated_measure(
                f"{shown.title}{suffix}", expression(shown, span), shown.form
            )
        function = "MAX" if shown.aggregate is Aggregate.MAX else "SUM"
        told = self._number(f"{shown.column}-{function}", shown.title, shown.column, shown.form)
        told["AggregationFunction"] = {"SimpleNumericalAggregation": function}
        return {"NumericalMeasureField": told}

    def of_days(self, shown: Measure) -> Measure:
        """A measure, which counts all where there is no span that things could be new in."""
        is_of_all = bool(shown.since) and not self.has_days
        return replace(shown, aggregate=Aggregate.SUM, since="") if is_of_all else shown

    def calculated_measure(self, title: str, how: str, form: Form) -> Json:
        """A number that an expression gives, which aggregates by itself."""
        name = self.calculate(title, how)
        return {"NumericalMeasureField": self._number(title, title, name, form)}

    def _number(self, key: str, title: str, column: str, form: Form) -> Json:
        return {
            "FieldId": self._id(key, title),
            "Column": self.column(column),
            "FormatConfiguration": number(form),
        }

    def _id(self, key: str, title: str) -> str:
        """A field's id in the dashboard; the second field of one column has another."""
        place = sum(known.startswith(f"{self.visual}.{key}.") for known in self.labels)
        made = f"{self.visual}.{key}.{place}"
        self.labels[made] = title
        return made

    def _shown(self, shown: Field) -> tuple[str, str]:
        """The column that shows a field, and its type."""
        kind = self.data_set.columns[shown.column]
        if shown.texts:
            return self.calculate(shown.title, _texts(shown, self.data_set)), "STRING"
        if shown.form is Form.SECONDS:
            return self.calculate(shown.title, f"{{{shown.column}}} / 1000.0"), "DECIMAL"
        if shown.form is Form.WORDS:
            return self.calculate(shown.title, f"replace({{{shown.column}}}, '_', ' ')"), "STRING"
        return shown.column, kind


def text_of(column: str, kind: str) -> str:
    """A column of a type as a text, in an expression."""
    if kind == "DATETIME":
        return f"formatDate({{{column}}}, 'yyyy-MM-dd')"
    return f"{{{column}}}" if kind == "STRING" else f"toString({{{column}}})"


def quoted(text: str) -> str:
    """A text in an expression."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def number(form: Form) -> Json:
    """How a number of a form is written."""
    places = {"DecimalPlacesConfiguration": {"DecimalPlaces": _PLACES.get(form, 0)}}
    null = {"NullValueFormatConfiguration": {"NullString": _NO_NUMBER}}
    if form is Form.PERCENT:
        return {"FormatConfiguration": {"PercentageDisplayFormatConfiguration": places | null}}
    thousands = "HIDDEN" if form is Form.TEXT else "VISIBLE"  # numbers that name something
    told: Json = {
        "SeparatorConfiguration": {
            "DecimalSeparator": "DOT",
            "ThousandsSeparator": {"Symbol": "COMMA", "Visibility": thousands},
        },
        "NumberScale": "NONE",
        **places,
        **null,
    }
    if form is Form.SECONDS:
        told["Suffix"] = " s"
    return {"FormatConfiguration": {"NumberDisplayFormatConfiguration": told}}


def _date(form: Form) -> Json:
    return {
        "DateTimeFormat": _MONTH_FORMAT if form is Form.MONTH else _DAY_FORMAT,
        "NullValueFormatConfiguration": {"NullString": _NO_NUMBER},
    }


def _texts(shown: Field, of: DataSet) -> str:
    """A field's texts by the value of its column."""
    column = text_of(shown.column, of.columns[shown.column])
    cases = "".join(
        f"{column} = {quoted(value)}, {_written(text, of)}, " for value, text in shown.texts
    )
    return f"ifelse({cases}'')"


def _written(text: str, of: DataSet) -> str:
    parts = list(_parts(text, of))
    return parts[0] if len(parts) == 1 else f"concat({', '.join(parts)})"


def _parts(text: str, of: DataSet) -> Iterator[str]:
    for literal, name, _, _ in Formatter().parse(text):
        if literal:
            yield quoted(literal)
        if name:
            yield text_of(name, of.columns[name])
