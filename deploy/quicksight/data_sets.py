"""What a dashboard's visuals ask of Athena: each source as a data set, by direct query.

A query's ``as_of`` is a parameter of its data set, `AS_OF`, or the last day with orders where that
is earlier: so a dashboard that is opened shows what the page shows, and an earlier day can be
chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from lakehouse_assets.dashboards.questions import (
    DAYS_QUERY,
    question,
    source_columns,
    tables_asked,
)
from lakehouse_assets.queries.named import named, tables
from lakehouse_assets.tables.dashboard import Choice, Dashboard, Source
from resources.athena_engine import in_catalog

Json = dict[str, Any]

AS_OF: Final = "asOf"
"""The parameter of a data set whose query is as of a day: QuickSight takes no ``_`` in its name.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-quicksight-dashboard-mappeddatasetparameter.html
"""
ANY_DAY: Final = "2999-12-31T00:00:00Z"
"""What `AS_OF` is until somebody chooses: later than every day with orders."""

_GIVEN: Final = f"<<${AS_OF}>>"
"""Where QuickSight puts the value. In `DataSet.sql` it stands as a text, so that it can be read."""
_ASKED: Final = "CAST(? AS DATE)"
"""How named queries ask for a day."""

_TYPES: Final[Mapping[object, str]] = {
    exp.DataType.Type.INT: "INTEGER",
    exp.DataType.Type.BIGINT: "INTEGER",
    exp.DataType.Type.DECIMAL: "DECIMAL",
    exp.DataType.Type.DOUBLE: "DECIMAL",
    exp.DataType.Type.DATE: "DATETIME",
    exp.DataType.Type.TIMESTAMP: "DATETIME",
    exp.DataType.Type.TEXT: "STRING",
    exp.DataType.Type.VARCHAR: "STRING",
    exp.DataType.Type.BOOLEAN: "BOOLEAN",
}
"""https://docs.aws.amazon.com/quicksight/latest/APIReference/API_InputColumn.html"""


@dataclass(frozen=True)
class DataSet:
    """An answer of Athena's: ``columns`` are QuickSight's types by name, in their order.

    ``sql`` is in the dialect of Athena, its tables named as named queries name them. ``asked`` are
    those tables. ``is_as_of`` says whether it has the parameter `AS_OF`.
    """

    name: str
    about: str
    sql: str
    columns: Mapping[str, str]
    asked: tuple[str, ...]
    is_as_of: bool

    def properties(self, data_source: str, prefix: str) -> Json:
        """What CloudFormation and the API call a data set's own, of a catalog with that prefix."""
        columns = [{"Name": name, "Type": kind} for name, kind in self.columns.items()]
        asked = {
            "DataSourceArn": data_source,
            "Name": self.name,
            "SqlQuery": in_catalog(self.sql, prefix).replace(f"'{_GIVEN}'", _GIVEN),
            "Columns": columns,
        }
        found: Json = {
            "Name": self.name,
            "ImportMode": "DIRECT_QUERY",
            "PhysicalTableMap": {"answer": {"CustomSql": asked}},
        }
        if self.is_as_of:
            parameter = {
                "Id": f"{self.name}-{AS_OF}".replace("_", "-"),
                "Name": AS_OF,
                "ValueType": "SINGLE_VALUED",
                "TimeGranularity": "DAY",
                "DefaultValues": {"StaticValues": [ANY_DAY]},
            }
            found["DatasetParameters"] = [{"DateTimeDatasetParameter": parameter}]
        return found


@cache
def data_set(source: Source) -> DataSet:
    """The data set of a source. Several dashboards that have the same source share it.

    A page holds rows of those alone whom it can choose (``among``); here whoever is chosen is
    asked for.
    """
    asked = replace(source, among="", of=None, whole=())
    query = question(asked)
    # Its own words, not their order in a text: the name stays when a query is put otherwise.
    plain = Source(source.query, days_back=source.days_back)
    digest = hashlib.sha256(repr(asked).encode()).hexdigest()[:8]
    name = source.query if asked == plain and not source.days_back else f"{source.query}-{digest}"
    return _of(name, query.purpose, _as_of(query.sql, source.days_back))


@cache
def choices(dashboard: Dashboard, choice: Choice) -> DataSet:
    """What can be chosen: all, and every value of the column in what the dashboard asks."""
    column = choice.column
    sources = [v.source for v in dashboard.visuals if column in source_columns(v.source)]
    answers = {data_set(source).name: data_set(source).sql for source in sources}
    everything = exp.Literal.string(choice.all).sql("trino")
    parts = [f"SELECT {everything} AS {column}"]
    parts += [
        f"SELECT CAST({column} AS VARCHAR) AS {column} FROM (\n{sql}\n) AS answer "
        f"WHERE {column} IS NOT NULL"
        for sql in answers.values()
    ]
    name = f"{dashboard.name}-choices-{column}"
    return _of(name, f"{choice.title}: what can be chosen.", "\nUNION\n".join(parts))


def data_sets(dashboard: Dashboard) -> dict[str, DataSet]:
    """Every data set of a dashboard, by its name."""
    found = [data_set(visual.source) for visual in dashboard.visuals]
    found += [choices(dashboard, choice) for choice in dashboard.choices]
    return {one.name: one for one in found}


def _of(name: str, about: str, sql: str) -> DataSet:
    asked = tables_asked(replace(named(DAYS_QUERY), sql=sql))
    return DataSet(name, about, sql, _columns(sql), tuple(asked), _GIVEN in sql)


def _as_of(sql: str, days_back: int) -> str:
    """A query whose day is the one chosen, and at most the last day with orders."""
    last = f"SELECT last_day FROM (\n{named(DAYS_QUERY).sql}\n) AS days"
    # Whether QuickSight writes a text or a timestamp, its first ten characters are the day.
    chosen = f"CAST(substr(CAST('{_GIVEN}' AS VARCHAR), 1, 10) AS DATE)"
    day = f"least({chosen}, ({last}))"
    return sql.replace(_ASKED, f"date_add('day', -{days_back}, {day})" if days_back else day)


def _columns(sql: str) -> dict[str, str]:
    """QuickSight's types of an answer's columns: worked out from the contracts' types."""
    tree = qualify(
        sqlglot.parse_one(sql, read="trino"),
        schema=_schema(),
        dialect="trino",
        validate_qualify_columns=False,
    )
    typed = annotate_types(tree, schema=_schema(), dialect="trino")
    assert isinstance(typed, exp.Query)  # the lint refuses all else
    return {column.alias_or_name: _type(column) for column in typed.selects}


def _type(column: exp.Expr) -> str:
    kind = column.type.this if isinstance(column.type, exp.DataType) else None
    if kind not in _TYPES:
        raise ValueError(f"{column.sql('trino')}: no type of QuickSight's for {column.type}")
    return _TYPES[kind]


@cache
def _schema() -> MappingSchema:
    known: dict[str, Any] = {}
    for name, table in tables().items():
        layer, _, entry = name.partition(".")
        known.setdefault(layer, {})[entry] = {c.name: c.type for c in table.columns}
    return MappingSchema(known, dialect="spark")
