"""What a workbook's cells become: each one accounted for."""

from __future__ import annotations

import datetime as dt
import io
import re
from decimal import Context, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse_assets.parse import (
    Dialect,
    xlsx_precheck,
    xlsx_sheet,
)
from lakehouse_assets.parse.xlsx_cells import Moment, moment_of, number_text
from tests.support.parsed import extras, parse_whole, values
from tests.support.workbooks import (
    GOOD,
    HEADER,
    MAIN,
    SHEET_PART,
    cells_of,
    changed,
    parts_of,
    raw_workbook,
    read_book,
    with_strings,
    workbook_of,
    zip_of,
)


def test_cells_as_text() -> None:
    moments = [
        (dt.date(2025, 4, 1), "2025-04-01T00:00:00"),
        (dt.datetime(2025, 4, 1), "2025-04-01T00:00:00"),
        (dt.datetime(2025, 4, 1, 11, 27), "2025-04-01T11:27:00"),
        (dt.datetime(2025, 12, 31, 23, 59, 59), "2025-12-31T23:59:59"),
        (dt.time(11, 27), "11:27:00"),
        (dt.timedelta(days=1, hours=12), "36:00:00"),
        (True, "TRUE"),
        (False, "FALSE"),
        (7, "7"),
        (-7.5, "-7.5"),
        (" kept ", " kept "),
        ("007", "007"),
        ("1.0", "1.0"),
        ("2025-04-01", "2025-04-01"),
        ('line\nbreak, "quote" \'n é😀', 'line\nbreak, "quote" \'n é😀'),
    ]
    parsed = read_book(workbook_of([("S", [["a"], *([value] for value, _ in moments)])]), "a")
    assert parsed.rows["a"].to_pylist() == [text for _, text in moments]


def test_numbers_at_15_digits_in_their_shortest_form() -> None:
    numbers = {
        "89.68000000000001": "89.68", "65.45999999999999": "65.46", "3.3000000000000003": "3.3",
        "1E+3": "1000", "1.0": "1", "007": "7", "0.1": "0.1", "-0.5": "-0.5", "0.0001": "0.0001",
        "123456789012345": "123456789012345", "-999999999999999": "-999999999999999",
        "0.00001": "0.00001", "1.5E-7": "0.00000015", "0.30000000000000004": "0.3",
        "1234567890.1234567": "1234567890.12346", "-0": "0", " 5 ": "5", ".5": "0.5", "+7": "7",
    }  # fmt: skip
    data = raw_workbook(cells_of(*(f"><v>{raw}</v>" for raw in numbers)))
    assert read_book(data).rows["a"].to_pylist() == list(numbers.values())


def test_numbers_have_the_decimal_mark_of_the_dataset() -> None:
    """As in the CSV that Excel saves there: with a point, 1.234 would be read as 1234."""
    rows: list[list[object]] = [
        ["a"],
        [1.234],
        [-0.5],
        [7],
        ["1.234"],
        [dt.datetime(2025, 4, 1)],
        [1e15],
        [True],
    ]
    dialect = Dialect(delimiter=";", decimal=",", thousands=".")
    parsed = parse_whole("f.xlsx", workbook_of([("S", rows)]), ["a"], dialect=dialect)
    assert parsed.rows["a"].to_pylist() == [
        "1,234", "-0,5", "7", "1.234", "2025-04-01T00:00:00", "1000000000000000", "TRUE",
    ]  # fmt: skip


@given(st.floats(min_value=-9e14, max_value=9e14))
@settings(max_examples=300)
def test_a_number_is_its_double_at_15_digits(number: float) -> None:
    text = number_text(repr(number))
    rounded = Context(prec=15).create_decimal(Decimal(number))
    assert Decimal(text) == rounded
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)([.][0-9]*[1-9])?", text)


