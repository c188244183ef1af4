"""A sheet's XML, row by row, as text: what each cell says, and which have no value of their own.

The walk is the reader. Others drop cells without a word (calamine: errors, formulas without a
stored value, `1&#50;3`, a value before its formula, all of a sheet in UTF-16; openpyxl: what lies
beyond the declared dimension). To find that out takes a walk through the same XML that knows type,
text and place of each cell, and so has all that a reader needs. It keeps one row at a time, takes
2.5 seconds a million cells, and a cell that it cannot read is an error, never an empty cell.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, NamedTuple

from lakehouse_assets.parse.model import Unreadable, shown
from lakehouse_assets.parse.xlsx_cells import (
    BUILT_IN,
    NOT_CALCULATED,
    CellTexts,
    Moment,
    moment_of,
    unescaped,
)
from lakehouse_assets.parse.xlsx_precheck import Package, elements, parsed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from xml.parsers import expat

_DIGITS = "0123456789"
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384


class Row(NamedTuple):
    """A sheet's row that holds anything."""

    number: int
    """From 1, as a person sees it."""
    cells: list[str | None]
    """From column A to the last that is not empty."""
    size: int
    """Characters of all cells."""


class Reader:
    """The cells of one workbook's sheets as text; see `rows`.

    Raises `Unreadable`, or one of `DAMAGED`, where styles or shared texts cannot be read.
    """

    def __init__(self, package: Package, max_row_size: int, decimal: str = ".") -> None:
        moments, strings = _moments(package), _strings(package)
        self._texts = CellTexts(package.from_1904, moments, strings, decimal)
        self._max_row_size = max_row_size

    def rows(self, stream: IO[bytes]) -> Iterator[Row]:
        """A sheet's rows, from the top.

        Raises `Unreadable` naming the first cell that cannot be read, and one of `DAMAGED` where
        the XML ends or breaks off.
        """
        walk = _Rows(self._texts, self._max_row_size)
        for _ in parsed(stream, walk.prepare):
            yield from walk.done
            walk.done.clear()


def _moments(package: Package) -> dict[str, Moment]:
    """The styles by which a number is a moment, as cells name them."""
    if package.styles is None:
        return {}
    codes: dict[str, str] = {}
    formats: list[str] = []
    for above, tag, it in elements(package.archive, package.styles):
        if (above, tag) == ("numFmts", "numFmt"):
            codes[it.get("numFmtId", "")] = it.get("formatCode", "")
        elif (above, tag) == ("cellXfs", "xf"):
            formats.append(it.get("numFmtId", "0"))
    known = {**BUILT_IN, **{number: moment_of(code) for number, code in codes.items()}}
    moments = {str(at): known.get(number) for at, number in enumerate(formats)}
    return {style: moment for style, moment in moments.items() if moment is not None}


def _strings(package: Package) -> list[str]:
    """The texts that cells share."""
    shared = _SharedTexts()
    if package.strings is not None:
        with package.archive.open(package.strings) as stream:
            for _ in parsed(stream, shared.prepare):
                pass
    return shared.done


class _Events:
    """What the XML of shared texts and that of sheets have in common: rich text.

    `starts` and `ends` are the handlers of the elements that count, by name.
    """

    root: str

    def __init__(self) -> None:
        self.texts: list[str] = []
        """What has been read since the last element began whose text counts."""
        self.rich: list[str] | None = None
        """The pieces of a text, without how they are pronounced; None outside of one."""
        self._spoken = False
        self.starts: dict[str, Callable[[dict[str, str]], None]] = {
            "t": self.begin_text,
            "rPh": self._begin_spoken,
        }
        self.ends: dict[str, Callable[[], None]] = {
            "t": self._end_text,
            "rPh": self._end_spoken,
        }

    def prepare(self, parser: expat.XMLParserType) -> None:
        """Wait for the root: its namespace is that of all elements that count."""

        def root(tag: str, _: dict[str, str]) -> None:
            space, brace, name = tag.rpartition("}")
            if name != self.root:
                raise Unreadable(f"damaged (its part is a {shown(name, 40)}); save it again")
            self._follow(parser, space + brace)

        parser.StartElementHandler = root

    def _follow(self, parser: expat.XMLParserType, space: str) -> None:
        starts = {space + name: handler for name, handler in self.starts.items()}
        ends = {space + name: handler for name, handler in self.ends.items()}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if tag in starts:
                starts[tag](attributes)

        def end(tag: str) -> None:
            if tag in ends:
                ends[tag]()

        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.CharacterDataHandler = self.texts.append

    def begin_rich(self, _: dict[str, str]) -> None:
        self.rich = []

    def begin_text(self, _: dict[str, str]) -> None:
        self.texts.clear()

    def _end_text(self) -> None:
        if self.rich is not None and not self._spoken:
            self.rich.append("".join(self.texts))

    def _begin_spoken(self, _: dict[str, str]) -> None:
        self._spoken = True

    def _end_spoken(self) -> None:
        self._spoken = False


