"""Bad files by the thousand, the truth about each, and what must hold whatever it is.

Each `kind` makes one input of a table that it knows, out of a seed and a number: pollutions of
CSV (after the Pollock benchmark), naughty strings, attacks by spreadsheet, random damage. `judge`
parses it and says what is broken, by two measures that know nothing of the product: the generator's
truth (which text was meant at which place) and the oracle's own reading of the same bytes.

One fault is left out on purpose: those that make another well-formed file (an unclosed quote that a
line break behind another quote closes, a line cut inside its last field). No reader can see these.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import re
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random
from typing import Any, Literal, NamedTuple, TypeVar
from unicodedata import category
from xml.sax.saxutils import escape, quoteattr

from lakehouse_assets.parse import Limits, Unreadable
from tests.support import PROJECT, oracle
from tests.support.parsed import Parsed, parse_whole

LIMITS = Limits(
    max_expanded_bytes=64 * 2**20,
    max_cells=2_000_000,
    workbook_memory_bytes=2**30,
    workbook_seconds=30,
)
LONGEST_LINE = 1_000
OVERHEAD = 256 * 2**20
"""What a process that parses may take beyond what the file may ask for."""
DATASETS = tuple(oracle.COLUMNS)

Texts = dict[str, str | None]
Place = tuple[int, int]
"""Number of the sheet (0 in CSV), physical row."""
T = TypeVar("T")

# ----------------------------------------------------------------------------- inputs and verdicts


@dataclass(frozen=True)
class Case:
    """One input, and what is known about it."""

    name: str
    data: bytes
    dataset: str
    truth: Mapping[Place, Texts] | None = None
    """All records that were meant, at their places; None if only the oracle can tell."""
    must: Literal["rows", "unreadable", "any", "either"] = "any"
    """`rows`: exactly those of the truth. `any`: each is as meant or refused, none is added.
    `either`: each cell is as meant or as the oracle has it, which drops those of no known type."""
    oracle: bool = True
    """Whether the oracle knows all that matters here; it has no limits, and not all of OOXML."""
    limits: Limits = LIMITS


@dataclass(frozen=True)
class Verdict:
    """What became of an input."""

    rows: int
    unreadable: str | None
    broken: tuple[str, ...]


class Kind(NamedTuple):
    """A way to make inputs, and its share of them."""

    make: Callable[[Random, int], Case]
    share: int


KINDS: dict[str, Kind] = {}


def kind(name: str, share: int) -> Callable[[Callable[[Random, int], Case]], None]:
    """Register a generator: it takes its source of chance, and its number to count variants by."""

    def register(make: Callable[[Random, int], Case]) -> None:
        KINDS[name] = Kind(make, share)

    return register


def case(name: str, seed: int, number: int) -> Case:
    """The input of this kind, seed and number: always the same."""
    return KINDS[name].make(Random(f"{seed}/{name}/{number}"), number)


def variant(options: Mapping[str, T] | Sequence[T], number: int) -> T:
    """The options in turn, so that a few inputs show them all."""
    values = list(options.values()) if isinstance(options, Mapping) else options
    return values[number % len(values)]


def judge(it: Case) -> Verdict:
    """Parse an input and name every invariant that does not hold."""
    try:
        parsed = parse_whole(it.name, it.data, list(oracle.COLUMNS[it.dataset]), it.limits)
    except Unreadable as problem:
        return Verdict(0, str(problem), tuple(_refusal_faults(it, str(problem))))
    except Exception as error:  # noqa: BLE001 - that there is none is the first invariant
        return Verdict(0, None, (f"raised {type(error).__name__}: {str(error)[:300]}",))
    return Verdict(parsed.rows.num_rows, None, tuple(_row_faults(it, parsed)))


def _refusal_faults(it: Case, line: str) -> Iterator[str]:
    yield from _line_faults(line)
    if it.must == "rows":
        yield f"refused, though nothing is wrong: {line}"
    elif it.oracle and not it.name.lower().endswith(".xlsx"):
        content = _oracle(it)
        if content and content.error is None:  # For workbooks the product may be stricter.
            yield f"refused, but the oracle reads it: {line}"


def _line_faults(line: str) -> Iterator[str]:
    wrong, _, remedy = line.partition("; ")
    if not (wrong.strip() and remedy.strip()):
        yield f"not '<what is wrong>; <what to do>': {line!r}"
    if any(category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in line):
        yield f"not one plain line: {line!r}"
    if any(len(part) > LONGEST_LINE for part in line.split(" | ")):  # ` | ` is between sheets.
        yield f"a line of {len(line)} characters: {line[:80]!r}…"


class _Row(NamedTuple):
    """A row as both readers have it."""

    texts: tuple[tuple[str, str | None], ...]
    extra: tuple[tuple[str, str], ...]
    raw: str | None


def _row_faults(it: Case, parsed: Parsed) -> Iterator[str]:
    for problem in parsed.sheet_problems:
        yield from _line_faults(problem.problem)
    if it.must == "unreadable":
        yield f"read, though it is unreadable: {parsed.rows.to_pylist()[:2]}"
    names = list(oracle.COLUMNS[it.dataset])
    found: dict[Place, _Row] = {}
    for row in parsed.rows.to_pylist():
        place = row["_sheet_no"], row["_row"]
        if place in found:
            yield f"two rows at {place}"
        texts, extra = [(name, row[name]) for name in names], sorted(row["_extra"] or ())
        found[place] = _Row(tuple(texts), tuple(extra), row["_raw"])
    if it.truth is not None and it.must != "either":
        yield from _against_truth(it, found, names)
    if it.oracle:
        unread = {problem.sheet for problem in parsed.sheet_problems}
        yield from _against_oracle(it, found, unread)


def _against_truth(it: Case, found: Mapping[Place, _Row], names: Sequence[str]) -> Iterator[str]:
    assert it.truth is not None
    for place, row in found.items():
        if row.raw is not None:
            continue
        meant = it.truth.get(place)
        if meant is None:
            yield f"a row at {place} that was never meant: {row}"
        elif dict(row.texts) != {name: meant[name] for name in names} or dict(row.extra) != {
            name: text for name, text in meant.items() if name not in names
        }:
            yield f"other values at {place}: {row}, meant was {meant}"
    if it.must == "rows":
        if missing := [place for place in it.truth if place not in found]:
            yield f"rows lost at {missing[:5]}"
        if refused := [place for place, row in found.items() if row.raw is not None]:
            yield f"rows refused at {refused[:5]}, though nothing is wrong"


def _against_oracle(it: Case, found: Mapping[Place, _Row], unread: set[str]) -> Iterator[str]:
    content = _oracle(it)
    if content is None:
        return
    if content.error is not None:
        if not it.name.lower().endswith(".xlsx"):  # openpyxl knows less than the definitions.
            yield f"read, but to the oracle it is unreadable: {content.error}"
        return
    bad = {sheet for sheet, _ in content.bad_sheets} | unread
    expected = {
        (line.sheet_no, line.row): _Row(
            tuple(line.texts.items()), tuple(sorted((line.extra or {}).items())), line.raw
        )
        for line in content.lines
        if line.sheet not in bad
    }
    sheets = {number for number, _ in expected}
    for place, row in found.items():
        other = expected.get(place)
        if place[0] in sheets and row != other and not _either(it, place, row, other):
            yield f"at {place} is {row}, to the oracle {other}"
            return
    if missing := expected.keys() - found.keys():
        yield f"{len(missing)} records are not accounted for: {sorted(missing)[:5]}"


def _either(it: Case, place: Place, row: _Row, other: _Row | None) -> bool:
    """Whether all cells of a row that differ from the oracle's are as they were meant."""
    if it.must != "either" or it.truth is None or place not in it.truth or other is None:
        return False
    if (row.extra, row.raw) != (other.extra, other.raw):
        return False
    told = {name: {text, it.truth[place][name]} for name, text in other.texts}
    return all(text in told[name] for name, text in row.texts)


def _oracle(it: Case) -> oracle.Content | None:
    """The oracle's reading; None where its reader of workbooks stumbles, which proves nothing."""
    try:
        return oracle.read.__wrapped__(oracle.SHOP[it.dataset], it.name, it.data)
    except Exception:  # whatever openpyxl stumbles over
        if it.name.lower().endswith(".xlsx"):
            return None
        raise


