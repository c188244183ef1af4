"""A workbook's bytes → its sheets, cell by cell, from its XML; for the oracle.

By the definitions alone: a cell has a text, or it has no value of its own and keeps what it shows.
No cell may be lost: what has content that means nothing here makes its sheet unreadable.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import NamedTuple
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element


class UnreadableError(Exception):
    """This file, or this sheet, cannot be read at all."""


class Cell(NamedTuple):
    """What a cell says; without a value of its own, the text that is kept of it."""

    text: str
    has_value: bool = True


Grid = Mapping[int, Mapping[int, Cell]]
"""Row → column → cell, both counted from 1."""


class Sheet(NamedTuple):
    """A sheet at its position among all; its cells, or why they cannot be read."""

    name: str
    number: int
    cells: Grid | None
    error: str | None = None


NOT_CALCULATED = "#NOT CALCULATED"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_PLACE = re.compile(r"([A-Za-z]{1,3})([1-9][0-9]{0,6})")
_BUILT_IN_DATES = {**dict.fromkeys([*range(14, 23), 45, 47], "d"), 46: "[h]"}
_SILENT = re.compile(r'"[^"]*"|\\.|[_*].|\[(?!(?:h+|m+|s+)\])[^\]]*\]', re.IGNORECASE)
"""What stands in a number format without being one of its letters."""


def read_sheets(content: bytes) -> Iterator[Sheet]:
    """All worksheets, in their position; charts and macro sheets count, but are none."""
    try:
        book = _Book(content)
        for number, (name, kind, path) in enumerate(book.sheets, 1):
            if kind != "worksheet":
                continue
            try:
                yield Sheet(name, number, book.cells(path))
            except UnreadableError as error:
                yield Sheet(name, number, None, str(error))
    except (
        zipfile.BadZipFile, zlib.error, KeyError, IndexError, ValueError, AttributeError,
        ET.ParseError, RuntimeError, NotImplementedError, EOFError, OSError, LookupError,
    ) as error:  # fmt: skip
        raise UnreadableError(f"no workbook: {error}") from error


class _Book:
    """The parts of a package, and what its cells refer to."""

    def __init__(self, content: bytes) -> None:
        if not content.startswith(b"PK\3\4"):
            raise UnreadableError("no zip from its beginning")
        self.zip = zipfile.ZipFile(io.BytesIO(content))
        names = self.zip.namelist()
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise UnreadableError(f"an entry twice: {twice[0]}")
        main = dict(self.relations("").values())["officeDocument"]
        links = self.relations(main)
        book = self.xml(main)
        props = _child(book, "workbookPr")
        self.from_1904 = props is not None and props.get("date1904") in {"1", "true"}
        self.sheets = [
            (sheet.get("name", ""), *links[_attribute(sheet, "id")])
            for sheet in _children(_child(book, "sheets"), "sheet")
        ]
        parts = dict(links.values())
        self.shared = [
            _rich(item)
            for item in _children(self.xml(parts["sharedStrings"]), "si")
        ] if self.has(parts.get("sharedStrings")) else []  # fmt: skip
        self.formats = (
            self._formats(self.xml(parts["styles"])) if self.has(parts.get("styles")) else []
        )

    def has(self, path: str | None) -> bool:
        return path is not None and path in self.zip.namelist()

    def xml(self, path: str) -> Element:
        return ET.fromstring(self.zip.read(path))

    def relations(self, of: str) -> dict[str, tuple[str, str]]:
        """Id → kind and path of what a part refers to."""
        folder, name = posixpath.split(of)
        found = {}
        for link in self.xml(posixpath.join(folder, "_rels", f"{name}.rels")):
            path = posixpath.normpath(posixpath.join("/", folder, link.get("Target", "")))
            found[link.get("Id", "")] = (link.get("Type", "").rpartition("/")[2], path.lstrip("/"))
        return found

    @staticmethod
    def _formats(styles: Element) -> list[str]:
        """For each cell format the letters of a date that it shows; none for a number's."""
        codes = {str(number): code for number, code in _BUILT_IN_DATES.items()} | {
            item.get("numFmtId", ""): item.get("formatCode", "")
            for item in _children(_child(styles, "numFmts"), "numFmt")
        }
        shown = (
            _SILENT.sub("", codes.get(xf.get("numFmtId", ""), "")).lower()
            for xf in _children(_child(styles, "cellXfs"), "xf")
        )
        return [code if re.search("[dmyhs]", code) else "" for code in shown]

    def cells(self, path: str) -> Grid:
        """The cells of a sheet that say anything."""
        try:
            root = self.xml(path)
        except (KeyError, ET.ParseError, LookupError, ValueError) as error:
            raise UnreadableError(f"no sheet: {error}") from error
        if _name(root) != "worksheet":
            raise UnreadableError(f"no sheet: {_name(root)}")
        grid: dict[int, dict[int, Cell]] = {}
        row_number = 0
        for row in (row for data in _children(root, "sheetData") for row in _children(data, "row")):
            row_number = int(row.get("r") or row_number + 1)
            column = 0
            for xml in _children(row, "c"):
                place = xml.get("r")
                at = row_number
                if place is None:
                    column += 1
                elif match := _PLACE.fullmatch(place):
                    column, at = _column(match[1]), int(match[2])
                else:
                    raise UnreadableError(f"no place for a cell: {place}")
                cell = self.cell(xml)
                if cell and grid.setdefault(at, {}).setdefault(column, cell) is not cell:
                    raise UnreadableError(f"two cells at row {at}, column {column}")
        return grid

    def cell(self, xml: Element) -> Cell | None:
        """What a cell says; None if it says nothing."""
        kind = xml.get("t", "n")
        stored, formula, inside = (_child(xml, name) for name in ("v", "f", "is"))
        text = _text(stored) if stored is not None else ""
        if kind == "inlineStr" and not text:
            text = _rich(inside) if inside is not None else ""
            return Cell(text) if text else None
        if inside is not None and _rich(inside):
            raise UnreadableError(f"a cell of type {kind} with a text inside")
        if not text:
            calculated = stored is not None and kind == "str"
            if formula is not None and not calculated:
                return Cell(NOT_CALCULATED, False)
            return Cell("#ERROR", False) if kind == "e" else None
        match kind:
            case "n":
                return self.number(text.strip(), xml.get("s"))
            case "s" if text.strip().isdigit() and int(text) < len(self.shared):
                shown = self.shared[int(text)]
                return Cell(shown) if shown else None
            case "str":
                return Cell(_unescaped(text))
            case "b" if text.strip() in {"0", "1", "true", "false"}:
                return Cell("TRUE" if text.strip() in {"1", "true"} else "FALSE")
            case "e":
                return Cell(text, False)
            case "d":
                return Cell(_iso(text.strip()))
        raise UnreadableError(f"a cell of type {kind} that holds {text!r}")

    def number(self, text: str, style: str | None) -> Cell:
        """A number, or a date."""
        if not _NUMBER.fullmatch(text):
            raise UnreadableError(f"a number that is none: {text!r}")
        at = int(style or 0)
        if at < len(self.formats) and self.formats[at]:
            code = self.formats[at]
            shown = _duration(float(text)) if "[" in code else self.date(float(text))
            return Cell(text, False) if shown is None else Cell(shown)
        shown = number_text(float(text))
        return Cell(text, False) if shown is None else Cell(shown)

    def date(self, serial: float) -> str | None:
        """The ISO text of a day's serial number; None outside the years 1900 to 9999."""
        if serial < 0 or (60 <= serial < 61 and not self.from_1904):  # 29 February 1900 never was
            return None
        lasts = (
            timedelta(milliseconds=round(serial * 86_400_000)) if serial < 3e6 else timedelta.max
        )
        if serial < 1:
            return (datetime(1900, 1, 1) + lasts).time().isoformat()
        first = datetime(1904, 1, 1) if self.from_1904 else datetime(1899, 12, 30 + (serial < 60))
        try:
            return (first + lasts).isoformat()
        except OverflowError:
            return None


