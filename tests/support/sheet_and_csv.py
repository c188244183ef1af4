"""A sheet, and the CSV that Excel saves of it: both must end in the same fates.

Draws sheets of what both can say, writes the workbook, writes the CSV by Excel's rules, and
compares how the product reads the two. Excel's rules ("CSV UTF-8"), as taken here:

- a byte order mark, commas, CRLF; from A1 to the last row and column that are used, so that every
  row has as many fields, an empty one as many commas;
- a field stands in quotes where it holds a comma, a quote or a line break, quotes doubled;
- a number as it shows in full: 15 significant digits, no exponent; booleans `TRUE` and `FALSE`; of
  a formula its value; hidden rows like others;
- where numbers have a decimal comma, that, and semicolons between the fields;
- a date as ISO date and time: there alone the definitions, not Excel, say what the CSV has.

Left out is what only one of them can say: cells without a value of their own, whole numbers of more
than 15 digits, number formats that hide digits, and values beyond the header's last name (Excel
pads the header with fields without a name, so that in CSV they have a column).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Any

import xlsxwriter
from hypothesis import strategies as st

from lakehouse_assets.parse import Dialect, Unreadable
from tests.support import oracle
from tests.support.badinput_cases import LIMITS, NAUGHTY
from tests.support.parsed import parse_whole


@dataclass(frozen=True)
class Formula:
    """A formula with its stored value."""

    value: bool | float | str


CellValue = str | bool | int | float | date | Formula | None  # a datetime is a date


@dataclass(frozen=True)
class Drawn:
    """A sheet: its rows from A1, each as wide as it likes."""

    dataset: str
    rows: list[list[CellValue]]
    hidden: frozenset[int] = field(default_factory=frozenset)
    """Rows that do not show, counted from 0."""


# ------------------------------------------------------------------------------------- as written


def workbook(sheets: Sequence[Drawn]) -> bytes:
    """These sheets as a workbook."""
    out = io.BytesIO()
    with warnings.catch_warnings(), xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        formats: dict[type | None, Any] = {
            date: book.add_format({"num_format": "d/m/yyyy"}),
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            None: book.add_format({"bold": True}),
        }
        for sheet in sheets:
            _write(book.add_worksheet(), sheet, formats)
    return out.getvalue()


def _write(page: Any, sheet: Drawn, formats: Mapping[type | None, Any]) -> None:
    for at in sheet.hidden:
        page.set_row(at, None, None, {"hidden": True})
    for at, row in enumerate(sheet.rows):
        for column, value in enumerate(row):
            match value:
                case None:
                    if (at + column) % 7 == 0:
                        page.write_blank(at, column, None, formats[None])
                case bool():
                    page.write_boolean(at, column, value)
                case date():
                    page.write_datetime(at, column, value, formats[type(value)])
                case Formula():
                    page.write_formula(at, column, "=A1", None, value.value)
                case str():
                    page.write_string(at, column, value)
                case _:
                    page.write_number(at, column, value)


_FIFTEEN_DIGITS = Context(prec=15)


POINT, COMMA = Dialect(), Dialect(delimiter=";", decimal=",", thousands=".")
"""How Excel saves CSV here and there."""


def shown(value: CellValue, dialect: Dialect = POINT) -> str:
    """A cell as it stands in the CSV."""
    match value:
        case Formula():
            return shown(value.value, dialect)
        case None:
            return ""
        case bool():
            return str(value).upper()
        case datetime():
            return value.isoformat()
        case date():
            return f"{value.isoformat()}T00:00:00"
        case str():
            return value
        case _:
            digits = _FIFTEEN_DIGITS.create_decimal(Decimal(value)).normalize()
            return format(digits + 0, "f").replace(".", dialect.decimal)


def csv(sheet: Drawn, dialect: Dialect = POINT) -> bytes:
    """The sheet as Excel saves it."""
    width = max(map(len, sheet.rows))
    lines = []
    for row in sheet.rows:
        cells = [shown(value, dialect) for value in row] + [""] * (width - len(row))
        mark = dialect.delimiter
        lines.append(mark.join(_quoted(cell, mark) for cell in cells) + "\r\n")
    return b"\xef\xbb\xbf" + "".join(lines).encode()


def _quoted(cell: str, mark: str) -> str:
    in_need = any(it in cell for it in f'{mark}"\r\n')
    return '"' + cell.replace('"', '""') + '"' if in_need else cell


# --------------------------------------------------------------------------------------- as drawn

_TEXTS = [
    text
    for text in NAUGHTY
    # Excel holds 32,767 characters, and XML no control characters and no lone CR.
    if len(text) < 5_000 and "_x" not in text and text.replace("\n", "x").isprintable()
]
_CENTS = st.integers(-(10**7), 10**7)
_DOUBLES = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.integers(0, 60),
    _CENTS.map(lambda cents: cents / 100),
    st.lists(_CENTS, min_size=2, max_size=8).map(lambda cents: sum(it / 100 for it in cents)),
    st.floats(-1e14, 1e14, allow_nan=False, allow_subnormal=False).filter(
        lambda x: abs(x) > 1e-12 or not x
    ),
    st.sampled_from([0.1 + 0.2, 3.3000000000000003, 89.68000000000001, 1e14, 0.0, 1e-7, 2.5e-10]),
)
# xlsxwriter stores 16 digits of a number.
_NUMBERS = _DOUBLES.map(lambda it: it if isinstance(it, int) else float(f"{it:.16G}"))
_DATES = st.one_of(
    st.dates(date(1900, 3, 1), date(9999, 12, 30)),
    st.datetimes(datetime(1900, 3, 1), datetime(2200, 1, 1)).map(
        lambda it: it.replace(microsecond=0)
    ),
)
_STRINGS = st.one_of(
    st.sampled_from(_TEXTS),
    st.sampled_from(["7", "007", "7.0", "1,5", " 7 ", "TRUE", "#N/A", "2025-04-01T10:00:00Z", "x"]),
)
_PLAIN = st.one_of(_STRINGS, _NUMBERS, st.booleans())
_ANY: st.SearchStrategy[CellValue] = st.one_of(
    st.none(),
    _PLAIN,
    _DATES,
    _PLAIN.filter(lambda it: it not in {"", "#N/A"}).map(Formula),
)
_FITTING: dict[str, st.SearchStrategy[CellValue]] = {
    "bigint": st.integers(1, 10**9),
    "int": st.sampled_from([0, 1, 1.0, 2]),
    "decimal(12,2)": _CENTS.map(lambda cents: abs(cents) / 100),
    "decimal(9,2)": st.one_of(st.none(), st.integers(0, 99)),
    "timestamp": st.one_of(_DATES, st.just("2025-04-01T10:00:00")),
    "text": st.one_of(st.none(), _STRINGS),
}


def books(most: int = 10) -> st.SearchStrategy[list[Drawn]]:
    """Some sheets of one dataset."""
    datasets = st.sampled_from([*oracle.COLUMNS])
    return datasets.flatmap(lambda it: st.lists(_sheets(it), min_size=1, max_size=most))


@st.composite
def _sheets(draw: st.DrawFn, dataset: str) -> Drawn:
    """Mostly tables of a dataset; some cells are anything, some headers lack or repeat a name."""
    columns = oracle.COLUMNS[dataset]
    names: list[CellValue] = [*draw(st.permutations([*columns]))]
    more = st.sampled_from(
        ["extra", "Extra", " extra", "x,y", None, "2024", True, 2024, "column_9"]
    )
    for name in draw(st.lists(more, max_size=3)):
        names.insert(draw(st.integers(0, len(names))), name)
    if draw(st.integers(0, 19)) == 0:
        names[draw(st.integers(0, len(names) - 1))] = draw(st.sampled_from(["", "id", "orders"]))
    while names and shown(names[-1]).strip() == "":
        names.pop()  # What stands beyond the last name is left out: see above.
    header = [_dressed(draw, name) for name in names]
    above = draw(st.sampled_from([0] * 15 + [1, 2]))
    rows: list[list[CellValue]] = [draw(st.lists(_ANY, max_size=len(names))) for _ in range(above)]
    rows = [row if draw(st.booleans()) else [] for row in rows]
    rows.append(header)
    for _ in range(draw(st.integers(0, 6))):
        if draw(st.integers(0, 9)) == 0:
            rows.append([])
            continue
        rows.append([_cell(draw, columns.get(str(name), "")) for name in names])
    hidden = draw(st.frozensets(st.integers(0, len(rows)), max_size=2))
    return Drawn(dataset, rows, hidden)


def _dressed(draw: st.DrawFn, name: CellValue) -> CellValue:
    """A name as people write it."""
    if not isinstance(name, str):
        return name
    return draw(st.sampled_from([name, name, name, name.upper(), f" {name} "]))


def _cell(draw: st.DrawFn, kind: str) -> CellValue:
    fits = kind in _FITTING and draw(st.integers(0, 7)) > 0
    return draw(_FITTING[kind] if fits else _ANY)


# -------------------------------------------------------------------------------------- as it ends


Ends = dict[int, list[dict[str, Any]] | None]
"""By the sheet's number: its rows in order, with their faults; None where it cannot be read."""