_MEASURE = """if True:
    import pickle, resource, sys
    from tests.support.badinput import judge
    verdict = judge(pickle.load(sys.stdin.buffer))
    peak = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
    reader = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(int(peak[0]) * 1024, reader * 1024, verdict.broken)
"""


def memory_faults(it: Case) -> list[str]:
    """What is broken, peak memory included: measured in a process of its own (on Linux)."""
    import pickle

    done = subprocess.run(
        [sys.executable, "-c", _MEASURE],
        input=pickle.dumps(it),
        capture_output=True,
        env={"PYTHONPATH": str(PROJECT)},
        check=True,
    )
    own, reader, broken = done.stdout.decode().strip().split(" ", 2)
    faults = [] if broken == "()" else [broken]
    most = len(it.data) + it.limits.max_expanded_bytes * 2 + OVERHEAD
    if int(own) > most:
        faults.append(f"took {int(own):,} bytes, more than {most:,}")
    # A child counts what its parent held when it began, too.
    if int(reader) > max(it.limits.workbook_memory_bytes, int(own)):
        faults.append(f"its reader took {int(reader):,} bytes")
    return faults


# ------------------------------------------------------------------------------------------ texts

NAUGHTY: tuple[str, ...] = (
    # Words that some reader takes for something else.
    "undefined", "null", "NULL", "(null)", "nil", "None", "true", "FALSE", "hasOwnProperty", "NaN",
    "-Infinity", "#N/A", "N/A", "-", "\\N", "\\\\", "CON", "PRN", "AUX", "LPT1", "COM1", "nul",
    "a.out", "constructor", "__proto__", "SELECT", "WHERE", "then",
    # Numbers in odd notation, dates that are none.
    "0", "-0", "007", "1.00", "$1.00", "1/2", "1E2", "1e400", "-1E+02", "0x10", "0b11", "1_000",
    ".5", "5.", "+7", "1,000.00", "1.000,00", "1'000", "1٬234", "١٢٣", "４２", "½", "1e-7", "--1",
    "9223372036854775808", "2025-02-30", "24:00:00", "1900-02-29", "1/4/2025",
    "99999999999999999999999999999999999999999999",
    # What a spreadsheet would run.
    *("=1+1", "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "'=1+1", "'", "''", "'-", "'@x"),
    '=HYPERLINK("http://x/?q="&A1,"go")',
    # Letters beyond ASCII: composed, decomposed, wide, right to left, stacked, invisible, joined.
    "naïve café — “quotes” ‘single’ …", "Ω≈ç√∫˜µ≤≥÷", "田中さんにあげて下さい", "ﾊﾞｶ", "社會科學院",
    "שָׁלוֹם عليكم", "\u202etest\u202c", "\u2067test\u2069", "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮", "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏿", "🇺🇸🇷🇺", "𝕋𝕙𝕖",  # noqa: E501
    "e\u0301 é", "İıſß", "ﬁ", "\u200b", "\u200bzero\u200cwidth\u200d\u2060", "\u00ad\u061c", "\ufeff", "a\ufeffb",  # noqa: E501
    "\ufffd", "\U0010ffff", "\ue000", "\u3000", "\u2003 em", "\u1680", "\x85", "\u2028", "a\u2029b",
    # Control characters; blanks, which are text where anything else is, too.
    "\x01\x02\x07\x08", "\x0b\x0c", "\x1b[31mred\x1b[0m", "\x7f", "a\tb", "\t", " ", " lead", "trail ", "\u00a0", "\u00a0x\u00a0",  # noqa: E501
    # Injections, paths, format strings.
    "1;DROP TABLE users", "1'; DROP TABLE users-- 1", "' OR 1=1 -- 1", "%", "_", "%s%n%x", "{0}", "${x}", "{{7*7}}",  # noqa: E501
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;&lt;&#13;", "<![CDATA[x]]>", "]]>", "<!-- x",  # noqa: E501
    "_x0041_", "_x000D_", "_x005F_x0041_", "_xZZZZ_", "../../etc/passwd", "C:\\temp\\new", "\\\\host\\share", "file:///etc/passwd",  # noqa: E501
    "`ls`", "$(touch x)", "|ls", ";", "a;b;c", "a|b", "#comment", "--", "/*", "//", "sep=,", "[]", "[1, null]", '{"a": 1}',  # noqa: E501
    # Quotes, commas and line breaks, which must come back out of quotes.
    '"', '""', 'say "hi"', '","', '"a","b"', ",", ",,,", "a,b", "\\", '\\"', "a\\,b", "x\n", "\n", "a\nb", "a\r\nb", "a\rb", "\r", '"\n"',  # noqa: E501
    # Long ones.
    "x" * 5_000, "é" * 3_000, "a b " * 2_000, "," * 500, '"' * 501,
)  # fmt: skip
WORDS = (
    "Milk",
    "Organic eggs",
    "Café au lait",
    "12 oz",
    "bread",
    "Tea",
    "dairy",
    "",
    "fish, fresh",
)


def meant(cell: str) -> str | None:
    """A cell as bronze has it: an empty one is null."""
    return cell or None


def said(names: Sequence[str], cells: Sequence[str]) -> Texts:
    """A record as bronze has it: the contract's columns, and what has a value in others."""
    texts: Texts = {}
    for at, (name, cell) in enumerate(zip(names, cells, strict=True), start=1):
        key = name.strip(oracle.BLANKS).lower() or f"column_{at}"
        if key in _CONTRACT_NAMES or cell.strip(oracle.BLANKS):
            texts[key] = meant(cell)
    return texts


_CONTRACT_NAMES = frozenset(name for columns in oracle.COLUMNS.values() for name in columns)


@dataclass
class Table:
    """A table as it is meant; its key has a value in each record, so that each counts."""

    dataset: str
    names: list[str]
    records: list[list[str]]


def table(r: Random, texts: Sequence[str] = (), rows: int | None = None) -> Table:
    """Some records of some dataset; with `texts`, one or more of them in each record."""
    dataset = r.choice(DATASETS)
    columns = oracle.COLUMNS[dataset]
    records = []
    for number in range(r.randint(2, 9) if rows is None else rows):
        cells = [
            r.choice(WORDS) if kind == "text" else str(r.randint(0, 10**6))
            for kind in columns.values()
        ]
        cells[0] = str(number)
        for _ in range(r.randint(1, 3) if texts else 0):
            cells[r.randrange(1, len(cells))] = r.choice(texts)
        records.append(cells)
    return Table(dataset, list(columns), records)


# ------------------------------------------------------------------------------- CSV, one pollution


class Line(NamedTuple):
    """A piece of a CSV text, and the record that is meant by it."""

    text: str
    cells: Sequence[str] | None = None


def quoted(cell: str) -> str:
    """A cell in quotes."""
    return '"' + cell.replace('"', '""') + '"'


def plain(cell: str) -> str:
    """A cell in quotes only where it needs them."""
    return quoted(cell) if re.search('[",\r\n]', cell) else cell


def lines(
    it: Table, end: str = "\n", write: Callable[[str], str] = plain, delimiter: str = ","
) -> list[Line]:
    """The header (which is no record) and the records of a table."""
    header = Line(delimiter.join(map(write, it.names)) + end)
    body = [Line(delimiter.join(map(write, cells)) + end, cells) for cells in it.records]
    return [header, *body]


def csv_case(it: Table, parts: Iterable[Line], **about: Any) -> Case:
    """The file of these pieces; a record is meant at the line where its piece begins."""
    parts = list(parts)
    truth: dict[Place, Texts] = {}
    line = 1
    for part in parts:
        if part.cells is not None and any(cell.strip(oracle.BLANKS) for cell in part.cells):
            truth[0, line] = said(it.names, part.cells)
        line += part.text.count("\n")
    text = "".join(part.text for part in parts)
    whole = Case("f.csv", text.encode(), it.dataset, truth)
    return replace(whole, **about)


def calm(it: Table) -> Table:
    """No line break where a field begins or behind a quote: see the top of this file."""
    tamed = [[re.sub(r'(^|")[\r\n]+', r"\1", cell) for cell in cells] for cells in it.records]
    return replace(it, records=tamed)


Pollute = Callable[[Random, list[str], int], str]
"""Writes a record with something wrong at a field; may first change what is meant there."""


def _field(write: Callable[[str], str], meant: str | None = None) -> Pollute:
    """One field, given this text, is written wrongly."""

    def pollute(r: Random, cells: list[str], at: int) -> str:
        if meant is not None:
            cells[at] = meant
        return ",".join(write(cell) if n == at else plain(cell) for n, cell in enumerate(cells))

    return pollute


def _record(write: Callable[[list[str], int], Iterable[str]], delimiter: str = ",") -> Pollute:
    """The fields are right, but not what stands between them, or how many there are."""
    return lambda r, cells, at: delimiter.join(write([plain(cell) for cell in cells], at))


def _added(mark: str) -> Pollute:
    """A mark where it should not be, anywhere in the record."""

    def pollute(r: Random, cells: list[str], at: int) -> str:
        text = ",".join(map(plain, cells))
        where = r.randint(0, len(text))
        return text[:where] + mark + text[where:]

    return pollute


def _broken(it: list[str], at: int) -> list[str]:
    """A line break before the separator of a field: neither line has enough of them."""
    return [*it[: at - 1], it[at - 1] + "\n", *it[at:]]


ONE_RECORD: dict[str, Pollute] = {
    "semicolons": _record(lambda it, at: it, ";"),
    "tabs": _record(lambda it, at: it, "\t"),
    "pipes": _record(lambda it, at: it, "|"),
    "blanks": _record(lambda it, at: it, " "),
    "two commas": _record(lambda it, at: it, ",,"),
    "one other separator": _record(lambda it, at: [*it[:at], ";".join(it[at : at + 2]), *it[at + 2 :]]),  # noqa: E501
    "trailing separator": _record(lambda it, at: [*it, ""]),
    "leading separator": _record(lambda it, at: ["", *it]),
    "many trailing separators": _record(lambda it, at: [*it, *[""] * 50]),
    "too few": _record(lambda it, at: it[: max(at, 1)]),
    "a field lost": _record(lambda it, at: it[:at] + it[at + 1 :]),
    "a field twice": _record(lambda it, at: [*it[: at + 1], *it[at:]]),
    "first field alone": _record(lambda it, at: it[:1]),
    "two records in a line": _record(lambda it, at: it + it),
    "line broken": _record(lambda it, at: _broken(it, max(at, 2))),
    "comma not quoted": _field(lambda cell: cell, "a,b"),
    "backslash for quotes": _field(lambda cell: '"' + cell.replace('"', '\\"') + '"', 'a "b" c'),
    "backslash before comma": _field(lambda cell: cell.replace(",", "\\,"), "a,b"),
    "quote not doubled": _field(lambda cell: f'"{cell}"', 'a "b" c'),
    "one of two doubled": _field(lambda cell: f'"{cell}"'.replace(' "', ' ""'), 'a "b" c'),
    "quote in bare field": _field(lambda cell: cell, 'a"b'),
    "inches": _field(lambda cell: cell, '12" pizza'),
    "text after quotes": _field(lambda cell: quoted(cell) + "x"),
    "blank after quotes": _field(lambda cell: quoted(cell) + " "),
    "blank before quotes": _field(lambda cell: " " + quoted(cell)),
    "never closed": _field(lambda cell: quoted(cell)[:-1], "open"),
    "never opened": _field(lambda cell: quoted(cell)[1:], "closed"),
    "closed too late": _field(lambda cell: quoted(cell) + '"', "late"),
    "quoted twice": _field(lambda cell: '"' + quoted(cell) + '"', "twice"),
    "half of a quote": _field(lambda cell: '"', ""),
    "single quotes": _field(lambda cell: f"'{cell}'", "a,b"),
    "typographic quotes": _field(lambda cell: f"“{cell}”", "a,b"),
    "mixed quotes": _field(lambda cell: f"\"{cell}'", "a,b"),
    "lone CR": _field(lambda cell: cell, "a\rb"),
    "CR at the end": _record(lambda it, at: [*it[:-1], it[-1] + "\r\r"]),
    "a quote anywhere": _added('"'),
    "a comma and a quote anywhere": _added(',"'),
    "a quote and a comma anywhere": _added('",'),
}  # fmt: skip
"""Each makes one record wrong, and visibly so: it may be refused, but not come out otherwise."""


@kind("CSV: one record polluted", 2_200)
def _(r: Random, number: int) -> Case:
    it = calm(table(r, NAUGHTY if r.random() < 0.5 else ()))
    parts = lines(it, r.choice(["\n", "\r\n"]), r.choice([plain, plain, quoted]))
    victim = r.randrange(1, len(parts))
    cells = [re.sub("[\r\n]", " ", cell) for cell in it.records[victim - 1]]
    end = re.search(r"\r?\n\Z", parts[victim].text)
    assert end
    text = variant(ONE_RECORD, number)(r, cells, r.randrange(1, len(cells)))
    parts[victim] = Line(text + end[0], cells)
    return csv_case(it, parts)


@kind("CSV: a record delimiter of its own", 400)
def _(r: Random, number: int) -> Case:
    """What one record ends with; joined to the next, neither may come out otherwise."""
    it = calm(table(r, NAUGHTY))
    parts = lines(it, write=quoted if r.random() < 0.3 else plain)
    ends = ["\r", "\n\r", "\r\r\n", "\u2028", "\x85", "\x0b", "\x0c", "\x1e", "\\n", "", ",\n"]
    victim, end = r.randrange(1, len(parts)), variant(ends, number)
    parts[victim] = Line(parts[victim].text[:-1] + end, parts[victim].cells)
    if victim == len(parts) - 1 and not end.endswith("\n"):
        parts.append(Line("\n"))
    last = parts[victim].cells
    assert last is not None
    if victim == len(parts) - 2 and "\n" not in end and end:  # the text of the last field
        changed = last if end == "\r" else [*last[:-1], last[-1] + end]
        parts[victim] = Line(parts[victim].text, changed)
    return csv_case(it, parts)


# ------------------------------------------------------------------------------ CSV, the whole file


@kind("CSV: another delimiter", 250)
def _(r: Random, number: int) -> Case:
    """No reader may guess: such a file says nothing in this format."""
    delimiter = variant(
        [";", "\t", "|", " ", ":", "||", ";;", "\x1f", "，", "\\t", "~", "^"], number
    )
    it = table(r)
    return csv_case(it, lines(it, delimiter=delimiter), must="unreadable")


@kind("CSV: commas with company", 100)
def _(r: Random, number: int) -> Case:
    """Doubled commas only add nameless columns; a blank behind a comma is part of the value."""
    it = table(r)
    if number % 2:
        return replace(csv_case(it, lines(it, delimiter=",,")), must="rows")
    spaced = [[cells[0], *(" " + cell for cell in cells[1:])] for cells in it.records]
    parts = lines(it, write=lambda cell: cell, delimiter=", ")
    told = [Line(part.text, cells) for part, cells in zip(parts[1:], spaced, strict=True)]
    return csv_case(it, [parts[0], *told])


@kind("CSV: other quotes", 200)
def _(r: Random, number: int) -> Case:
    """In header and body: no such name. In the body only: they are text, and a comma separates."""
    it = table(r)
    first, last = variant(["''", "“”", "``", "«»", "‹›", "‘’", "$$"], number)
    if number % 3 == 0:
        parts = lines(it, write=lambda cell: first + cell + last)
        return csv_case(it, parts, must="unreadable")
    it.records = [[first + cell + last for cell in cells] for cells in it.records]
    return csv_case(it, lines(it, write=lambda cell: cell))


@kind("CSV: record delimiters", 250)
def _(r: Random, number: int) -> Case:
    it = calm(table(r, NAUGHTY))
    parts = lines(it)
    head, *body = parts
    mixed = [Line(part.text[:-1] + r.choice(["\n", "\r\n"]), part.cells) for part in parts]
    blanks = [Line(r.choice(["\n", "\r\n", ",,\n", " \n", "\u00a0,\t\r\n"])) for _ in parts]
    unreadable = [
        csv_case(it, lines(it, end), must="unreadable")
        for end in ("\r", "\u2028", "\x85", "\x0b", "\x1e", "\\n", "\r\r\n")
    ]
    return variant(
        [
            csv_case(it, mixed, must="rows"),
            csv_case(
                it, [x for pair in zip(blanks, mixed, strict=True) for x in pair], must="rows"
            ),
            csv_case(it, [*parts[:-1], Line(parts[-1].text[:-1], parts[-1].cells)], must="rows"),
            csv_case(it, [head, *(Line("\r" + part.text, part.cells) for part in body)]),
            *unreadable,
        ],
        number,
    )


@kind("CSV: encodings", 400)
def _(r: Random, number: int) -> Case:
    """Only UTF-8 is read; text that begins with a byte order mark twice has no such header."""
    it = table(r, NAUGHTY)
    it.records[-1][-1] = "naïve café Ж"
    good = csv_case(it, lines(it), must="rows")
    text = good.data.decode()
    small = csv_case(t := replace(it, records=[["1", *["é"] * (len(it.names) - 1)]]), lines(t))
    encoded = [
        "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "gb18030",
    ]  # fmt: skip
    options = [
        replace(good, data=b"\xef\xbb\xbf" + good.data),
        replace(good, data=b"\xef\xbb\xbf" * 2 + good.data, must="unreadable"),
        *(
            replace(good, data=text.encode(name), must="unreadable", truth=None)
            for name in encoded
            if name != "utf-7"
        ),
        *(
            replace(good, data=small.data.decode().encode(name), must="unreadable", truth=None)
            for name in ("latin-1", "cp1252", "cp437", "mac-roman", "cp037")
        ),
        replace(good, data=text.encode("utf-16")[2:], must="unreadable", truth=None),
    ]
    return variant(options, number)


BAD_BYTES = (
    b"\x80", b"\xbf", b"\xe9", b"\xff", b"\xfe", b"\xc0\xaf", b"\xc1\x81", b"\xe0\x80\x80", b"\0",
    b"\xed\xa0\xbd", b"\xed\xa0\xbd\xed\xb8\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\0\0\0", b"\xa0",
)  # fmt: skip
"""Stray, overlong and cut sequences, lone and paired surrogates, what is beyond Unicode, NUL."""


@kind("CSV: bytes that are no text", 500)
def _(r: Random, number: int) -> Case:
    """Anywhere, as long as no neighbour makes them whole: then before an ASCII character."""
    it = table(r, NAUGHTY)
    data = csv_case(it, lines(it)).data
    asciis = [at for at, byte in enumerate(data) if byte < 0x80]
    at = r.choice(asciis)
    return Case(
        "f.csv", data[:at] + variant(BAD_BYTES, number) + data[at:], it.dataset, must="unreadable"
    )


PREAMBLES = (
    "Report\n", "Report\n\n", "# generated 2025-04-01\n", "sep=,\n", "a,b,c,d\n", '"Title"\n',
    "Title,,,\n", "From,2025-04-01,To,2025-04-30\n\n", "x\n" * 60, "--\r\n", "=1+1\n",
)  # fmt: skip
FOOTERS = (
    "Total,5\n", "(2 rows)\n", "\n\n\n", "-- \n", "Total\n", "\x1a", ",,,,,,,,,\n", "EOF",
    "# end\n", "\u2028\n", " \n", ",\n", "Sum: 1,000.00\n", '"', '"Total\n',
)  # fmt: skip


@kind("CSV: preambles", 200)
def _(r: Random, number: int) -> Case:
    it = table(r, NAUGHTY)
    return csv_case(it, [Line(variant(PREAMBLES, number)), *lines(it)], must="unreadable")


@kind("CSV: footers", 250)
def _(r: Random, number: int) -> Case:
    """They are records of a wrong width, or none; those of the right width are meant."""
    it = calm(table(r, NAUGHTY))
    width = len(it.names)
    total = Line(",".join(["Total", *[""] * (width - 1)]) + "\n", ["Total", *[""] * (width - 1)])
    footers = [*map(Line, FOOTERS), total]
    return csv_case(it, [*lines(it), variant(footers, number)])


@kind("CSV: several tables in a file", 250)
def _(r: Random, number: int) -> Case:
    """A header that comes again is a record like any other; another table has another width."""
    it, other = calm(table(r, NAUGHTY)), calm(table(r, NAUGHTY))
    head, *body = lines(it)
    again = Line(head.text, it.names)
    middle = r.randrange(len(body) + 1)
    foreign = lines(other)
    if len(other.names) == len(it.names):
        foreign = [Line(foreign[0].text, other.names), *foreign[1:]]
    else:
        foreign = [Line(part.text) for part in foreign]
    return variant(
        [
            csv_case(it, [head, *body[:middle], again, *body[middle:]], must="rows"),
            csv_case(it, [head, again, *body], must="rows"),
            csv_case(it, [head, *body, again], must="rows"),
            csv_case(it, [head, *body, Line("\n\n"), again, *body], must="rows"),
            csv_case(it, [head, *body, Line("\ufeff" + head.text, ["\ufeff" + it.names[0], *it.names[1:]])], must="rows"),  # noqa: E501
            csv_case(it, [head, *body, *foreign]),
            csv_case(it, [head, *body, Line("\n"), *foreign]),
            csv_case(it, [head, *body, Line("Second table\n"), *foreign]),
        ],
        number,
    )  # fmt: skip


@kind("CSV: headers", 450)
def _(r: Random, number: int) -> Case:
    """A header that names every column once, whatever its letters and order, gives every row."""
    it = calm(table(r, NAUGHTY))
    names, body = it.names, lines(it)[1:]

    def headed(header: list[str], must: str, write: Callable[[str], str] = plain) -> Case:
        told = replace(it, names=header)
        return csv_case(told, [Line(",".join(map(write, header)) + "\n"), *body], must=must)

    order = r.sample(range(len(names)), len(names))
    shuffled = Table(
        it.dataset,
        [names[at] for at in order],
        [[cells[at] for at in order] for cells in it.records],
    )
    at = r.randrange(len(names))
    renamed = [*names[:at], names[at] + "x", *names[at + 1 :]]
    twice = [*names[:at], names[at - 1], *names[at + 1 :]]
    units = ["(no)"] * len(names)
    doubled = [
        Table(it.dataset, [*names, *more], [[*cells, "1", "2"] for cells in it.records])
        for more in (["x", f" {names[at]}"], [names[at].upper(), "x"])
    ]
    return variant(
        [
            csv_case(shuffled, lines(shuffled), must="rows"),
            headed([name.upper() for name in names], "rows"),
            headed([f" {name}\u00a0" for name in names], "rows"),
            headed([f"{name}\r\n" for name in names], "rows"),
            headed(names, "rows", quoted),
            headed(renamed, "unreadable"),
            headed(twice, "unreadable"),
            headed([name.replace("_", "\n") for name in names] if "_" in "".join(names) else renamed, "unreadable"),  # noqa: E501
            headed([name + "\u200b" for name in names], "unreadable"),
            headed([name.replace("d", "ԁ") for name in names], "unreadable"),
            headed([f"'{name}'" for name in names], "unreadable"),
            *(csv_case(wide, lines(wide), must="unreadable") for wide in doubled),
            csv_case(it, body, must="unreadable"),
            csv_case(it, [Line(",".join(names[:-1]) + "\n"), *body], must="unreadable"),
            csv_case(it, [Line(",".join([*names, "more"]) + "\n"), *(Line(part.text) for part in body)]),  # noqa: E501
            csv_case(it, [Line(",".join(names) + ",\n"), *(Line(part.text) for part in body)]),
            csv_case(it, [Line(",".join([*names, names[0]]) + "\n"), *body], must="unreadable"),
            csv_case(it, [Line(",".join(names) + "\n"), Line(",".join(units) + "\n", units), *body], must="rows"),  # noqa: E501
            csv_case(it, [Line(f'"{names[0]}x"y,' + ",".join(names) + "\n"), *body], must="unreadable"),  # noqa: E501
            csv_case(it, [Line(",".join(names) + '"\n'), *body], must="unreadable"),
            csv_case(it, [Line('"' + ",".join(names) + "\n"), *body], must="unreadable"),
        ],
        number,
    )  # fmt: skip


@kind("CSV: nothing, little, much", 150)
def _(r: Random, number: int) -> Case:
    it = table(r)
    head, *body = lines(it)
    columns, many_blanks = [f"c{n}" for n in range(990)], Line("\r\n" * 3_000)
    wide = Table(it.dataset, it.names + columns, [[*cells, *["v"] * 990] for cells in it.records])
    long = replace(it, records=[[*it.records[0][:-1], r.choice('x,"é') * 200_000]])
    tight, tiny = replace(LIMITS, max_record_bytes=100_000), Limits(max_bytes=10)
    many = table(r, NAUGHTY[:60], rows=1_500)
    blank = (b"", b"\n", b"\n" * 5_000, b" ,\t\r\n", b"\xef\xbb\xbf", b",")
    empty = functools.partial(Case, "f.csv", dataset=it.dataset, must="unreadable")
    return variant(
        [
            *(functools.partial(empty, data) for data in blank),
            lambda: csv_case(it, [head], must="rows"),
            lambda: csv_case(it, [Line(head.text[:-1])], must="rows"),
            lambda: csv_case(it, [many_blanks, head, many_blanks, *body], must="rows"),
            lambda: csv_case(it, [head, *body, Line((", " * 9 + "\n") * 3_000)], must="rows"),
            lambda: csv_case(wide, lines(wide), must="rows"),
            lambda: csv_case(wide, lines(wide), limits=replace(LIMITS, max_columns=990), oracle=False, must="unreadable"),  # noqa: E501
            lambda: csv_case(long, lines(long), must="rows"),
            lambda: csv_case(long, lines(long), limits=tight, oracle=False, must="unreadable"),
            lambda: csv_case(it, [head, Line('"' + "x\n" * 60_000)], limits=tight, oracle=False),
            lambda: csv_case(it, lines(it), limits=tiny, oracle=False, must="unreadable"),
            lambda: csv_case(many, lines(many), must="rows"),
            lambda: csv_case(it, [head, Line("," * 100_000 + "x\n"), *body]),
            lambda: csv_case(it, [head, Line('"' * 99_999 + "\n"), *body]),
            lambda: csv_case(it, [head, *(Line('a"\n') for _ in range(2_000)), *body]),
        ],
        number,
    )()  # fmt: skip


_gz = functools.partial(gzip.compress, mtime=0)


@functools.cache
def _bomb() -> bytes:
    return _gz(b"\n" * (8 * 2**20))


@kind("CSV: gzip", 600)
def _(r: Random, number: int) -> Case:
    it = table(r, NAUGHTY)
    good = csv_case(it, lines(it), name=r.choice(["f.csv.gz", "F.CSV.GZ"]), must="rows")
    text = good.data
    cut = r.randrange(len(text))
    data = _gz(text, mtime=0)
    two = _gz(text[:cut]) + _gz(text[cut:])
    at = r.randrange(len(data))
    flipped = data[:at] + bytes([data[at] ^ 1 << r.randrange(8)]) + data[at + 1 :]
    named = io.BytesIO()
    with gzip.GzipFile("naughty\x01é.csv", "wb", fileobj=named, mtime=0) as stream:
        stream.write(text)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as stream_of:
        stream_of.writestr("f.csv", text)
    small = replace(LIMITS, max_expanded_bytes=2**20)
    nothing: dict[str, Any] = {"must": "unreadable", "truth": None}
    return variant(
        [
            replace(good, data=data),
            replace(good, data=two),
            replace(good, data=_gz(b"") + two + bytes(512)),
            replace(good, data=named.getvalue()),
            replace(good, data=text, **nothing),
            replace(good, data=data, name="f.csv", **nothing),
            replace(good, data=data[: r.randrange(len(data))], **nothing),
            replace(good, data=flipped, must="any"),
            replace(good, data=data + r.choice([b"x", b"\n", text, b"\x1f\x8b"]), **nothing),
            replace(good, data=two[:-1], **nothing),
            replace(good, data=_gz(data), **nothing),
            replace(good, data=_gz(b""), **nothing),
            replace(good, data=zlib.compress(text), **nothing),
            replace(good, data=bz2.compress(text), **nothing),
            replace(good, data=archive.getvalue(), **nothing),
            replace(good, data=archive.getvalue(), name="f.csv", **nothing),
            replace(good, data=data + _bomb(), limits=small, oracle=False, **nothing),
        ],
        number,
    )


@kind("names of files", 250)
def _(r: Random, number: int) -> Case:
    """Only the ending counts, in any case."""
    it = table(r, NAUGHTY)
    good = csv_case(it, lines(it), must="rows")
    wrong = (
        "f", "f.txt", "csv", "f.csv ", "f.csv.bak", "f.tsv", "f.xls", "f.xlsm", "f.xlsx.csv.zip",
        "f.csv\n", "f.gz", "f.ｃｓｖ", "f.csv\u200b", "f.csv.gz.gz", "f.parquet", "", ".csv\0",
    )  # fmt: skip
    if number % 2:
        name = variant(wrong, number // 2)
        return replace(good, name=name, must="unreadable", truth=None)
    return replace(good, name=variant(NAUGHTY, number // 2) + r.choice([".csv", ".CsV"]))


# ------------------------------------------------------------------------------------ naughty texts


@kind("CSV: naughty strings", 1_200)
def _(r: Random, number: int) -> Case:
    """Every text comes out as it was put in; formulas too, as no row has an origin."""
    it = table(r, NAUGHTY)
    it.records[0][-1] = variant(NAUGHTY, number)
    return csv_case(it, lines(it, r.choice(["\n", "\r\n"]), r.choice([plain, quoted])), must="rows")


def _naughty_header(r: Random, it: Table, number: int) -> Table:
    """Two columns more, named like that; each has a value in some records."""
    taken = {*it.names, *(f"column_{len(it.names) + n}" for n in (1, 2))}
    names = [variant(NAUGHTY, number), r.choice(NAUGHTY)]
    keys = [name.strip(oracle.BLANKS).lower() for name in names]
    if keys[0] == keys[1] or taken & set(keys):
        names[1] = "other"
    records = [[*cells, r.choice(["", "x", "=1"]), r.choice(NAUGHTY)] for cells in it.records]
    return Table(it.dataset, [*it.names, *names], records)


@kind("CSV: naughty headers", 500)
def _(r: Random, number: int) -> Case:
    """They are kept with their values; where a column is missing they stand in the clear line."""
    it = _naughty_header(r, table(r), number)
    if number % 4 == 0:
        del it.names[0]
        return csv_case(it, lines(replace(it, records=[])), must="unreadable")
    return csv_case(it, lines(it), must="rows")


@kind("CSV: formulas beside an origin", 150)
def _(r: Random, number: int) -> Case:
    """An export's `'` goes away in its own rows only; elsewhere a formula's text stays as it is."""
    formulas = [text for text in NAUGHTY if text[:1] in "=+-@'\t\r"]
    it = table(r, formulas)
    it.names.append("_origin_file")
    truth = []
    for cells in it.records:
        origin = r.choice(["", " ", "products/2025-04-01/f.csv"])
        shown = [*cells, origin]
        bare = [cell[1:] if re.match(r"'[=+\-@'\t\r]", cell) else cell for cell in shown]
        truth.append((shown, bare if origin.strip() else shown))
    parts = [Line(",".join(it.names) + "\n")]
    parts += [Line(",".join(map(quoted, shown)) + "\n", bare) for shown, bare in truth]
    return csv_case(it, parts, must="rows")


# ----------------------------------------------------------------------------------- random damage

TOKENS = (
    b'"',
    b",",
    b"\r",
    b"\n",
    b"\0",
    b"\r\n",
    b'""',
    b'","',
    b"\xef\xbb\xbf",
    b";",
    b"\\",
    b" ",
)


def damaged(r: Random, data: bytes, times: int) -> bytes:
    """Bits flipped, stretches lost, doubled or moved, separators and quotes put anywhere."""
    for _ in range(times):
        at = r.randrange(len(data) + 1)
        chunk = data[at : at + r.randint(1, 40)]
        rest = data[at + len(chunk) :]
        match r.randrange(7):
            case 0 if chunk:
                data = data[:at] + bytes([chunk[0] ^ 1 << r.randrange(8)]) + data[at + 1 :]
            case 1:
                data = data[:at] + rest
            case 2:
                data = data[:at] + chunk * 2 + rest
            case 3 if rest:
                where = r.randrange(len(rest))
                data = data[:at] + rest[:where] + chunk + rest[where:]
            case 4 if r.random() < 0.2:
                data = data[:at]
            case _:
                data = data[:at] + r.choice(TOKENS) + data[at:]
    return data


@kind("CSV: random damage", 3_600)
def _(r: Random, number: int) -> Case:
    """Only the oracle can tell what is left; it must say the same, row for row."""
    it = table(r, NAUGHTY if number % 2 else WORDS)
    data = csv_case(it, lines(it, r.choice(["\n", "\r\n"]), r.choice([plain, quoted]))).data
    start = len(data.split(b"\n")[0]) + 1 if number % 4 else 0  # mostly behind the header
    data = data[:start] + damaged(r, data[start:], r.randint(1, 6))
    if number % 3:  # so that most of them are still text
        data = data.replace(b"\0", b"").decode("utf-8", "ignore").encode()
    return Case("f.csv", data, it.dataset)


# --------------------------------------------------------------------------------------- workbooks

_OOXML = "http://schemas.openxmlformats.org"
_MAIN = (f"{_OOXML}/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main")
_RELATIONS = (
    f"{_OOXML}/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)
_TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_STYLES = (
    '<fonts count="1"><font/></fonts><fills count="1"><fill><patternFill/></fill></fills>'
    '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0"/>'
    '<xf numFmtId="14"/><xf numFmtId="22"/></cellXfs>'
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


def parts_of(
    sheets: Sequence[Sheet], shared: Sequence[str] = (), *, strict: bool = False, about: str = ""
) -> Parts:
    """The parts of a workbook; `shared` are its shared strings as XML."""
    main, relations = _MAIN[strict], _RELATIONS[strict]
    begin = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    numbers = range(1, len(sheets) + 1)
    sheet_list = "".join(
        f'<sheet name={quoteattr(sheet.name)} sheetId="{n}" {sheet.attributes} r:id="r{n}"/>'
        for n, sheet in zip(numbers, sheets, strict=True)
    )
    targets = {f"r{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in numbers}
    targets |= {"s": ("styles", "styles.xml"), "t": ("sharedStrings", "sharedStrings.xml")}
    overrides = {f"worksheets/sheet{n}.xml": "worksheet" for n in numbers}
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
            f'<Relationship Id="{name}" Type="{relations}/{kind}" Target="{path}"/>'
            for name, (kind, path) in targets.items()
        )
        + "</Relationships>",
        "xl/styles.xml": f'<styleSheet xmlns="{main}">{_STYLES}</styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{main}">'
        + "".join(f"<si>{text}</si>" for text in shared)
        + "</sst>",
    }
    for n, sheet in zip(numbers, sheets, strict=True):
        before, behind = sheet.around
        rows = f"{before}<sheetData>{sheet.xml}</sheetData>{behind}"
        body = f'<worksheet xmlns="{main}" xmlns:r="{relations}">{rows}</worksheet>'
        texts[f"xl/worksheets/sheet{n}.xml"] = sheet.xml if sheet.xml.startswith("<?") else body
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
    whole = Case("f.xlsx", data, it.dataset, sheet_truth(it), oracle=False)
    return replace(whole, **about)


def good_book(it: Table) -> Parts:
    """The table alone, as a workbook."""
    return parts_of([Sheet("S", rows_xml([it.names, *it.records]))])


@kind("workbook: naughty strings", 130)
def _(r: Random, number: int) -> Case:
    """In the cell, shared, in runs, out of a formula: the text comes out as it was put in."""
    it = table(r, NAUGHTY)
    for at, cells in enumerate(it.records):
        cells[-1] = variant(NAUGHTY, number * len(it.records) + at)
    shared: list[str] = []

    def share(text: str) -> str:
        shared.append(f'<t xml:space="preserve">{xstring(text)}</t>')
        return f't="s"><v>{len(shared) - 1}</v>'

    def write(text: str) -> str:
        return r.choice([inline, rich, result, share])(text)

    xml = rows_xml([it.names, *it.records], write)
    return book_case(it, parts_of([Sheet("S", xml)], shared), must="rows")


@kind("workbook: by xlsxwriter", 40)
def _(r: Random, number: int) -> Case:
    """As a person's program writes it; text stays text whatever it looks like."""
    import xlsxwriter

    texts = [text for text in NAUGHTY if text != "_x005F_x0041_"]  # xlsxwriter escapes only half.
    it = _naughty_header(r, table(r, texts), number)
    it.names[-1] = "last"  # What stands behind the last name is ragged.
    it.records = [[cell.replace("_x005F_", "") for cell in cells] for cells in it.records]
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        book.set_properties({"created": datetime(2025, 4, 1)})
        sheet = book.add_worksheet()
        for row, cells in enumerate([it.names, *it.records]):
            for column, cell in enumerate(cells):
                sheet.write_string(row, column, cell)
    return book_case(it, out.getvalue(), must="rows")


@kind("workbook: naughty sheet names", 60)
def _(r: Random, number: int) -> Case:
    """Also of an unreadable sheet, whose line must still be one."""
    it = table(r)
    good, bad = (re.sub("[\0-\x1f\x7f]", "?", variant(NAUGHTY, number + n * 7)) for n in range(2))
    shown = [f"A{good}", f"B{bad}"]
    xml = rows_xml([it.names, *it.records])
    sheets = [Sheet(shown[0], xml), Sheet(shown[1], rows_xml([NAUGHTY[number % 50 :][:30], ["x"]]))]
    if number % 3 == 0:
        return book_case(it, parts_of(sheets[1:]), must="unreadable")
    return book_case(it, parts_of(sheets), must="rows")


TYPED = (
    ("><v>7</v>", "7"), ("><v>7.0</v>", "7"), ("><v>89.68000000000001</v>", "89.68"),
    ("><v>1E+3</v>", "1000"), ("><v>1e16</v>", "1e+16"), ("><v>-0.5</v>", "-0.5"),
    ('t="n"><v>123456789012345</v>', "123456789012345"), ('t="b"><v>1</v>', "1"),
    ('t="b"><v>0</v>', "0"), ('t="e"><v>#N/A</v>', ""), ('t="e"><f>1/0</f><v>#DIV/0!</v>', ""),
    ("><f>1+1</f><v>2</v>", "2"), ("><f>1+1</f>", ""), ("><f>1+1</f><v></v>", ""),
    ('t="str"><f>"x"</f><v>x</v>', "x"), ('s="1"><v>45748</v>', "2025-04-01T00:00:00"),
    ('s="2"><v>45748.5</v>', "2025-04-01T12:00:00"), ('s="1">', ""),
    ('t="str"><v>007</v>', "007"), ('t="inlineStr"><is><t>2025-04-01</t></is>', "2025-04-01"),
    ('t="inlineStr"><is><t>=1+1</t></is>', "=1+1"),
    ('t="d"><v>2025-04-01</v>', "2025-04-01T00:00:00"),
    ('><f t="shared" ref="A1:A2" si="0">B1</f><v>3</v>', "3"),
    ('><f t="array" ref="A1">1</f><v>4</v>', "4"),
    ('t="inlineStr"><is><r><t>ri</t></r><r><rPr><b/></rPr><t>ch</t></r></is>', "rich"),
    ('t="inlineStr"><is><t>base</t><rPh sb="0" eb="1"><t>phonetic</t></rPh></is>', "base"),
    ('t="inlineStr"><is><t></t></is>', ""),
    ('t="inlineStr"><is><t><![CDATA[<&>]]></t></is>', "<&>"),
    ("><f>[1]Other!$A$1</f><v>5</v>", "5"),
    ('t="inlineStr"><is><t>&#x1F600;&#10;x</t></is>', "😀\nx"),
    ('cm="1" vm="1"><v>6</v>', "6"), ("><!-- x --><v>8</v>", "8"),
)  # fmt: skip
"""Cells of every type, and their text by the definitions."""


@kind("workbook: typed cells", 60)
def _(r: Random, number: int) -> Case:
    it = table(r, rows=6)
    xml: list[list[str]] = []
    for at, cells in enumerate(it.records):
        told = [r.choice(TYPED) for _ in cells]
        told[1] = variant(TYPED, number * 6 + at)
        told[0] = (f"><v>{at}</v>", str(at))
        it.records[at] = [text for _, text in told]
        xml.append([cell for cell, _ in told])
    body = rows_xml(xml, lambda cell: cell, top=2)
    parts = parts_of([Sheet("S", rows_xml([it.names]) + body)])
    return book_case(it, parts, must="rows")


def _replaced(parts: Parts, path: str, old: str, new: str) -> Parts:
    assert old.encode() in parts[path], (path, old)
    return {**parts, path: parts[path].replace(old.encode(), new.encode())}


def _without(parts: Parts, *paths: str) -> Parts:
    return {path: data for path, data in parts.items() if path not in paths}


_SHEET1 = "xl/worksheets/sheet1.xml"
_BOOK = "xl/workbook.xml"
_LINKS = "xl/_rels/workbook.xml.rels"


def _structures(r: Random) -> Iterator[Callable[[], Case]]:
    """Workbooks that look odd, and those that are; late, so that only one is built."""
    it, other = table(r, NAUGHTY), table(r, NAUGHTY)
    other = replace(other, dataset=it.dataset)
    other.names = list(it.names)
    other.records = [[str(n), *r.choices(WORDS, k=len(it.names) - 1)] for n in range(3)]
    records = [it.names, *it.records]
    xml, second = rows_xml(records), rows_xml([other.names, *other.records])
    foreign = rows_xml([["x", "y"], ["1", "2"]])
    both = sheet_truth(it) | sheet_truth(other, 2)
    third = {(3, row): texts for (_, row), texts in sheet_truth(it).items()}
    late = {(2, row): texts for (_, row), texts in sheet_truth(it).items()}
    parts = good_book(it)

    def read(
        *sheets: Sheet, truth: Mapping[Place, Texts] | None = None, must: str = "rows", **about: Any
    ) -> Case:
        built = parts_of(sheets, **about)
        return book_case(it, built, must=must, truth=sheet_truth(it) if truth is None else truth)

    one = Sheet("S", xml)
    for state in ("hidden", "veryHidden", "visible"):
        yield lambda state=state: read(one, Sheet("T", second, f'state="{state}"'), truth=both)
    yield lambda: read(Sheet("E", ""), one, truth=late)
    yield lambda: read(Sheet("E", '<row r="9"><c r="C9" s="1"/></row>'), one, truth=late)
    yield lambda: read(one, Sheet("F", foreign))
    yield lambda: read(one, Sheet("H", rows_xml([it.names])))
    yield lambda: read(Sheet("F", foreign), must="unreadable")
    yield lambda: read(Sheet("E", ""), must="unreadable")
    yield lambda: read(Sheet("E", ""), Sheet("F", rows_xml([["\u00a0", " "]])), must="unreadable")
    yield lambda: read(one, strict=True)
    yield lambda: read(one, about='<workbookPr date1904="1"/>')
    for ref, must in (
        ("A1", "rows"),
        ("A1:XFD1048576", "rows"),
        ("B2", "rows"),
        ("nonsense", "any"),
    ):
        declared = Sheet("S", xml, around=(f'<dimension ref="{ref}"/>', ""))
        yield lambda declared=declared, must=must: read(declared, must=must)
    merged = f'<mergeCells count="1"><mergeCell ref="A2:B{len(it.records) + 1}"/></mergeCells>'
    for behind in (
        merged,
        '<autoFilter ref="A1:B2"/>',
        '<sheetProtection password="CC1A" sheet="1"/>',
    ):
        yield lambda behind=behind: read(Sheet("S", xml, around=("", behind)))
    top, left = r.randint(2, 40), r.randint(2, 30)
    moved = rows_xml(records, top=top, left=left)
    yield lambda: read(Sheet("S", moved), truth=sheet_truth(it, top=top))
    preamble = rows_xml([["Report"]]) + rows_xml(records, top=3)
    yield lambda: read(Sheet("S", preamble), must="unreadable")
    again = rows_xml([*records, it.names])
    with_header = replace(it, records=[*it.records, it.names])
    yield lambda: book_case(with_header, parts_of([Sheet("S", again)]), must="rows")
    twice = rows_xml([[it.names[1], *it.names[1:], it.names[0], it.names[0]], *it.records])
    yield lambda: read(Sheet("S", twice), must="unreadable")
    beyond = rows_xml([it.names, *([*cells, "", "beyond"] for cells in it.records)])
    yield lambda: read(Sheet("S", beyond), must="any")
    # Names and places of parts.
    yield lambda: read(one, Sheet("S", second), truth=both, must="unreadable")
    yield lambda: read(one, Sheet("S", second), Sheet("s", xml), truth=both | third, must="any")
    yield lambda: book_case(
        it,
        {path.replace("sheet1.xml", "SHEET1.XML"): data for path, data in parts.items()},
        must="any",
    )
    yield lambda: book_case(
        it, {path.replace("/", "\\"): data for path, data in parts.items()}, must="any"
    )
    for target in (
        "/xl/worksheets/sheet1.xml",
        "./worksheets/sheet1.xml",
        "../xl/worksheets/sheet1.xml",
    ):
        yield lambda target=target: book_case(
            it, _replaced(parts, _LINKS, "worksheets/sheet1.xml", target)
        )
    for target in ("nowhere.xml", "../../etc/passwd", "http://x/y", "workbook.xml", ""):
        yield lambda target=target: book_case(
            it, _replaced(parts, _LINKS, "worksheets/sheet1.xml", target), must="unreadable"
        )
    yield lambda: book_case(
        it, _replaced(parts, _BOOK, 'r:id="r1"', 'r:id="r9"'), must="unreadable"
    )
    yield lambda: book_case(it, _replaced(parts, _BOOK, 'r:id="r1"', ""), must="unreadable")
    shared = good_book(replace(it, records=[]))
    for path in parts:
        yield lambda path=path: book_case(it, _without(parts, path))
    yield lambda: book_case(it, zipped([*parts.items(), (_SHEET1, shared[_SHEET1])]), must="any")
    yield lambda: book_case(it, zipped([(_SHEET1, shared[_SHEET1]), *parts.items()]), must="any")
    # What a sheet's XML may look like.
    for old, new, must in (
        ("<c ", "<c  ", "rows"),
        ("<row ", "\n <row ", "rows"),
        ("<sheetData>", "<!-- x --><?pi x?><sheetData>", "rows"),
        (
            "</sheetData>",
            "</sheetData><sheetData><row r='99'><c r='A99'><v>9</v></c></row></sheetData>",
            "any",
        ),
        (' encoding="UTF-8"', "", "rows"),
        ('encoding="UTF-8"', 'encoding="windows-1252"', "any"),
        ("</worksheet>", "", "unreadable"),
        ("</row>", "</rwo>", "unreadable"),
        ("<worksheet ", "<other ", "unreadable"),
        ("<?xml", "x<?xml", "any"),
        ("<?xml", "\ufeff<?xml", "rows"),
        ('r="A1"', 'r="a1"', "any"),
        ('r="A2"', 'r="A0"', "any"),
        ('r="A2"', 'r="2"', "any"),
        ('r="A2"', 'r="ZZZZ2"', "any"),
        ('r="A2"', 'r="A99999999"', "any"),
        ('r="A2"', 'r="A-2"', "any"),
        ('r="A2"', 'r=""', "any"),
        ('t="inlineStr"', 't="odd"', "any"),
        ('t="inlineStr"', 't="s"', "any"),
        ("</sheetData>", '<row r="99"><c r="A99" t="s"><v>99</v></c></row></sheetData>', "any"),
        ("</sheetData>", '<row r="99"><c r="A99" t="s"><v>-1</v></c></row></sheetData>', "any"),
        ("</sheetData>", '<row r="99"><c r="A99" s="99"><v>1</v></c></row></sheetData>', "any"),
    ):
        yield lambda old=old, new=new, must=must: _changed_sheet(it, parts, old, new, must)
    utf16 = parts[_SHEET1].decode().replace("UTF-8", "UTF-16").encode("utf-16")
    yield lambda: book_case(it, {**parts, _SHEET1: utf16}, must="any")
    backwards = "".join(reversed(re.findall("<row .*?</row>", xml, re.DOTALL)))
    yield lambda: read(Sheet("S", backwards), must="any")
    bare_cells = re.sub(
        r'<c r="[A-Z]+\d+" ', "<c ", rows_xml([[cell or " " for cell in row] for row in records])
    )
    filled = replace(it, records=[[cell or " " for cell in row] for row in it.records])
    yield lambda: book_case(filled, parts_of([Sheet("S", bare_cells)]), must="rows")
    yield lambda: book_case(
        filled, parts_of([Sheet("S", bare_cells.replace("<row r=", "<row x="))]), must="any"
    )
    yield lambda: read(Sheet("S", re.sub('<row r="[0-9]+"', "<row", xml)), must="any")
    prefixed = re.sub(r"<(/?)(c|row|is|t|v|f)\b", r"<\1x:\2", xml)
    main = f'<?xml version="1.0"?><x:worksheet xmlns:x="{_MAIN[0]}"><x:sheetData>{prefixed}'
    yield lambda: read(Sheet("S", main + "</x:sheetData></x:worksheet>"))


def _changed_sheet(it: Table, parts: Parts, old: str, new: str, must: str) -> Case:
    """One change of the sheet's XML; a row that it adds is meant, too, if it has a number."""
    changed = _replaced(parts, _SHEET1, old, new)
    truth = sheet_truth(it)
    if "A99" in new:
        added = re.search("<v>(9|1)</v>", new)
        truth[1, 99] = {**dict.fromkeys(it.names), it.names[0]: added[1] if added else None}
    return book_case(it, changed, must=must, truth=truth)


@kind("workbook: structures", 220)
def _(r: Random, number: int) -> Case:
    return variant(list(_structures(r)), number)()


def _bombs(r: Random) -> Iterator[Callable[[], Case]]:
    """What would take the machine; the case must end in a line within the limits."""
    it = table(r)
    parts = good_book(it)
    xml = rows_xml([it.names, *it.records])
    small = replace(LIMITS, max_expanded_bytes=4 * 2**20, workbook_memory_bytes=2**29)

    def refused(parts: Parts, must: str = "unreadable", limits: Limits = small) -> Case:
        return book_case(it, parts, must=must, limits=limits)

    def grown(inside: str) -> Parts:
        return parts_of([Sheet("S", xml + inside)])

    far = '<row r="1048576"><c r="XFD1048576" {}</c></row>'
    yield lambda: refused({**parts, "xl/media/zeros": bytes(32 * 2**20)})
    yield lambda: refused({**parts, _SHEET1: parts[_SHEET1] + b" " * 32 * 2**20})
    yield lambda: refused(grown(far.format("><v>1</v>")))
    yield lambda: refused(grown(far.format('t="inlineStr"><is><t>x</t></is>')))
    yield lambda: refused(grown(far.format('s="1">')), "rows")
    yield lambda: refused(grown(far.replace("XFD1048576", "A1048576").format("><v>1</v>")))
    header = "".join(f"<c {inline(name)}</c>" for name in it.names)
    nameless = f"<row>{header}</row>{far.format('><v>1</v>')}"
    yield lambda: refused(parts_of([Sheet("S", nameless)]))
    yield lambda: refused(_entities(parts, _SHEET1, "billion"))
    yield lambda: refused(_entities(parts, _BOOK, "billion"))
    yield lambda: refused(_entities(parts, _SHEET1, "outside"), "any")
    yield lambda: refused(_entities(parts, "xl/sharedStrings.xml", "billion"), "any")
    long = "x" * 200_000
    many = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(99, 199))
    yield lambda: refused(parts_of([Sheet("S", xml + many)], [f"<t>{long}</t>"]))
    yield lambda: refused(parts_of([Sheet("S", xml)], [f"<t>{long}</t>"] * 100))
    yield lambda: refused(
        parts_of([Sheet(f"S{n}", xml if n == 0 else "") for n in range(1_500)]), "rows"
    )
    yield lambda: refused(parts_of([Sheet(f"S{n}", rows_xml([["x"]])) for n in range(300)]))
    deep = "<a>" * 50_000 + "</a>" * 50_000
    yield lambda: refused(parts_of([Sheet("S", xml, around=(deep, ""))]), "any")
    yield lambda: refused(grown(f'<row r="99"><c r="A99" {"x" * 100_000}="1"/></row>'), "any")
    yield lambda: refused(grown('<row r="99">' + "<c/>" * 100_000 + "</row>"), "any")
    yield lambda: refused(grown('<row r="99"/>' * 30_000), "any")
    names = [[f"c{n}" for n in range(1_200)] + it.names]
    yield lambda: refused(parts_of([Sheet("S", rows_xml(names))]))
    yield lambda: refused(parts, limits=replace(small, workbook_memory_bytes=64 * 2**20))
    yield lambda: refused(parts, limits=replace(small, workbook_seconds=0.01))
    yield lambda: refused(parts, limits=replace(small, max_cells=3))
    yield lambda: refused(parts, limits=replace(small, max_bytes=100))
    yield lambda: refused({**parts, **{f"xl/x{n}": b"" for n in range(3_000)}}, "rows")


def _entities(parts: Parts, path: str, which: str) -> Parts:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    inside = {
        "billion": f'<!ENTITY e0 "lol">{levels}',
        "outside": '<!ENTITY e11 SYSTEM "file:///etc/passwd">',
    }[which]
    text = parts[path].decode()
    text = text.replace("?>\n", f"?>\n<!DOCTYPE x [{inside}]>", 1)
    return {
        **parts,
        path: re.sub("(</[a-z]+>)$", r"<x>&e11;</x>\1", text, flags=re.IGNORECASE).encode(),
    }


@kind("workbook: bombs", 60)
def _(r: Random, number: int) -> Case:
    return variant(list(_bombs(r)), number)()


GREEDY = frozenset({"workbook: bombs"})
"""The kinds whose inputs would take much memory."""
GREEDY_VARIANTS = len(list(_bombs(Random(0))))

_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


@kind("workbook: something else by that name", 100)
def _(r: Random, number: int) -> Case:
    it = table(r, NAUGHTY)
    text, parts = csv_case(it, lines(it)).data, good_book(it)
    book = zipped(parts)
    macros = {**parts, "xl/vbaProject.bin": _OLE2}
    encrypted = bytearray(book)
    for at in (it.start() for it in re.finditer(b"PK\x01\x02", book)):
        encrypted[at + 8] |= 1
    for at in (it.start() for it in re.finditer(b"PK\x03\x04", book)):
        encrypted[at + 6] |= 1
    others = [
        _OLE2 + "Workbook".encode("utf-16-le"),
        _OLE2 + "EncryptedPackage".encode("utf-16-le"),
        _OLE2,
        zipped({"xl/workbook.bin": b"", "[Content_Types].xml": b""}),
        zipped({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b""}),
        zipped({"word/document.xml": b""}),
        zipped({"ppt/presentation.xml": b""}),
        zipped({"f.csv": text}),
        zipped({"f.xlsx": book}),
        zipped({}),
        text, _gz(book), b"", b"PK", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), bytes(99),
        b"<html><table><tr><td>id</td></tr></table></html>", b"%PDF-1.7\n", b"{}", b"PAR1",
        b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
        b"\xef\xbb\xbf" + text, b"\n" + book, bytes(encrypted),
        zipped(dict.fromkeys(parts, b"")), zipped(dict.fromkeys(parts, b"<x/>")),
    ]  # fmt: skip
    if number % 9 == 0:
        return book_case(it, macros, must="rows")
    if number % 9 == 1:
        name = r.choice(["f.csv", "f.csv.gz", "f.xls", "f.xlsm"])
        return book_case(it, parts, name=name, must="unreadable")
    return book_case(it, variant(others, number), must="unreadable")


@kind("workbook: bytes damaged", 110)
def _(r: Random, number: int) -> Case:
    """The zip's checksums see what changes a part; what they cover not may change no value."""
    it = table(r)
    data = zipped(good_book(it))
    if number % 3 == 0:
        return book_case(it, data[: r.randrange(len(data))], must="unreadable")
    if number % 3 == 1:
        at = r.randrange(len(data))
        return book_case(it, data[:at] + bytes([data[at] ^ 1 << r.randrange(8)]) + data[at + 1 :])
    return book_case(it, damaged(r, data, r.randint(1, 4)))


@kind("workbook: parts damaged", 220)
def _(r: Random, number: int) -> Case:
    """Damage that no checksum shows; only the oracle can tell what is left."""
    it = table(r)
    parts = good_book(it)
    path = r.choice([_SHEET1, _SHEET1, _SHEET1, _BOOK, _LINKS, *parts])
    hurt = damaged(r, parts[path], r.randint(1, 3))
    return book_case(it, {**parts, path: hurt}, must="either", oracle=True)