def number_text(number: float) -> str | None:
    """A double at 15 significant digits; None for a whole number of more digits than that."""
    if not abs(number) < 1e300:
        return None
    shown = Decimal(f"{number:.14e}").normalize()
    if abs(shown) >= Decimal(10) ** 15:
        return None
    return format(shown, "f") if shown else "0"


def _duration(days: float) -> str | None:
    """Hours beyond a day, minutes, seconds; None below zero, which Excel does not show."""
    if not 0 <= days < 3e6:
        return None
    minutes, seconds = divmod(round(days * 86_400), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def _iso(text: str) -> str:
    for kind in (date, time):
        try:
            found = kind.fromisoformat(text)
        except ValueError:
            continue
        if isinstance(found, date):
            return datetime.combine(found, time()).isoformat()
        return found.isoformat()
    return datetime.fromisoformat(text).isoformat()


def _name(xml: Element) -> str:
    return xml.tag.rpartition("}")[2]


def _children(xml: Element | None, name: str) -> Iterator[Element]:
    return (child for child in (() if xml is None else xml) if _name(child) == name)


def _child(xml: Element | None, name: str) -> Element | None:
    return next(_children(xml, name), None)


def _attribute(xml: Element, name: str) -> str:
    """An attribute with a namespace, whichever."""
    return next((value for key, value in xml.attrib.items() if key.endswith(f"}}{name}")), "")


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    if number > 16_384:
        raise UnreadableError(f"no column {letters}")
    return number


def _text(xml: Element) -> str:
    return xml.text or ""


def _rich(xml: Element) -> str:
    """The text of a string item: its runs, without the phonetic ones."""
    texts = [_text(child) for child in _children(xml, "t")]
    for run in _children(xml, "r"):
        texts += [_text(child) for child in _children(run, "t")]
    return _unescaped("".join(texts))


def _unescaped(text: str) -> str:
    """OOXML writes what XML cannot hold as _xHHHH_."""
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text)
