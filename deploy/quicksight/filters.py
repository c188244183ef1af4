"""What is chosen on a dashboard: parameters, their controls, the filters and drill-downs by them.

A filter acts on every visual whose answer has the column, as on the page. Where a parameter is
not enough (a value or all of them; rows that stand for all), a calculated field says by 1 whether
a row is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from deploy.quicksight.data_sets import AS_OF, DataSet, Json, choices
from deploy.quicksight.fields import DAYS_FROM, DAYS_TO, quoted, text_of
from deploy.quicksight.visuals import fields_of
from lakehouse_assets.dashboards.page_data import drill_down_column
from lakehouse_assets.tables.dashboard import Choice, Dashboard, Dates, Figure, Visual

NOTHING: Final = -(2**53 - 1)
"""The number that is chosen while nothing is: no key of a table."""
_TODAY: Final = "truncDate('DD', now())"


@dataclass(frozen=True)
class Drawn:
    """A visual of a dashboard with its data set and, by id, its fields in QuickSight's form."""

    shown: Visual
    identifier: str
    data_set: DataSet
    made: Json


def parameter(column: str) -> str:
    """The parameter that holds what is chosen of a column."""
    return "Chosen" + "".join(part.capitalize() for part in column.split("_"))


def date_column(dashboard: Dashboard, of: DataSet) -> str:
    """The column of a data set that the date filter acts on; nothing where it has none."""
    columns = dashboard.dates.columns if dashboard.dates else ()
    return next((column for column in columns if column in of.columns), "")


# ------------------------------------------------------------------------------- parameters


def declarations(
    dashboard: Dashboard, used: Iterable[DataSet], drawn: Sequence[Drawn]
) -> list[Json]:
    """The parameters of a dashboard."""
    as_of = [of.name for of in used if of.is_as_of]
    found: list[Json] = []
    if dashboard.dates:
        begin = f"addDateTime({1 - dashboard.dates.days}, 'DD', {_TODAY})"
        found.append(_day(DAYS_FROM, begin))
    if dashboard.dates or as_of:
        mapped = [{"DataSetIdentifier": name, "DataSetParameterName": AS_OF} for name in as_of]
        found.append(
            _day(DAYS_TO, _TODAY) | ({"MappedDataSetParameters": mapped} if mapped else {})
        )
    return [
        *({"DateTimeParameterDeclaration": one} for one in found),
        *(_value("String", choice.column, choice.all) for choice in dashboard.choices),
        *(
            _value("Integer", column, NOTHING)
            if kind == "INTEGER"
            else _value("String", column, "")
            for column, kind in waited_for(dashboard, drawn).items()
        ),
    ]


def _day(name: str, default: str) -> Json:
    return {
        "Name": name,
        "TimeGranularity": "DAY",
        "DefaultValues": {"RollingDate": {"Expression": default}},
    }


def _value(kind: str, column: str, default: str | int) -> Json:
    return {
        f"{kind}ParameterDeclaration": {
            "Name": parameter(column),
            "ParameterValueType": "SINGLE_VALUED",
            "DefaultValues": {"StaticValues": [default]},
        }
    }


def waited_for(dashboard: Dashboard, drawn: Iterable[Drawn]) -> dict[str, str]:
    """The columns that visuals wait for, with their types, where no filter chooses them too."""
    own = {choice.column for choice in dashboard.choices}
    columns = [(one.shown.selected_by, one.data_set) for one in drawn if one.shown.selected_by]
    return {column: of.columns[column] for column, of in columns if column not in own}


# --------------------------------------------------------------------------------- controls


def controls(dashboard: Dashboard, declared: Sequence[Json]) -> list[Json]:
    """What people choose by, above the dashboard."""
    names = {told["Name"] for one in declared for told in one.values()}
    titles = _day_titles(dashboard.dates)
    days = [
        {
            "DateTimePicker": {
                "ParameterControlId": f"{dashboard.name}-{name}",
                "Title": title,
                "SourceParameterName": name,
                "DisplayOptions": {"DateTimeFormat": "YYYY-MM-DD"},
            }
        }
        for name, title in titles.items()
        if name in names
    ]
    return days + [_drop_down(dashboard, choice) for choice in dashboard.choices]


def _day_titles(dates: Dates | None) -> dict[str, str]:
    if not dates:
        return {DAYS_TO: "As of"}
    return {DAYS_FROM: f"{dates.title}: from", DAYS_TO: f"{dates.title}: to"}


def _drop_down(dashboard: Dashboard, choice: Choice) -> Json:
    values = {"DataSetIdentifier": choices(dashboard, choice).name, "ColumnName": choice.column}
    return {
        "Dropdown": {
            "ParameterControlId": f"{dashboard.name}-{parameter(choice.column)}",
            "Title": choice.title,
            "SourceParameterName": parameter(choice.column),
            "Type": "SINGLE_SELECT",
            "SelectableValues": {"LinkToDataSetColumn": values},
            # All is one of the values.
            "DisplayOptions": {"SelectAllOptions": {"Visibility": "HIDDEN"}},
        }
    }


# ---------------------------------------------------------------------------------- filters


