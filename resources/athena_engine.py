"""Queries on Athena, over the tables of the Glue Catalog."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.queries.engine import QueryError
from lakehouse_assets.queries.named import VIEWS, NamedQuery, views
from resources.arrow_values import everything
from resources.aws import clear_errors, client
from resources.query_errors import assert_reads, near_columns, no_column, no_table, place

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse_assets.queries.engine import Ask, Stream

_ASK_EVERY_SECONDS: Final = 0.5
_VALUES: Final[Mapping[str, Callable[[str], Any]]] = {
    "tinyint": int,
    "smallint": int,
    "integer": int,
    "bigint": int,
    "decimal": Decimal,
    "float": float,
    "double": float,
    "boolean": lambda text: text == "true",
    "date": date.fromisoformat,
}
"""How a value is read from the text that Athena sends; other types stay text."""

_PLACE: Final = re.compile(r"line ([0-9]+):([0-9]+)")
_NO_TABLE: Final = re.compile(r"Table '([^']+)' does not exist")
_NO_SCHEMA: Final = re.compile(r"Schema '([^']+)' does not exist")
_NO_COLUMN: Final = re.compile(r"Column '([^']+)' cannot be resolved")


@dataclass(frozen=True)
class AthenaQueries:
    """Athena: raises AwsError where it cannot be asked, QueryError where it cannot answer.

    ``output`` is the S3 folder of the results; ``prefix`` is what the catalog's databases begin
    with: named queries mean ``<prefix><layer>.<table>`` by ``<layer>.<table>``.
    """

    workgroup: str
    output: str
    prefix: str = ""

    def stream(self, sql: str) -> AbstractContextManager[Stream]:
        """Answer a SELECT in Athena's dialect, with databases named as the catalog does."""
        assert_reads(sql)
        return self._stream(sql, [])

    def stream_named(
        self, named: NamedQuery, values: Sequence[date] = ()
    ) -> AbstractContextManager[Stream]:
        """Answer a named query with values for its parameters, in their order."""
        return self._stream(in_catalog(named.sql, self.prefix), [f"'{v}'" for v in values])

    @contextmanager
    def together(self) -> Iterator[Ask]:
        """What answers several named queries: one by one, as Athena does."""
        yield lambda named, values: everything(self.stream_named(named, values))

    def create_views(self) -> None:
        """Make every view in the catalog what its query says."""
        with self._clear_errors():
            athena = client("athena")
            for statement in view_statements(self.prefix):
                self._run(athena, statement, [])

    @contextmanager
    def _stream(self, sql: str, parameters: Sequence[str]) -> Iterator[Stream]:
        with self._clear_errors():
            athena = client("athena")
            answer = _AthenaStream(athena, self._run(athena, sql, parameters), self._clear_errors)
        yield answer

    def _clear_errors(self) -> AbstractContextManager[None]:
        return clear_errors(f"Athena workgroup {self.workgroup}, results in {self.output}")

    def _run(self, athena: Any, sql: str, parameters: Sequence[str]) -> str:
        """Run a statement to its good end; returns the execution's id."""
        started = athena.start_query_execution(
            QueryString=sql,
            WorkGroup=self.workgroup,
            ResultConfiguration={"OutputLocation": self.output},
            **({"ExecutionParameters": list(parameters)} if parameters else {}),
        )
        execution: str = started["QueryExecutionId"]
        self._wait(athena, execution, sql)
        return execution

    def _wait(self, athena: Any, execution: str, sql: str) -> None:
        try:
            while True:
                found = athena.get_query_execution(QueryExecutionId=execution)
                status = found["QueryExecution"]["Status"]
                if status["State"] == "SUCCEEDED":
                    return
                if status["State"] in {"FAILED", "CANCELLED"}:
                    reason = " ".join(status.get("StateChangeReason", "no reason given").split())
                    raise QueryError(
                        f"Athena: query {execution} {status['State'].lower()}: "
                        f"{_explained(reason, sql, self.prefix)}"
                    )
                time.sleep(_ASK_EVERY_SECONDS)
        except KeyboardInterrupt:
            athena.stop_query_execution(QueryExecutionId=execution)
            raise


