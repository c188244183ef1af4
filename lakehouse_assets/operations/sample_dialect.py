"""How sample files are written: guessed here, for a contract to declare. Reading never guesses."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Final

from lakehouse_assets.parse import Dialect, Expected, Limits, Unreadable, parse
from lakehouse_assets.parse.model import BLANKS, shown

_SEEN_BYTES: Final = 8 * 2**20
_SNIFFED_LINES: Final = 5_000
_TITLE_LINES: Final = 50
_DELIMITERS: Final = (",", ";", "\t", "|")
# Without these limits every short text could be of some old Macintosh's.
_ENCODINGS: Final = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp850"),
    *("cp932", "gb18030", "big5", "euc_kr"),
]
_USUAL: Final = "cp1252"


@dataclass(frozen=True)
class Look:
    """A sample's dialect and headers (a workbook's: of its largest sheet), and what is doubtful."""

    dialect: Dialect
    headers: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def look(file: Path, limits: Limits) -> Look:
    """How a sample is written: delimiter and encoding of CSV, rows before the header, headers.

    Raises `Unreadable` where no row can be read.
    """
    dialect = Dialect()
    doubts: list[str] = []
    if not file.name.lower().endswith(".xlsx"):
        dialect, doubts = _of_text(_start(file))
    sheet = _largest_sheet(file, dialect, limits)
    if above := sheet.rows_above():
        dialect = replace(dialect, skip_rows=above)
        sheet = _largest_sheet(file, dialect, limits)
    elif not sheet.rows and dialect.skip_rows:  # what was taken for the header is the last line
        dialect = replace(dialect, skip_rows=0)
        sheet = _largest_sheet(file, dialect, limits)
    if skipped := dialect.skip_rows:
        doubts.append(f"dialect: the header seems to stand behind {skipped} row(s), passed over")
    headers = sheet.in_order()
    unfit = [h for h in _doubtful(headers) if not _has(file, h, dialect, limits)]
    doubts += [f"{h}: stands twice in the header, or has no name, so it is left out" for h in unfit]
    return Look(dialect, tuple(h for h in headers if h not in unfit), tuple(doubts))


def _doubtful(headers: Sequence[str]) -> list[str]:
    """The headers by which reading may tell columns of one name, or of none, apart."""
    numbered = [(h, found[1]) for h in headers if (found := re.fullmatch(r"(.+)_[0-9]+", h))]
    return [h for h in headers if any(h in pair for pair in numbered)]


def _has(file: Path, header: str, dialect: Dialect, limits: Limits) -> bool:
    """Whether a contract can ask for a header: a file has it, and once."""
    with file.open("rb") as stream:
        try:
            next(iter(parse(file.name, stream, Expected((header,), dialect=dialect), limits)), None)
        except Unreadable:
            return False
    return True


def _of_text(start: bytes) -> tuple[Dialect, list[str]]:
    encoding, doubts = _encoding(start)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(start).lstrip("\ufeff")
    lines = text.splitlines(keepends=True)
    delimiter, skipped = None, 0
    if lines and re.fullmatch(r"(?i)sep=[^\r\n]\s*", lines[0]):
        delimiter = lines.pop(0)[len("sep=")]  # Excel's own line, which reading passes over
    if len(lines) > 1 and len(start) == _SEEN_BYTES:
        lines.pop()  # cut in the middle
    if found := _sniffed("".join(lines[:_SNIFFED_LINES]), delimiter):
        delimiter, skipped = found
    delimiter = delimiter or ","
    skipped = max(skipped, _lines_above(lines[:_TITLE_LINES], delimiter))
    return Dialect(delimiter=delimiter, encoding=encoding, skip_rows=skipped), doubts


@dataclass
class _Sheet:
    """A sheet, or a CSV file: the names that its rows have values under, and too wide rows."""

    rows: int = 0
    names: dict[str, None] = field(default_factory=dict)
    wide: list[tuple[int, int]] = field(default_factory=list)
    _before: dict[str, set[str]] = field(default_factory=dict)

    def see(self, row: int, names: Sequence[str], raw: str | None) -> None:
        """Take note of a row."""
        self.rows += 1
        self.names |= dict.fromkeys(names)
        for first, then in pairwise(names):
            self._before.setdefault(then, set()).add(first)
        if raw is not None and raw.startswith("["):  # a sheet's row, as JSON
            self.wide.append((row, len(json.loads(raw))))

    def rows_above(self) -> int:
        """How many rows stand above the header.

        Where a title is taken for the header, the rows of the table have values beyond it.
        """
        if 2 * len(self.wide) <= self.rows:
            return 0
        [(width, _)] = Counter(length for _, length in self.wide).most_common(1)
        return min(row for row, length in self.wide if length >= width) - 1

    def in_order(self) -> list[str]:
        """The names as the header has them: each row has some, in that order."""
        graph = {name: self._before.get(name, set()) for name in self.names}
        try:
            return list(TopologicalSorter(graph).static_order())
        except CycleError:
            return list(self.names)


def _largest_sheet(file: Path, dialect: Dialect, limits: Limits) -> _Sheet:
    """Read a sample where no column is expected, so that all values are under unexpected ones."""
    sheets: dict[int, _Sheet] = {}
    with file.open("rb") as stream:
        reading = parse(file.name, stream, Expected((), dialect=dialect), limits)
        for batch in reading:
            columns = (batch.column(name) for name in ("_sheet_no", "_row", "_extra", "_raw"))
            for number, row, extra, raw in zip(*(c.to_pylist() for c in columns), strict=True):
                sheets.setdefault(number, _Sheet()).see(row, [n for n, _ in extra or ()], raw)
    largest = max(sheets.values(), key=lambda sheet: sheet.rows, default=_Sheet())
    if len(sheets) == 1:  # what has no value anywhere is in no row, and in the header all the same
        largest.names |= dict.fromkeys(reading.summary.unexpected)
    return largest


def _start(file: Path) -> bytes:
    try:
        with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
            return stream.read(_SEEN_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return b""  # the reader says what is wrong with it


def _lines_above(lines: Sequence[str], delimiter: str) -> int:
    """How many lines stand above the first with a value in more than half of the columns.

    A title may have as many fields as the table, most of them empty: so Excel writes it.
    """
    reader = csv.reader(lines, delimiter=delimiter)
    ends, filled = [0], []
    try:
        for record in reader:
            ends.append(reader.line_num)
            filled.append(sum(bool(value.strip(BLANKS)) for value in record))
    except csv.Error:
        return 0
    widest = max(filled, default=0)
    return next((ends[at] for at, count in enumerate(filled) if 2 * count > widest), 0)


def _encoding(start: bytes) -> tuple[str, list[str]]:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", []
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8", []
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only where it is not UTF-8

    telling = [line for line in start.splitlines() if not line.isascii()][:1_000]
    matches = list(from_bytes(b"\n".join(telling), cp_isolation=_ENCODINGS))
    ranks = [(match.chaos, -match.coherence) for match in matches]
    best = [m for m, rank in zip(matches, ranks, strict=True) if rank == min(ranks)]
    # What is as likely as the usual one is the usual one.
    usual = not best or any(_USUAL in match.could_be_from_charset for match in best)
    encoding = _USUAL if usual else best[0].encoding
    example = shown(telling[0].decode(encoding, "replace"), 60)
    return encoding, [
        f"dialect: encoding {encoding} is a guess; see whether this reads well: {example}"
    ]


def _sniffed(text: str, delimiter: str | None) -> tuple[str, int] | None:
    """Delimiter and lines before the header, as DuckDB sees them; None where it sees nothing."""
    import duckdb  # noqa: PLC0415 - takes a moment to import

    with tempfile.NamedTemporaryFile("w", suffix=".csv", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        delim = ", delim = $delimiter" if delimiter else ""
        given = {"file": file.name} | ({"delimiter": delimiter} if delimiter else {})
        query = f"SELECT Delimiter, SkipRows FROM sniff_csv($file{delim}, sample_size = -1)"
        try:
            with duckdb.connect() as database:
                found = database.execute(query, given).fetchone()
        except duckdb.Error:
            return None
    if found is None or found[0] not in (*_DELIMITERS, delimiter):
        return None
    return found[0], int(found[1])
