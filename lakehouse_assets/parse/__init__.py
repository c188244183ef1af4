"""Bytes of one landed file in, Arrow rows out as they come, or one clear reason why not.

Nothing here knows the lake, Dagster or Spark: the same call runs in a test, in a Spark worker and
in a Glue job. Values are text exactly as the file has them, not even trimmed; what they mean is for
the rules to say.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

from lakehouse_assets.parse.model import (
    EMPTY,
    ENDINGS,
    NOT_A_KIND,
    Dialect,
    Expected,
    Limits,
    SheetProblem,
    Summary,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import pyarrow as pa
    from _typeshed import WriteableBuffer

__all__ = [
    "ByteStream",
    "Dialect",
    "Expected",
    "Limits",
    "Reading",
    "SheetProblem",
    "Summary",
    "Unreadable",
    "parse",
    "schema",
]

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"
_BUFFER = 2**20


class ByteStream(Protocol):
    """The bytes of a file, from its beginning."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` at most; none at the end."""
        ...


class Reading:
    """The rows of one file as they come, in batches of `schema`, once and in no order.

    They are: each contract column; `_sheet` (name, null in CSV); `_sheet_no` (its position among
    all sheets of the workbook, from 1; 0 in CSV); `_row` (the physical line or sheet row, from 1,
    as a person sees it); `_extra` (what stood in other columns, only what has a value, null without
    any); `_raw` and `_fault` (both null but for a record that could not be split or has too few or
    many fields: its text, and `unsplittable` or `ragged`; its values are null then). Only records
    with any value are among them.

    Raises `Unreadable`, and nothing else, for whatever the bytes may be: also after rows have been
    handed out, which then count for nothing.
    """

    def __init__(self, batches: Generator[pa.RecordBatch, None, Summary]) -> None:
        self._batches = batches
        self._summary: Summary | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa  # noqa: PLC0415 - see `_read`

        try:
            self._summary = yield from self._batches
        except (MemoryError, pa.ArrowCapacityError):  # Arrow's out-of-memory is a MemoryError.
            raise Unreadable(
                "reading it takes more memory than there is; split the file or give it more memory"
            ) from None

    @property
    def summary(self) -> Summary:
        """What there is to say about the file. Raises RuntimeError before all rows were read."""
        if self._summary is None:
            raise RuntimeError("a file's summary is known once all its rows have been read")
        return self._summary


def parse(
    name: str, stream: ByteStream, expected: Expected, limits: Limits | None = None
) -> Reading:
    """Read one landed file; nothing is read before the first row is asked for.

    `name` is the file's name: only its ending counts, in any case.
    """
    return Reading(_read(name.lower(), stream, expected, limits or Limits()))


def _read(
    name: str, source: ByteStream, expected: Expected, limits: Limits
) -> Generator[pa.RecordBatch, None, Summary]:
    if not name.endswith(ENDINGS):
        raise Unreadable(f"{NOT_A_KIND}, and withdraw this one")
    stream = io.BufferedReader(_Bounded(source, limits.max_bytes), _BUFFER)
    start = stream.peek(len(_ZIP_MAGIC))
    if not start:
        raise Unreadable(EMPTY)
    # Imported here so that whoever only names these types does not pay for Arrow.
    from lakehouse_assets.parse import csv_reader, csv_text, xlsx_reader  # noqa: PLC0415

    if name.endswith(".xlsx"):
        return (yield from xlsx_reader.read(stream, expected, limits))
    if name.endswith(".csv.gz"):
        if not start.startswith(_GZIP_MAGIC):
            raise Unreadable("named .csv.gz but not compressed with gzip; name plain text .csv")
        return (yield from csv_reader.read(csv_text.Unpacked(stream, limits), expected, limits))
    if start.startswith(_GZIP_MAGIC):
        raise Unreadable("compressed with gzip, but not named so; name it .csv.gz")
    if start.startswith(_ZIP_MAGIC):
        raise Unreadable("a zip or a workbook, not text; save it as CSV, or name a workbook .xlsx")
    return (yield from csv_reader.read(stream, expected, limits))


class _Bounded(io.RawIOBase):
    """A stream that is unreadable beyond a size."""

    def __init__(self, stream: ByteStream, most: int) -> None:
        self._stream, self._most, self._size = stream, most, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        data = self._stream.read(len(view))
        self._size += len(data)
        if self._size > self._most:
            raise Unreadable(
                f"more bytes than max_bytes ({self._most:,}) allows; "
                "split the file or raise max_bytes"
            )
        view[: len(data)] = data
        return len(data)


def schema(columns: Sequence[str]) -> pa.Schema:
    """The schema of a reading's batches for these contract columns."""
    from lakehouse_assets.parse import rows  # noqa: PLC0415

    return rows.schema(columns)
