"""Which record of a CSV file is its header, and what a file without a good one looks like."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from lakehouse_assets.parse.model import BLANKS, Expected, Limits, Unreadable
from lakehouse_assets.parse.rows import Header, header_names, lacking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakehouse_assets.parse.csv_records import Split

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_SEEN_BYTES = 2**20
_SEEN_LINES = 50


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
    split: Split, fields: Fields, expected: Expected, limits: Limits
) -> tuple[int, Header] | None:
    """Number of the first record that has a value, and the header that it is; None without any.

    Raises `Unreadable` where that is not the header that the contract expects, and for a line
    before it that cannot be split.
    """
    bad = next((line for line, raw in split.unsplittable() if fields.not_blank(raw)), None)
    for at, line in enumerate(split.lines):
        if bad is not None and line > bad:
            break
        if fields.any_value(raw := split.raw(at)):
            # No more fields than show that there are too many.
            found = fields.of(raw, limits.max_columns + 1)
            if lacking(header_names(found), expected) and (
                likelier := explained(split.data, split.line, line, expected)
            ):
                raise likelier
            return at, Header(found, expected, limits)
    if bad is None:
        return None
    raise explained(split.data, split.line, bad, expected) or Unreadable(
        f"the header in line {bad:,} cannot be split: a stray quote or carriage return is in it; "
        "quote its names as CSV asks for, or remove the quotes"
    )


def explained(data: bytes, first: int, header: int, expected: Expected) -> Unreadable | None:
    """A likelier reason than a bad header in that line, looking at what begins with line `first`.

    Line ends of another kind, another delimiter, or lines above the header.
    """
    declared = expected.dialect.delimiter
    names = {
        alias: name
        for name in expected.columns
        for alias in (name, *expected.aliases.get(name, ()))
    }

    def is_header(fields: Sequence[str]) -> bool:
        plain = [field.strip(BLANKS + '"') for field in fields]
        found = {names[name] for name in header_names(plain) if name in names}
        return 2 * len(found) > len(names.keys() & expected.columns)

    top = data[:_SEEN_BYTES].decode("utf-8", "ignore")
    if top.count("\r") - top.count("\r\n") > top.count("\n"):
        return Unreadable(
            "its lines end in CR alone, as old Mac programs write them; "
            "save it with LF or CRLF line ends"
        )
    for number, line in enumerate(top.split("\n")[:_SEEN_LINES], first):
        for delimiter, name in _DELIMITERS.items():
            fields = line.split(delimiter)
            if delimiter != declared and len(fields) > 1 and is_header(fields):
                return Unreadable(
                    f"looks like {name}-separated; save it "
                    f"{_DELIMITERS.get(declared, repr(declared))}-separated, or declare its "
                    "delimiter in the contract's dialect"
                )
        if number > header and is_header(line.split(declared)):
            return Unreadable(
                f"the header is in line {number:,}, not in line {header:,}; "
                "remove the lines above it, or declare them in the contract's dialect (skip_rows)"
            )
    return None
