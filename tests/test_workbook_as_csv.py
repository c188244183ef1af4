"""A sheet, and the CSV that a spreadsheet saves of it, become the same rows."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal
from random import Random
from xml.sax.saxutils import escape

import pytest

from tests.support.badinput import NAUGHTY
from tests.support.parsed import Parsed, parse_whole
from tests.support.workbooks import raw_workbook, with_strings

COLUMNS = ("a", "b", "c")
SHEETS = 100


@dataclass(frozen=True)
class Cell:
    """A cell's attributes and content, and what a saved CSV has in its place."""

    xml: str
    saved: str
    unreadable: bool = False


def _text(text: str) -> str:
    """Text as OOXML writes it: carriage returns are escaped, and what looks like an escape."""
    text = text.replace("_x", "_x005F_x").replace("\r", "_x000D_")
    return escape(text)


def cell(r: Random, strings: list[str]) -> Cell:
    kind = r.randrange(12)
    if kind < 3:
        number = r.choice([float(r.randrange(-99, 10 ** r.randrange(1, 15))), r.uniform(-1e5, 1e5)])
        number = r.choice([number, number / 100, round(number, 2), 0.1 * r.randrange(99)])
        shown = Context(prec=15).create_decimal(Decimal(number)).normalize()
        formula = r.choice(["", "<f>SUM(A1)</f>"])
        return Cell(f">{formula}<v>{number!r}</v>", f"{shown + 0:f}")
    if kind < 6:
        text = r.choice([r.choice(NAUGHTY), str(r.randrange(999)), " x ", "007", "2025-04-01"])
        text = "".join(char for char in text if char in "\t\n\r" or char >= " ")[:500]
        text = text.replace("\ufffe", "").replace("\uffff", "")
        strings.append(f'<t xml:space="preserve">{_text(text)}</t>')
        ways = [
            f't="s"><v>{len(strings) - 1}</v>',
            f't="str"><f>T(A1)</f><v>{_text(text)}</v>',
            f't="inlineStr"><is><t>{_text(text)}</t></is>',
            f't="inlineStr"><is><r><t>{_text(text)}</t></r><r><t/></r></is>',
        ]
        return Cell(r.choice(ways), text)
    if kind == 6:
        true = r.random() < 0.5
        return Cell(f't="b"><v>{true:d}</v>', "TRUE" if true else "FALSE")
    if kind == 7:  # To the second: a sheet's dates are ISO, whatever their format shows.
        seconds = r.randrange(61 * 86_400, 2_958_465 * 86_400)
        moment = datetime.fromisoformat("1899-12-30") + timedelta(seconds=seconds)
        return Cell(f's="2"><v>{seconds / 86_400!r}</v>', moment.isoformat())
    if kind == 8:
        hours, minutes = r.randrange(100), r.randrange(60)
        days = (hours * 60 + minutes) / 1_440
        return Cell(f's="4"><v>{days!r}</v>', f"{hours:02d}:{minutes:02d}:00")
    if kind == 9:
        error = r.choice(["#N/A", "#DIV/0!", "#SPILL!", "#REF!"])
        return Cell(f't="e"><f>x</f><v>{error}</v>', error, unreadable=True)
    return Cell(r.choice([">", 's="1">', 't="str"><f>T("")</f><v></v>', "><v/>"]), "")


def sheet(r: Random, strings: list[str]) -> tuple[str, str, list[str | None]]:
    """A sheet's rows as XML, the CSV of it, and the fault of each row that has a value."""
    names = [*COLUMNS, *r.sample(["more", "", "d"], r.randrange(3))]
    r.shuffle(names)
    if not names[-1]:  # A value beyond the last name is ragged in a sheet alone.
        names[-1] = "last"
    head = "".join(f't="str"><v>{name.upper()} </v>|' for name in names).split("|")[:-1]
    rows = [f"<row>{''.join(f'<c {it}</c>' for it in head)}</row>"]
    saved = io.StringIO()
    out = csv.writer(saved)
    out.writerow(names)
    faults: list[str | None] = []
    number = 1
    for _ in range(r.randrange(8)):
        for _ in range(r.choice([0, 0, 0, 1, 3])):
            out.writerow([""] * len(names))
            number += 1
        number += 1
        cells = [cell(r, strings) for _ in range(r.choice([len(names)] * 3 + [1, 0]))]
        rows.append(f'<row r="{number}">' + "".join(f"<c {it.xml}</c>" for it in cells) + "</row>")
        texts = [it.saved for it in cells] + [""] * (len(names) - len(cells))
        out.writerow(texts)
        if any(text.strip(" \t\r\n\u00a0") for text in texts):
            bad = [n for n, it in zip(names, cells, strict=False) if it.unreadable and n in COLUMNS]
            faults.append(f"unreadable_cell{json.dumps(bad)}" if bad else None)
    return "".join(rows), saved.getvalue(), faults


def told(parsed: Parsed, number: int) -> list[tuple[object, ...]]:
    rows = [row for row in parsed.rows.to_pylist() if row["_sheet_no"] == number]
    return [(*(row[name] for name in COLUMNS), sorted(row["_extra"] or ())) for row in rows]


@pytest.mark.parametrize("seed", range(20))
def test_a_sheet_and_its_csv_become_the_same_rows(seed: int) -> None:
    r = Random(seed)
    strings: list[str] = []
    drawn = [sheet(r, strings) for _ in range(SHEETS)]
    items = "".join(f"<si>{it}</si>" for it in strings)
    data = with_strings(raw_workbook(*(xml for xml, _, _ in drawn)), items)
    book = parse_whole("f.xlsx", data, list(COLUMNS))
    assert book.sheet_problems == ()
    for number, (_, text, faults) in enumerate(drawn, start=1):
        assert told(book, number) == told(parse_whole("f.csv", text.encode(), COLUMNS), 0), text
        found = [it["_fault"] for it in book.rows.to_pylist() if it["_sheet_no"] == number]
        assert found == faults, text
