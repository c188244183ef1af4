"""What workbooks become: their sheets and rows, or one clear line."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from typing import Any

import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse_assets.parse import (
    Dialect,
    SheetProblem,
    Unreadable,
    schema,
)
from tests.support.parsed import Parsed, extras, faults, parse_whole, reason, values
from tests.support.workbooks import (
    GOOD,
    HEADER,
    MAIN,
    OLE2,
    PASSED_OVER,
    RELATIONS,
    RELATIONS_PART,
    SHEET_PART,
    Sheet,
    cells_of,
    changed,
    parts_of,
    raw_workbook,
    read_book,
    workbook_of,
    zip_of,
)


def test_all_sheets_in_their_position_hidden_ones_too() -> None:
    def change(book: xlsxwriter.Workbook) -> None:
        book.get_worksheet_by_name("hidden").hide()
        book.get_worksheet_by_name("very").very_hidden()
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=first!$A$1:$A$2"})
        book.add_chartsheet("chart").set_chart(chart)
        book.add_worksheet("after").write_column(0, 0, ["a", 5])

    data = workbook_of(
        [
            ("first", [["a"], [1]]),
            ("empty", []),
            ("bad", [["a", " A"], [2]]),
            ("note", [["see the other sheets"]]),
            ("hidden", [["a"], [3]]),
            ("very", [[], ["A ", "more"], [], [4, "m"]]),
            ("blanks", [[" "], [None, "\u00a0"]]),
        ],
        change,
    )
    parsed = read_book(data, "a")
    rows = [(it["_sheet"], it["_sheet_no"], it["_row"], it["a"]) for it in parsed.rows.to_pylist()]
    assert rows == [  # The chart is sheet 8.
        ("first", 1, 2, "1"), ("hidden", 5, 2, "3"), ("very", 6, 4, "4"), ("after", 9, 2, "5"),
    ]  # fmt: skip
    assert parsed.summary.warnings == tuple(
        f"[{name}] is hidden, and its rows (1) are read; delete the sheet if they should not be"
        for name in ("hidden", "very")
    )
    assert parsed.summary.notes == (
        "[chart] is a chart sheet and no table: passed over",
        "[note]" + PASSED_OVER.format(0, 1),
    )
    assert [it.sheet for it in parsed.sheet_problems] == ["bad"]
    assert parsed.unexpected == ("more",)
    assert extras(parsed)[2] == {"more": "m"}
    parts = {**parts_of(data), "xl/chartsheets/sheet1.xml": "broken, but nobody reads it"}
    assert read_book(zip_of(parts), "a") == parsed


def test_rows_keep_their_number_and_columns_their_place() -> None:
    """The table may begin anywhere: `_row` is what a person sees, and so is `column_<n>`."""
    rows: list[list[Any]] = [[]] * 3 + [
        [None, None, "a", None, "b"],
        [],
        [None, None, 1, None, 2],
        [None, "left", 3, "between"],
    ]
    parsed = read_book(workbook_of([("S", rows)]))
    assert values(parsed) == [(6, "1", "2"), (7, "3", None)]
    assert extras(parsed) == [None, {"column_2": "left", "column_4": "between"}]
    assert parsed.unexpected == ("column_2", "column_4")


def test_short_rows_are_filled_and_rows_beyond_the_header_are_ragged() -> None:
    rows: list[list[Any]] = [
        ["a", "b", None, " "],
        [1],
        [1, 2, None, " \u00a0"],
        [1, 2, "x"],
        [None, "é", None, None, dt.date(2025, 4, 1), " "],
        [None, None, None, "only"],
        [" ", None, "\t"],
    ]
    parsed = read_book(workbook_of([("S", rows)]))
    assert values(parsed) == [(2, "1", None), (3, "1", "2")]
    assert faults(parsed) == [
        (4, "ragged", '["1", "2", "x"]'),
        (5, "ragged", '[null, "é", null, null, "2025-04-01T00:00:00"]'),
        (6, "ragged", '[null, null, null, "only"]'),
    ]
    faulty = parsed.rows.to_pylist()[-1]
    assert (faulty["_sheet"], faulty["_sheet_no"], faulty["a"]) == ("S", 1, None)


def test_merged_cells_hold_their_value_once() -> None:
    def merge(book: xlsxwriter.Workbook) -> None:
        book.get_worksheet_by_name("S").merge_range("A2:B3", "m")

    parsed = read_book(workbook_of([("S", [["a", "b"], [], [], [1, 2]])], merge))
    assert values(parsed) == [(2, "m", None), (4, "1", "2")]


def test_repaired_rows_of_a_workbook() -> None:
    rows: list[list[Any]] = [["_origin_file", "a", "b"], ["f", "'=1", "''"], [None, "'=1", 2]]
    assert values(read_book(workbook_of([("S", rows)]))) == [(2, "=1", "'"), (3, "'=1", "2")]


def test_header_alone_is_a_readable_sheet() -> None:
    parsed = read_book(workbook_of([("S", [["a", "b"]]), ("T", [["b"], [1]])]))
    assert parsed.rows.num_rows == 0
    assert [it.sheet for it in parsed.sheet_problems] == ["T"]


def test_unreadable_sheets_each_say_why_and_the_others_go_on() -> None:
    data = workbook_of(
        [
            ("good", [["a", "b"], [1, 2]]),
            ("missing", [["a"], [1]]),
            ("twice", [["a", "b", "x", " B"], [1]]),
            ("preamble", [["Report"], ["a", "b"], [1, 2]]),
        ]
    )
    parsed = read_book(data)
    assert values(parsed) == [(2, "1", "2")]
    assert parsed.sheet_problems[0] == SheetProblem(
        "missing", "missing column(s) b; name them in the header, which now has: a"
    )
    assert [it.sheet for it in parsed.sheet_problems] == ["missing", "twice", "preamble"]
    assert "column name(s) b more than once" in parsed.sheet_problems[1].problem
    assert "the header is in row 2, not in the first; " in parsed.sheet_problems[2].problem
    assert all("; " in it.problem for it in parsed.sheet_problems)


@pytest.mark.parametrize(
    "xml",
    [
        "<?xml version='1.0'?><<<>",
        f'<?xml version="1.0"?><worksheet xmlns="{MAIN}"><sheetData>{HEADER}',
        f'<?xml version="1.0"?><worksheet xmlns="{MAIN}"><sheetData>{HEADER}<row r="2"><c r="A',
        "<?xml version='1.0'?>",
    ],
)
def test_a_damaged_sheet_is_no_empty_sheet(xml: str) -> None:
    parsed = read_book(raw_workbook(cells_of("><v>1</v>"), xml, cells_of("><v>3</v>")))
    assert [(it["_sheet_no"], it["a"]) for it in parsed.rows.to_pylist()] == [(1, "1"), (3, "3")]
    assert [it.sheet for it in parsed.sheet_problems] == ["S2"]
    assert parsed.sheet_problems[0].problem.startswith("damaged (")


def test_no_readable_sheet_makes_the_file_unreadable() -> None:
    sheets: list[Sheet] = [(f"S{n}", [["x"]]) for n in range(5)]
    line = reason(workbook_of(sheets), name="f.xlsx")
    assert line.startswith("no readable sheet: [S0] missing column(s) a, b; ")
    assert line.endswith(" | and 2 more sheets")
    assert "no sheet with anything in it" in reason(workbook_of([("S", [])]), name="f.xlsx")


def test_sheets_of_one_name_are_told_apart_by_their_place() -> None:
    data = raw_workbook(*(cells_of(f"><v>{n}</v>") for n in range(1, 4)))
    data = changed(data, "xl/workbook.xml", 'name="S3"', 'name="S1"')
    rows = [(it["_sheet"], it["_sheet_no"], it["a"]) for it in read_book(data).rows.to_pylist()]
    assert rows == [("S1", 1, "1"), ("S2", 2, "2"), ("S1", 3, "3")]


def test_a_sheet_that_is_something_else_is_passed_over() -> None:
    """Fewer than half of the columns in its first row, and no other row with all of them."""
    names = "a b c d"
    sheets: list[Sheet] = [
        ("table", [["d", "b", "c", "a"], [4, 2, 3, 1]]),
        ("pivot", [[None, "A ", "sum"], [1, 2, 3]]),
        ("half", [["a", "b"], [1, 2]]),
        ("below", [["a"], [None], [1, "d", "c", "b", "a", "x"], [1, 2]]),
    ]
    parsed = read_book(workbook_of(sheets), names)
    assert values(parsed, names) == [(2, "1", "2", "3", "4")]
    assert parsed.summary.notes == ("[pivot]" + PASSED_OVER.format(1, 4),)
    assert [(it.sheet, it.problem.partition(";")[0]) for it in parsed.sheet_problems] == [
        ("half", "missing column(s) c, d"),
        ("below", "the header is in row 3, not in the first"),
    ]
    alone = reason(workbook_of(sheets[1:2]), names, "f.xlsx")
    assert alone.startswith("no readable sheet: [pivot] missing column(s) b, c, d; ")


def test_the_sheets_and_rows_that_a_contract_names() -> None:
    data = workbook_of(
        [
            ("one", [["title"], ["a", "b"], [1, 2]]),
            ("two", [["title"], ["a", "b"], [3, 4]]),
            ("note", [["n"], ["n"]]),
            ("early", [["a", "b"], [5, 6]]),
        ]
    )

    def told(*sheets: str, skip_rows: int = 1) -> Parsed:
        dialect = Dialect(sheets=sheets or None, skip_rows=skip_rows)
        return parse_whole("f.xlsx", data, ["a", "b"], dialect=dialect)

    assert values(told("two")) == [(3, "3", "4")]
    assert told("two").summary.notes == ()
    every = told()
    assert values(every) == [(3, "1", "2"), (3, "3", "4")]
    [early] = every.sheet_problems
    assert early == SheetProblem(
        "early",
        "the header is in row 1, not behind the skip_rows (1) of the contract; put it there or "
        "change skip_rows",
    )
    # What the contract names is never something else.
    assert [it.sheet for it in told("one", "note").sheet_problems] == ["note"]
    gone = told("one", "gone")
    assert values(gone) == [(3, "1", "2")]
    assert gone.summary.warnings[0].startswith("no sheet named gone; ")
    with pytest.raises(Unreadable, match=r"no sheet named x; .* it has one, two, note, early$"):
        told("x")


def test_cells_and_rows_without_a_reference_follow_the_one_before() -> None:
    data = raw_workbook(
        '<row><c t="str"><v>a</v></c><c t="str"><v>b</v></c></row><row r="4"><c/><c><v>1</v></c>'
        '</row><row><c r="B5"><v>2</v></c><c r="A5"><v>3</v></c></row>'
    )
    assert values(read_book(data)) == [(4, None, "1"), (5, "3", "2")]


def test_where_the_parts_of_a_workbook_may_be() -> None:
    moved = changed(GOOD, RELATIONS_PART, '"worksheets/', '"/xl/worksheets/')
    assert values(read_book(moved)) == [(2, "1", None)]
    gone = changed(GOOD, RELATIONS_PART, '"worksheets/', '"/xl/nowhere/')
    assert "its part of the workbook is missing" in reason(gone, name="f.xlsx")
    parts = parts_of(changed(moved, "_rels/.rels", "xl/workbook.xml", "/Book/the%20book.xml"))
    parts["Book/the book.xml"] = parts.pop("xl/workbook.xml")
    parts["Book/_rels/the book.xml.rels"] = parts.pop(RELATIONS_PART)
    assert values(read_book(zip_of(parts))) == [(2, "1", None)]


def test_macro_sheets_are_said_to_be_such() -> None:
    kind = "http://schemas.microsoft.com/office/2006/relationships/xlMacrosheet"
    one = changed(GOOD, RELATIONS_PART, f"{RELATIONS}/worksheet", kind)
    assert reason(one, name="f.xlsx") == (
        "no readable sheet: [S1] is a macro sheet and no table: passed over; save the table as a "
        "worksheet of its own"
    )


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # It is what is meant here.
@pytest.mark.parametrize("again", [SHEET_PART, SHEET_PART.upper(), SHEET_PART.replace("/", "\\")])
def test_a_part_that_is_there_twice_makes_the_workbook_unreadable(again: str) -> None:
    out = io.BytesIO(GOOD)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(again, parts_of(GOOD)[SHEET_PART])
    line = reason(out.getvalue(), name="f.xlsx")
    assert line.startswith(f"its zip has {SHEET_PART} more than once")


def test_a_document_type_is_refused() -> None:
    xml = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "1">]>'
    sheet = f'{xml}<worksheet xmlns="{MAIN}">{cells_of("><v>&e;</v>")}</worksheet>'
    assert "its XML has a document type" in reason(raw_workbook(sheet), name="f.xlsx")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "named .xlsx but no workbook"),
        (OLE2 + "EncryptedPackage".encode("utf-16-le"), "locked with a password"),
        (OLE2 + "Workbook".encode("utf-16-le"), "an old .xls workbook"),
        (zip_of({"a.csv": "a,b"}), "a zip file without a workbook in it"),
        (zip_of({}), "a zip file without a workbook in it"),
        (zip_of({"[Content_Types].xml": "", "word/document.xml": ""}), "a Word document"),
        (zip_of({"ppt/presentation.xml": ""}), "a PowerPoint presentation"),
        (zip_of({"xl/workbook.bin": ""}), "a binary workbook (.xlsb)"),
        (
            zip_of({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}),
            "an OpenDocument file",
        ),
        (zip_of({"xl/workbook.xml": "nonsense"}), "damaged"),
        (GOOD[: len(GOOD) // 2], "damaged or cut short"),
        (GOOD[:-30], "damaged or cut short"),
        (b"PK\x03\x04", "damaged or cut short"),
    ],
)
def test_unreadable_workbook(data: bytes, words: str) -> None:
    assert words in reason(data, name="f.xlsx")


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_workbook_with_any_byte_changed_gives_rows_or_one_clear_line(data: st.DataObject) -> None:
    broken = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(GOOD) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_whole("f.xlsx", bytes(broken), ["a", "b"])
    except Unreadable as problem:
        assert "; " in str(problem)
    else:
        assert parsed.rows.schema == schema(["a", "b"])
