"""Workbooks for tests: as a program writes them, and by hand."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xlsxwriter

from tests.support import ooxml
from tests.support.parsed import Parsed, read

Sheet = tuple[str, Sequence[Sequence[Any]]]


def workbook_of(
    sheets: Sequence[Sheet], change: Callable[[xlsxwriter.Workbook], None] = lambda _: None
) -> bytes:
    """A workbook as a person's program writes it; None leaves a cell out."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        formats = {
            dt.date: book.add_format({"num_format": "yyyy-mm-dd"}),
            dt.datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            dt.time: book.add_format({"num_format": "hh:mm:ss"}),
            dt.timedelta: book.add_format({"num_format": "[h]:mm:ss"}),
        }
        for name, rows in sheets:
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, value in enumerate(cells):
                    if value is not None:
                        sheet.write(row, column, value, formats.get(type(value)))
        change(book)
    return out.getvalue()


MAIN, RELATIONS = ooxml.MAIN[0], ooxml.RELATIONS[0]
PASSED_OVER = (
    " has {} of the {} columns in its first row and is no table of this dataset: passed over"
)
RELATIONS_PART = "xl/_rels/workbook.xml.rels"
SHEET_PART = "xl/worksheets/sheet1.xml"
"""The first sheet of a workbook by hand."""
HEADER = '<row r="1"><c r="A1" t="str"><v>a</v></c><c r="B1" t="str"><v>b</v></c></row>'
_STYLES = (
    '<numFmts><numFmt numFmtId="164" formatCode="[h]:mm"/></numFmts><cellStyleXfs>'
    '<xf numFmtId="22"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/>'
    '<xf numFmtId="22"/><xf numFmtId="20"/><xf numFmtId="164"/></cellXfs>'
)


def raw_workbook(*sheets: str, strict: bool = False, workbook_pr: str = "") -> bytes:
    """A workbook by hand: each sheet is the XML of its rows, or a whole document."""
    named = [ooxml.Sheet(f"S{n}", xml) for n, xml in enumerate(sheets, start=1)]
    return ooxml.zipped(ooxml.parts_of(named, strict=strict, about=workbook_pr, styles=_STYLES))


def zip_of(parts: Mapping[str, str | bytes]) -> bytes:
    return ooxml.zipped(
        {path: it.encode() if isinstance(it, str) else it for path, it in parts.items()}
    )


def parts_of(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def changed(data: bytes, part: str, old: str, new: str) -> bytes:
    """A workbook with another text in one of its parts."""
    parts = parts_of(data)
    assert old in parts[part]
    return zip_of({**parts, part: parts[part].replace(old, new)})


def with_strings(data: bytes, items: str) -> bytes:
    """A workbook whose cells share these texts."""
    shared = f'<sst xmlns="{MAIN}">{items}</sst>'
    return zip_of({**parts_of(data), "xl/sharedStrings.xml": shared})


def cells_of(*cells: str) -> str:
    """Rows of one cell in column A each, below the header; each cell's attributes and content."""
    rows = enumerate(cells, start=2)
    return HEADER + "".join(f'<row r="{n}"><c r="A{n}" {cell}</c></row>' for n, cell in rows)


def read_book(data: bytes, columns: str = "a b", **limits: Any) -> Parsed:
    return read(data, columns, "f.xlsx", **limits)


OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
GOOD = raw_workbook(cells_of("><v>1</v>"))


FAR = '<row r="1048576"><c r="XFD1048576" {}</c></row>'
