"""Queries on DuckDB, the embedded stand-in for Athena."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lakehouse_assets.pipeline.sail_quirks import plain_uri
from lakehouse_assets.queries.engine import Answer, QueryError
from lakehouse_assets.queries.named import VIEWS, NamedQuery, tables, views
from lakehouse_assets.store.facts import Fact
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Table
from resources.arrow_values import everything
from resources.aws import access_to_s3
from resources.query_errors import (
    assert_reads,
    assert_selects,
    is_named,
    no_column,
    no_table,
    plain,
)

if TYPE_CHECKING:
    from types import ModuleType

    import duckdb
    import pyarrow as pa

    from lakehouse_assets.queries.engine import Ask, Stream
    from lakehouse_assets.store.lake import Lake

_STOPPED: Final = "INTERRUPT Error"
_BATCH_ROWS: Final = 2**16

_COUNTED_BY_READING: Final = 1_000_000
"""Up to so many rows it takes less to read on than to ask again how many there are."""

_NO_TABLE: Final = re.compile(r'Table with name "?([^"\s]+)"? does not exist')
_NO_COLUMN: Final = re.compile(
    r'(?:Referenced column|does not have a column named) "([^"]+)"(?:.*Candidate bindings:(.*))?',
    re.DOTALL,
)


@dataclass(frozen=True)
class DuckDBQueries:
    """The embedded engine. Tables are named as ``<layer>.<table>``.

    With ``as_of``, a run's record, all tables are as that run had published them.
    """

    lake: Lake
    as_of: Fact | None = None

    def stream(self, sql: str) -> AbstractContextManager[Stream]:
        """Answer a SELECT in DuckDB's dialect."""
        assert_reads(sql)
        assert_selects(sql)
        return self._stream(sql, [])

    def stream_named(
        self, named: NamedQuery, values: Sequence[date] = ()
    ) -> AbstractContextManager[Stream]:
        """Answer a named query with values for its parameters, in their order."""
        return self._stream(_translated(named), values)

    @contextmanager
    def together(self) -> Iterator[Ask]:
        """What answers several named queries on one connection: to open one costs most of each."""
        with self._connected() as connection:
            defined: set[str] = set()

            def answer(named: NamedQuery, values: Sequence[date]) -> Answer:
                return everything(self._answer(connection, defined, _translated(named), values))

            yield answer

    def create_views(self) -> None:
        """Nothing to do: each answer defines those that it needs."""

    @contextmanager
    def _stream(self, sql: str, values: Sequence[date]) -> Iterator[Stream]:
        with (
            self._connected() as connection,
            self._answer(connection, set(), sql, values) as stream,
        ):
            yield stream

    @contextmanager
    def _connected(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = connect()
        try:
            if self.lake.storage.root.startswith("s3://"):
                with _clear_errors():
                    _let_read_s3(connection)
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _answer(
        self,
        connection: duckdb.DuckDBPyConnection,
        defined: set[str],
        sql: str,
        values: Sequence[date],
    ) -> Iterator[Stream]:
        with _clear_errors():
            if (count := len(connection.extract_statements(sql))) > 1:
                raise QueryError(f"these are {count} statements; ask one SELECT at a time")
            self._define(connection, sql, defined)
            cursor = connection.execute(sql, values)
            if cursor.description is None:
                raise QueryError("the query gives no rows; write a SELECT")
            reader = cursor.to_arrow_reader(_BATCH_ROWS)
        yield _DuckDBStream(connection, sql, values, reader)

    def _define(self, connection: duckdb.DuckDBPyConnection, sql: str, defined: set[str]) -> None:
        """Define what the query may mean: tables, each at one version, and views over them.

        But for those ``defined`` already on this connection, to which it adds.
        """
        text = plain(sql)
        # A query that names none of them has no use for the files of all.
        there = views() if f"{VIEWS}." in text else {}
        asked = {name: _translated(view) for name, view in there.items() if is_named(name, text)}
        text = " ".join([text, *map(plain, asked.values())])
        for name, table in tables().items():
            if name not in defined and is_named(name, text):
                _create_view(connection, name, self._rows(name, table))
                defined.add(name)
        for name, select in asked.items():
            if name not in defined:
                _create_view(connection, name, select)
                defined.add(name)

    def _rows(self, name: str, table: Table) -> str:
        as_of, newest = self.as_of, self.lake.version(table)
        own = table.layer == "ledger"  # only ever appended to, and numbered
        version = newest
        if as_of and not own and (now := self.lake.versions([table]).get(name)):
            # A table that came later, or was not filled yet, was empty: that is its version 0.
            then = Ledger(self.lake).state(as_of.seq).versions.get(name, replace(now, version=0))
            version = then.version if then.same_log(now) else None  # another table than then
        if version is None or newest is None:
            if as_of:
                raise QueryError(f"{name} had no rows yet by run {as_of.run_id}")
            raise QueryError(f"{name} is not made yet; land files, then lakehouse run")
        uri = _quoted(plain_uri(self.lake.storage, self.lake.path(table)))
        rows = f"SELECT * FROM delta_scan('{uri}', version => {version})"
        return f"{rows} WHERE seq <= {as_of.seq}" if as_of and own else rows


class _DuckDBStream:
    """An answer of DuckDB's, as its threads find it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        sql: str,
        values: Sequence[date],
        reader: pa.RecordBatchReader,
    ) -> None:
        self.schema: pa.Schema = reader.schema
        self._connection, self._sql, self._values = connection, sql, values
        self._reader, self._taken = reader, 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            with _clear_errors(OSError):  # as which Arrow hands on what DuckDB says
                batch = self._next()
            if batch is None:
                return
            self._taken += batch.num_rows
            yield batch

    def _next(self) -> pa.RecordBatch | None:
        try:
            return next(self._reader, None)
        except OSError as error:
            if _STOPPED in str(error):
                # Some thread failed, and DuckDB 1.5.5 tells of another that it stopped for that:
                # nobody else stops one. One thread alone says what failed.
                self._connection.execute("SET threads = 1")
                again = self._connection.execute(self._sql, self._values)
                while again.fetchmany(_BATCH_ROWS):
                    pass
            raise

    def total(self) -> int:
        for _ in self:
            if self._taken > _COUNTED_BY_READING:
                break
        else:
            return self._taken
        with _clear_errors():
            asked = self._sql.strip().rstrip(";")
            found = self._connection.execute(f"SELECT count(*) FROM (\n{asked}\n)", self._values)
            [[count]] = found.fetchall()
            return int(count)


@contextmanager
def _clear_errors(*others: type[Exception]) -> Iterator[None]:
    """Turn what DuckDB says, or others do in its place, into a QueryError."""
    import duckdb  # noqa: PLC0415 - only who asks pays for it

    kinds: tuple[type[Exception], ...] = (duckdb.Error, *others)
    try:
        yield
    except kinds as error:
        line, at, where = str(error).partition("\nLINE ")
        raise QueryError(f"{_explained(line)}{at}{where}") from None


def _explained(error: str) -> str:
    if found := _NO_TABLE.search(error):
        return no_table(found[1])
    if found := _NO_COLUMN.search(error):
        return no_column(found[1], re.findall(r'"([^"]+)"', found[2] or ""))
    said = error.rpartition("\nError: ")[2]  # behind what the Python client says of its own state
    said = said.removeprefix("Parser Error: ")
    return f"{' '.join(said.split())}; correct the query"


def query(lake: Lake, sql: str, as_of: Fact | None = None) -> Answer:
    """Answer a SELECT on the embedded engine: column names and rows. Raises QueryError."""
    return everything(DuckDBQueries(lake, as_of).stream(sql))


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads Delta tables; timestamps are UTC."""
    import duckdb  # noqa: PLC0415 - only who asks pays for it
    import duckdb_extension_delta  # noqa: PLC0415 - carries the extension's file

    connection = duckdb.connect()
    _load(connection, duckdb_extension_delta)
    connection.execute("SET TimeZone = 'UTC'")
    # For what does not fit into memory; by default a folder in the one that a person is in.
    spill = f"{gettempdir()}/lakehouse-{uuid.uuid4().hex}"
    connection.execute(f"SET temp_directory = '{_quoted(spill)}'")
    # A misspelt table is not to be a variable of ours.
    connection.execute("SET python_enable_replacements = false")
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


def _translated(named: NamedQuery) -> str:
    import sqlglot  # noqa: PLC0415 - only named queries need it

    try:
        statements = sqlglot.transpile(named.sql, read="trino", write="duckdb")
    except sqlglot.errors.SqlglotError as error:
        said = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
        raise QueryError(f"{named.name}.sql: cannot be read: {said}; correct it") from None
    if len(statements) != 1:
        raise QueryError(f"{named.name}.sql: has {len(statements)} statements; write one SELECT")
    return statements[0]


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    schema, _ = name.split(".")
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    connection.execute(f"CREATE VIEW {name} AS {select}")
