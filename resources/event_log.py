"""Dagster's event log on SQLite, with connections that are kept.

Dagster 1.13.27 makes an engine and a connection for each statement. The connection that is closed
last writes the write-ahead log back and waits for the disk: most of a small run's time went there.
No issue upstream asks for less; dagster-io/dagster#7143 did the same for PostgreSQL.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from dagster import AssetKey, AssetRecordsFilter, EventRecordsResult, StringSource

# Dagster exports no event log; its documentation names this module and class for `dagster.yaml`:
# https://docs.dagster.io/api/dagster/internals#dagster._core.storage.event_log.SqliteEventLogStorage
from dagster._core.storage.event_log import SqliteEventLogStorage
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy.engine import Connection, Engine

_FOLDER: Final = Path("history", "runs")
"""Where Dagster keeps its event log below its home, by default too."""

_MOST_KEPT: Final = 8
"""Databases kept open: the index and the runs looked at last. Each run has one of its own."""

_NEWEST: Final = text(
    "SELECT max(id) FROM event_logs WHERE asset_key = :asset_key"
    " AND dagster_event_type = 'ASSET_MATERIALIZATION'"
)

_PATIENCE_SECONDS: Final = 60
"""How long another process's transaction is waited for: as long as Dagster does."""


class SqliteEventLog(SqliteEventLogStorage):
    """The event log that `deploy/local/dagster.yaml` names.

    Its databases are Dagster's own: an instance with Dagster's class reads them, and the other way
    round. A process that is killed loses no event; a machine that loses power may lose the last.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Open the event log in a folder, which is made where it is not there."""
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        self._read: tuple[tuple[object, ...], EventRecordsResult] | None = None
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """``home``: the instance's folder."""
        return {"home": StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """As `dagster.yaml` has it."""
        return cls(str(Path(config_value["home"]) / _FOLDER), inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A transaction on one of the databases; one at a time, as Dagster has it."""
        if shard not in self._engines:
            with super()._connect(shard):
                pass  # which makes the database where it is not there
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table; asked for each event of a check."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        """Whether the table of assets has a column; asked for each event of an asset."""
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(
            conn, column_name
        ):
            self._columns.add(column_name)
        return column_name in self._columns

    def fetch_materializations(
        self,
        records_filter: AssetKey | AssetRecordsFilter,
        limit: int,
        cursor: str | None = None,
        ascending: bool = False,
    ) -> EventRecordsResult:
        """The materializations of an asset; those asked for last are read anew only after others.

        Dagster asks for each outcome of a check which materialization it is about: ten times a
        table, for the same one, whose columns and lineage are long to read.
        """
        of = records_filter if isinstance(records_filter, AssetKey) else records_filter.asset_key
        with self.index_connection() as connection:
            newest = connection.execute(_NEWEST, {"asset_key": of.to_string()}).scalar()
        asked = (newest, records_filter, limit, cursor, ascending)
        if self._read is None or self._read[0] != asked:
            found = super().fetch_materializations(records_filter, limit, cursor, ascending)
            self._read = asked, found
        return self._read[1]

    def wipe_asset(self, asset_key: AssetKey) -> None:
        """Forget the events of an asset."""
        self._read = None
        super().wipe_asset(asset_key)

    def wipe(self) -> None:
        """Forget every event."""
        self._read = None
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Close what is kept open."""
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            self._engines[shard] = _engine(self.conn_string_for_shard(shard))
            while len(self._engines) > _MOST_KEPT:
                self._engines.popitem(last=False)[1].dispose()
        self._engines.move_to_end(shard)
        return self._engines[shard]


def _engine(url: str) -> Engine:
    """An engine with one connection, which threads take in turn."""
    engine = create_engine(
        url,
        poolclass=StaticPool,
        connect_args={"timeout": _PATIENCE_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def wait_less(connection: Any, _: Any) -> None:
        # https://www.sqlite.org/pragma.html#pragma_synchronous: safe with a write-ahead log.
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
