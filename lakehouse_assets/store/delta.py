"""The Delta tables of a lake: where each is, its versions and its files.

Reads only Delta logs, through delta-rs; rows are the engine's work.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypeAlias, final

from deltalake import CommitProperties, DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import Schema

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.store import table_schema
from lakehouse_assets.store.storage import Storage, StoredObject
from lakehouse_assets.store.table_schema import delta_schema
from lakehouse_assets.tables.contract import Table

if TYPE_CHECKING:
    import pyarrow as pa


@final
@dataclass(frozen=True)
class TableVersion:
    """A version of one table: its log's own id, and the number in that log.

    A table that was lost and built again has another log, which counts from 0. The id is
    empty where a ledger of before did not name it.
    """

    log_id: str
    version: int

    def same_log(self, other: TableVersion) -> bool:
        """Whether both may be versions of the same table, so that they can be compared."""
        return self.log_id == other.log_id or not (self.log_id and other.log_id)


OpenKey: TypeAlias = tuple[str, int | None, frozenset[tuple[str, str]]]
"""An open log: its table's place, its version, and what it was opened with: its credentials end."""


class UnreachableError(LakehouseError):
    """A table's place that cannot be read."""


def folder_of(table: Table) -> str:
    """A table's folder in every processed zone."""
    return table.name if table.layer == "ledger" else f"{table.layer}/{table.name}"


def row_count(files: Iterable[Mapping[str, Any]]) -> int:
    """How many rows there are in `DeltaTables.files`, by the log's statistics."""
    return sum(file["num_records"] or 0 for file in files)


