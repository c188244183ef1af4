"""CSV: strict RFC 4180 for each record, at the speed of Arrow's reader, a window at a time.

No CSV reader is safe alone: Arrow's takes a quote inside a bare field, text after a closing quote
and a lone CR without a word. So `csv_records.split` first proves where each record begins and ends
and which lines cannot be split; Arrow then converts only what is proven splittable, and reports the
records whose number of fields is wrong.
"""

from __future__ import annotations

import itertools
import re
from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from lakehouse_assets.parse import csv_header, csv_records, csv_text
from lakehouse_assets.parse.csv_records import Split
from lakehouse_assets.parse.model import EMPTY, Expected, Limits, Summary, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from lakehouse_assets.parse import ByteStream
    from lakehouse_assets.parse.rows import Header, Int64s

_BOM = b"\xef\xbb\xbf"
_CTRL_Z = b"\x1a"
_FAULTY_BATCH = 65_536
_SEEN_BYTES = 2**16
"""Of the lines before the header, so many are kept for a message."""


def read(
    stream: ByteStream, expected: Expected, limits: Limits
) -> Generator[pa.RecordBatch, None, Summary]:
    """Read a CSV file; raises `Unreadable` where the whole file is."""
    delimiter = expected.dialect.delimiter
    windows = _Windows(csv_text.chunks(stream, expected.dialect.encoding), expected, limits)
    fields = csv_header.Fields(delimiter)
    rows: _Rows | None = None
    for split in windows:
        first = 0
        if rows is None:
            found = csv_header.find(split, fields, expected, limits, windows.passed)
            if not found:
                continue
            first, rows = found[0] + 1, _Rows(found[1], fields, expected, limits)
        yield from rows.of(split, first)
    if rows is None:
        likelier = csv_header.explained(
            windows.cut, windows.line, windows.line, expected, windows.passed
        )
        raise likelier or Unreadable(EMPTY)
    header = rows.header
    return Summary(
        header.read,
        tuple(sorted(header.unexpected)),
        repairs=header.repairs,
        warnings=tuple(windows.warnings),
    )


class _Windows:
    """A text's windows, one after the other, split into records.

    A window is what is read at a time, behind what the window before has left to it.
    """

    def __init__(self, chunks: Iterator[bytes], expected: Expected, limits: Limits) -> None:
        self._chunks, self._expected, self._limits = chunks, expected, limits
        separator = re.escape(expected.dialect.delimiter.encode())
        self._separator_line = re.compile(rb"sep=%b\r?\n" % separator)
        self._skip = expected.dialect.skip_rows
        self.passed = b""
        """The lines before the header that the dialect declares, or the first of them."""
        self.cut = b""
        """What stands behind these where fewer have ended than are declared, or its beginning."""
        self.line = 1
        """The line behind them."""
        self.warnings: list[str] = []

    def __iter__(self) -> Iterator[Split]:
        data, line, top = b"", 1, True
        delimiter, most = self._expected.dialect.delimiter, self._limits.max_record_bytes
        for chunk in itertools.chain(self._chunks, [None]):
            last = chunk is None
            data = self._without_end_mark(data, line) if chunk is None else data + chunk
            data, line = self._behind_first_lines(data, line)
            split = csv_records.split(data, line, delimiter, most, last=last)
            if too_long := self._too_long(split):
                raise (top and csv_header.explained(data, line, line, self._expected)) or too_long
            top = top and not len(split.starts)
            yield split
            data, line = data[split.rest :], split.rest_line
            del split  # The next one's arrays come on top of its.
            if line > self._limits.max_lines:
                raise Unreadable(
                    f"more lines than max_lines ({self._limits.max_lines:,}) allows; "
                    "split the file or raise max_lines"
                )

    def _without_end_mark(self, data: bytes, line: int) -> bytes:
        """What the text ends with, which may be less than was sent."""
        data = data.removesuffix(_CTRL_Z)
        lines = data.count(b"\n")
        if data and not data.endswith(b"\n") and line + lines > 1:
            self.warnings.append(
                f"the last line ({line + lines:,}) has no line end, where others have: the file "
                "may have been cut; if so, land the whole file again"
            )
        return data

    def _behind_first_lines(self, data: bytes, line: int) -> tuple[bytes, int]:
        """The data, and its first line, behind what stands before the header."""
        while self._skip and (end := data.find(b"\n") + 1):
            if len(self.passed) + end <= _SEEN_BYTES:
                self.passed += data[:end]
            data, line, self._skip = data[end:], line + 1, self._skip - 1
            self.line = line
        if self._skip:
            self.cut = self.cut or data[:_SEEN_BYTES]
            return b"", line
        if line == 1 and (separator := self._separator_line.match(data)):
            return data[separator.end() :], 2
        return data, line

    def _too_long(self, split: Split) -> Unreadable | None:
        """Why not to go on, where a record is longer than allowed."""
        most = self._limits.max_record_bytes
        size, line = split.longest()
        if len(split.data) - split.unfinished > most + 1:  # A byte may be of the line end.
            size, line = most + 1, split.line + split.data.count(b"\n", 0, split.unfinished)
        if size <= most:
            return None
        return Unreadable(
            f"the record in line {line:,} is longer than max_record_bytes ({most:,}) allows; "
            "look for a stray quote or raise max_record_bytes"
        )


