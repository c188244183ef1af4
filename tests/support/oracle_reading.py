"""A file's bytes → its rows, or why there are none; for the oracle.

Written from the definitions alone: `read` is the whole of it, `split` is RFC 4180.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tests.support.oracle_contracts import BLANKS, ORIGIN, TYPES, Dataset, Record, trim, whole
from tests.support.oracle_workbook import Cell, Sheet, UnreadableError, read_sheets

UNREADABLE_CELL = "row.unreadable_cell"


class Origin(NamedTuple):
    """The rejected row that a row claims to repair, as its four cells say."""

    file: str
    digest: str
    sheet: int | None
    row: int | None


@dataclass(frozen=True)
class Line:
    """A row of a file, whichever path it landed at; rules that need no contract's checks judged."""

    sheet: str | None
    sheet_no: int
    row: int
    texts: Mapping[str, str | None]
    extra: Mapping[str, str] | None = None
    raw: str | None = None
    typed: Record = field(default_factory=dict)  # a value that is missing or wrong is None
    broken: frozenset[str] = frozenset()
    origin: Origin | None = None
    unreadable: frozenset[str] = frozenset()
    """Contract columns whose cell has no value of its own."""


@dataclass(frozen=True)
class Content:
    """What a file's bytes say: its rows, or why there are none."""

    lines: tuple[Line, ...] = ()
    error: str | None = None
    bad_sheets: tuple[tuple[str, str], ...] = ()
    passed_over: tuple[str, ...] = ()
    """Sheets that are something else: a note, a pivot."""


@functools.lru_cache(maxsize=256)
def read(dataset: Dataset, file: str, content: bytes) -> Content:
    """Read a file's bytes."""
    name = file.lower()
    try:
        if name.endswith(".xlsx"):
            return _read_workbook(dataset, content)
        if not name.endswith((".csv", ".csv.gz")):
            raise UnreadableError("no .csv, .csv.gz or .xlsx")
        if name.endswith(".gz"):
            content = _gunzip(content)
        return Content(tuple(_read_csv(dataset, content)))
    except UnreadableError as error:
        return Content(error=str(error))


# -------------------------------------------------------------------------------------------- CSV


def _gunzip(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"no gzip: {error}") from error


class Split(NamedTuple):
    """A record, or (no fields) one physical line of what RFC 4180 cannot split."""

    line: int
    raw: str
    fields: list[str] | None


class _Stretch(NamedTuple):
    """What reading from the left gives at once: a record, or lines up to where it fails."""

    line: int
    text: str
    """With its line end."""
    fields: list[str] | None
    fault: Literal["closed early", "looks like an end", "other"] | None = None

    @property
    def last(self) -> int:
        """The last of its physical lines."""
        return self.line + max(len(_LINE.findall(self.text)), 1) - 1

    def lines(self) -> Iterator[Split]:
        """Its physical lines, each given up."""
        for at, text in enumerate(_LINE.findall(self.text)):
            yield Split(self.line + at, _without_end(text), None)


_FIELD = re.compile(r'"((?:[^"]+|"")*+)"|([^",\r\n]*)')
_END = re.compile(r"\r?\n|\Z")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_AN_END = re.compile(r'"(?:"")*(?:,|\r?\n|\Z)')
_LOOKED_FOR = 100
"""Lines within which the end of a quoted field that was closed too early is looked for."""


def split(text: str) -> Iterator[Split]:
    """RFC 4180, from the left, record by record; what a broken quoted field spans is given up."""
    stretches = list(_stretches(text))
    given_up = -1  # the last stretch that belongs to a field which was closed too early
    for at, stretch in enumerate(stretches):
        if stretch.fault == "closed early" and at > given_up:
            for after in range(at + 1, len(stretches)):
                if stretches[after].last > stretch.last + _LOOKED_FOR:
                    break
                if stretches[after].fault == "looks like an end":
                    given_up = after
                    break
        if stretch.fields is None or at <= given_up:
            yield from stretch.lines()
        else:
            yield Split(stretch.line, _without_end(stretch.text), stretch.fields)