def filters(
    dashboard: Dashboard, sheet: str, drawn: Sequence[Drawn]
) -> tuple[list[Json], list[Json]]:
    """The filter groups of a dashboard, and the calculated fields that they ask."""
    groups: list[Json] = []
    calculated: list[Json] = []
    for of in {one.data_set.name: one.data_set for one in drawn}.values():
        ours = [one for one in drawn if one.data_set.name == of.name]
        if day := date_column(dashboard, of):
            # A figure with its change takes its two spans of days by itself.
            spanned = [
                one
                for one in ours
                if not one.shown.selected_by
                and not one.shown.all_days
                and not (isinstance(one.shown, Figure) and one.shown.change)
            ]
            groups += _group(sheet, f"{of.name}-days", spanned, _span(of, day))
        for choice in dashboard.choices:
            if choice.column in of.columns:
                for whole in (False, True):
                    alike = [o for o in ours if (choice.column in o.shown.source.whole) is whole]
                    name = f"{of.name}: shown by {choice.column}{', or whole' if whole else ''}"
                    made = _calculated(of, name, _is_chosen(of, choice, whole=whole))
                    added = _group(sheet, _identifier(name), alike, _is_one(of, name))
                    groups, calculated = groups + added, calculated + ([made] if added else [])
        for column in waited_for(dashboard, ours):
            waiting = [one for one in ours if one.shown.selected_by == column]
            name = f"{of.name}: chosen by {column}"
            same = f"ifelse({{{column}}} = ${{{parameter(column)}}}, 1, 0)"
            calculated.append(_calculated(of, name, same))
            groups += _group(sheet, _identifier(name), waiting, _is_one(of, name))
    return groups, calculated


def _is_chosen(of: DataSet, choice: Choice, *, whole: bool) -> str:
    """Whether a row is of the chosen value; a row of all values together, of all."""
    chosen, column = f"${{{parameter(choice.column)}}}", choice.column
    of_all = f"ifelse(isNull({{{column}}}), 1, 0)" if whole else "1"
    same = f"{text_of(column, of.columns[column])} = {chosen}"
    return f"ifelse({chosen} = {quoted(choice.all)}, {of_all}, ifelse({same}, 1, 0))"


def _calculated(of: DataSet, name: str, how: str) -> Json:
    return {"DataSetIdentifier": of.name, "Name": name, "Expression": how}


def _identifier(name: str) -> str:
    """An id of a name: letters, digits and dashes."""
    return "-".join("".join(c if c.isalnum() or c in "_-" else " " for c in name).split())


def _group(sheet: str, name: str, on: Sequence[Drawn], asked: Json) -> list[Json]:
    """A group of one filter on some visuals; none where there are none."""
    if not on:
        return []
    [(kind, told)] = asked.items()
    scope = {
        "SheetId": sheet,
        "Scope": "SELECTED_VISUALS",
        "VisualIds": [one.identifier for one in on],
    }
    return [
        {
            "FilterGroupId": f"{sheet}-{name}",
            "Filters": [{kind: {"FilterId": f"{sheet}-{name}-filter"} | told}],
            "ScopeConfiguration": {"SelectedSheets": {"SheetVisualScopingConfigurations": [scope]}},
            "Status": "ENABLED",
            "CrossDataset": "SINGLE_DATASET",
        }
    ]


def _span(of: DataSet, day: str) -> Json:
    return {
        "TimeRangeFilter": {
            "Column": {"DataSetIdentifier": of.name, "ColumnName": day},
            "IncludeMinimum": True,
            "IncludeMaximum": True,
            "RangeMinimumValue": {"Parameter": DAYS_FROM},
            "RangeMaximumValue": {"Parameter": DAYS_TO},
            "NullOption": "NON_NULLS_ONLY",
            "TimeGranularity": "DAY",
        }
    }


def _is_one(of: DataSet, name: str) -> Json:
    return {
        "NumericEqualityFilter": {
            "Column": {"DataSetIdentifier": of.name, "ColumnName": name},
            "Value": 1.0,
            "MatchOperator": "EQUALS",
            "NullOption": "NON_NULLS_ONLY",
        }
    }


# ------------------------------------------------------------------------------- drill-downs


def actions(one: Drawn) -> list[Json]:
    """What a click on a visual does: it chooses the value of its column."""
    return [
        {
            "CustomActionId": f"{one.identifier}-choose",
            "Name": f"Choose this {column.replace('_', ' ')}",
            "Status": "ENABLED",
            "Trigger": "DATA_POINT_CLICK",
            "ActionOperations": [
                {
                    "SetParametersOperation": {
                        "ParameterValueConfigurations": [
                            {
                                "DestinationParameterName": parameter(column),
                                "Value": {"SourceField": known},
                            }
                        ]
                    }
                }
            ],
        }
        for column, known in _chosen_field(one)
    ]


def _chosen_field(one: Drawn) -> Iterator[tuple[str, str]]:
    column = drill_down_column(one.shown)
    known = [f["FieldId"] for f in fields_of(one.made) if f["Column"]["ColumnName"] == column]
    if column and known:
        yield column, known[0]
