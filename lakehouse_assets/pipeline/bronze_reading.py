"""Files in, staged rows and a summary of each file out; what is in a file stops no other.

Files are parsed where the engine's workers are. A worker can hand over rows only, so the summary
of a file travels as one further row, as JSON in ``_summary``, and is taken out again here.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from lakehouse_assets.parse import Expected, Limits, Unreadable, parse
from lakehouse_assets.pipeline.sail_quirks import is_sail
from lakehouse_assets.pipeline.select import none, select
from lakehouse_assets.pipeline.workspace import Workspace, union
from lakehouse_assets.planning.pending_files import ToRead
from lakehouse_assets.store.content import Digested
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Source, Zone, content_id
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.natural_order import natural
from lakehouse_assets.tables.sql import literal

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse_assets.store.storage import Storage

_BATCH_ROWS = 65_536
_BATCH_BYTES = 2**22
_TASKS = 64
_LARGE_ROWS = 100_000


@dataclass(frozen=True)
class Summary:
    """What reading one content of a file showed.

    ``at_path`` says that the bytes were those at the path itself, and not kept elsewhere;
    ``reading`` is what its staged rows are marked with. ``read`` counts rows; ``error`` is of the
    whole file, ``sheets`` are the unreadable ones of a readable file, by name, each with its
    problem; ``unexpected`` are columns that the contract does not have; ``repairs`` counts rows
    that name the row they mend; ``warnings`` and ``notes`` are lines about a readable file.
    """

    path: FilePath
    digest: str
    at_path: bool
    reading: str
    read: int = 0
    error: str | None = None
    sheets: tuple[tuple[str, str], ...] = ()
    unexpected: tuple[str, ...] = ()
    repairs: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """Identity of the content at its path: bronze's partition."""
        return content_id(self.path, self.digest)

    def to_json(self) -> str:
        """All of it as text."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Summary:
        """What ``to_json`` wrote."""
        told = json.loads(text)
        dataset, day, file = told.pop("path")
        sheets = tuple((sheet, problem) for sheet, problem in told.pop("sheets"))
        told |= {name: tuple(told[name]) for name in ("unexpected", "warnings", "notes")}
        path = FilePath(dataset, date.fromisoformat(day), file)
        return cls(path, sheets=sheets, **told)


@dataclass(frozen=True)
class Staged:
    """The rows of all files read, with bronze's columns, and the files' summaries by path."""

    rows: DataFrame
    summaries: tuple[Summary, ...] = ()


def stage_files(
    work: Workspace,
    dataset: Dataset,
    state: State,
    items: Sequence[ToRead],
    limits: Limits | None,
    zones: Mapping[str, Storage] | None = None,
) -> Staged:
    """Read these files once, out of the lake's zones or others.

    One that has gone since it was listed has no summary.
    """
    if not items:
        return Staged(none(work.now(dataset.bronze)))
    asked, names = expectation(dataset), dataset.bronze.names
    reader = _reader(zones or work.lake.zones, asked, names, limits or Limits())
    columns = ", ".join(f"`{c.name}` {c.type}" for c in dataset.bronze.columns)
    listed = _listed(work, dataset, state, items)
    parsed = listed.mapInArrow(reader, f"{columns}, `_summary` STRING")
    staged = work.stage(parsed, with_maps=True)
    told = staged.where("_summary IS NOT NULL").select("_summary").collect()
    summaries = sorted(
        (Summary.from_json(row["_summary"]) for row in told),
        # What one run lands, it lands in version order.
        key=lambda summary: (summary.path.batch_date, natural(summary.path.file)),
    )
    return Staged(_by_content(work, staged.where("_summary IS NULL"), summaries), tuple(summaries))


def _by_content(work: Workspace, rows: DataFrame, summaries: Iterable[Summary]) -> DataFrame:
    """The rows of readable files by the identity of their content.

    That is known only when a file's last byte has been read, long after its first rows went out.
    A large file's is a constant, and so is its date: who writes rows that it knows to be of one
    partition need not sort them, for which Sail holds them all.
    """
    names = [name for name in rows.columns if name not in {"_content", "_summary"}]
    marked = select(rows, *names, _reading="_content")
    readable = [summary for summary in summaries if summary.error is None]
    large = [summary for summary in readable if summary.read >= _LARGE_ROWS]
    small = [(it.reading, it.content) for it in readable if it.read < _LARGE_ROWS]
    parts = []
    if small or not large:
        contents = work.spark.createDataFrame(small, "_reading string, _content string")
        parts.append(marked.join(contents, "_reading").drop("_reading"))
    for it in large:
        same = {"_batch_date": literal(it.path.batch_date), "_content": literal(it.content)}
        kept = [name for name in names if name not in same]
        of_file = marked.where(f"_reading = {literal(it.reading)}")
        parts.append(select(of_file, *kept, **same))
    return union(parts)


def expectation(dataset: Dataset) -> Expected:
    """What its contract says about a dataset's files."""
    aliases = {header: c.aliases for c in dataset.sources if (header := c.header) and c.aliases}
    return Expected(dataset.headers, aliases=aliases, dialect=dataset.dialect)