@pytest.mark.parametrize(
    "cell",
    [
        't="str"><f>""</f><v></v>', 't="inlineStr"><is><t></t></is>', 's="1">', "><v></v>",
        't="b"><v/>', 't="s"><v/>',
    ],
)  # fmt: skip
def test_empty_cells(cell: str) -> None:
    parsed = read_book(raw_workbook(cells_of("><v>1</v>", cell, "><v>3</v>")))
    assert values(parsed) == [(2, "1", None), (4, "3", None)]


UNREADABLE_CELLS = {
    't="e"><v>#N/A</v>': "#N/A", 't="e"><f>1/0</f><v>#VALUE!</v>': "#VALUE!",
    't="e"><v>#SPILL!</v>': "#SPILL!", 't="e"><v> #CALC! </v>': "#CALC!",
    't="e"><v>#Neu in Excel 2031</v>': "#Neu in Excel 2031", 't="e"><v/>': "#ERROR",
    "><f>1+1</f>": "#NOT CALCULATED", "><f>1+1</f><v></v>": "#NOT CALCULATED",
    't="str"><f>"x"</f>': "#NOT CALCULATED", 't="b"><f/>': "#NOT CALCULATED",
    't="e"><f>1/0</f>': "#ERROR", 's="1"><f>1</f>': "#NOT CALCULATED",
    "><v>9007199254740993</v>": "9007199254740993", "><v>1E+16</v>": "1E+16",
    "><v>1000000000000000</v>": "1000000000000000", "><v>-1e15</v>": "-1e15",
    "><v>1234567890123456.5</v>": "1234567890123456.5", "><v>1e400</v>": "1e400",
    's="1"><v>-1</v>': "-1", 's="2"><v>-0.5</v>': "-0.5", 's="1"><v>0</v>': "0",
    's="2"><v>0.5</v>': "0.5", 's="1"><v>60</v>': "60", 's="1"><v>2958466</v>': "2958466",
    's="2"><v>2958465.999999999</v>': "2958465.999999999", 's="1"><v>1e300</v>': "1e300",
    's="3"><v>-0.25</v>': "-0.25", 's="4"><v>-0.25</v>': "-0.25",
    't="d"><v>1899-12-31</v>': "1899-12-31",
}  # fmt: skip


def test_cells_without_a_value_of_their_own_are_read_and_named() -> None:
    """Also where nothing else is in the row; the other values stay."""
    data = raw_workbook(cells_of(*UNREADABLE_CELLS))
    rows = read_book(data).rows.to_pylist()
    assert [row["a"] for row in rows] == list(UNREADABLE_CELLS.values())
    assert {row["_fault"] for row in rows} == {'unreadable_cell["a"]'}
    assert {row["_raw"] for row in rows} == {None}


