"""Queries on Athena, over the tables of the Glue Catalog."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from lakehouse_assets.ports import Answer, QueryError
from lakehouse_assets.queries.named import VIEWS, NamedQuery, views
from resources.aws import clear_errors, client

_ASK_EVERY_SECONDS: Final = 0.5
_VALUES: Final[Mapping[str, Callable[[str], Any]]] = {
    "integer": int,
    "bigint": int,
    "decimal": Decimal,
    "double": float,
    "boolean": lambda text: text == "true",
    "date": date.fromisoformat,
}
"""How a value is read from the text that Athena sends; other types stay text."""


@dataclass(frozen=True)
class AthenaQueries:
    """Athena: raises AwsError where it cannot be asked, QueryError where it cannot answer.

    ``output`` is the S3 folder of the results; ``prefix`` is what the catalog's databases begin
    with: named queries mean ``<prefix><layer>.<table>`` by ``<layer>.<table>``.
    """

    workgroup: str
    output: str
    prefix: str = ""

    def answer(self, sql: str) -> Answer:
        """Answer a SELECT in Athena's dialect, with databases named as the catalog does."""
        return self._answer(sql, [])

    def answer_named(self, query: NamedQuery, values: Sequence[date] = ()) -> Answer:
        """Answer a named query with values for its parameters, in their order."""
        return self._answer(in_catalog(query.sql, self.prefix), [f"'{v}'" for v in values])

    def create_views(self) -> None:
        """Make every view in the catalog what its query says."""
        with self._clear_errors():
            athena = client("athena")
            for statement in view_statements(self.prefix):
                self._run(athena, statement, [])

    def _answer(self, sql: str, parameters: Sequence[str]) -> Answer:
        with self._clear_errors():
            athena = client("athena")
            return _rows(athena, self._run(athena, sql, parameters))

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
        self._wait(athena, execution)
        return execution

    def _wait(self, athena: Any, execution: str) -> None:
        try:
            while True:
                found = athena.get_query_execution(QueryExecutionId=execution)
                status = found["QueryExecution"]["Status"]
                if status["State"] == "SUCCEEDED":
                    return
                if status["State"] in {"FAILED", "CANCELLED"}:
                    reason = " ".join(status.get("StateChangeReason", "no reason given").split())
                    raise QueryError(
                        f"Athena: query {execution} {status['State'].lower()}: {reason}; "
                        "correct the query, or look it up in Athena's history"
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


def _rows(athena: Any, execution: str) -> Answer:
    names: list[str] = []
    rows: list[tuple[Any, ...]] = []
    pages = athena.get_paginator("get_query_results")
    for number, page in enumerate(pages.paginate(QueryExecutionId=execution)):
        columns = page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        names = [column["Name"] for column in columns]
        kinds = [_VALUES.get(column["Type"], str) for column in columns]
        # The first row of all is the header.
        for row in page["ResultSet"]["Rows"][1 if number == 0 else 0 :]:
            texts = [cell.get("VarCharValue") for cell in row["Data"]]
            rows.append(
                tuple(None if t is None else kind(t) for kind, t in zip(kinds, texts, strict=True))
            )
    return names, rows
