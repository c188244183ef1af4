"""Queries on DuckDB, the embedded stand-in for Athena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lakehouse_assets.pipeline.sail_quirks import plain_uri
from lakehouse_assets.ports import Answer, QueryError
from lakehouse_assets.queries.named import NamedQuery, tables, views
from lakehouse_assets.store.facts import Fact
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Table
from resources.aws import access_to_s3

if TYPE_CHECKING:
    from types import ModuleType

    import duckdb

    from lakehouse_assets.store.lake import Lake


@dataclass(frozen=True)
class DuckDBQueries:
    """The embedded engine. Tables are named as ``<layer>.<table>``.

    With ``as_of``, a run's record, all tables are as that run had published them.
    """

    lake: Lake
    as_of: Fact | None = None

    def answer(self, sql: str) -> Answer:
        """Answer a SELECT in DuckDB's dialect."""
        return self._answer(sql, [])

    def answer_named(self, query: NamedQuery, values: Sequence[date] = ()) -> Answer:
        """Answer a named query with values for its parameters, in their order."""
        return self._answer(_translated(query), values)

    def create_views(self) -> None:
        """Nothing to do: each answer defines those that it needs."""

    def _answer(self, sql: str, values: Sequence[date]) -> Answer:
        import duckdb  # noqa: PLC0415 - only who asks pays for it

        connection = connect()
        try:
            if self.lake.storage.root.startswith("s3://"):
                _let_read_s3(connection)
            self._define(connection, sql)
            cursor = connection.execute(sql, values)
            if cursor.description is None:
                raise QueryError("the query gives no rows; write a SELECT")
            return [d[0] for d in cursor.description], cursor.fetchall()
        except duckdb.Error as error:
            raise QueryError(f"{' '.join(str(error).split())}; correct the query") from None
        finally:
            connection.close()

    def _define(self, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
        """Define what the query may mean: tables, each at one version, and views over them."""
        text = _plain(sql)
        asked = {name: _translated(view) for name, view in views().items() if name in text}
        text = " ".join([text, *map(_plain, asked.values())])
        for name, table in tables().items():
            if name in text:
                _create_view(connection, name, self._rows(name, table))
        for name, select in asked.items():
            _create_view(connection, name, select)

    def _rows(self, name: str, table: Table) -> str:
        as_of, newest = self.as_of, self.lake.version(table)
        own = table.layer == "ledger"  # only ever appended to, and numbered
        version = newest
        if as_of and not own and (now := self.lake.versions([table]).get(name)):
            # A table that came later, or was not filled yet, was empty: that is its version 0.
            then = Ledger(self.lake).state(as_of.seq).versions.get(name, replace(now, version=0))
            version = then.version if then.same_log(now) else None  # another table than then
        if version is None or newest is None:
            when = f" by run {as_of.run_id}" if as_of else "; run `lakehouse run` first"
            raise QueryError(f"{name} has no rows yet{when}")
        uri = _quoted(plain_uri(self.lake.storage, self.lake.path(table)))
        rows = f"SELECT * FROM delta_scan('{uri}', version => {version})"
        return f"{rows} WHERE seq <= {as_of.seq}" if as_of and own else rows


def query(lake: Lake, sql: str, as_of: Fact | None = None) -> Answer:
    """Answer a SELECT on the embedded engine: column names and rows. Raises QueryError."""
    return DuckDBQueries(lake, as_of).answer(sql)


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads Delta tables; timestamps are UTC."""
    import duckdb  # noqa: PLC0415 - only who asks pays for it
    import duckdb_extension_delta  # noqa: PLC0415 - carries the extension's file

    connection = duckdb.connect()
    _load(connection, duckdb_extension_delta)
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _let_read_s3(connection: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB read what every AWS tool of this process reads. Raises AwsError."""
    import duckdb_extension_httpfs  # noqa: PLC0415 - carries the extension's file

    _load(connection, duckdb_extension_httpfs)
    found = access_to_s3()
    endpoint = urlsplit(found.endpoint)
    told = {
        "KEY_ID": found.key_id,
        "SECRET": found.secret,
        "SESSION_TOKEN": found.token,
        "REGION": found.region,
        "ENDPOINT": endpoint.netloc,
        "URL_STYLE": "path",
        "USE_SSL": str(endpoint.scheme == "https").lower(),
    }
    options = [f"{name} '{quoted}'" for name, v in told.items() if (quoted := _quoted(v))]
    connection.execute(f"CREATE SECRET lake (TYPE s3, {', '.join(options)})")


def _load(connection: duckdb.DuckDBPyConnection, package: ModuleType) -> None:
    """Load the extension that a package carries: none is fetched from anywhere."""
    [extension] = Path(str(package.__file__)).parent.glob("extensions/*/*.duckdb_extension")
    connection.execute(f"LOAD '{_quoted(str(extension))}'")


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _translated(query: NamedQuery) -> str:
    import sqlglot  # noqa: PLC0415 - only named queries need it

    [sql] = sqlglot.transpile(query.sql, read="trino", write="duckdb")
    return sql


def _plain(sql: str) -> str:
    return sql.lower().replace('"', "")


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    schema, _ = name.split(".")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(f"CREATE VIEW {name} AS {select}")
