"""Workbooks for tests: as a program writes them, and by hand."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xlsxwriter

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


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
STRICT_RELATIONS = "http://purl.oclc.org/ooxml/officeDocument/relationships"
PASSED_OVER = (
    " has {} of the {} columns in its first row and is no table of this dataset: passed over"
)
RELATIONS_PART = "xl/_rels/workbook.xml.rels"
HEADER = '<row r="1"><c r="A1" t="str"><v>a</v></c><c r="B1" t="str"><v>b</v></c></row>'


def raw_workbook(*sheets: str, strict: bool = False, workbook_pr: str = "") -> bytes:
    """A workbook by hand: each sheet is the XML of its rows, or a whole document."""
    main, relations = (STRICT, STRICT_RELATIONS) if strict else (MAIN, RELATIONS)
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}">{workbook_pr}<sheets>'
        + "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{relations}/worksheet" Target="/xl/sheets/s{n}.xml"/>'
            for n in numbers
        )
        + f'<Relationship Id="r0" Type="{relations}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><numFmts><numFmt numFmtId="164" '
        'formatCode="[h]:mm"/></numFmts><cellStyleXfs><xf numFmtId="22"/></cellStyleXfs><cellXfs>'
        '<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="20"/>'
        '<xf numFmtId="164"/></cellXfs></styleSheet>',
    }
    for n, sheet in zip(numbers, sheets, strict=True):
        body = f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>'
        parts[f"xl/sheets/s{n}.xml"] = sheet if sheet.startswith("<?") else body
    return zip_of(parts)


def zip_of(parts: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


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
    relation = f'<Relationship Id="s" Type="{RELATIONS}/sharedStrings" Target="strings.xml"/>'
    data = changed(data, RELATIONS_PART, "</Relationships>", f"{relation}</Relationships>")
    return zip_of({**parts_of(data), "xl/strings.xml": f'<sst xmlns="{MAIN}">{items}</sst>'})


def cells_of(*cells: str) -> str:
    """Rows of one cell in column A each, below the header; each cell's attributes and content."""
    rows = enumerate(cells, start=2)
    return HEADER + "".join(f'<row r="{n}"><c r="A{n}" {cell}</c></row>' for n, cell in rows)


def read_book(data: bytes, columns: str = "a b", **limits: Any) -> Parsed:
    return read(data, columns, "f.xlsx", **limits)


OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
GOOD = raw_workbook(cells_of("><v>1</v>"))


FAR = '<row r="1048576"><c r="XFD1048576" {}</c></row>'