class _SharedTexts(_Events):
    """The texts that cells share; `done` are all of them."""

    root = "sst"

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.starts["si"] = self.begin_rich
        self.ends["si"] = self._end_item

    def _end_item(self) -> None:
        self.done.append(unescaped("".join(self.rich or ())))
        self.rich = None
        self.texts.clear()


class _Rows(_Events):
    """The rows of one sheet; `done` are those that have ended."""

    root = "worksheet"

    def __init__(self, cell_texts: CellTexts, max_row_size: int) -> None:
        super().__init__()
        self.done: list[Row] = []
        self._text, self._max_row_size = cell_texts.text, max_row_size
        self._columns: dict[str, int] = {}
        self._number = self._column = self._size = 0
        self._row: list[str | None] | None = None
        self._cell: dict[str, str] | None = None
        self._value: str | None = None
        self._formula = False
        self.starts |= {
            "v": self.begin_text,
            "c": self._begin_cell,
            "f": self._begin_formula,
            "is": self.begin_rich,
            "row": self._begin_row,
        }
        self.ends |= {"v": self._end_value, "c": self._end_cell, "row": self._end_row}

    def _begin_row(self, attributes: dict[str, str]) -> None:
        before = self._number
        number = int(attributes.get("r") or before + 1)
        if self._row is not None or not before < number <= _MOST_ROWS:
            raise Unreadable(
                f"damaged (row {number:,} follows row {before:,}); save the workbook again"
            )
        self._number, self._column, self._size, self._row = number, 0, 0, []

    def _end_row(self) -> None:
        if self._row:
            self.done.append(Row(self._number, self._row, self._size))
        self._row = None
        self.texts.clear()

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        if self._cell is not None:
            raise _unread(self._cell, "has another cell in it")
        self._cell, self._value, self.rich, self._formula = attributes, None, None, False
        self.texts.clear()
        reference = attributes.get("r")
        if reference is None:
            self._column += 1
            if self._column > _MOST_COLUMNS:
                raise Unreadable(
                    f"damaged (row {self._number:,} has more cells than a sheet has columns); "
                    "save the workbook again"
                )
            return
        letters = reference.rstrip(_DIGITS)
        column = self._columns.get(letters)
        if column is None:
            column = self._columns[letters] = _column(attributes, letters)
        self._column = column
        if self._row is not None and reference[len(letters) :] != str(self._number):
            raise _unread(attributes, f"stands in row {self._number:,}")

    def _begin_formula(self, _: dict[str, str]) -> None:
        self._formula = True

    def _end_value(self) -> None:
        if self._value is not None and self._cell is not None:
            raise _unread(self._cell, "has two values")
        self._value = "".join(self.texts)

    def _end_cell(self) -> None:
        cell, self._cell = self._cell, None
        if cell is None:
            return
        if self._value is None and self.rich is None and not self._formula:
            if any(text.strip() for text in self.texts):  # of elements that mean nothing here
                raise _unread(cell, "holds something that is no value")
            return
        text = self._said(cell)
        if text is None:
            return
        row, at = self._row, self._column - 1
        if row is None:
            raise _unread(cell, "stands outside the sheet's rows")
        if at >= len(row):
            row += [None] * (at - len(row))
            row.append(text)
        elif row[at] is None:
            row[at] = text
        else:
            raise _unread(cell, "is there twice")
        self._size += len(text)
        if self._size > self._max_row_size:
            raise Unreadable(
                f"row {self._number:,} holds more text than max_record_bytes "
                f"({self._max_row_size:,}) allows; shorten its cells or raise max_record_bytes"
            )

    def _said(self, cell: dict[str, str]) -> str | None:
        """What a cell says; None for an empty text."""
        kind, said = cell.get("t", "n"), self._value
        if self.rich is not None:
            if said:
                raise _unread(cell, "has two values")
            kind, said = "inlineStr", "".join(self.rich)
        if said or kind == "e":
            try:
                return self._text(kind, cell.get("s", "0"), said or "") or None
            except (ValueError, LookupError) as error:
                raise _unread(cell, f"{shown(said or '', 40)!r} {error}") from None
        # An empty text is one that a formula may give; an empty number is none.
        missing = said is None or kind not in ("str", "inlineStr")
        return NOT_CALCULATED if self._formula and missing else None


def _column(about: dict[str, str], letters: str) -> int:
    """A column's number, from 1: A is 1, XFD is 16,384."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64 if "A" <= letter <= "Z" else _MOST_COLUMNS + 1
    if not 0 < number <= _MOST_COLUMNS:
        raise _unread(about, "is no place in a sheet")
    return number


def _unread(about: dict[str, str], why: str) -> Unreadable:
    cell = shown(about.get("r", "without a reference"), 40)
    return Unreadable(f"damaged (cell {cell} {why}); mend the cell or save the workbook again")