def _listed(work: Workspace, dataset: Dataset, state: State, items: Sequence[ToRead]) -> DataFrame:
    """The files to read, for the engine's workers to share."""
    return work.spark.createDataFrame(
        [
            (
                item.path.dataset,
                item.path.batch_date,
                item.path.file,
                *item.source,
                json.dumps(_may_lack(dataset, state.at(item.path), item.digest)),
            )
            for item in items
        ],
        "dataset string, batch_date date, file string, zone string, source string, lacking string",
    ).repartition(min(len(items), _most_parts(work.spark)))


def _most_parts(spark: SparkSession) -> int:
    """In how many parts files are read at most.

    Sail's parts are threads of one Python, which get into each other's way: a thousand small files
    in 64 parts took twice the work.
    """
    return (os.cpu_count() or 1) if is_sail(spark) else _TASKS


def _may_lack(dataset: Dataset, past: PathState, digest: str | None) -> list[str]:
    """The headers that have come into the contract since a content was admitted."""
    judged = past.judgements.get(digest or "")
    if judged is None or digest not in past.admitted or not judged.headers:
        return []
    return [header for header in dataset.headers if header not in judged.headers]


def _reader(
    zones: Mapping[str, Storage], expected: Expected, names: tuple[str, ...], limits: Limits
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return _joined(itertools.chain.from_iterable(map(read_files, batches)))

    def read_files(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        for row in batch.to_pylist():
            path = FilePath(row["dataset"], row["batch_date"], row["file"])
            source = Source(Zone(row["zone"]), row["source"])
            it = replace(expected, optional=json.loads(row["lacking"]))
            yield from _read_file(zones[source.zone], path, source, it, names, limits)

    return read


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in fewer batches: one of a small file costs the engine as much as a large one.

    As many go together as one large file's batch has rows, or a window of its text bytes.
    """
    import pyarrow as pa  # noqa: PLC0415 - in the worker

    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield pa.concat_batches(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_batches(waiting)


def _read_file(
    storage: Storage,
    path: FilePath,
    source: Source,
    expected: Expected,
    names: tuple[str, ...],
    limits: Limits,
) -> Iterator[pa.RecordBatch]:
    """A file's rows, as they are read, and its summary as the last row."""
    import pyarrow as pa  # noqa: PLC0415 - in the worker

    types = {
        "_batch_date": pa.date32(),
        "_sheet_no": pa.int32(),
        "_row": pa.int64(),
        "_extra": pa.map_(pa.string(), pa.string()),
    }
    schema = pa.schema([(n, types.get(n, pa.string())) for n in (*names, "_summary")])
    mark = "/".join(source)
    try:
        with storage.open(source.path) as stream:
            digested = Digested(stream)
            reading = parse(path.file, digested, expected, limits)
            found: dict[str, Any] = {}
            try:
                for batch in reading:
                    yield from _as_bronze(batch, path, mark, schema)
            except Unreadable as error:
                found["error"] = str(error)
            else:
                found = asdict(reading.summary)
                sheets = reading.summary.sheet_problems
                found["sheets"] = tuple((it.sheet, it.problem) for it in sheets)
                del found["sheet_problems"]
            digest = digested.to_the_end()
    except FileNotFoundError:
        return  # it went after the listing, or changed while it was read: it never landed
    at_path = source == (Zone.RAW, str(path))
    summary = Summary(path, digest, at_path, mark, **found)
    last: dict[str, Any] = {**dict.fromkeys(schema.names), "_summary": summary.to_json()}
    yield pa.RecordBatch.from_pylist([last], schema=schema)


def _as_bronze(
    batch: pa.RecordBatch, path: FilePath, mark: str, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """The parser's rows, some at a time, with the columns that say which file they are of."""
    import pyarrow as pa  # noqa: PLC0415 - in the worker

    same = {"_batch_date": path.batch_date, "_file": path.file, "_content": mark, "_summary": None}
    for begin in range(0, batch.num_rows, _BATCH_ROWS):
        rows = batch.slice(begin, _BATCH_ROWS)
        arrays = [
            pa.repeat(pa.scalar(same[f.name], f.type), rows.num_rows)
            if f.name in same
            else rows.column(f.name).cast(f.type)
            for f in schema
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