def in_catalog(sql: str, prefix: str) -> str:
    """A named query's text with its tables named as a catalog with that prefix names them."""
    if not prefix:
        return sql
    import sqlglot  # noqa: PLC0415 - only who has a prefix needs it
    from sqlglot import exp  # noqa: PLC0415

    tree = sqlglot.parse_one(sql, read="trino")
    for table in tree.find_all(exp.Table):
        if table.db:
            table.set("db", exp.to_identifier(f"{prefix}{table.db}"))
    return tree.sql("trino")


def view_statements(prefix: str) -> Iterator[str]:
    """The statements, in Athena's dialect, that make every view what its query says."""
    yield f"CREATE SCHEMA IF NOT EXISTS {prefix}{VIEWS}"
    for name, query in views().items():
        yield f"CREATE OR REPLACE VIEW {prefix}{name} AS\n{in_catalog(query.sql, prefix)}"


def _explained(reason: str, sql: str, prefix: str) -> str:
    """What Athena says of a query, what to do, and the place in the query if it names one."""
    at = _PLACE.search(reason)
    where = place(sql, int(at[1]), int(at[2])) if at else ""
    if found := _NO_TABLE.search(reason):  # with the catalog in front
        return no_table(".".join(found[1].split(".")[-2:]), prefix) + where
    if found := _NO_SCHEMA.search(reason):
        asked = re.search(rf"\b{re.escape(found[1])}\.\w+", sql, re.IGNORECASE)
        return no_table(asked[0] if asked else f"{found[1]}.", prefix) + where
    if found := _NO_COLUMN.search(reason):
        text = sql.lower().replace(prefix, "") if prefix else sql
        return no_column(found[1], near_columns(found[1].rpartition(".")[2], text)) + where
    return f"{reason}; correct the query, or look it up in Athena's history{where}"


class _AthenaStream:
    """An answer of Athena's, in the pages in which it hands rows out."""

    def __init__(
        self, athena: Any, execution: str, clear: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._athena, self._execution, self._clear = athena, execution, clear
        self._pages = iter(
            athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution)
        )
        first = next(self._pages)
        self._next: list[Any] | None = first["ResultSet"]["Rows"][1:]  # the first is the header
        self._columns = first["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        self.schema: pa.Schema = _schema(self._columns)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while self._next is not None:
            now, self._next = self._next, None
            with self._clear():
                page = next(self._pages, None)
            if page is not None:
                self._next = page["ResultSet"]["Rows"]
            yield self._batch(now)

    def total(self) -> int:
        with self._clear():
            found = self._athena.get_query_runtime_statistics(QueryExecutionId=self._execution)
        return int(found["QueryRuntimeStatistics"]["Rows"]["OutputRows"])

    def _batch(self, rows: Sequence[Any]) -> pa.RecordBatch:
        import pyarrow as pa  # noqa: PLC0415 - only who asks pays for it

        texts = [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]
        columns = []
        for at, (column, field) in enumerate(zip(self._columns, self.schema, strict=True)):
            read = _VALUES.get(column["Type"], str)
            values = [None if row[at] is None else read(row[at]) for row in texts]
            columns.append(pa.array(values, field.type))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _schema(columns: Sequence[Mapping[str, Any]]) -> pa.Schema:
    import pyarrow as pa  # noqa: PLC0415 - only who asks pays for it

    types = {
        "tinyint": pa.int8(),
        "smallint": pa.int16(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
    }
    return pa.schema(
        [
            (
                column["Name"],
                pa.decimal128(column["Precision"], column["Scale"])
                if column["Type"] == "decimal"
                else types.get(column["Type"], pa.string()),
            )
            for column in columns
        ]
    )