def test_an_unreadable_cell_names_each_of_its_columns_and_only_those_of_the_contract() -> None:
    bad, good = 't="e"><v>#N/A</v></c>', "><v>1</v></c>"
    data = raw_workbook(
        '<row r="1"><c t="str"><v>B</v></c><c t="str"><v>more</v></c><c t="str"><v>a</v></c></row>'
        f'<row r="2"><c {good}<c {bad}<c {good}</row>'
        f'<row r="3"><c {bad}<c {bad}<c {bad}</row>'
        f'<row r="4"><c {good}<c {good}<c {bad}</row>'
        f'<row r="5"><c {bad}<c {good}<c {good}<c {bad}</row>'
    )
    parsed = read_book(data)
    assert [
        (row["_row"], row["b"], row["a"], row["_fault"]) for row in parsed.rows.to_pylist()
    ] == [
        (2, "1", "1", None),
        (3, "#N/A", "#N/A", 'unreadable_cell["b", "a"]'),
        (4, "1", "#N/A", 'unreadable_cell["a"]'),
        (5, None, None, "ragged"),
    ]
    assert extras(parsed) == [{"more": "#N/A"}, {"more": "#N/A"}, {"more": "1"}, None]
    assert parsed.rows["_raw"][3].as_py() == '["#N/A", "1", "1", "#N/A"]'


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("><f>1+1</f><v>2</v>", "2"),
        ('t="str"><f>"x"</f><v>x</v>', "x"),
        ('t="b"><f>TRUE()</f><v>1</v>', "TRUE"),
        ('t="b"><v>false</v>', "FALSE"),
        ("><v>2</v><f>1+1</f>", "2"),
        ("><v>1&#50;3</v>", "123"),
        ("><v>1<![CDATA[2]]>3</v>", "123"),
        ("><v>1<!-- 2 -->3</v>", "13"),
        ('t="str"><v>a &amp; b</v>', "a & b"),
        ('t="str"><v> x </v>', " x "),
        (
            't="str"><v>_x0041__x005F_x000a__x0000__xD83D__xDE00__xD83D_</v>',
            "A_x000a__x0000_😀\ufffd",
        ),
        ('t="inlineStr"><v>x</v>', "x"),
        ("><is><t>x</t></is>", "x"),
        ('s="1"><v>1</v>', "1900-01-01T00:00:00"),
        ('s="1"><v>59</v>', "1900-02-28T00:00:00"),
        ('s="1"><v>61</v>', "1900-03-01T00:00:00"),
        ('s="1"><v>2958465</v>', "9999-12-31T00:00:00"),
        ('s="2"><v>45748.9999999999</v>', "2025-04-02T00:00:00"),
        ('s="3"><v>0.477083333333333</v>', "11:27:00"),
        ('s="3"><v>45748.477083333333</v>', "2025-04-01T11:27:00"),
        ('s="3"><v>0</v>', "00:00:00"),
        ('s="4"><v>1.5</v>', "36:00:00"),
        ('s="9"><v>45748</v>', "45748"),
        ('s="1"><v>45748</v>', "2025-04-01T00:00:00"),
        ('s="2"><v>45748.47708333333</v>', "2025-04-01T11:27:00"),
        ('t="inlineStr"><is><r><t>ri</t></r><r><t>ch</t></r></is>', "rich"),
        (
            't="inlineStr"><is><t xml:space="preserve"> 東京</t><rPh sb="0"><t>x</t></rPh></is>',
            " 東京",
        ),
    ],
)
def test_stored_values(cell: str, text: str) -> None:
    assert values(read_book(raw_workbook(cells_of(cell)))) == [(2, text, None)]


def test_dates_of_the_1904_system() -> None:
    data = raw_workbook(cells_of('s="1"><v>44286</v>'), workbook_pr='<workbookPr date1904="1"/>')
    assert values(read_book(data)) == [(2, "2025-04-01T00:00:00", None)]


def test_dates_of_the_1904_system_as_new_programs_save_them() -> None:
    """Excel's extension of the same name says nothing of dates."""
    own = '<x15:workbookPr xmlns:x15="urn:x15" chartTrackingRefBase="1"/>'
    data = changed(
        raw_workbook(cells_of('s="1"><v>44286</v>'), workbook_pr='<workbookPr date1904="1"/>'),
        "xl/workbook.xml",
        "</workbook>",
        f"<extLst><ext>{own}</ext></extLst></workbook>",
    )
    assert values(read_book(data)) == [(2, "2025-04-01T00:00:00", None)]


def test_a_cell_that_names_no_style_has_the_first() -> None:
    data = changed(
        raw_workbook(cells_of("><v>45748</v>", 's="0"><v>45748</v>')),
        "xl/styles.xml",
        '<cellXfs><xf numFmtId="0"/>',
        '<cellXfs><xf numFmtId="14"/>',
    )
    assert {row[1] for row in values(read_book(data))} == {"2025-04-01T00:00:00"}


@pytest.mark.parametrize(
    ("number", "text"),
    [("72", "2025-04-01T00:00:00"), ("77", "2025-04-01T00:00:00"), ("70", "45748")],
)
def test_formats_of_thailand_need_not_be_spelt_out(number: str, text: str) -> None:
    data = changed(
        raw_workbook(cells_of('s="0"><v>45748</v>')),
        "xl/styles.xml",
        '<cellXfs><xf numFmtId="0"/>',
        f'<cellXfs><xf numFmtId="{number}"/>',
    )
    assert values(read_book(data)) == [(2, text, None)]