def _without_end(text: str) -> str:
    return re.sub(r"\r?\n\Z", "", text)


def _stretches(text: str) -> Iterator[_Stretch]:
    at, line = 0, 1
    while at < len(text):
        start, fields, quoted = at, [], False
        while True:
            found = _FIELD.match(text, at)
            assert found  # a bare field may be empty
            quoted = found[1] is not None
            if not quoted and text.startswith('"', at):  # never closed
                at, end = len(text), None
                break
            fields.append(found[1].replace('""', '"') if quoted else found[2])
            at = found.end()
            end = _END.match(text, at)
            if end or not text.startswith(",", at):
                break
            at += 1
        if end:
            at = end.end()
            stretch = _Stretch(line, text[start:at], fields)
        else:  # it fails at this place: give up its lines up to here
            fault: Literal["closed early", "looks like an end", "other"] = "other"
            if quoted and not text.startswith("\r", at):
                fault = "closed early"
            elif not quoted and _AN_END.match(text, at):
                fault = "looks like an end"
            at = text.find("\n", at) + 1 or len(text)
            stretch = _Stretch(line, text[start:at], None, fault)
        yield stretch
        line = stretch.last + 1


def _read_csv(dataset: Dataset, content: bytes) -> Iterator[Line]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError("not UTF-8") from error
    text = text.lstrip("\ufeff").removesuffix("\x1a")
    if "\0" in text:
        raise UnreadableError("a NUL byte")
    records = (r for r in split(text) if r.raw.strip(BLANKS + ",") and _any(r.fields or [r.raw]))
    first = next(records, None)
    if first and first.line == 1 and first.raw == "sep=,":
        first = next(records, None)
    if first is None or first.fields is None:
        raise UnreadableError("no header" if first is None else "the header cannot be split")
    header = _header(dataset, first.fields)
    for line, raw, fields in records:
        width = len(fields or ())
        if fields is None:
            yield _broken_line(dataset, "row.unsplittable", raw, (None, 0, line))
        elif width < len(header) or _any(fields[len(header) :]):
            yield _broken_line(dataset, "row.ragged", raw, (None, 0, line))
        else:
            cells = [Cell(field) for field in fields[: len(header)]]
            yield _line(dataset, header, cells, (None, 0, line))


# -------------------------------------------------------------------------------------- workbooks


def _read_workbook(dataset: Dataset, content: bytes) -> Content:
    lines: list[Line] = []
    bad: list[tuple[str, str]] = []
    passed_over: list[str] = []
    good = 0
    for sheet in read_sheets(content):
        if sheet.cells is None:
            bad.append((sheet.name, sheet.error or ""))
        elif rows := _rows(sheet):
            try:
                found = _read_sheet(dataset, sheet, rows)
            except UnreadableError as error:
                bad.append((sheet.name, str(error)))
            else:
                good += found is not None
                lines += found or []
                passed_over += [] if found is not None else [sheet.name]
    if not good:
        whys = [*(why for _, why in bad), *(f"{name} is something else" for name in passed_over)]
        raise UnreadableError("no readable sheet: " + "; ".join(whys))
    return Content(tuple(lines), bad_sheets=tuple(bad), passed_over=tuple(passed_over))


class _Row(NamedTuple):
    """A row of a sheet with any value, from its first column."""

    number: int
    cells: list[Cell | None]
    width: int
    """Its last column with a value."""


def _rows(sheet: Sheet) -> list[_Row]:
    rows = []
    for number, cells in sorted((sheet.cells or {}).items()):
        if said := [column for column, cell in cells.items() if trim(cell.text)]:
            every = [cells.get(column) for column in range(1, max(cells) + 1)]
            rows.append(_Row(number, every, max(said)))
    return rows