def ends(dataset: str, name: str, data: bytes, dialect: Dialect = POINT) -> Ends:
    """How the product reads a file. A sheet that is passed over is not among them."""
    try:
        found = parse_whole(name, data, [*oracle.COLUMNS[dataset]], LIMITS, dialect)
    except Unreadable as problem:
        assert "seconds" not in str(problem), problem  # the machine was busy: that proves nothing
        return {}
    rows: Ends = {}
    for row in sorted(found.rows.to_pylist(), key=lambda row: row["_row"]):
        told = {key: value for key, value in row.items() if key not in {"_sheet", "_row"}}
        told["_extra"] = sorted(row["_extra"] or ())
        rows.setdefault(told.pop("_sheet_no"), []).append(told)  # type: ignore[union-attr]
    bad: Ends = {int(problem.sheet.removeprefix("Sheet")): None for problem in found.sheet_problems}
    return rows | bad if name.endswith(".xlsx") or rows else {0: []}


def difference(book: Sequence[Drawn], dialect: Dialect = POINT) -> str | None:
    """Where a sheet of a workbook ends otherwise than its CSV; None if none does."""
    dataset = book[0].dataset
    as_sheets = ends(dataset, "f.xlsx", workbook(book), dialect)
    for number, sheet in enumerate(book, start=1):
        as_csv = ends(dataset, "f.csv", csv(sheet, dialect), dialect).get(0)
        # What is passed over, or has a header alone, has no rows either way.
        as_sheet = as_sheets.get(number) or ([] if number not in as_sheets else None)
        if (as_sheet or []) != (as_csv or []) or (as_csv is not None and as_sheet is None):
            return f"sheet {number}: {as_sheet}\nits CSV: {as_csv}"
    return None


def counted(book: Sequence[Drawn]) -> Sequence[str]:
    """What there is in a workbook, a word for each."""
    rows = [row for sheet in book for row in sheet.rows]
    cells = [type(cell).__name__ for row in rows for cell in row if cell is not None]
    return [*("sheets" for _ in book), *("rows" for _ in rows), *cells]
