"""CSV: strict RFC 4180 for each record, at the speed of Arrow's reader.

No CSV reader is safe alone: Arrow's takes a quote inside a bare field, text after a closing quote
and a lone CR without a word. So `records.split` first proves where each record begins and ends and
which lines cannot be split; Arrow then converts only what is proven splittable, and reports the
records whose number of fields is wrong.
"""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import re
import zlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from lakehouse_assets.parse import csv_records
from lakehouse_assets.parse.model import BLANKS, EMPTY, Expected, Limits, Summary, Unreadable
from lakehouse_assets.parse.rows import Header, header_names, lacking

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from lakehouse_assets.parse import ByteStream

_CHUNK = 2**20
_BLOCK = 4 * _CHUNK
"""Bytes that Arrow converts at a time."""
_BOM = b"\xef\xbb\xbf"
_UTF16_OR_32 = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_DELIMITERS = {";": "semicolon", "\t": "tab", "|": "pipe"}
_PREAMBLE_LINES = 50
_BLANK = rb"(?:[ \t\r\n]|\xc2\xa0)*"
_NO_VALUE = re.compile(rb'(?:"%b"|%b)(?:,(?:"%b"|%b))*' % (_BLANK, _BLANK, _BLANK, _BLANK))
"""A record of blank fields only."""
_FIELD = re.compile(r',(?:"([^"]*(?:""[^"]*)*)"|([^,]*))')


def unpacked(stream: ByteStream, limits: Limits) -> ByteStream:
    """The text of a `.csv.gz`, of one member or several.

    Raises `Unreadable` for what is not gzip, is cut short or damaged, or unpacks to too much.
    """
    data = stream.read(-1)
    if not data.startswith(b"\x1f\x8b"):
        raise Unreadable("named .csv.gz but not compressed with gzip; name plain text .csv")
    parts: list[bytes] = []
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as text:
            while part := text.read(_CHUNK):
                size += len(part)
                if size > limits.max_expanded_bytes:
                    raise Unreadable(
                        f"unpacks to more than max_expanded_bytes ({limits.max_expanded_bytes:,}) "
                        "allows; split the file or raise max_expanded_bytes"
                    )
                parts.append(part)
    except EOFError:
        raise Unreadable("gzip data is cut short; land the whole file again") from None
    except (OSError, zlib.error):
        raise Unreadable("gzip data is damaged; compress and land the file again") from None
    return io.BytesIO(b"".join(parts))


def read(
    stream: ByteStream, expected: Expected, limits: Limits
) -> Generator[pa.RecordBatch, None, Summary]:
    """Read a CSV file; raises `Unreadable` where the whole file is."""
    columns = expected.columns
    data = stream.read(-1)
    if not data:
        raise Unreadable(EMPTY)
    _check_encoding(data)
    begin = len(_BOM) if data.startswith(_BOM) else 0
    split = csv_records.split(data, begin)
    longest = split.longest()
    if longest > limits.max_record_bytes:
        raise Unreadable(
            f"a record of {longest:,} bytes, more than max_record_bytes "
            f"({limits.max_record_bytes:,}) allows; look for a stray quote or raise "
            "max_record_bytes"
        )
    first = _header_record(split, columns)
    # No more fields than show that there are too many.
    fields = _fields(split.raw(first).decode(), limits.max_columns + 1)
    if lacking(header_names(fields), expected) and (likelier := _explained(split, columns)):
        raise likelier
    header = Header(fields, expected, limits)
    yield from _converted(split, first, header)
    if split.unsplittable:
        yield header.faulty(split.unsplittable, "unsplittable")
    return Summary(header.read, tuple(sorted(header.unexpected)), repairs=header.repairs)


def _converted(split: csv_records.Split, header_at: int, header: Header) -> list[pa.RecordBatch]:
    """Convert the records behind the header; those with a wrong number of fields come last."""
    first = header_at + 1
    lines = split.lines[first:]
    tables: list[pa.RecordBatch] = []
    wrong: list[int] = []
    body = memoryview(split.behind(header_at))
    ends = np.cumsum(split.ends[first:] - split.starts[first:])
    # Whole records only, some at a time: where one of its own blocks ends between a quoted CR and
    # LF, Arrow loses the LF.
    cuts = np.unique(np.searchsorted(ends, np.arange(_BLOCK, len(body), _BLOCK), "right"))
    begin = done = 0
    for stop in [*(int(cut) for cut in cuts), len(lines)]:
        if stop == done:
            continue
        end = int(ends[stop - 1])
        fields, invalid = _fields_of(body[begin:end], len(header.names), quotes=split.quotes)
        kept = np.delete(lines[done:stop], invalid)
        if any(len(field) != len(kept) for field in fields):
            raise AssertionError("Arrow and `records.split` disagree on what a record is")
        tables.append(header.rows(fields, kept))
        wrong += [first + done + number for number in invalid]
        begin, done = end, stop
    raws = ((int(split.lines[number]), split.raw(number)) for number in wrong)
    valued = [(line, raw.decode()) for line, raw in raws if not _NO_VALUE.fullmatch(raw)]
    return [*tables, header.faulty(valued, "ragged")]


