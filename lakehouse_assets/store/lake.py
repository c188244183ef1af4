"""The lake: where each zone and table is, and which versions its Delta tables have.

Reads only Delta logs, through delta-rs; rows are the engine's work.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deltalake import CommitProperties, DeltaTable, QueryBuilder, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.schema import Schema

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.store import table_schema
from lakehouse_assets.store.storage import Storage, StoredObject
from lakehouse_assets.tables.contract import Table, delta_schema

if TYPE_CHECKING:
    import pyarrow as pa

ARCHIVE: Final = "archive"
"""Folder of the raw zone that holds what has been processed; no run looks for news there."""
ASIDE: Final = "aside"

_HIDDEN: Final = (".", "_")
_HALF_WRITTEN: Final = (".tmp", ".part", ".crdownload", "~")


class FilePath(NamedTuple):
    """Where a file landed: ``<dataset>/<batch date>/<file>`` names it in every message."""

    dataset: str
    batch_date: date
    file: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.batch_date}/{self.file}"


class Zone(StrEnum):
    """The two places for bytes: what came from outside, and what was made of it."""

    RAW = "raw"
    PROCESSED = "processed"


class Source(NamedTuple):
    """Where bytes are: a zone, and the path in it."""

    zone: Zone
    path: str


class RawFile(NamedTuple):
    """A file in the raw zone."""

    path: FilePath
    stored: StoredObject


@dataclass(frozen=True)
class Misplaced:
    """Something in the raw zone that is no file of any dataset and date."""

    path: str
    problem: str


class UnreachableError(LakehouseError):
    """A table's place that cannot be read."""


def content_id(path: FilePath, digest: str) -> str:
    """Identity of one content at one path: bronze's partition, safe in every file name."""
    return hashlib.sha256(f"{path}\0{digest}".encode()).hexdigest()[:16]


def is_passed_over(name: str) -> bool:
    """Whether a name says that the file is not meant to be read (hidden, or half-written)."""
    return name.startswith(_HIDDEN) or name.lower().endswith(_HALF_WRITTEN)