def _read_sheet(dataset: Dataset, sheet: Sheet, rows: list[_Row]) -> list[Line] | None:
    """The rows of a sheet; None if it is something else."""

    def has(row: _Row) -> set[str]:
        texts = (cell.text if cell else None for cell in row.cells)
        return {(trim(text) or "").lower() for text in texts} & {*dataset.columns}

    first = rows[0]
    further_down = [row.number for row in rows[1:] if has(row) == {*dataset.columns}]
    if 2 * len(has(first)) < len(dataset.columns) and not further_down:
        return None
    try:
        names = [cell.text if cell else None for cell in first.cells[: first.width]]
        header = _header(dataset, names)
    except UnreadableError as error:
        where = f" (they stand in row {further_down[0]})" if further_down else ""
        raise UnreadableError(f"{error}{where}") from error
    lines = []
    for number, cells, width in rows[1:]:
        place = (sheet.name, sheet.number, number)
        if width > len(header):
            raw = json.dumps([cell and cell.text for cell in cells[:width]], ensure_ascii=False)
            lines.append(_broken_line(dataset, "row.ragged", raw, place))
        else:
            filled = [*cells, *[None] * len(header)][: len(header)]
            lines.append(_line(dataset, header, filled, place))
    return lines


# ------------------------------------------------------------------------------- headers and rows


def _any(cells: Iterable[str | None]) -> bool:
    return any(trim(cell) for cell in cells)


def _header(dataset: Dataset, cells: Sequence[str | None]) -> list[str]:
    """The name of each column; an unexpected one that comes again gets a number that is free."""
    names = [(trim(cell) or f"column_{n}").lower() for n, cell in enumerate(cells, 1)]
    if twice := [name for name in dataset.columns if names.count(name) > 1]:
        raise UnreadableError(f"column twice: {', '.join(twice)}")
    if missing := [name for name in dataset.columns if name not in names]:
        raise UnreadableError(f"column missing: {', '.join(missing)}")
    taken, seen, header = {*names}, set[str](), []
    for name in names:
        free, number = name, 2
        if name in seen:
            while (free := f"{name}_{number}") in taken:
                number += 1
        seen.add(name)
        taken.add(free)
        header.append(free)
    return header


def _unshielded(text: str | None) -> str | None:
    """Without the `'` that an export puts before what a spreadsheet would run."""
    return text and re.sub(r"\A'(?=[=+\-@'\t\r])", "", text)


def _line(
    dataset: Dataset,
    header: list[str],
    cells: Sequence[Cell | None],
    at: tuple[str | None, int, int],
) -> Line:
    said = dict(zip(header, cells, strict=True))
    texts = {name: (cell.text or None) if cell else None for name, cell in said.items()}
    origin = None
    if _any(texts.get(name) for name in ORIGIN):
        texts = {name: _unshielded(text) for name, text in texts.items()}
        file, digest, sheet, row = (trim(texts.get(name)) or "" for name in ORIGIN)
        origin = Origin(file, digest, whole(sheet), whole(row))
    typed: Record = {}
    broken: set[str] = set()
    unreadable: set[str] = set()
    for name, kind in dataset.columns.items():
        text, cell = trim(texts[name]), said[name]
        if cell and not cell.has_value:
            typed[name] = None
            unreadable.add(name)
            broken.add(UNREADABLE_CELL)
            continue
        typed[name] = None if text is None else TYPES[kind](text)
        if text is None and name not in dataset.nullable:
            broken.add(f"{name}.required")
        if text is not None and typed[name] is None:
            broken.add(f"{name}.type")
    extra = {n: text for n, text in texts.items() if n not in typed and text and trim(text)}
    own = {name: texts[name] for name in typed}
    faults = frozenset(broken), origin, frozenset(unreadable)
    return Line(*at, own, extra or None, None, typed, *faults)


def _broken_line(dataset: Dataset, rule: str, raw: str, at: tuple[str | None, int, int]) -> Line:
    nothing = dict.fromkeys(dataset.columns)
    return Line(*at, nothing, None, raw, dict(nothing), frozenset({rule}))