def _fields_of(body: memoryview, width: int, *, quotes: bool) -> tuple[list[pa.Array], list[int]]:
    """Whole splittable records as one array for each field, and the numbers of the others.

    The others are those with a wrong number of fields, counted from 0.
    """
    wrong: list[int] = []

    def ragged(row: pa_csv.InvalidRow) -> str:
        wrong.append(row.number - 1)
        return "skip"

    if body[: len(_BOM)] == _BOM:  # Not at the beginning of the file it is text, but not to Arrow.
        body = memoryview(_BOM + bytes(body))
    names = [str(at) for at in range(width)]
    table = pa_csv.read_csv(
        pa.BufferReader(body),
        # Only without threads does Arrow number the rows; here they would save nothing, either.
        read_options=pa_csv.ReadOptions(
            use_threads=False, column_names=names, block_size=len(body) + 1
        ),
        parse_options=pa_csv.ParseOptions(
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
    return [field.combine_chunks() for field in table.columns], wrong


def _check_encoding(data: bytes) -> None:
    if data.startswith(_UTF16_OR_32):
        raise Unreadable("encoded in UTF-16 or UTF-32; save it as UTF-8")
    if (at := data.find(b"\0")) >= 0:
        raise Unreadable(
            f"a NUL byte in line {_line(data, at):,}; save it as plain UTF-8 text (CSV UTF-8)"
        )
    if (at := _not_utf8(data)) >= 0:
        raise Unreadable(
            f"not UTF-8: byte 0x{data[at]:02x} in line {_line(data, at):,} (byte {at + 1:,} of the "
            "file); save it as UTF-8"
        )


def _not_utf8(data: bytes) -> int:
    """Where the first byte is that is not UTF-8, or -1; a piece at a time, to save memory."""
    if data.isascii():
        return -1
    decoder = codecs.getincrementaldecoder("utf-8")()
    for begin in range(0, len(data), _CHUNK):
        end = min(begin + _CHUNK, len(data))
        try:
            decoder.decode(data[begin:end], final=end == len(data))
        except UnicodeDecodeError as error:
            # Its object begins with what the piece before left over.
            return end - len(error.object) + error.start
    return -1


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _header_record(split: csv_records.Split, columns: Sequence[str]) -> int:
    """Number of the first record that has a value: the header."""
    bad = split.unsplittable[0][0] if split.unsplittable else None
    for at, line in enumerate(split.lines):
        if bad is not None and line > bad:
            break
        if not _NO_VALUE.fullmatch(split.raw(at)):
            return at
    if bad is None:
        raise Unreadable(EMPTY)
    raise _explained(split, columns) or Unreadable(
        f"the header in line {bad:,} cannot be split: a stray quote or carriage return is in it; "
        "quote its names as CSV asks for, or remove the quotes"
    )


def _explained(split: csv_records.Split, columns: Sequence[str]) -> Unreadable | None:
    """A likelier reason than a bad header: another delimiter, or lines above the header."""

    def is_header(fields: Iterable[str]) -> bool:
        return 2 * len(set(columns).intersection(header_names(fields))) > len(columns)

    top = split.data[split.begin : split.begin + _CHUNK].decode("utf-8", "ignore")
    for number, line in enumerate(top.split("\n")[:_PREAMBLE_LINES], start=1):
        for delimiter, name in _DELIMITERS.items():
            fields = [field.strip(BLANKS + '"') for field in line.split(delimiter)]
            if len(fields) > 1 and is_header(fields):
                return Unreadable(f"looks like {name}-separated; save it comma-separated")
        if number > 1 and is_header(line.replace('"', "").split(",")):
            return Unreadable(
                f"the header is in line {number}, not in the first; remove the lines above it"
            )
    return None


def _fields(record: str, most: int) -> list[str]:
    """The first fields of a record that is known to be splittable, `most` at most."""
    found = itertools.islice(_FIELD.finditer("," + record), most)
    return [
        bare if inside is None else inside.replace('""', '"')
        for inside, bare in (it.groups() for it in found)
    ]