@dataclass(frozen=True)
class Lake:
    """One lakehouse: the raw zone, and the Delta tables with the ledger.

    ``raw`` holds ``<dataset>/<batch date>/<file>`` and the archive; ``storage``, the processed
    zone, everything else. ``first_date`` is the earliest batch date; ``last_date`` the latest
    that a run may ask for.
    """

    raw: Storage
    storage: Storage
    first_date: date
    last_date: date
    datasets: frozenset[str]
    _open: dict[tuple[str, int | None], DeltaTable] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if problem := table_schema.unusable(self.storage.root):
            raise UnreachableError(f"{self.storage.root}: {problem}")

    def anew(self) -> Lake:
        """The same lake, with nothing known of its tables yet: what every job starts with."""
        return replace(self)

    # ------------------------------------------------------------------------------ raw zone

    def raw_files(self, dates: Sequence[date] | None = None) -> Iterator[RawFile | Misplaced]:
        """What lies in the raw zone: files, and what is out of place there.

        With ``dates``, only what lies in those dates' folders.
        """
        if dates is None:
            yield from self.what_are(self.raw.list("", without=ARCHIVE))
            return
        for dataset in sorted(self.datasets):
            for day in dates:
                yield from self.what_are(self.raw.list(f"{dataset}/{day}"))

    def what_are(self, objects: Iterable[StoredObject]) -> Iterator[RawFile | Misplaced]:
        """What objects of the raw zone are: files, or out of place; the rest is passed over."""
        for stored in objects:
            found = self.placed(stored.path)
            if not isinstance(found, FilePath):
                if found:
                    yield found
            elif stored.readable:
                yield RawFile(found, stored)
            else:
                yield Misplaced(str(found), "cannot be opened; make it a file that can be")

    def placed(self, path: str) -> FilePath | Misplaced | None:
        """Which file lies at a path of the raw zone; None for a name that is passed over."""
        parts = path.split("/")
        if is_passed_over(parts[-1]):
            return None
        # How Python holds a name that is not UTF-8; no table and no message could.
        shown = path if path.isascii() else path.encode(errors="backslashreplace").decode()
        problem = None
        if len(parts) > 1 and parts[0] not in self.datasets:
            known = ", ".join(sorted(self.datasets))
            problem = f"no dataset is named {parts[0]!r}; move it to one of {known}"
        elif len(parts) != len(("dataset", "date", "file")):
            problem = "not directly in a date folder; move it to <dataset>/<YYYY-MM-DD>/"
        elif shown != path:
            problem = "its name is not UTF-8; rename the file"
        else:
            try:
                day = _iso_date(parts[1])
                problem = self.outside(day)
            except ValueError:
                problem = f"{parts[1]!r} is no date; move it to <dataset>/<YYYY-MM-DD>/"
        return Misplaced(shown, problem) if problem else FilePath(parts[0], day, parts[2])

    def outside(self, day: date) -> str | None:
        """Why a day is no batch date of this lake; None where it is one."""
        if self.first_date <= day <= self.last_date:
            return None
        return (
            f"{day} is outside the batch dates {self.first_date} to {self.last_date}; "
            "use another date, or set LAKEHOUSE_FIRST_DATE"
        )

    def aside(self, path: FilePath, digest: str) -> str:
        """Where bytes are kept that may leave their path before a run has read them."""
        return f"{ASIDE}/{path}/{digest}"

    def archived(self, path: FilePath, digest: str) -> str:
        """Where in the raw zone's archive a content belongs, under its own name."""
        return f"{ARCHIVE}/{path.dataset}/{path.batch_date}/{digest}/{path.file}"

    def bytes_of(self, path: FilePath, digest: str) -> Source | None:
        """Where the bytes of a content are kept beside its path; None where they are not."""
        aside, archived = self.aside(path, digest), self.archived(path, digest)
        if self.storage.find(aside):
            return Source(Zone.PROCESSED, aside)
        return Source(Zone.RAW, archived) if self.raw.find(archived) else None

    @property
    def zones(self) -> dict[str, Storage]:
        """The storage of each zone by its name; plain data, for workers."""
        return {Zone.RAW: self.raw, Zone.PROCESSED: self.storage}

    # -------------------------------------------------------------------------------- tables

    def path(self, table: Table) -> str:
        """A table's folder in the processed zone."""
        if table.layer == "ledger":
            return table.name
        return f"{table.layer}/{table.name}"

    def uri(self, table: Table) -> str:
        """What engines and other tools open."""
        return self.storage.uri(self.path(table))

    def delta(self, table: Table, version: int | None = None) -> DeltaTable | None:
        """The table's log at a version (the newest unless given); None before its first.

        Raises UnreachableError where its place cannot be read.

        Logs that are open are only brought up to date: opening one costs milliseconds, and a
        job asks often.
        """
        uri = self.uri(table)
        newest = self._open.get((uri, None))
        if newest is not None and version is None:
            newest.update_incremental()
            return newest
        if newest is not None and newest.version() == version:
            return newest
        if (uri, version) not in self._open:
            try:
                self._open[uri, version] = DeltaTable(uri, version=version)
            except TableNotFoundError:
                return None
            except OSError as error:
                raise UnreachableError(
                    f"{uri}: {_told(error)}; check that it exists, that its permissions let you "
                    "read and write it, and the way there"
                ) from None
        return self._open[uri, version]

    def version(self, table: Table) -> int | None:
        """The newest version; None before the first."""
        found = self.delta(table)
        return None if found is None else found.version()

    def seen(self, table: Table) -> tuple[int, str] | None:
        """A table's version, and what tells it from another at its place; None before its first.

        By what was last seen of its log.
        """
        found = self._open.get((self.uri(table), None)) or self.delta(table)
        return None if found is None else (found.version(), str(found.metadata().id))

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
                self._open.pop((self.uri(table), None))
                now = self.delta(table)
                if now is None or now.version() == found.version():
                    raise
        try:
            return table_schema.create(self.uri(table), table).version()
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
            newest = DeltaTable(self.uri(table))
            since = [c for c in newest.history() if c["version"] > on]
            if not any(c.get("append") == name for c in since):
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


@lru_cache(10_000)  # a million keys lie in a thousand folders
def _iso_date(text: str) -> date:
    # date.fromisoformat also takes 20250401 and week dates; a folder is one thing.
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text)