class _Rows:
    """Records → bronze rows."""

    def __init__(
        self, header: Header, fields: csv_header.Fields, expected: Expected, limits: Limits
    ) -> None:
        self.header = header
        self._width = len(header.names)
        self._fields, self._most_faulty = fields, limits.max_faulty_lines
        self._delimiter = expected.dialect.delimiter
        self._short_records = expected.dialect.short_records
        self._faulty = 0

    def of(self, split: Split, first: int) -> Iterator[pa.RecordBatch]:
        """The rows of a window's records from that number on, and of its lines that are none."""
        size = split.stops - split.starts
        behind = np.arange(len(size)) >= first
        # Too short for all fields and any value: blank, or ragged.
        short = behind & (size < (0 if self._short_records else self._width))
        kept = behind & ~short
        body, number = split.joined(kept), np.flatnonzero(kept)
        columns, wrong = self._converted(body, quotes=split.quotes)
        yield self.header.rows(columns, split.lines[np.delete(number, wrong.records)])
        mended: list[tuple[int, bytes]] = []
        ragged = self._ragged(split, number, wrong, mended)
        yield from self._without_fields(ragged, self._fields.any_value, "ragged")
        if mended:
            body = memoryview(b"".join(record + b"\n" for _, record in mended))
            columns, _ = self._converted(body, quotes=split.quotes)
            yield self.header.rows(columns, np.array([line for line, _ in mended], np.int64))
        records = ((int(split.lines[at]), split.raw(int(at))) for at in np.flatnonzero(short))
        yield from self._without_fields(records, self._fields.any_value, "ragged")
        bad = split.unsplittable()
        yield from self._without_fields(bad, self._fields.not_blank, "unsplittable")

    def _ragged(
        self, split: Split, number: Int64s, wrong: _Wrong, mended: list[tuple[int, bytes]]
    ) -> Iterator[tuple[int, bytes]]:
        """Line and text of the records that stay ragged; the others, brought to width, go apart."""
        for at, found in zip(wrong.records, wrong.found, strict=True):
            record = int(number[at])
            line, raw = int(split.lines[record]), split.raw(record)
            whole: bytes | None = None
            if found > self._width:
                whole = self._fields.first(raw, self._width, found)
            elif self._short_records:
                whole = raw + self._delimiter.encode() * (self._width - found)
            if whole is None:
                yield line, raw
            else:
                mended.append((line, whole))

    def _without_fields(
        self, records: Iterator[tuple[int, bytes]], counts: Callable[[bytes], bool], fault: str
    ) -> Iterator[pa.RecordBatch]:
        """Rows of (line, text) of what has no fields, where it `counts`."""
        counted = ((line, raw) for line, raw in records if counts(raw))
        while some := list(itertools.islice(counted, _FAULTY_BATCH)):
            self._faulty += len(some)
            if self._faulty > self._most_faulty:
                raise Unreadable(
                    f"more faulty lines than max_faulty_lines ({self._most_faulty:,}) allows, up "
                    f"to line {some[-1][0]:,}; mend the file or raise max_faulty_lines"
                )
            yield self.header.faulty([(line, raw.decode()) for line, raw in some], fault)

    def _converted(self, body: memoryview, *, quotes: bool) -> tuple[list[pa.Array], _Wrong]:
        """Whole splittable records as one array for each field, but for those of another width."""
        wrong = _Wrong(array("q"), array("q"))

        def ragged(row: pa_csv.InvalidRow) -> str:
            wrong.records.append(row.number - 1)
            wrong.found.append(row.actual_columns)
            return "skip"

        names = [str(at) for at in range(self._width)]
        if not body:
            return [pa.nulls(0, pa.string())] * self._width, wrong
        if body[: len(_BOM)] == _BOM:  # Not at the beginning of the file it is text; not to Arrow.
            body = memoryview(_BOM + bytes(body))
        table = pa_csv.read_csv(
            pa.BufferReader(body),
            # Only without threads does Arrow number the rows; here they would save nothing, either.
            # In one block: where one ends between a quoted CR and LF, Arrow loses the LF.
            read_options=pa_csv.ReadOptions(
                use_threads=False, column_names=names, block_size=len(body) + 1
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=quotes,
                quote_char='"' if quotes else False,
                ignore_empty_lines=False,
                invalid_row_handler=ragged,
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
        return [column.combine_chunks() for column in table.columns], wrong


class _Wrong(NamedTuple):
    """The records with a wrong number of fields, by number, and how many those have."""

    records: array[int]
    found: array[int]
