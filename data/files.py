"""What the shop's files look like on disk: columns, dialects, faults, and the bytes themselves.

Nothing here knows what a fate is. Every writer says on which physical lines it put a row, and every
fault names the rule that it breaks, so that the generator can keep its books.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import xlsxwriter

Cells = tuple[str, ...]
Mangle = Callable[[list[str]], str]  # a record's fields, quoted → a line that is no record

# The headers of the real files, in their order.
COLUMNS: dict[str, Cells] = {
    "products": ("product_id", "department_id", "department", "product_name"),
    "orders": ("order_num", "order_id", "user_id", "order_timestamp", "total_amount", "date"),
    "order_items": (
        *("id", "order_id", "user_id", "days_since_prior_order", "product_id"),
        *("add_to_cart_order", "reordered", "order_timestamp", "date"),
    ),
}
KEY = {"products": "product_id", "orders": "order_id", "order_items": "id"}
PARENTS = ("order_id", "product_id")  # an item's


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it is written, and what is known about it.

    `key` and the parents are 0 where they are missing or cannot be read. Two good rows of one key
    have equal values exactly if they have the same `version`. `cells` are the canonical texts;
    `spelling` writes the same values differently; `mangle` makes a line of it that is no record.
    """

    cells: Cells
    key: int
    version: int = 0
    order_id: int = 0
    product_id: int = 0
    rules: frozenset[str] = frozenset()
    spelling: Cells | None = None
    mangle: Mangle | None = None


# --------------------------------------------------------------------------------------- faults

BLANK = ("", "  ", "\u00a0", "\t")
WHOLE = ("A-17", "+7", "N/A", "1e3", "7.", "9223372036854775808")
SMALL = ("x", "2147483648", "0.5", "1 0")
MONEY = ("abc", "12.345", "1,000.00", "$5", "1e2", "NaN", "12345678901.00")
STAMP = (
    *("yesterday", "2025-04-16", "2025-02-30T10:00:00", "2025-04-16T24:00:00"),
    *("2025-04-16T10:00", "2025-04-16t10:00:00z", "16/04/2025 10:00:00", "2025-04-16T10:00:60"),
)
# Texts that a column's type cannot hold; a column that is not here is text.
WRONG_TYPE: dict[str, Cells] = {
    **dict.fromkeys(
        ("product_id", "department_id", "order_id", "user_id", "order_num", "id"), WHOLE
    ),
    **dict.fromkeys(("add_to_cart_order", "reordered"), SMALL),
    "days_since_prior_order": ("soon", "7.555", "12345678.00"),
    "order_timestamp": STAMP,
    "total_amount": MONEY,
}
OUT_OF_BOUNDS: dict[str, Cells] = {
    "total_amount.min": ("-0.01", "-250"),
    "days_since_prior_order.min": ("-1", "-0.5"),
    "add_to_cart_order.min": ("0", "-3"),
    "reordered.allowed": ("2", "-1"),
}
NULLABLE = {"order_num", "days_since_prior_order", "date"}
NUMBERS = set(WRONG_TYPE) - {"order_timestamp"}


def value_rules(dataset: str) -> dict[str, Cells]:
    """Every rule on a dataset's values, with the texts that break it."""
    rules: dict[str, Cells] = {}
    for column in COLUMNS[dataset]:
        rules |= {} if column in NULLABLE else {f"{column}.required": BLANK}
        rules |= {f"{column}.type": WRONG_TYPE[column]} if column in WRONG_TYPE else {}
        rules |= {rule: v for rule, v in OUT_OF_BOUNDS.items() if rule.startswith(f"{column}.")}
    return rules


def _in_bare(fields: list[str], change: Callable[[str], str]) -> str:
    """The line with its first unquoted, non-empty field changed, and without quoted newlines.

    (Reading fails on the first line and goes on with the next: that must be another record's.)
    """
    fields = ["" if "\n" in field else field for field in fields]
    at = next(i for i, field in enumerate(fields) if field and not field.startswith('"'))
    return ",".join([*fields[:at], change(fields[at]), *fields[at + 1 :]])


def open_quote(fields: list[str]) -> str:
    """A quote that is never closed: it swallows the line below, so it must be the file's last."""
    plain = ["" if '"' in field else field for field in fields]
    return ",".join([*plain[:-1], f'"{plain[-1]}']) + "\n" + ",".join(plain)


RAGGED: tuple[Mangle, ...] = (
    lambda fields: ",".join(fields[:-1]),
    lambda fields: ",".join([*fields, "surplus"]),
    lambda fields: ",".join([*fields, "", "surplus"]),
)
UNSPLITTABLE: tuple[Mangle, ...] = (
    lambda fields: _in_bare(fields, lambda text: f'{text[0]}"{text[1:]}'),
    lambda fields: _in_bare(fields, lambda text: f'"{text}\nmore"x'),  # takes two lines with it
    open_quote,
    lambda fields: _in_bare(fields, lambda text: f'"{text}"x'),
    lambda fields: _in_bare(fields, lambda text: f"{text[0]}\r{text[1:]}"),
)
Fault = Callable[[Row], Row]


def wrong_value(dataset: str, wrong: dict[str, str]) -> Fault:
    """Breaks `wrong`, rule → text. A key or a parent that cannot be read is nobody's."""

    def fault(row: Row) -> Row:
        texts = {rule.split(".")[0]: text for rule, text in wrong.items()}
        cells = tuple(texts.get(c, v) for c, v in zip(COLUMNS[dataset], row.cells, strict=True))
        return replace(
            row,
            cells=cells,
            spelling=None,
            key=0 if KEY[dataset] in texts else row.key,
            order_id=0 if "order_id" in texts else row.order_id,
            product_id=0 if "product_id" in texts else row.product_id,
            rules=frozenset(wrong),
        )

    return fault


