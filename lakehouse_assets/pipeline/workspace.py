"""One run's hold on an engine and a lake: reading versions, staging results.

The engine is a SparkSession and no more: only the DataFrame and SQL API that Spark Connect
carries is used anywhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from lakehouse_assets.pipeline.sail_quirks import (
    is_sail,
    let_read_version,
    plain_uri,
    stage_with_maps,
)
from lakehouse_assets.pipeline.select import none, select
from lakehouse_assets.tables.contract import Column, Layer, Table
from lakehouse_assets.tables.sql import literal

if TYPE_CHECKING:
    from types import TracebackType

    from pyspark.sql import DataFrame, SparkSession

    from lakehouse_assets.store.lake import Lake
    from lakehouse_assets.store.storage import StoredObject


_QUICKLY: Final = {"compression": "snappy", "dictionary_enabled": "false"}
"""How a stage is written: it is read a few times and goes, so its size matters little.

A third less work than by Sail's defaults. Spark knows the second option by another name, and passes
over it.
"""


@dataclass(frozen=True)
class Stage:
    """Rows as they were written down: what the engine reads them by, and their Parquet files.

    The files are those with rows; nothing else in the folder has any.
    """

    rows: DataFrame
    folder: str
    files: tuple[StoredObject, ...]


@dataclass
class Workspace:
    """An engine at work on a table of a lake, for one run.

    A context manager that removes its stages, and those that dead runs of the table have left:
    a table has one writer at a time.
    """

    spark: SparkSession
    lake: Lake
    run_id: str
    table: str
    _name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _stages: int = 0

    @property
    def _folder(self) -> str:
        return f"stage/{self.table}"

    def __enter__(self) -> Self:
        self.lake.storage.delete(self._folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.lake.storage.delete(self._folder)

    def read(self, table: Table, version: int | None) -> DataFrame:
        """A table's rows at a version, by its contract's columns; none where there is no version.

        A column that the contract has had since then is null there; in bronze it has the text
        that the file had under one of its headers, which was unexpected when the file was read.
        """
        if version is None or version < 0:
            columns = ", ".join(f"`{c.name}` {c.type}" for c in table.columns)
            return self.spark.createDataFrame([], columns)
        let_read_version(self.spark, self.lake, table, version)
        reader = self.spark.read.format("delta").option("versionAsOf", version)
        rows = reader.load(self.uri(table))
        there = self.lake.shape(table, version)
        if not any(there.values()) and there.keys() == set(table.names):
            return rows
        return select(rows, **{c.name: _column(c, there, table) for c in table.columns})

    def uri(self, table: Table) -> str:
        """Where the engine finds a table."""
        return plain_uri(self.lake.storage, self.lake.path(table))

    def now(self, table: Table) -> DataFrame:
        """A table's rows as they are now."""
        return self.read(table, self.lake.version(table))

    def sql(self, query: str, frames: Mapping[str, DataFrame]) -> DataFrame:
        """What a query gives for which each of these names is a table.

        They go with the query: a view would be a call of the engine for each, and stay behind.
        """
        named = ", ".join(f"`{name}` AS (SELECT * FROM {{_{name}}})" for name in frames)
        plain = query.replace("{", "{{").replace("}", "}}")
        given = {f"_{name}": rows for name, rows in frames.items()}  # like no argument of `sql`
        return self.spark.sql(f"WITH {named} SELECT * FROM (\n{plain}\n)", None, **given)

    def may_hold(self, table: Table, ranges: Mapping[str, tuple[Any, Any]] | None = None) -> bool:
        """Whether a table may have rows now (with such values), by its log; see `Lake.may_hold`."""
        return self.lake.may_hold(table, self.lake.version(table), ranges or {})

    def stage(self, rows: DataFrame, *, with_maps: bool = False) -> DataFrame:
        """Compute rows once and hand them back as stored.

        Plans are not cached by every engine: what several steps need is written down once.
        As Parquet, a tenth of a Delta write's cost on Spark; only rows ``with_maps`` as Delta.
        """
        if with_maps:
            uri = plain_uri(self.lake.storage, self._next_stage())
            return stage_with_maps(self.spark, rows, uri)
        return self.stage_files(rows).rows

    def stage_any(self, rows: DataFrame) -> DataFrame | None:
        """The same; None where it leaves no file, and so there are no rows."""
        stage = self.stage_files(rows)
        return stage.rows if stage.files else None

    def stage_files(self, rows: DataFrame) -> Stage:
        """The same, for who reads Parquet without the engine, too."""
        folder = self._next_stage()
        uri = plain_uri(self.lake.storage, folder)
        rows.write.options(**_QUICKLY).parquet(uri)
        found = self.lake.storage.list(folder)
        files = tuple(file for file in found if file.path.endswith(".parquet"))
        if not files:
            return Stage(none(rows), folder, files)
        reader = self.spark.read
        if not is_sail(self.spark):
            # Finding out the schema costs Spark a job; telling it costs Sail an analysis of all
            # that the rows were made from.
            reader = reader.schema(rows.schema)
        return Stage(reader.parquet(uri), folder, files)

    def _next_stage(self) -> str:
        self._stages += 1
        return f"{self._folder}/{self._name}/{self._stages}"


def _column(column: Column, there: Mapping[str, bool], table: Table) -> str:
    """SQL for a contract's column in a table that may have been without it."""
    value = f"`{column.name}`" if column.name in there else f"CAST(NULL AS {column.type})"
    late = there.get(column.name, True)
    if late and table.layer is Layer.BRONZE and not column.name.startswith("_"):
        others = [f"`{alias}`" for alias in column.aliases if alias in there]
        extra = [f"element_at(`_extra`, {literal(h)})" for h in (column.name, *column.aliases)]
        value = f"coalesce({', '.join([value, *others, *extra])})"
    return value


def among(column: str, values: Iterable[object]) -> str:
    """SQL for "the column has one of these values"; false for none of them."""
    listed = ", ".join(sorted({literal(v) for v in values}))
    return f"`{column}` IN ({listed})" if listed else "false"


def union(frames: Sequence[DataFrame]) -> DataFrame:
    """All rows of all frames, columns matched by name."""
    first, *rest = frames
    for frame in rest:
        first = first.unionByName(frame)
    return first
