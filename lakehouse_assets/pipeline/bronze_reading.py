"""Files in, staged rows and a summary of each file out; what is in a file stops no other.

Files are parsed where the engine's workers are. A worker can hand over rows only, so the summary
of a file travels as one further row, as JSON in ``_summary``, and is taken out again here.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from lakehouse_assets.parse import Expected, Limits, Unreadable, parse
from lakehouse_assets.parse import schema as shape
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.planning.pending_files import ToRead
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Source, Zone, content_id
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from lakehouse_assets.store.storage import Storage


@dataclass(frozen=True)
class Summary:
    """What reading one content of a file showed.

    ``at_path`` says that the bytes were those at the path itself, and not kept elsewhere.
    ``read`` counts rows; ``error`` is of the whole file, ``sheets`` are the unreadable ones of a
    readable file, by name, each with its problem; ``unexpected`` are columns that the contract
    does not have; ``repairs`` counts rows that name the row they mend.
    """

    path: FilePath
    digest: str
    at_path: bool
    read: int = 0
    error: str | None = None
    sheets: tuple[tuple[str, str], ...] = ()
    unexpected: tuple[str, ...] = ()
    repairs: int = 0

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
        unexpected = tuple(told.pop("unexpected"))
        path = FilePath(dataset, date.fromisoformat(day), file)
        return cls(path, sheets=sheets, unexpected=unexpected, **told)


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
) -> Staged:
    """Read these files once. One that has gone since it was listed has no summary."""
    if not items:
        return Staged(work.now(dataset.bronze).where("false"))
    parsed = _parsed(work, dataset, state, items, limits or Limits())
    staged = work.stage(parsed, with_maps=True)
    told = staged.where("_summary IS NOT NULL").select("_summary").collect()
    summaries = sorted(
        (Summary.from_json(row["_summary"]) for row in told), key=lambda summary: summary.path
    )
    return Staged(staged.where("_summary IS NULL").drop("_summary"), tuple(summaries))


def _parsed(
    work: Workspace, dataset: Dataset, state: State, items: Sequence[ToRead], limits: Limits
) -> DataFrame:
    listed = work.spark.createDataFrame(
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
    ).repartition(min(len(items), 64))
    columns = ", ".join(f"`{c.name}` {c.type}" for c in dataset.bronze.columns)
    reader = _reader(work.lake.zones, dataset.headers, dataset.bronze.names, limits)
    return listed.mapInArrow(reader, f"{columns}, `_summary` STRING")


def _may_lack(dataset: Dataset, past: PathState, digest: str | None) -> list[str]:
    """The headers that have come into the contract since a content was admitted."""
    judged = past.judgements.get(digest or "")
    if judged is None or digest not in past.admitted or not judged.headers:
        return []
    return [header for header in dataset.headers if header not in judged.headers]


def _reader(
    zones: Mapping[str, Storage], headers: tuple[str, ...], names: tuple[str, ...], limits: Limits
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                path = FilePath(row["dataset"], row["batch_date"], row["file"])
                source = Source(Zone(row["zone"]), row["source"])
                lacking = json.loads(row["lacking"])
                zone = zones[source.zone]
                yield from _read_file(zone, path, source, headers, lacking, names, limits)

    return read


def _read_file(
    storage: Storage,
    path: FilePath,
    source: Source,
    headers: tuple[str, ...],
    lacking: list[str],
    names: tuple[str, ...],
    limits: Limits,
) -> Iterator[pa.RecordBatch]:
    """A file's rows, in batches, and its summary as the last row."""
    import pyarrow as pa  # noqa: PLC0415 - in the worker

    try:
        data = storage.read(source.path)
    except FileNotFoundError:
        return  # it went after the listing: it never landed
    digest = hashlib.sha256(data).hexdigest()
    at_path = source == (Zone.RAW, str(path))
    types = {
        "_batch_date": pa.date32(),
        "_sheet_no": pa.int32(),
        "_row": pa.int64(),
        "_extra": pa.map_(pa.string(), pa.string()),
    }
    schema = pa.schema([(n, types.get(n, pa.string())) for n in (*names, "_summary")])
    try:
        reading = parse(path.file, io.BytesIO(data), Expected(headers, lacking), limits)
        rows = pa.Table.from_batches(reading, shape(headers))
    except Unreadable as error:
        summary = Summary(path, digest, at_path, error=str(error))
    else:
        summary = Summary(
            path,
            digest,
            at_path,
            read=rows.num_rows,
            sheets=tuple((p.sheet, p.problem) for p in reading.summary.sheet_problems),
            unexpected=reading.summary.unexpected,
            repairs=reading.summary.repairs,
        )
        if summary.read:
            yield from _as_bronze(rows, summary, schema).to_batches(max_chunksize=65_536)
    last: dict[str, Any] = {**dict.fromkeys(schema.names), "_summary": summary.to_json()}
    yield pa.RecordBatch.from_pylist([last], schema=schema)


def _as_bronze(rows: pa.Table, summary: Summary, schema: pa.Schema) -> pa.Table:
    """The parser's rows with the columns that say which file they are of."""
    import pyarrow as pa  # noqa: PLC0415 - in the worker

    same = {
        "_batch_date": summary.path.batch_date,
        "_file": summary.path.file,
        "_content": summary.content,
        "_summary": None,
    }
    arrays = [
        pa.repeat(pa.scalar(same[f.name], f.type), rows.num_rows)
        if f.name in same
        else rows.column(f.name).cast(f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
