"""A dashboard's definition as QuickSight's: one sheet with the visuals, headings and notes.

In the names of the API and of CloudFormation, which are the same.
https://docs.aws.amazon.com/quicksight/latest/APIReference/API_DashboardVersionDefinition.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from deploy.quicksight.data_sets import Json, data_set, data_sets
from deploy.quicksight.fields import Wells
from deploy.quicksight.filters import (
    Drawn,
    actions,
    controls,
    date_column,
    declarations,
    filters,
)
from deploy.quicksight.visuals import visual
from lakehouse_assets.tables.dashboard import Dashboard, Figure, RankedTable, Section, Visual

PUBLISHED: Final[Json] = {
    "ExportToCSVOption": {"AvailabilityStatus": "ENABLED"},
    "AdHocFilteringOption": {"AvailabilityStatus": "DISABLED"},
    "SheetControlsOption": {"VisibilityState": "EXPANDED"},
}
"""What readers may do: each visual's rows as CSV; filters are those of the definition."""

_COLUMNS: Final = 36
"""Of a sheet's grid."""
_HEADING_ROWS, _FIGURE_ROWS, _CHART_ROWS, _NOTE_ROWS = 2, 6, 12, 2
_WIDE_FROM: Final = 5
"""A table of so many columns takes the whole width."""


def definition(dashboard: Dashboard, arn: Callable[[str], str]) -> Json:
    """A dashboard's definition; ``arn`` tells a data set's ARN by its name."""
    used = data_sets(dashboard)
    wells = [
        Wells(
            f"{dashboard.name}-{place}",
            shown.title,
            data_set(shown.source),
            has_days=dashboard.dates is not None,
        )
        for place, shown in enumerate(dashboard.visuals)
    ]
    drawn = [_drawn(dashboard, *pair) for pair in zip(dashboard.visuals, wells, strict=True)]
    declared = declarations(dashboard, used.values(), drawn)
    groups, asked = filters(dashboard, dashboard.name, drawn)
    found: Json = {
        "DataSetIdentifierDeclarations": [
            {"Identifier": name, "DataSetArn": arn(name)} for name in used
        ],
        "Sheets": [_sheet(dashboard, drawn, controls(dashboard, declared))],
        "CalculatedFields": [*(field for well in wells for field in well.calculated), *asked],
        "ParameterDeclarations": declared,
        "FilterGroups": groups,
        "AnalysisDefaults": {
            "DefaultNewSheetConfiguration": {
                "SheetContentType": "INTERACTIVE",
                "InteractiveLayoutConfiguration": {"Grid": {"CanvasSizeOptions": _CANVAS}},
            }
        },
    }
    return {name: value for name, value in found.items() if value}


def _drawn(dashboard: Dashboard, shown: Visual, wells: Wells) -> Drawn:
    made = visual(shown, wells, date_column(dashboard, wells.data_set))
    drawn = Drawn(shown, wells.visual, wells.data_set, made)
    if chosen := actions(drawn):
        [told] = made.values()
        told["Actions"] = chosen
    return drawn


# ----------------------------------------------------------------------------------- the sheet

# A responsive sheet stacks its visuals on a narrow screen.
# https://docs.aws.amazon.com/quicksight/latest/APIReference/API_GridLayoutScreenCanvasSizeOptions.html
_CANVAS: Final[Json] = {"ScreenCanvasSizeOptions": {"ResizeOption": "RESPONSIVE"}}


def _sheet(dashboard: Dashboard, drawn: Sequence[Drawn], chosen_by: Sequence[Json]) -> Json:
    texts = {f"{dashboard.name}-section-{n}": s.title for n, s in enumerate(dashboard.sections)}
    headings = {name: _rich(title, "20px") for name, title in texts.items()}
    notes = {f"{dashboard.name}-note-{n}": _rich(t, "14px") for n, t in enumerate(dashboard.notes)}
    boxes = headings | notes
    sheet: Json = {
        "SheetId": dashboard.name,
        "Name": dashboard.title,
        "Title": dashboard.title,
        "Description": dashboard.audience,
        "ContentType": "INTERACTIVE",
        "Visuals": [one.made for one in drawn],
        "TextBoxes": [{"SheetTextBoxId": name, "Content": text} for name, text in boxes.items()],
        "Layouts": [_grid(list(_elements(dashboard, drawn, list(headings), list(notes))))],
    }
    if chosen_by:
        ids = [told["ParameterControlId"] for one in chosen_by for told in one.values()]
        places = [_element("PARAMETER_CONTROL", name, 2, 1) for name in ids]
        sheet["ParameterControls"] = list(chosen_by)
        sheet["SheetControlLayouts"] = [{"Configuration": {"GridLayout": {"Elements": places}}}]
    return sheet


def _rich(text: str, size: str) -> str:
    return f'<text-box><inline font-size="{size}">{escape(text)}</inline></text-box>'


def _grid(elements: list[Json]) -> Json:
    return {"Configuration": {"GridLayout": {"Elements": elements, "CanvasSizeOptions": _CANVAS}}}


def _elements(
    dashboard: Dashboard, drawn: Sequence[Drawn], headings: list[str], notes: list[str]
) -> Iterator[Json]:
    """Where everything stands: each section's figures in a row, its charts two by two."""
    row, waiting = 0, iter(drawn)
    for heading, section in zip(headings, dashboard.sections, strict=True):
        yield _element("TEXT_BOX", heading, _COLUMNS, _HEADING_ROWS) | _at(0, row)
        row += _HEADING_ROWS
        for line in _lines(section):
            width = _COLUMNS // len(line)
            high = _FIGURE_ROWS if isinstance(line[0], Figure) else _CHART_ROWS
            for place, one in enumerate([next(waiting) for _ in line]):
                yield _element("VISUAL", one.identifier, width, high) | _at(place * width, row)
            row += high
    for note in notes:
        yield _element("TEXT_BOX", note, _COLUMNS, _NOTE_ROWS) | _at(0, row)
        row += _NOTE_ROWS


def _lines(section: Section) -> Iterator[tuple[Visual, ...]]:
    """A section's visuals, those that stand beside each other together, in their order."""
    line: list[Visual] = []
    for shown in section.visuals:
        full = _MOST[_width(line[0])] if line else 0
        if line and (_width(shown) != _width(line[0]) or len(line) == full):
            yield tuple(line)
            line = []
        line.append(shown)
    if line:
        yield tuple(line)


_MOST: Final = {"narrow": 4, "half": 2, "whole": 1}
"""How many visuals of a width stand beside each other."""


def _width(shown: Visual) -> str:
    if isinstance(shown, Figure):
        return "narrow"
    is_wide = isinstance(shown, RankedTable) and (
        len(shown.fields) + len(shown.measures) >= _WIDE_FROM
    )
    return "whole" if is_wide else "half"


def _element(kind: str, name: str, columns: int, rows: int) -> Json:
    return {"ElementId": name, "ElementType": kind, "ColumnSpan": columns, "RowSpan": rows}


def _at(column: int, row: int) -> Json:
    return {"ColumnIndex": column, "RowIndex": row}