def test_strict_ooxml_with_iso_dates() -> None:
    data = raw_workbook(
        cells_of(*(f't="d"><v>{it}</v>' for it in ("2025-04-01", "2025-04-01T11:27", "11:27:00"))),
        strict=True,
    )
    assert [row[1] for row in values(read_book(data))] == [
        "2025-04-01T00:00:00", "2025-04-01T11:27:00", "11:27:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ('<row r="2"><c r="A2" t="s"><v>7</v></c></row>', "cell A2 '7' is a shared text that"),
        ('<row r="2"><c r="A2" t="s"><v>-1</v></c></row>', "cell A2 '-1' is no number of a"),
        ('<row r="2"><c r="A2"><v>x</v></c></row>', "cell A2 'x' is no number"),
        (
            '<row r="2"><c r="A2" t="inlineStr"><t>x</t></c></row>',
            "cell A2 holds something that is no value",
        ),
        ('<row r="2"><c r="A2" t="str">x</c></row>', "cell A2 holds something that is no value"),
        (
            '<row r="2"><c r="A2"><x:v xmlns:x="urn:x">9</x:v></c></row>',
            "cell A2 holds something that is no value",
        ),
        ('<row r="2"><c r="A2"><v>nan</v></c></row>', "cell A2 'nan' is no number"),
        ('<row r="2"><c r="A2"><v>1_0</v></c></row>', "cell A2 '1_0' is no number"),
        ('<row r="2"><c r="A2" t="b"><v>2</v></c></row>', "cell A2 '2' is neither true nor"),
        ('<row r="2"><c r="A2" t="z"><v>2</v></c></row>', "cell A2 '2' is of a type that"),
        ('<row r="2"><c r="B2"><v>1</v></c><c r="B2"><v>2</v></c></row>', "cell B2 is there twice"),
        ('<row r="2"><c r="B2"><v>1</v><v>2</v></c></row>', "cell B2 has two values"),
        (
            '<row r="2"><c r="B2" t="inlineStr"><v>1</v><is><t>2</t></is></c></row>',
            "cell B2 has two values",
        ),
        ('<row r="2"><c r="B3"><v>1</v></c></row>', "cell B3 stands in row 2"),
        ('<row r="2"><c r="XFE2"><v>1</v></c></row>', "cell XFE2 is no place in a sheet"),
        ('<row r="2"><c r="2"><v>1</v></c></row>', "cell 2 is no place in a sheet"),
        ('<row r="2"><c r="a2"><v>1</v></c></row>', "cell a2 is no place in a sheet"),
        ('<row r="2"><c r="A2"><c r="B2"><v>1</v></c></c></row>', "cell A2 has another cell in"),
        ('<c r="A2"><v>1</v></c>', "cell A2 stands outside the sheet's rows"),
        ('<row r="2"/><row r="2"><c r="A2"><v>1</v></c></row>', "row 2 follows row 2"),
        ('<row r="1048577"><c><v>1</v></c></row>', "row 1,048,577 follows row 1"),
        ('<row r="2">' + "<c/>" * 16_385 + "</row>", "row 2 has more cells than a sheet has"),
    ],
)
def test_no_cell_is_lost_without_a_word(rows: str, words: str) -> None:
    parsed = read_book(raw_workbook(HEADER + rows, cells_of("><v>1</v>")))
    assert values(parsed) == [(2, "1", None)]
    [problem] = parsed.sheet_problems
    assert problem.sheet == "S1"
    assert problem.problem.startswith(f"damaged ({words}")
    assert problem.problem.endswith("save the workbook again")


