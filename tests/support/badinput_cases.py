"""Bad inputs: what one is, how a kind of them is registered, the tables they are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple, TypeVar

from lakehouse_assets.parse import Limits
from tests.support import oracle

LIMITS = Limits(
    max_expanded_bytes=64 * 2**20,
    max_cells=2_000_000,
    workbook_memory_bytes=2**30,
    workbook_seconds=30,
)
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
    `either`: each cell is as meant or as the oracle has it."""
    oracle: bool = True
    """Whether the oracle knows all that matters here; it has no limits."""
    limits: Limits = LIMITS
    says: str = ""
    """A regular expression that the lines about the file or its sheets must match, if any."""


@dataclass(frozen=True)
class Verdict:
    """What became of an input; `peak` is the most memory that this process held meanwhile."""

    rows: int
    unreadable: str | None
    broken: tuple[str, ...]
    peak: int = 0


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
    """A record as bronze has it: the contract's columns, and what has a value in others.

    A name that comes again gets the next number that is free.
    """
    keys = [name.strip(oracle.BLANKS).lower() or f"column_{n}" for n, name in enumerate(names, 1)]
    taken, seen, texts = {*keys}, set[str](), Texts()
    for key, cell in zip(keys, cells, strict=True):
        free = key
        if key in seen:
            free = next(it for n in range(2, 999) if (it := f"{key}_{n}") not in taken)
        taken.add(free)
        seen.add(key)
        if key in _CONTRACT_NAMES or cell.strip(oracle.BLANKS):
            texts[free] = meant(cell)
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
