"""The package of a workbook: is it one, how large is it really, which sheets has it and where.

A few bytes of zip can hold gigabytes of XML, a zip can name a part twice, and a part can break off:
so sizes and names are looked at before anything is read, and all XML goes through one parser, which
refuses what no workbook has (a document type, and with it entities of its own).
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote
from xml.parsers import expat

from lakehouse_assets.parse.model import Unreadable, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 2**16
_LONGEST_TAG = 2**20
"""Expat before 2.6 looks at a tag or comment from its beginning with each piece that comes of it
(https://github.com/libexpat/libexpat/pull/789), so a long one would take hours."""
_OUT_OF_MEMORY = 1
"""Expat's code for it: like every other error of its own it is an `ExpatError` to Python."""
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    expat.ExpatError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What zipfile and expat raise for broken, encrypted or exotic zips and for broken XML."""
_KINDS = {"chartsheet": "a chart sheet", "dialogsheet": "a dialog sheet"}


def brief(error: BaseException) -> str:
    """What a library says about a file, as one short line."""
    return shown(str(error), 160) or type(error).__name__


@dataclass(frozen=True)
class Sheet:
    """A sheet as the workbook lists it; `number` is its position, from 1."""

    number: int
    name: str
    hidden: bool
    kind: str
    """`worksheet`, or what else its relation to the workbook calls it."""
    part: zipfile.ZipInfo | None
    """None where the package lacks it."""

    @property
    def instead(self) -> str | None:
        """What it is if it has no cells of a table; None for a worksheet."""
        if self.kind == "worksheet":
            return None
        return "a macro sheet" if "macro" in self.kind.lower() else _KINDS.get(self.kind, self.kind)


@dataclass(frozen=True)
class Package:
    """What a workbook is made of."""

    archive: zipfile.ZipFile
    sheets: tuple[Sheet, ...]
    from_1904: bool
    """Whether its dates count from 1904, as those of old Macs do."""
    styles: zipfile.ZipInfo | None
    strings: zipfile.ZipInfo | None


def opened(file: IO[bytes], max_expanded_bytes: int) -> Package:
    """Look at a workbook's package; all of it is read from `file`, also later.

    Raises `Unreadable` if the file is no workbook, is damaged or unpacks to too much.
    """
    try:
        archive = zipfile.ZipFile(file)
        expanded = sum(part.file_size for part in archive.infolist())
        if expanded > max_expanded_bytes:
            raise Unreadable(
                f"unpacks to {expanded:,} bytes, more than max_expanded_bytes "
                f"({max_expanded_bytes:,}) allows; split the workbook or raise max_expanded_bytes"
            )
        if any(part.flag_bits & 1 for part in archive.infolist()):
            raise Unreadable("a zip locked with a password; save it without one")
        return _package(archive, _parts(archive))
    except DAMAGED as error:
        raise Unreadable(f"damaged or cut short ({brief(error)}); save and land it again") from None


def parsed(stream: IO[bytes], prepare: Callable[[expat.XMLParserType], None]) -> Iterator[None]:
    """Parse an XML document piece by piece; `prepare` sets the handlers.

    Names are `<namespace>}<name>`. Raises `ExpatError` for broken XML, `Unreadable` for a document
    type, and what `stream` raises.
    """
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    prepare(parser)
    size = 0
    try:
        while chunk := stream.read(_CHUNK):
            parser.Parse(chunk, False)
            size += len(chunk)
            if size - parser.CurrentByteIndex > _LONGEST_TAG:
                raise Unreadable(
                    f"damaged (a tag or comment of more than {_LONGEST_TAG:,} bytes); "
                    "save the workbook again"
                )
            yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        if error.code == _OUT_OF_MEMORY:
            raise MemoryError from None
        raise
    yield


def elements(
    archive: zipfile.ZipFile, part: zipfile.ZipInfo
) -> list[tuple[str, str, dict[str, str]]]:
    """(its parent's name, its own, its attributes) of each element, names without namespace."""
    found: list[tuple[str, str, dict[str, str]]] = []
    above = [""]

    def start(tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition("}")[2]
        found.append((above[-1], name, {k.rpartition("}")[2]: v for k, v in attributes.items()}))
        above.append(name)

    def prepare(parser: expat.XMLParserType) -> None:
        parser.StartElementHandler = start
        parser.EndElementHandler = lambda _: above.pop()

    with archive.open(part) as stream:
        for _ in parsed(stream, prepare):
            pass
    return found


def _refuse(*_: object) -> None:
    raise Unreadable("its XML has a document type, which no workbook has; save the workbook again")


def _normal(path: str) -> str:
    return posixpath.normpath(unquote(path).replace("\\", "/")).lstrip("/").lower()


def _parts(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    parts = [part for part in archive.infolist() if not part.is_dir()]
    times = Counter(_normal(part.filename) for part in parts)
    if twice := [name for name, count in times.items() if count > 1]:
        raise Unreadable(
            f"its zip has {shown(twice[0], 80)} more than once, and which one is meant nobody can "
            "tell; save the workbook again"
        )
    return {_normal(part.filename): part for part in parts}


@dataclass(frozen=True)
class _Relation:
    kind: str
    part: str


def _relations(
    archive: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo], of: str
) -> dict[str, _Relation]:
    """What a part of the package ("" for the package itself) points to, by id."""
    folder, name = posixpath.split(of)
    about = parts.get(_normal(f"{folder}/_rels/{name}.rels"))
    return {
        it.get("Id", ""): _Relation(
            it.get("Type", "").rpartition("/")[2],
            _normal(posixpath.join("/", folder, it.get("Target", ""))),
        )
        for _, tag, it in (elements(archive, about) if about else ())
        if tag == "Relationship"
    }


def _package(archive: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo]) -> Package:
    # The workbook may have any name: the package says which it is.
    start = [
        it.part for it in _relations(archive, parts, "").values() if it.kind == "officeDocument"
    ]
    main = next((it for it in (*start, "xl/workbook.xml") if it in parts), "")
    if not main or not main.endswith(".xml") or main.startswith(("word/", "ppt/")):
        raise Unreadable(_other_kind(archive, parts))
    relations = _relations(archive, parts, main)
    sheets: list[Sheet] = []
    from_1904 = False
    for above, tag, it in elements(archive, parts[main]):
        if (above, tag) == ("workbook", "workbookPr"):  # Excel has an extension of that name
            from_1904 = it.get("date1904", "0") in ("1", "true")
        elif (above, tag) == ("sheets", "sheet"):
            to = relations.get(it.get("id", ""), _Relation("worksheet", ""))
            hidden = it.get("state", "visible") != "visible"
            name = it.get("name", "")
            sheets.append(Sheet(len(sheets) + 1, name, hidden, to.kind, parts.get(to.part)))
    first = {it.kind: parts.get(it.part) for it in reversed(relations.values())}
    return Package(
        archive, tuple(sheets), from_1904, first.get("styles"), first.get("sharedStrings")
    )


def _other_kind(archive: zipfile.ZipFile, parts: dict[str, zipfile.ZipInfo]) -> str:
    if "xl/workbook.bin" in parts:
        return "a binary workbook (.xlsb); save it as .xlsx"
    if "word/document.xml" in parts:
        return "a Word document, not a workbook; land the workbook itself"
    if "ppt/presentation.xml" in parts:
        return "a PowerPoint presentation, not a workbook; land the workbook itself"
    if "mimetype" in parts and b"opendocument" in archive.read(parts["mimetype"])[:200]:
        return "an OpenDocument file; save it as .xlsx"
    return "a zip file without a workbook in it; land the .xlsx or .csv itself"