def test_shared_texts() -> None:
    items = (
        "<si><t>a</t></si><si><r><rPr><b/></rPr><t>b</t></r><r><t/></r></si>"
        '<si><t xml:space="preserve"> 東京 </t><rPh sb="0" eb="2"><t>とうきょう</t></rPh></si>'
        "<si><t>_x0009_x&#10;y</t></si><si/><si><t></t></si>"
    )
    rows = "".join(
        f'<row><c t="s"><v>{2 * n}</v></c><c t="s"><v>{2 * n + 1}</v></c></row>' for n in range(3)
    )
    data = with_strings(raw_workbook(rows), items)
    assert values(read_book(data)) == [(2, " 東京 ", "\tx\ny")]


def test_a_sheet_in_utf_16() -> None:
    parts: dict[str, str | bytes] = {**parts_of(GOOD)}
    sheet = parts_of(GOOD)[SHEET_PART].partition("\n")[2]
    parts[SHEET_PART] = f'<?xml version="1.0" encoding="UTF-16"?>{sheet}'.encode("utf-16")
    assert values(read_book(zip_of(parts))) == [(2, "1", None)]


@pytest.mark.parametrize(
    ("code", "moment"),
    [
        ("General", None), ("0.00", None), ('#,##0.00\\ "kn"', None), ("0.00E+00", None),
        ('"days "0', None), ("[Red]0;[Blue]-0", None), ("@", None), ("_-* #,##0_-", None),
        ("yyyy-mm-dd", Moment.DATE), ("[$-409]d/m/yy h:mm AM/PM;@", Moment.DATE),
        ("mmm", Moment.DATE), ('yyyy"年"m"月"', Moment.DATE), ("hh:mm:ss", Moment.TIME),
        ("mm:ss.0", Moment.TIME), ("mm:ss,00", Moment.TIME),
        ("[$-F400]h:mm:ss\\ AM/PM", Moment.TIME), ("s", Moment.TIME),
        ("#,##0 USD", None), ("0.00 days", None), ("Standard", None), ("# ?/?", None),
        ('[=0]"-";yyyy-mm-dd', Moment.DATE), ("[<43831]General;dd/mm/yyyy", Moment.DATE),
        ("[>=43831]dd/mm/yyyy;General", Moment.DATE), ("[>1]0.0;dd/mm/yyyy", None),
        ("dd/mm/yyyy;;", Moment.DATE), ("0;dd/mm/yyyy", None), ("[$-411]ggge", Moment.DATE),
        ("[h]:mm", Moment.ELAPSED), ("[mm]:ss", Moment.ELAPSED), ("[SS].00", Moment.ELAPSED),
    ],
)  # fmt: skip
def test_what_a_number_format_shows(code: str, moment: Moment | None) -> None:
    assert moment_of(code) is moment


@pytest.mark.parametrize("chunk", [1, 7, 100, 2**20])
def test_cells_are_found_wherever_a_piece_of_xml_ends(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx_precheck, "_CHUNK", chunk)
    sheet = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData>'
        '<x:row r="3"><x:c  r="B3" s="1"/><x:c s="0" r="C3" t="n"><x:v>1</x:v></x:c></x:row>'
        "<x:row r='9'><x:c t='inlineStr' r='C9'>\n <x:is><x:t>é &lt;c r=\"D9\"</x:t></x:is></x:c>"
        '<x:c r="A9"><x:v>2</x:v></x:c></x:row><x:row r="99"><x:c r="XFD99"></x:c></x:row>'
        "</x:sheetData></x:worksheet>"
    )
    assert sheet_rows(sheet.encode()) == [
        (3, [None, None, "1"]), (9, ["2", None, 'é <c r="D9"']),
    ]  # fmt: skip
    declared = '<?xml version="1.0" encoding="UTF-16"?>' + sheet
    assert sheet_rows(declared.encode("utf-16")) == sheet_rows(sheet.encode())


def sheet_rows(xml: bytes) -> list[tuple[int, list[str | None]]]:
    package = xlsx_precheck.opened(io.BytesIO(GOOD), 2**20)
    rows = xlsx_sheet.Reader(package, 2**20).rows(io.BytesIO(xml))
    return [(row.number, row.cells) for row in rows]
