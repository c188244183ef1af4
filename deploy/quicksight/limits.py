"""How much QuickSight takes of a dashboard: held before anything is deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from deploy.quicksight.data_sets import DataSet, Json
from lakehouse_assets.errors import ContractError

_API: Final = "https://docs.aws.amazon.com/quicksight/latest/APIReference/API_"


@dataclass(frozen=True)
class Limit:
    """``most`` of a member of a structure of the API; ``page`` documents it."""

    structure: str
    member: str
    most: int
    what: str

    @property
    def page(self) -> str:
        """Where AWS says so."""
        return f"{_API}{self.structure}.html"


VISUALS = Limit("SheetDefinition", "Visuals", 75, "visuals")
TEXTS = Limit("SheetDefinition", "TextBoxes", 100, "sections and notes")
SETS = Limit("DashboardVersionDefinition", "DataSetIdentifierDeclarations", 50, "data sets")
CALCULATED = Limit("DashboardVersionDefinition", "CalculatedFields", 2000, "calculated fields")
NAME = Limit("CalculatedField", "Name", 128, "characters of a visual's title and a measure's")
EXPRESSION = Limit("CalculatedField", "Expression", 32000, "characters of an expression")
TITLE = Limit("ShortFormatText", "PlainText", 512, "characters of a visual's title")
NOTE = Limit("LongFormatText", "PlainText", 1024, "characters of a note")
SET_NAME = Limit("CreateDataSet", "Name", 128, "characters of a data set's name")
QUERY = Limit("CustomSql", "SqlQuery", 168000, "characters of a query")
COLUMNS = Limit("CustomSql", "Columns", 2048, "columns of a query")
LIMITS: Final = (
    VISUALS, TEXTS, SETS, CALCULATED, NAME, EXPRESSION, TITLE, NOTE, SET_NAME, QUERY, COLUMNS,
)  # fmt: skip


def assert_fits(dashboard: str, definition: Json, used: Mapping[str, DataSet]) -> None:
    """Raises ContractError where QuickSight would refuse a dashboard for its size."""
    for limit, count in _counted(definition, used):
        if count > limit.most:
            raise ContractError(
                f"dashboard {dashboard}: {count} {limit.what}, and QuickSight takes {limit.most} "
                f"({limit.page}); divide or shorten it"
            )


def _counted(definition: Json, used: Mapping[str, DataSet]) -> Iterator[tuple[Limit, int]]:
    for sheet in definition["Sheets"]:
        yield VISUALS, len(sheet["Visuals"])
        yield TEXTS, len(sheet["TextBoxes"])
        for one in sheet["Visuals"]:
            [told] = one.values()
            yield TITLE, len(told["Title"]["FormatText"]["PlainText"])
            yield NOTE, len(told["VisualContentAltText"])
    yield SETS, len(definition["DataSetIdentifierDeclarations"])
    calculated = definition.get("CalculatedFields", [])
    yield CALCULATED, len(calculated)
    for field in calculated:
        yield NAME, len(field["Name"])
        yield EXPRESSION, len(field["Expression"])
    for one in used.values():
        yield SET_NAME, len(one.name)
        yield QUERY, len(one.sql)
        yield COLUMNS, len(one.columns)
