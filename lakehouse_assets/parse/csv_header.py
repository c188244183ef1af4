"""Which record of a CSV file is its header, and what a file without a good one looks like."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from lakehouse_assets.parse.model import BLANKS, Expected, Limits, Unreadable, shown
from lakehouse_assets.parse.rows import Header, header_names, lacking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lakehouse_assets.parse.csv_records import Split

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_OTHER_KINDS = {"<": "HTML or XML", "{": "JSON", "[": "JSON"}
"""What a text without a header is likely to be, by its first character."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\Z')
_SEEN_BYTES = 2**20
_SEEN_LINES = 1_000
_QUOTED = re.compile('"[^"]*"')


class Fields:
    """The fields of single records."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        end = re.escape(delimiter)
        self._field = re.compile(rf'{end}(?:"([^"]*(?:""[^"]*)*)"|([^{end}]*))')
        self._blank = (BLANKS + delimiter).encode()

    def of(self, record: bytes, most: int) -> list[str]:
        """The first fields of a record that is known to be splittable, `most` at most."""
        found = itertools.islice(self._field.finditer(self._delimiter + record.decode()), most)
        return [
            bare if inside is None else inside.replace('""', '"')
            for inside, bare in (it.groups() for it in found)
        ]

    def first(self, record: bytes, most: int, found: int) -> bytes | None:
        """The first `most` of a record's `found` fields; None if any behind them has a value.

        It is known to be splittable, with or without them.
        """
        beyond = found - most
        if record.endswith(self._delimiter.encode() * beyond):
            return record[:-beyond]
        text = self._delimiter + record.decode()
        fields = self._field.finditer(text)
        *_, last = itertools.islice(fields, most)
        if any((it[1] or it[2] or "").strip(BLANKS) for it in fields):
            return None
        return text[1 : last.end()].encode()

    def not_blank(self, line: bytes) -> bool:
        """Whether anything but blanks and delimiters is in a line."""
        return bool(line.strip(self._blank))  # UTF-8 has no character of a no-break space's bytes.

    def any_value(self, record: bytes) -> bool:
        """Whether any field of a splittable record has a value."""
        if record.strip(self._blank + b'"'):
            return True
        return b'"' in record and any(it.strip(BLANKS) for it in self.of(record, len(record) + 1))


def find(
    split: Split, fields: Fields, expected: Expected, limits: Limits, above: bytes = b""
) -> tuple[int, Header] | None:
    """Number of the first record that has a value, and the header that it is; None without any.

    `above` are the lines that were passed by. Raises `Unreadable` where that is not the header that
    the contract expects, and for a line before it that cannot be split.
    """
    bad = next((line for line, raw in split.unsplittable() if fields.not_blank(raw)), None)
    for at, line in enumerate(split.lines):
        if bad is not None and line > bad:
            break
        if fields.any_value(raw := split.raw(at)):
            # No more fields than show that there are too many.
            found = fields.of(raw, limits.max_columns + 1)
            if lacking(header_names(found), expected) and (
                likelier := _as_one(found, line, expected)
                or explained(split.data, split.line, line, expected, above)
            ):
                raise likelier
            return at, Header(found, expected, limits)
    if bad is None:
        return None
    raise explained(split.data, split.line, bad, expected, above) or Unreadable(
        f"the header in line {bad:,} cannot be split: a stray quote or carriage return is in it; "
        "remove it, or quote the name that it belongs to as CSV asks for"
    )


def _as_one(fields: Sequence[str], line: int, expected: Expected) -> Unreadable | None:
    """Whether the header's record is in quotes as a whole."""
    if len(fields) == 1 and _is_header(fields[0].split(expected.dialect.delimiter), expected):
        return Unreadable(
            f"line {line:,} is in quotes as a whole, and so one single name; save it without those "
            "quotes"
        )
    return None


