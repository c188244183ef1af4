"""Workbooks, written part by part: what no library would write."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tests.support.badinput_cases import Case, Place, Table, Texts, said

# --------------------------------------------------------------------------------------- workbooks

_OOXML = "http://schemas.openxmlformats.org"
MAIN = (f"{_OOXML}/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main")
RELATIONS = (
    f"{_OOXML}/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)
MACROS = "http://schemas.microsoft.com/office/2006/relationships"
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
STYLES = (
    '<numFmts count="3"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/>'
    '<numFmt numFmtId="165" formatCode="[Red]0.00&quot; days&quot;;\\d0"/>'
    '<numFmt numFmtId="166" formatCode="[$-409]d/mmm/yy;@"/></numFmts>'
    '<fonts count="1"><font/></fonts><fills count="1"><fill><patternFill/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="7"><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/>'
    '<xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="166"/><xf numFmtId="2"/></cellXfs>'
)
Parts = dict[str, bytes]


@dataclass(frozen=True)
class Sheet:
    """A sheet's name, the XML of its rows or a whole part, and its attributes in the workbook."""

    name: str
    xml: str
    attributes: str = ""
    around: tuple[str, str] = ("", "")
    """What stands before and behind the rows."""
    kind: str = "worksheet"


def parts_of(
    sheets: Sequence[Sheet],
    shared: Sequence[str] = (),
    *,
    strict: bool = False,
    about: str = "",
    styles: str = STYLES,
) -> Parts:
    """The parts of a workbook; `shared` are its shared strings as XML."""
    main, relations = MAIN[strict], RELATIONS[strict]
    begin = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    numbers = range(1, len(sheets) + 1)
    sheet_list = "".join(
        f'<sheet name={quoteattr(sheet.name)} sheetId="{n}" {sheet.attributes} r:id="r{n}"/>'
        for n, sheet in zip(numbers, sheets, strict=True)
    )
    paths = [f"{sheet.kind}s/sheet{n}.xml" for n, sheet in zip(numbers, sheets, strict=True)]
    targets = {f"r{n}": (sheet.kind, paths[n - 1]) for n, sheet in enumerate(sheets, 1)}
    targets |= {"s": ("styles", "styles.xml"), "t": ("sharedStrings", "sharedStrings.xml")}
    overrides = {path: sheet.kind for path, sheet in zip(paths, sheets, strict=True)}
    overrides |= {"workbook.xml": "sheet.main", "styles.xml": "styles"}
    overrides |= {"sharedStrings.xml": "sharedStrings"}
    package = f"{_OOXML}/package/2006"
    texts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="xml" '
        'ContentType="application/xml"/><Default Extension="rels" ContentType="application/'
        'vnd.openxmlformats-package.relationships+xml"/>'
        + "".join(
            f'<Override PartName="/xl/{path}" ContentType="{_TYPES}.{kind}+xml"/>'
            for path, kind in overrides.items()
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}">{about}'
        f"<sheets>{sheet_list}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + "".join(
            f'<Relationship Id="{name}" Type="{MACROS if "Macro" in kind else relations}/{kind}" '
            f'Target="{path}"/>'
            for name, (kind, path) in targets.items()
        )
        + "</Relationships>",
        "xl/styles.xml": f'<styleSheet xmlns="{main}">{styles}</styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{main}">'
        + "".join(f"<si>{text}</si>" for text in shared)
        + "</sst>",
    }
    for n, sheet in zip(numbers, sheets, strict=True):
        before, behind = sheet.around
        rows = f"{before}<sheetData>{sheet.xml}</sheetData>{behind}"
        root = "macrosheet" if "Macro" in sheet.kind else sheet.kind
        body = f'<{root} xmlns="{main}" xmlns:r="{relations}">{rows}</{root}>'
        texts[f"xl/{paths[n - 1]}"] = sheet.xml if sheet.xml.startswith("<?") else body
    return {
        path: (text if text.startswith("<?") else begin + text).encode()
        for path, text in texts.items()
    }


def zipped(parts: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A zip of these parts; the same for the same parts."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # A part twice is meant.
        for name, data in parts.items() if isinstance(parts, Mapping) else parts:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def xstring(text: str) -> str:
    """Text as OOXML has it: what XML cannot hold, or what looks like it, is written as _xHHHH_."""
    text = re.sub("_(?=x[0-9A-Fa-f]{4}_)", "_x005F_", text)
    text = re.sub("[\x00-\x08\x0b-\x1f]", lambda it: f"_x{ord(it[0]):04X}_", text)
    return escape(text)


def letters(column: int) -> str:
    """A column's letters, counted from 1."""
    text = ""
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


Write = Callable[[str], str]
"""A cell's text → the rest of its element: attributes, `>`, content."""


def inline(text: str) -> str:
    """The text in the cell itself."""
    return f't="inlineStr"><is><t xml:space="preserve">{xstring(text)}</t></is>'


def rich(text: str) -> str:
    """The text in two runs."""
    half = len(text) // 2
    runs = [
        f'<r><t xml:space="preserve">{xstring(it)}</t></r>' for it in (text[:half], text[half:])
    ]
    return f't="inlineStr"><is>{"".join(runs)}</is>' if "_" not in text else inline(text)


def result(text: str) -> str:
    """The text as what a formula gave."""
    return f't="str"><f>A1&amp;""</f><v xml:space="preserve">{xstring(text)}</v>'


def rows_xml(
    records: Iterable[Sequence[str]],
    write: Callable[[str], str] = inline,
    top: int = 1,
    left: int = 1,
) -> str:
    """The rows of a sheet, one below the other; an empty cell is left out."""
    rows = []
    for number, cells in enumerate(records, start=top):
        xml = "".join(
            f'<c r="{letters(column)}{number}" {write(cell)}</c>'
            for column, cell in enumerate(cells, start=left)
            if cell
        )
        rows.append(f'<row r="{number}">{xml}</row>')
    return "".join(rows)


def sheet_truth(it: Table, sheet_no: int = 1, top: int = 1) -> dict[Place, Texts]:
    """What a sheet with the table's header in row `top` means."""
    return {
        (sheet_no, row): said(it.names, cells)
        for row, cells in enumerate(it.records, start=top + 1)
    }


def book_case(it: Table, parts: Parts | bytes, **about: Any) -> Case:
    """A workbook whose first sheet is meant to be this table."""
    data = parts if isinstance(parts, bytes) else zipped(parts)
    whole = Case("f.xlsx", data, it.dataset, sheet_truth(it))
    return replace(whole, **about)


def good_book(it: Table) -> Parts:
    """The table alone, as a workbook."""
    return parts_of([Sheet("S", rows_xml([it.names, *it.records]))])
