"""Bad CSV files, gzipped or not: one pollution at a time, and random damage."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple

from lakehouse_assets.parse import Limits
from tests.support import oracle
from tests.support.badinput_cases import (
    LIMITS,
    NAUGHTY,
    WORDS,
    Case,
    Place,
    Table,
    Texts,
    damaged,
    kind,
    said,
    table,
    variant,
)

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
    cells[-1] = cells[-1].strip(oracle.BLANKS) or "last"  # Shifted, an empty one goes unseen.
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


DELIMITERS = {
    ";": "(?i)semicolon|delimit|separat",
    "\t": r"(?i)\btab|delimit|separat",
    "|": "(?i)pipe|delimit|separat",
    **dict.fromkeys([" ", ":", "||", ";;", "\x1f", "，", "\\t", "~", "^"], ""),
}
"""Other delimiters, and what the line about them has to name."""


@kind("CSV: another delimiter", 300)
def _(r: Random, number: int) -> Case:
    """No reader may guess: such a file says nothing in this format, and the line says what it is.

    Germans write decimal commas with it, and Excel a `sep=` line before it.
    """
    delimiter = variant([*DELIMITERS], number)
    it = table(r)
    if number % 2:
        it.records = [
            [*cells[:-1], f"{r.randint(0, 99)},{r.randint(0, 9)}"] for cells in it.records
        ]
    before = [Line(f"sep={delimiter}\n")] if number % 3 == 0 and len(delimiter) == 1 else []
    parts = [*before, *lines(it, r.choice(["\n", "\r\n"]), delimiter=delimiter)]
    return csv_case(it, parts, must="unreadable", says=DELIMITERS[delimiter])


@kind("CSV: free of doubt", 600)
def _(r: Random, number: int) -> Case:
    """Marks at the start, `sep=,`, a final Ctrl-Z, empty fields beyond the header, names twice."""
    it = table(r, NAUGHTY)
    if number & 1:
        more = r.choice([["x", "X"], ["x", "x", "x_2"], ["", "y", " Y\u00a0"], ["z", "", "z", "z"]])
        it.names += more
        it.records = [
            [*cells, *(r.choice(["", "1", " ", "two"]) for _ in more)] for cells in it.records
        ]
    end = r.choice(["\n", "\r\n"])
    head, *body = lines(it, end, r.choice([plain, plain, quoted]))
    if number & 2:
        beyond = r.choice([",", ",,,", ',""', ",," + "," * 40])
        some = 1.0 if r.random() < 0.5 else 0.5
        body = [
            Line(part.text.removesuffix(end) + beyond + end, part.cells)
            if r.random() < some
            else part
            for part in body
        ]
    if number & 4:
        body[-1] = Line(body[-1].text.removesuffix(end), body[-1].cells)
    before = [Line(f"sep=,{end}")] if number & 8 else []
    good = csv_case(it, [*before, head, *body], must="rows")
    marks = b"\xef\xbb\xbf" * (number // 16 % 4)
    return replace(good, data=marks + good.data + b"\x1a" * (number // 64 % 2))


@kind("CSV: a quoted field closed too early", 500)
def _(r: Random, number: int) -> Case:
    """A text over several lines with a quote that was not doubled: no line of it is a record."""
    it = calm(table(r, NAUGHTY, rows=r.randint(5, 9)))
    parts = lines(it, r.choice(["\n", "\r\n"]), r.choice([plain, quoted]))
    victim, width = r.randrange(1, len(parts)), len(it.names)
    cells = list(it.records[victim - 1])
    at = r.randrange(1, width)
    between = [
        r.choice(
            ["", "two words", ",".join(["7"] * width), ",".join([str(n)] * width), "a,b", '5" x']
        )
        for n in range(r.choice([1, 3, 20, 90]))
    ]
    opens = r.choice(['he said "hi', 'a 12" pipe', '"" and "more" of it', 'x" y'])
    closes = r.choice(["the end", "", "so be it", "7"])
    if closes:  # A line that begins with a quote opens another field: nobody can see that.
        cells = [re.sub("[\r\n]", " ", cell) for cell in cells]
        told = [plain(cell) for cell in cells]
        told[at] = '"' + "\n".join([opens, *between, closes]) + '"'
        parts[victim] = Line(",".join(told) + "\n")
    return csv_case(it, parts)


@kind("CSV: cut uploads", 400)
def _(r: Random, number: int) -> Case:
    """Cut anywhere: what is whole is as it was meant, what is left of the last record as read."""
    it = calm(table(r, NAUGHTY))
    whole = csv_case(it, lines(it, r.choice(["\n", "\r\n"]), r.choice([plain, quoted])))
    data = whole.data[: r.randrange(len(whole.data))]
    try:
        last = data.decode().count("\n") + 1
    except UnicodeDecodeError:  # cut in a character
        return replace(whole, data=data, truth=None, must="unreadable")
    assert whole.truth is not None
    lost = [place for place in whole.truth if place[1] <= last][-1:]
    if not lost or b'"' in data.split(b"\n")[-1]:
        return replace(whole, data=data, truth=None)
    told = {place: texts for place, texts in whole.truth.items() if place not in lost}
    return replace(whole, data=data, truth=None if lost else told)


@kind("CSV: lines that end in CR", 150)
def _(r: Random, number: int) -> Case:
    """As an old Mac saves it; the line says so, and not that quotes are wrong."""
    it = table(r, WORDS)
    parts = lines(it, "\r", r.choice([plain, quoted]))
    if number % 3 == 0:
        parts.append(Line("\n"))
    good = csv_case(it, parts, must="unreadable", says=r"\bCR\b|(?i:carriage|line end)")
    return replace(good, data=b"\xef\xbb\xbf" * (number % 2) + good.data)


@kind("CSV: commas with company", 100)
def _(r: Random, number: int) -> Case:
    """Doubled commas only add nameless columns; a blank behind a comma is part of the value."""
    it = table(r)
    if number % 2:
        return replace(csv_case(it, lines(it, delimiter=",,")), must="rows")
    it.records = [[*cells[:-1], cells[-1] or "last"] for cells in it.records]  # Not to be shifted.
    spaced = [[cells[0], *(" " + cell for cell in cells[1:])] for cells in it.records]
    parts = lines(it, write=lambda cell: cell, delimiter=", ")
    told = [Line(part.text, cells) for part, cells in zip(parts[1:], spaced, strict=True)]
    return csv_case(it, [parts[0], *told])


@kind("CSV: other quotes", 200)
def _(r: Random, number: int) -> Case:
    """In header and body: no such name. In the body only: they are text, and a comma separates."""
    it = table(r)
    first, last = tuple(variant(["''", "“”", "``", "«»", "‹›", "‘’", "$$"], number))
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
    """Only UTF-8 is read, and the line says that it is about the encoding."""
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
    "Report\n", "Report\n\n", "# generated 2025-04-01\n", "sep=;\n", "a,b,c,d\n", '"Title"\n',
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
    ways: list[Callable[[], Case]] = [
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
    ]  # fmt: skip
    return variant(ways, number)()


gz = functools.partial(gzip.compress, mtime=0)


@functools.cache
def _bomb() -> bytes:
    return gz(b"\n" * (8 * 2**20))


@kind("CSV: gzip", 600)
def _(r: Random, number: int) -> Case:
    it = table(r, NAUGHTY)
    good = csv_case(it, lines(it), name=r.choice(["f.csv.gz", "F.CSV.GZ"]), must="rows")
    text = good.data
    cut = r.randrange(len(text))
    data = gz(text, mtime=0)
    two = gz(text[:cut]) + gz(text[cut:])
    at = r.randrange(len(data))
    flipped = data[:at] + bytes([data[at] ^ 1 << r.randrange(8)]) + data[at + 1 :]
    named = io.BytesIO()
    with gzip.GzipFile("naughty\x01é.csv", "wb", fileobj=named, mtime=0) as stream:
        stream.write(text)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as stream_of:
        stream_of.writestr("f.csv", text)
    small = replace(LIMITS, max_text_bytes=2**20)
    nothing: dict[str, Any] = {"must": "unreadable", "truth": None}
    return variant(
        [
            replace(good, data=data),
            replace(good, data=two),
            replace(good, data=gz(b"") + two + bytes(512)),
            replace(good, data=named.getvalue()),
            replace(good, data=text, **nothing),
            replace(good, data=data, name="f.csv", **nothing),
            replace(good, data=data[: r.randrange(len(data))], **nothing),
            replace(good, data=flipped, must="any"),
            replace(good, data=data + r.choice([b"x", b"\n", text, b"\x1f\x8b"]), **nothing),
            replace(good, data=two[:-1], **nothing),
            replace(good, data=gz(data), **nothing),
            replace(good, data=gz(b""), **nothing),
            replace(good, data=zlib.compress(text), **nothing),
            replace(good, data=bz2.compress(text), **nothing),
            replace(good, data=archive.getvalue(), **nothing),
            replace(good, data=archive.getvalue(), name="f.csv", **nothing),
            replace(good, data=data + _bomb(), limits=small, oracle=False, **nothing),
        ],
        number,
    )


def _members(piece: bytes, times: int) -> bytes:
    """A gzip of a piece that comes again and again: one member for each time."""
    return gz(piece) * times


_MIB = 2**20
_GREED: tuple[Callable[[bytes], tuple[str, bytes]], ...] = (
    lambda head: ("f.csv.gz", gz(head) + _members(b"\n" * 8 * _MIB, 32)),
    lambda head: ("f.csv.gz", gz(head) + _members(b",,,,,\r\n" * _MIB, 32)),
    lambda head: ("f.csv", head + b"1\n" * 12_000_000),
    lambda head: ("f.csv", head + b'x"y\n' * 6_000_000),
    lambda head: ("f.csv", head + b'1,"' + b"short,1\n" * 6_000_000),
    lambda head: ("f.csv.gz", gz(head) + _members(b"x" * 8 * _MIB, 32)),
    lambda head: ("f.csv.gz", gz(head) + _members(b'"' + b"x" * 8 * _MIB, 33)),
    lambda head: ("f.csv.gz", gz(head) + _members(b'1,"say "hi\n' * _MIB, 16)),
    lambda head: ("f.csv.gz", gz(head) + _members(b"1\r" * 4 * _MIB, 16)),
    lambda head: ("f.csv.gz", gz(head[:-1]) + _members(b",x" * 4 * _MIB, 16)),
    lambda head: ("f.csv.gz", gz(head) + _members(b"," * 8 * _MIB, 32)),
    lambda head: ("f.csv.gz", _members(b"\xef\xbb\xbf" * 2 * _MIB, 32) + gz(head)),
    lambda head: ("f.csv.gz", gz(head) + _members(b"1,2,3,4\n" * _MIB, 16)),
)
GREEDY_CSV = len(_GREED)


@kind("CSV: greed", GREEDY_CSV)
def _(r: Random, number: int) -> Case:
    """Blank lines, faulty lines, one line without an end: what takes memory, within all limits."""
    dataset = r.choice([*oracle.COLUMNS])
    name, data = variant(_GREED, number)(",".join(oracle.COLUMNS[dataset]).encode() + b"\n")
    return Case(name, data, dataset, oracle=False, limits=Limits())


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


def naughty_header(r: Random, it: Table, number: int) -> Table:
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
    it = naughty_header(r, table(r), number)
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