class DeltaTables:
    """The Delta tables of a processed zone; what of a lake knows their logs."""

    storage: Storage
    _open: dict[OpenKey, DeltaTable]

    def __post_init__(self) -> None:
        if problem := table_schema.unusable(self.storage.root):
            raise UnreachableError(f"{self.storage.root}: {problem}")

    def path(self, table: Table) -> str:
        """A table's folder in the processed zone."""
        return folder_of(table)

    def uri(self, table: Table) -> str:
        """What engines and other tools open."""
        return self.storage.uri(self.path(table))

    def delta(self, table: Table, version: int | None = None) -> DeltaTable | None:
        """The table's log at a version (the newest unless given); None before its first.

        Raises UnreachableError where its place cannot be read.

        Logs that are open are only brought up to date: opening one costs milliseconds, and a
        job asks often.
        """
        uri, options = self.uri(table), self.storage.storage_options
        given = frozenset(options.items())
        newest = self._open.get((uri, None, given))
        if newest is not None and version is None:
            newest.update_incremental()
            return newest
        if newest is not None and newest.version() == version:
            return newest
        key = (uri, version, given)
        if key not in self._open:
            try:
                self._open[key] = DeltaTable(uri, version=version, storage_options=options)
            except TableNotFoundError:
                return None
            except OSError as error:
                raise UnreachableError(
                    f"{uri}: {_told(error)}; check that it exists, that its permissions let you "
                    "read and write it, and the way there"
                ) from None
        return self._open[key]

    def version(self, table: Table) -> int | None:
        """The newest version; None before the first."""
        found = self.delta(table)
        return None if found is None else found.version()

    def versions(self, tables: Iterable[Table]) -> dict[str, TableVersion]:
        """The newest version of each table by its id; without tables that do not exist."""
        found = {table.id: self.delta(table) for table in tables}
        return {
            name: TableVersion(str(log.metadata().id), log.version())
            for name, log in found.items()
            if log is not None
        }

    def forget_checkpoint_hint(self, table: Table) -> None:
        """Remove the file that names the log's last checkpoint: readers find it without that."""
        self.storage.delete(f"{self.path(table)}/_delta_log/_last_checkpoint")

    def create(self, table: Table) -> int:
        """Make sure that the table exists, with its contract's columns.

        Returns its newest version. Raises MisfitError where a column's type or the partitions
        are others now.

        A column that the contract has no longer stays, and is null in rows written since: to take
        it away would need a feature of Delta that not every reader knows.
        """
        while (found := self.delta(table)) is not None:
            try:
                if table_schema.fit(found, table):
                    return found.version()
            except (DeltaError, OSError):
                # Another process was faster, or the storage wrote it and failed to say so.
                self._open.clear()
                now = self.delta(table)
                if now is None or now.version() == found.version():
                    raise
        try:
            return table_schema.create(
                self.uri(table), table, self.storage.storage_options
            ).version()
        except (DeltaError, OSError):
            # The same here.
            found = self.delta(table)
            if found is None:
                raise
            return found.version()

    def shape(self, table: Table, version: int | None = None) -> dict[str, bool]:
        """A version's columns in their order; each with whether it came, or went, later."""
        found = self.delta(table, version)
        return {} if found is None else table_schema.shape(found)

    def files(self, table: Table, version: int | None) -> list[dict[str, Any]]:
        """The data files of a version: ``path``, ``size_bytes``, ``num_records``, partition values.

        Read from the log alone. Partition values stand under their columns' names. No version
        means no files.
        """
        found = self.file_table(table, version)
        rows: list[dict[str, Any]] = [] if found is None else found.to_pylist()
        return rows

    def may_hold(
        self, table: Table, version: int | None, ranges: Mapping[str, tuple[Any, Any]]
    ) -> bool:
        """Whether a version may have a row with a value of each column within its range.

        By the log's statistics alone, file by file; the ends of a range belong to it.
        """
        found = None if version is None else self.delta(table, version)
        if found is None:
            return False
        import pyarrow as pa  # noqa: PLC0415 - only here, so that planning stays light
        import pyarrow.compute as pc  # noqa: PLC0415 - the same

        files = pa.table(found.get_add_actions(flatten=True))
        may = pa.array([True] * files.num_rows, pa.bool_())
        for column, (least, greatest) in ranges.items():
            low, high = f"min.{column}", f"max.{column}"
            if column in table.partition_by:
                low = high = f"partition.{column}"
            if {low, high} <= {*files.column_names}:
                within = pc.and_(
                    pc.less_equal(files[low], greatest), pc.greater_equal(files[high], least)
                )
                # What the log does not say may be.
                may = pc.and_(may, pc.fill_null(within, True))
        return bool(pc.any(may).as_py())

    def contents(self, bronze: Table, version: int | None) -> dict[str, date]:
        """The contents that a version of a bronze table has rows of, each with its batch date."""
        return {f["_content"]: f["_batch_date"] for f in self.files(bronze, version)}

    def file_table(self, table: Table, version: int | None) -> pa.Table | None:
        """The same as `files` in columns; None where there is no version."""
        found = None if version is None else self.delta(table, version)
        if found is None:
            return None
        import pyarrow as pa  # noqa: PLC0415 - only here, so that planning stays light

        actions = pa.table(found.get_add_actions(flatten=True))
        columns = [
            "path",
            "size_bytes",
            "num_records",
            *(f"partition.{c}" for c in table.partition_by),
        ]
        known = [c for c in columns if c in actions.column_names]
        return actions.select(known).rename_columns([c.removeprefix("partition.") for c in known])

    def rows(
        self, table: Table, sql: str = "SELECT * FROM t", version: int | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a small table of the lake's own (ledger, receipts), named ``t`` in the query.

        Through delta-rs's own query engine: pyarrow's dataset reader can abort the process
        when the interpreter ends while its threads still hold Python file objects.
        """
        found = self.delta(table, version)
        return [] if found is None else _asked(found, sql).read_all().to_pylist()

    def stream(self, table: Table, version: int) -> pa.RecordBatchReader:
        """Every row of a version of such a table, in batches."""
        found = self.delta(table, version)
        assert found is not None  # who names a version has seen it
        return _asked(found, "SELECT * FROM t")

    def commit_file(self, table: Table, version: int) -> StoredObject | None:
        """The file of a version in the table's log; None where there is none (yet, or any more)."""
        return self.storage.find(self._commit_path(table, version))

    def _commit_path(self, table: Table, version: int) -> str:
        return f"{self.path(table)}/_delta_log/{version:020d}.json"

    def commits(self, table: Table, since: int = -1) -> Iterator[dict[str, Any]]:
        """What the commits after a version say of themselves, newest first, as far as kept.

        From the log's files: delta-rs 1.6.6 finds no history where ``#`` is in a table's path. (To
        be filed: ``DeltaTable(path).history()`` is empty for a local path with ``#``.)
        """
        for version in range(self.version(table) or 0, since, -1):
            try:
                log = self.storage.read(self._commit_path(table, version))
            except FileNotFoundError:
                return
            actions = (json.loads(line) for line in log.splitlines())
            yield from (found["commitInfo"] for found in actions if "commitInfo" in found)

    def append(self, table: Table, rows: Sequence[dict[str, Any]], on: int) -> bool:
        """Append rows to a small table as the very next version after ``on`` (-1: none yet).

        Returns whether it did: not where another writer was faster. Appends once, even where
        a storage writes and then fails to say so.
        """
        self.create(table)
        found = self.delta(table)
        if found is None or (found.version() != on and (on >= 0 or found.version() > 0)):
            return False
        name = uuid.uuid4().hex
        properties = CommitProperties(custom_metadata={"append": name}, max_commit_retries=0)
        try:
            write_deltalake(
                found, to_arrow(table, rows), mode="append", commit_properties=properties
            )
        except (DeltaError, OSError) as error:
            if not any(commit.get("append") == name for commit in self.commits(table, on)):
                if isinstance(error, CommitFailedError):
                    return False
                raise
        return True


def _asked(table: DeltaTable, sql: str) -> pa.RecordBatchReader:
    import pyarrow as pa  # noqa: PLC0415 - only here, so that planning stays light

    return pa.RecordBatchReader.from_stream(QueryBuilder().register("t", table).execute(sql))


def _told(error: OSError) -> str:
    """What a storage said, without the way that it took to be told."""
    text = re.sub(r"\x1b\[[0-9]+m", "", str(error))
    answer = re.search("<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", text, re.DOTALL)
    last = [line.strip("↳ ") for line in text.splitlines() if line.strip()][-1:]
    return ": ".join(answer.groups() if answer else last)


def to_arrow(table: Table, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows of a table as Arrow, with exactly its contract's columns and types."""
    import pyarrow as pa  # noqa: PLC0415 - only here, so that planning stays light

    schema = pa.schema(Schema.from_json(delta_schema(table)).to_arrow())
    return pa.Table.from_pylist(list(rows), schema=schema)
