"""The forms in which an answer is written: CSV, JSON, JSON lines, Parquet; batch by batch."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import indent
from typing import IO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from lakehouse_assets.cli.console import Format, fail, text
from resources.arrow_values import rows, values

Writer = Callable[[pa.Schema, Iterable[pa.RecordBatch], IO[bytes]], None]
"""What writes an answer's batches, under its columns, to a file."""


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    """As Python's csv module has it; Arrow writes what needs no quotes, ten times as fast."""
    plainly = arrow_csv.WriteOptions(include_header=False, quoting_style="none")
    file.write(_quoted([schema.names]))
    for batch in batches:
        texts = [_texts(column) for column in batch.columns]
        if _need_quotes(texts):
            file.write(_quoted(zip(*(column.to_pylist() for column in texts), strict=True)))
        else:
            names = [str(at) for at in range(len(texts))]
            arrow_csv.write_csv(pa.RecordBatch.from_arrays(texts, names), file, plainly)


def _quoted(records: Iterable[Sequence[str | None]]) -> bytes:
    lines = io.StringIO(newline="")
    csv.writer(lines, lineterminator="\n").writerows(records)
    return lines.getvalue().encode(errors="surrogateescape")


def _need_quotes(texts: Sequence[pa.Array]) -> bool:
    if len(texts) == 1:  # an empty line would be no row
        return True
    return any(pc.any(pc.match_substring_regex(column, '[",\r\n]')).as_py() for column in texts)


def _texts(column: pa.Array) -> pa.Array:
    """A column as text, as Python writes the values: Arrow does it where it writes the same."""
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_integer(kind) or pa.types.is_date32(kind) or pa.types.is_decimal128(kind):
        return column.cast(pa.string())
    if pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz in {None, "UTC", "Etc/UTC"}:
        # Without its zone it takes a thirtieth of the time, and UTC is the same without.
        plain = column.cast(pa.timestamp("us")).cast(pa.string())
        shown = pc.replace_substring(plain, ".000000", "")
        return pc.binary_join_element_wise(shown, "+00:00", "") if kind.tz else shown
    return pa.array([None if v is None else text(v) for v in values(column)], pa.string())


def _json(_: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    between = b"[\n"
    for line in _objects(batches, 2):
        file.write(between + indent(line, "  ").encode())
        between = b",\n"
    file.write(b"[]\n" if between == b"[\n" else b"\n]\n")


def _json_lines(_: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    for line in _objects(batches, None):
        file.write(line.encode() + b"\n")


def _objects(batches: Iterable[pa.RecordBatch], spaces: int | None) -> Iterator[str]:
    for batch in batches:
        for row in rows(batch):
            found = dict(zip(batch.schema.names, row, strict=True))
            yield json.dumps(found, default=text, ensure_ascii=False, indent=spaces)


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], file: IO[bytes]) -> None:
    try:
        with pq.ParquetWriter(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        line = " ".join(str(error).split())
        fail(f"Parquet cannot hold a column of the answer: {line}; cast it, or write .csv")


WRITERS: Final[Mapping[str, Writer]] = {
    Format.CSV: _csv,
    Format.JSON: _json,
    Format.JSON_LINES: _json_lines,
    "parquet": _parquet,
}
"""What writes each form, by the ending of its files."""
