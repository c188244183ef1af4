"""A look at a workbook's zip before its sheets are read: is it one, how large is it really?

A few bytes of zip can hold gigabytes of XML, and a sheet with one cell in each of two far corners
asks its reader for billions of cells: such a reader does not raise, it aborts. Also, a sheet whose
XML breaks off would read as an empty one. So sizes, extents and XML are looked at first.
"""

from __future__ import annotations

import io
import posixpath
import re
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections import Counter
from typing import IO
from xml.parsers import expat

from lakehouse_assets.parse.model import shown

_CHUNK = 2**20
_LONGEST_TAG = 2**16
_CELL = re.compile(
    rb"""<(?:\w+:)?c\s(?:[^>]*?\s)?r=["']([A-Z]{1,3})([0-9]{1,7})["'][^>]*>"""
    rb"""\s*<(?:\w+:)?(?:v|is|f)\b"""
)
"""A cell with something in it; one without only carries a format, and may stand anywhere."""
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    ET.ParseError,
    expat.ExpatError,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What zipfile and expat raise for broken, encrypted or exotic zips and for broken XML."""


class Refused(Exception):  # noqa: N818 - a verdict, not an error of the program
    """The workbook as a whole cannot be read; the text is the clear line."""


def brief(error: BaseException) -> str:
    """What a library says about a file, as one short line."""
    return shown(str(error), 160) or type(error).__name__


def look(data: bytes, max_expanded_bytes: int, max_cells: int) -> dict[str, str]:
    """The sheets, by name, that must not be read, each with its clear line.

    Raises `Refused` if the file is no workbook, is damaged or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = {_normal(part.filename): part for part in archive.infolist()}
            _check_kind(archive, parts)
            expanded = sum(part.file_size for part in archive.infolist())
            if expanded > max_expanded_bytes:
                raise Refused(
                    f"unpacks to {expanded:,} bytes, more than max_expanded_bytes "
                    f"({max_expanded_bytes:,}) allows; split the workbook or raise "
                    "max_expanded_bytes"
                )
            return _sheets_to_avoid(archive, parts, max_cells)
    except _DAMAGED as error:
        raise Refused(f"damaged or cut short ({brief(error)}); save and land it again") from None


def _normal(path: str) -> str:
    return path.replace("\\", "/").lstrip("/").lower()


def _check_kind(archive: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo]) -> None:
    if "xl/workbook.xml" in parts:
        return
    if "xl/workbook.bin" in parts:
        raise Refused("a binary workbook (.xlsb); save it as .xlsx")
    if "word/document.xml" in parts:
        raise Refused("a Word document, not a workbook; land the workbook itself")
    if "ppt/presentation.xml" in parts:
        raise Refused("a PowerPoint presentation, not a workbook; land the workbook itself")
    if "mimetype" in parts:
        with archive.open(parts["mimetype"]) as stream:
            if b"opendocument" in stream.read(200):
                raise Refused("an OpenDocument file; save it as .xlsx")
    raise Refused("a zip file without a workbook in it; land the .xlsx or .csv itself")


def _sheets_to_avoid(
    archive: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo], max_cells: int
) -> dict[str, str]:
    avoid: dict[str, str] = {}
    cells = 0
    sheets = _sheet_parts(archive, parts)
    times = Counter(name for name, _ in sheets)
    for name, path in sheets:
        if times[name] > 1:  # The reader would give the first one's rows for each.
            avoid[name] = "another sheet has the same name; rename one of them"
            continue
        if path not in parts:
            avoid[name] = "its part of the workbook is missing; save the workbook again"
            continue
        try:
            with archive.open(parts[path]) as stream:
                rows, columns = _extent(stream)
        except _DAMAGED as error:
            avoid[name] = f"damaged ({brief(error)}); save the workbook again"
            continue
        if cells + rows * columns > max_cells:
            avoid[name] = (
                f"reaches over {rows:,} rows and {columns:,} columns, more cells than max_cells "
                f"({max_cells:,}) allows a workbook; delete stray cells far from the table, "
                "split the workbook or raise max_cells"
            )
        else:
            cells += rows * columns
    return avoid


def _sheet_parts(
    archive: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo]
) -> list[tuple[str, str]]:
    """(name, path of its part) of each sheet."""
    with archive.open(parts["xl/workbook.xml"]) as stream:
        workbook = ET.parse(stream)  # noqa: S314 - expat bounds entities, the process memory
    with archive.open(parts["xl/_rels/workbook.xml.rels"]) as stream:
        relations = ET.parse(stream)  # noqa: S314
    targets = {it.get("Id"): it.get("Target", "") for it in relations.iterfind("{*}Relationship")}
    found: list[tuple[str, str]] = []
    for sheet in workbook.iterfind("{*}sheets/{*}sheet"):
        ids = [value for key, value in sheet.items() if key.endswith("}id")]
        target = targets.get(ids[0], "") if ids else ""
        path = posixpath.normpath(posixpath.join("/xl", target))
        found.append((sheet.get("name", ""), _normal(path)))
    return found


def _extent(stream: IO[bytes]) -> tuple[int, int]:
    """Rows from a sheet's first filled cell to its last, and columns from A to the last.

    Not what the sheet declares: that may be anything. Raises `ExpatError` for broken XML.
    """
    parser = expat.ParserCreate()
    columns: set[bytes] = set()
    rows: set[bytes] = set()
    tail = b""
    while chunk := stream.read(_CHUNK):
        parser.Parse(chunk, False)
        text = tail + chunk
        for column, row in _CELL.findall(text):
            columns.add(column)
            rows.add(row)
        # From the last tag but one on: a cell's and its first child's may end in the next chunk.
        last_but_one = text.rfind(b"<", 0, max(text.rfind(b"<"), 0))
        tail = text[max(last_but_one, len(text) - _LONGEST_TAG, 0) :]
    parser.Parse(b"", True)
    if not rows:
        return 0, 0
    numbers = [int(row) for row in rows]
    return max(numbers) - min(numbers) + 1, max(_column(letters) for letters in columns)


def _column(letters: bytes) -> int:
    """A column's number, from 1: A is 1, XFD is 16,384."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
