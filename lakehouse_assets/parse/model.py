"""What parsing asks for and promises: what is expected, the summary, its one error, its limits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

ENDINGS = (".csv", ".csv.gz", ".xlsx")
"""What files' names end in, in any case."""
NOT_A_KIND = "not a .csv, .csv.gz or .xlsx file; save it as one of these"
EMPTY = "empty, not even a header; land the whole file again"
BLANKS = " \t\r\n\u00a0"
"""Outer blanks: no part of a value or of a name. A field of nothing else has no value."""
ORIGIN = ("_origin_file", "_origin_digest", "_origin_sheet", "_origin_row")
"""Columns by which a row names the rejected row that it mends."""
EXPORTED = frozenset((*ORIGIN, "_raw", "_rules"))
"""Columns of an export of rejected rows: expected in any file, though no contract names them."""


READING = 3
"""How files are read: raised where the same bytes give other rows; earlier files are read again."""


def shown(text: str, length: int = 200) -> str:
    """Text out of a file as a message may have it: short, on one line, with nothing unseen in it.

    A control or invisible character shows as `�`: it may be just what is wrong.
    """
    line = " ".join(text.split())[:length]
    return "".join(char if char.isprintable() else "\ufffd" for char in line)


UNREADABLE_CELL = "unreadable_cell"
"""The fault of a row with a cell that has no value of its own, in a contract column."""


def unreadable_cells(columns: Sequence[str]) -> str:
    """The fault of a row that names its unreadable cells by their columns: JSON behind its name."""
    return f"{UNREADABLE_CELL}{json.dumps(list(columns), ensure_ascii=False)}"


def columns_unread(fault: str | None) -> list[str]:
    """The columns that such a fault names; none where it is another."""
    if fault is None or not fault.startswith(UNREADABLE_CELL):
        return []
    named: list[str] = json.loads(fault.removeprefix(UNREADABLE_CELL))
    return named


class Unreadable(Exception):  # noqa: N818 - it is a verdict on a file, not an error of the program
    """A file (or, inside this package, a sheet) that reads no row.

    Its text is the clear line without the file's name: `<what is wrong>; <what to do>`.
    """


@dataclass(frozen=True, slots=True)
class SheetProblem:
    """An unreadable sheet of a readable workbook; `problem` is its clear line without the names."""

    sheet: str
    problem: str


_DECIDES_ROWS = ("delimiter", "encoding", "decimal", "skip_rows", "short_records", "sheets")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a dataset's files are written, where that is not the default; nothing is ever sniffed.

    `delimiter` is one character and `encoding` one of Python's names: both are for CSV alone.
    `skip_rows` physical lines, or sheet rows, stand before the header. With `short_records` a
    record with fewer fields than the header has nulls in the others, instead of being ragged, as
    short sheet rows always have. `sheets` names those to read of a workbook; None is all.

    The others say how values are written, and are for the rules: parsed rows are text as it stands.
    Only a sheet's numbers have no text: they get the `decimal` mark, as in the CSV that is saved of
    the sheet. Its dates are ISO whatever the formats.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    thousands: str | None = None
    timestamp_formats: tuple[str, ...] = ()
    timezone: str = "UTC"
    skip_rows: int = 0
    short_records: bool = False
    sheets: tuple[str, ...] | None = None

    @property
    def reading(self) -> str:
        """Identity of what decides which rows a file gives; empty for the default."""
        own, default = ([getattr(it, name) for name in _DECIDES_ROWS] for it in (self, Dialect()))
        if own == default:
            return ""
        return hashlib.sha256(json.dumps(own).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a dataset's contract says about its files.

    `columns` are the headers that it asks for, and `aliases` other names by which a header may go,
    for each column that has some: all trimmed and in lower case. A file must have each column once,
    but for those that are `optional`, which are null where it has not.
    """

    columns: Sequence[str]
    optional: Collection[str] = ()
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dialect: Dialect = Dialect()


@dataclass(frozen=True, slots=True)
class Summary:
    """What there is to say about a readable file, once all its rows have been read.

    `read` counts its rows. `unexpected` names the columns beyond the contract's, sorted and each
    once, without those that an export of rejected rows carries; one without a name counts as
    `column_<n>` if it has a value. `repairs` counts the rows with a value in any column of
    `ORIGIN`. `warnings` and `notes` are lines without the file's name.
    """

    read: int
    unexpected: tuple[str, ...] = ()
    sheet_problems: tuple[SheetProblem, ...] = ()
    repairs: int = 0
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may ask for. Each is there so that a bad file cannot take the machine."""

    max_bytes: int = 32 * 2**30
    """Size of the file as it landed."""
    max_expanded_bytes: int = 4 * 2**30
    """Size of what a workbook unpacks to, and of the text of all cells."""
    max_text_bytes: int = 256 * 2**30
    """Size of what a `.csv.gz` unpacks to."""
    max_lines: int = 2_000_000_000
    """Physical lines of a CSV file, blank ones included."""
    max_faulty_lines: int = 1_000_000
    """Lines and records of a CSV file that cannot be split, or are ragged."""
    max_columns: int = 1_000
    """Columns that a header may have."""
    max_cells: int = 50_000_000
    """Cells of a workbook, all sheets together: of each row up to the last that is not empty."""
    max_record_bytes: int = 8 * 2**20
    """Size of one CSV record, quoted line breaks included, and of the text of one sheet row."""
    workbook_memory_bytes: int = 640 * 2**20
    """Address space of the process that reads a workbook; who takes its rows needs some 300 MiB."""
    workbook_seconds: float = 600.0
    """Time that reading a workbook may take, of the processor and in waiting for its rows."""
