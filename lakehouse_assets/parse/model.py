"""What parsing promises: its result, its one error, its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


EMPTY = "empty, not even a header; land the whole file again"
BLANKS = " \t\r\n\u00a0"
"""Outer blanks: no part of a value or of a name. A field of nothing else has no value."""
ORIGIN = ("_origin_file", "_origin_digest", "_origin_sheet", "_origin_row")
"""Columns by which a row names the rejected row that it mends."""


def shown(text: str, length: int = 200) -> str:
    """Text out of a file as a message may have it: short, on one line, with nothing unseen in it.

    A control or invisible character shows as `�`: it may be just what is wrong.
    """
    line = " ".join(text.split())[:length]
    return "".join(char if char.isprintable() else "\ufffd" for char in line)


class Unreadable(Exception):  # noqa: N818 - it is a verdict on a file, not an error of the program
    """A file (or, inside this package, a sheet) that reads no row.

    Its text is the clear line without the file's name: `<what is wrong>; <what to do>`.
    """


@dataclass(frozen=True, slots=True)
class SheetProblem:
    """An unreadable sheet of a readable workbook; `problem` is its clear line without the names."""

    sheet: str
    problem: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """The rows of one file, all of them text.

    `rows` holds, in this order: each contract column; `_sheet` (name, null in CSV); `_sheet_no`
    (its position among all sheets of the workbook, from 1; 0 in CSV); `_row` (the physical line or
    sheet row, from 1, as a person sees it); `_extra` (what stood in other columns, only what has a
    value, null without any); `_raw` and `_fault` (both null but for a record that could not be
    split or has too few or many fields: its text, and `unsplittable` or `ragged`; its values are
    null then). Only records with any value are in it; those with a fault come behind the others of
    their file or sheet.

    `unexpected` names the columns beyond the contract's, sorted and each once, without those that
    an export of rejected rows carries; one without a name counts as `column_<n>` if it has a value.
    `repairs` counts the rows with a value in any column of `ORIGIN`.
    """

    rows: pa.Table
    unexpected: tuple[str, ...] = ()
    sheet_problems: tuple[SheetProblem, ...] = ()
    repairs: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may ask for. Each is there so that a bad file cannot take the machine."""

    max_bytes: int = 2 * 2**30
    """Size of the file as it landed."""
    max_expanded_bytes: int = 4 * 2**30
    """Size of what a `.csv.gz` or a workbook unpacks to, and of the text of all cells."""
    max_columns: int = 1_000
    """Columns that a header may have."""
    max_cells: int = 50_000_000
    """Cells of a workbook, all sheets together, empty ones inside a sheet's used range included."""
    max_record_bytes: int = 16 * 2**20
    """Size of one CSV record, quoted line breaks included."""
    workbook_memory_bytes: int = 4 * 2**30
    """Address space of the process that reads a workbook."""
    workbook_seconds: float = 600.0
    """Time that reading a workbook may take, both on the clock and of the processor."""