def explained(
    data: bytes, first: int, header: int, expected: Expected, above: bytes = b""
) -> Unreadable | None:
    """A likelier reason than a bad header in that line, looking at what begins with line `first`.

    Line ends of another kind, another delimiter, another kind of text, a header further down, or
    one `above`, among the lines that were passed by.
    """
    top = data[:_SEEN_BYTES].decode("utf-8", "ignore")
    bare = _QUOTED.sub("", top)  # line breaks within a field are no line ends
    if bare.count("\r") - bare.count("\r\n") > bare.count("\n"):
        return Unreadable(
            "its lines end in CR alone, as old Mac programs write them; "
            "save it with LF or CRLF line ends"
        )
    if 2 * top.count("\r\r\n") > top.count("\n"):
        return Unreadable(
            "its lines end in CR CR LF, as programs write them that convert line ends twice; "
            "save it with LF or CRLF line ends"
        )
    passed = above.decode("utf-8", "ignore").split("\n")[:-1]
    lines = [*passed, *top.split("\n")[:_SEEN_LINES]]
    return (
        _other_delimiter(lines, expected)
        or _elsewhere(dict(enumerate(lines, first - len(passed))), header, expected)
        or _other_kind(top)
    )


def _other_delimiter(lines: Sequence[str], expected: Expected) -> Unreadable | None:
    declared = expected.dialect.delimiter
    name = _DELIMITERS.get(declared, repr(declared))
    top = next((line for line in lines if line.strip(BLANKS)), "")
    for line in lines:
        others = (char for char in line if not char.isalnum() and char not in '_"\r')
        for delimiter in dict.fromkeys([*_DELIMITERS, *others]):
            fields = line.split(delimiter)
            # A header may have a few of the columns only: all the same it is no single name.
            few = (
                line is top
                and delimiter in _DELIMITERS
                and len(_known(fields, expected)) > 1
                and not _known(line.split(declared), expected)
            )
            found = few or (len(fields) > 1 and _is_header(fields, expected))
            if delimiter != declared and found:
                other = _DELIMITERS.get(delimiter, repr(delimiter))
                return Unreadable(
                    f"looks like {other}-separated; save it {name}-separated, or declare its "
                    "delimiter in the contract's dialect"
                )
    said = _SEPARATOR_LINE.match(lines[0])
    if said and said[1] != declared:
        return Unreadable(
            f"its first line says sep={shown(said[1], 1)}, where {name}-separated is declared; "
            "correct or remove that line"
        )
    return None


def _elsewhere(lines: Mapping[int, str], header: int, expected: Expected) -> Unreadable | None:
    """Where the header is among these lines by number, if not in line `header`."""
    dialect = expected.dialect
    for number, line in lines.items():
        if number == header or not _is_header(line.split(dialect.delimiter), expected):
            continue
        if number < header:
            return Unreadable(
                f"the header is in line {number:,}, not behind the skip_rows "
                f"({dialect.skip_rows:,}) of the contract; put it there or change skip_rows"
            )
        return Unreadable(
            f"the header is in line {number:,}, not in line {header:,}; "
            "remove the lines above it, or declare them in the contract's dialect (skip_rows)"
        )
    return None


def _is_header(fields: Sequence[str], expected: Expected) -> bool:
    """Whether most of the contract's columns are among them."""
    return 2 * len(_known(fields, expected)) > len(expected.columns)


def _known(fields: Sequence[str], expected: Expected) -> set[str]:
    """The contract's columns among them."""
    names = {
        alias: name
        for name in expected.columns
        for alias in (name, *expected.aliases.get(name, ()))
    }
    plain = [field.strip(BLANKS + '"') for field in fields]
    return {names[name] for name in header_names(plain) if name in names}


def _other_kind(top: str) -> Unreadable | None:
    if kind := _OTHER_KINDS.get(top.lstrip()[:1]):
        return Unreadable(f"looks like {kind}, not like CSV; export the table itself as CSV")
    return None