def _wrong_line(rule: str, mangle: Mangle) -> Fault:
    return lambda row: Row(row.cells, 0, rules=frozenset({rule}), mangle=mangle)


def faults(dataset: str) -> Iterator[Fault]:
    """Every fault of a dataset, for ever: one of each rule first, then each in its next form.

    Each round ends with a row that breaks two rules at once.
    """
    rules = value_rules(dataset)
    names = list(rules)
    for turn in count():
        wrong = {rule: texts[turn % len(texts)] for rule, texts in rules.items()}
        for rule, text in wrong.items():
            yield wrong_value(dataset, {rule: text})
        yield _wrong_line("row.ragged", RAGGED[turn % len(RAGGED)])
        yield _wrong_line("row.unsplittable", UNSPLITTABLE[turn % len(UNSPLITTABLE)])
        one, two = names[turn % len(names)], names[(turn + len(names) // 2) % len(names)]
        yield wrong_value(dataset, {one: wrong[one], two: wrong[two]})


def respelled(dataset: str, cells: Cells, form: int) -> Cells:
    """The same values in other words (`007`, `7.0`, a zone, outer blanks), by `form` (0 to 3)."""

    def respell(column: str, text: str) -> str:
        if not text:
            return " " * form
        if column == "order_timestamp":
            local = (datetime.fromisoformat(text) + timedelta(hours=2)).isoformat()
            return (text.replace("T", " "), f"{text}.000Z", f"{local}+02:00", f" {text}")[form]
        if column not in NUMBERS:
            return text + " " * form
        if "." in text:
            return (f"{float(text):.2f}", text, f" {text}", f"{text}\u00a0")[form]
        return (f"{text}.0", f"00{text}", f" {text}\t", f"{text}.00")[form]

    return tuple(respell(c, v) for c, v in zip(COLUMNS[dataset], cells, strict=True))


# --------------------------------------------------------------------------------------- writers


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written. All of these are readable and none changes a value."""

    ending: str = ".csv"
    bom: bool = False
    crlf: bool = False
    reordered: bool = False  # columns from right to left
    odd_header: bool = False  # upper case and outer blanks in header names
    extra: bool = False  # a `note` with quoted newlines, and a column without a name
    blank_lines: bool = False  # empty and commas-only lines, which are no rows
    members: int = 0  # of the gzip; 0: not compressed


DIALECTS = (
    Dialect(),
    Dialect(extra=True, blank_lines=True),
    Dialect(".csv.gz", members=1, reordered=True),
    Dialect(bom=True, crlf=True),
    Dialect(".CSV", odd_header=True, reordered=True, extra=True),
    Dialect(".csv.gz", members=2, bom=True, crlf=True, extra=True, odd_header=True),
)
NOTES = ("", "", 'Ring "twice",\nthen wait', "", "fragile, please", "", "\n", "")


def quoted(text: str) -> str:
    """The text as an RFC 4180 field."""
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


def plain_csv(dataset: str, rows: Sequence[Cells]) -> bytes:
    """Rows in the plainest dialect, fast: half a million lines a second."""
    width = len(COLUMNS[dataset])
    lines = [",".join(COLUMNS[dataset])]
    for cells in rows:
        line = ",".join(cells)
        if '"' in line or line.count(",") != width - 1:  # names only: no clean cell has a newline
            line = ",".join(map(quoted, cells))
        lines.append(line)
    return ("\n".join(lines) + "\n").encode()


def csv_file(dataset: str, rows: Sequence[Row], dialect: Dialect) -> tuple[bytes, list[range]]:
    """The file's bytes, and each row's physical lines (from 1, the header's; LF ends a line)."""
    order = range(len(COLUMNS[dataset]))[:: -1 if dialect.reordered else 1]
    header = [COLUMNS[dataset][i] for i in order]
    if dialect.odd_header:
        header = [f" {n.upper()} " if i % 2 else n.title() for i, n in enumerate(header)]
    if dialect.extra:
        header += ["note", ""]
    lines, places, at = [",".join(header)], [], 2
    for i, row in enumerate(rows):
        if dialect.blank_lines and i % 40 == 7:
            lines += ["", "," * (len(header) - 1)]
            at += 2
        cells = row.spelling or row.cells
        fields = [quoted(cells[c]) for c in order]
        if dialect.extra:
            fields += [quoted(NOTES[i % len(NOTES)]), "?" if i % 13 == 5 else ""]
        line = row.mangle(fields) if row.mangle else ",".join(fields)
        height = line.count("\n") + 1
        places.append(range(at, at + height))
        lines.append(line)
        at += height
    end = "\r\n" if dialect.crlf else "\n"
    content = (end.join(lines) + end).encode("utf-8-sig" if dialect.bom else "utf-8")
    if dialect.members:
        cut = len(content) // dialect.members
        parts = [content[:cut], content[cut:]] if dialect.members > 1 else [content]
        content = b"".join(gzip.compress(part, mtime=0) for part in parts)
    return content, places


def workbook(dataset: str, sheets: dict[str, list[Cells]]) -> bytes:
    """An .xlsx with a sheet per entry: numbers as numbers, everything else as text."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"constant_memory": True})
    book.set_properties({"created": datetime(2025, 1, 1)})  # the same bytes on every day
    for title, rows in sheets.items():
        sheet = book.add_worksheet(title)
        for c, name in enumerate(COLUMNS[dataset]):
            sheet.write_string(0, c, name)
        for r, cells in enumerate(rows, 1):
            for c, (name, text) in enumerate(zip(COLUMNS[dataset], cells, strict=True)):
                if name in NUMBERS:
                    sheet.write_number(r, c, float(text))
                else:
                    sheet.write_string(r, c, text)
    book.close()
    return out.getvalue()
