"""Bad workbooks: odd cells, odd sheets, odd packages, and random damage."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from random import Random
from typing import Any

from lakehouse_assets.parse import Limits
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
    table,
    variant,
)
from tests.support.badinput_csv import GREEDY_CSV, csv_case, gz, lines, naughty_header
from tests.support.ooxml import (
    MAIN,
    Parts,
    Sheet,
    book_case,
    good_book,
    inline,
    parts_of,
    result,
    rich,
    rows_xml,
    sheet_truth,
    xstring,
    zipped,
)


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
    it = naughty_header(r, table(r, texts), number)
    it.names = [name.replace("_x005F_", "") for name in it.names]
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
    ("><v>3.3000000000000003</v>", "3.3"), ("><v>1E+3</v>", "1000"), ("><v>-0.5</v>", "-0.5"),
    ("><v>1.5E-7</v>", "0.00000015"), ("><v>999999999999999</v>", "999999999999999"),
    ("><v>123456789.1234567891</v>", "123456789.123457"), ("><v>90.949999999999989</v>", "90.95"),
    ('t="n"><v>123456789012345</v>', "123456789012345"), ('s="4"><v>12.50</v>', "12.5"),
    ('s="6"><v>12.505</v>', "12.505"), ('t="b"><v>1</v>', "TRUE"), ('t="b"><v>0</v>', "FALSE"),
    ('t="b"><f>IF(A1,1)</f><v>0</v>', "FALSE"),
    ("><f>1+1</f><v>2</v>", "2"), ('t="str"><f>"x"</f><v>x</v>', "x"),
    ('t="str"><f>""</f><v></v>', ""), ('t="str"><f>""</f><v/>', ""),
    ('s="1"><v>45748</v>', "2025-04-01T00:00:00"), ('s="2"><v>45748.5</v>', "2025-04-01T12:00:00"),
    ('s="3"><v>45779.376388888886</v>', "2025-05-02T09:02:00"), ('s="1">', ""),
    ('s="5"><v>45748</v>', "2025-04-01T00:00:00"), ('s="1"><v>1</v>', "1900-01-01T00:00:00"),
    ('s="1"><v>61</v>', "1900-03-01T00:00:00"), ('s="1"><v>2958465</v>', "9999-12-31T00:00:00"),
    ('t="str"><v>007</v>', "007"), ('t="inlineStr"><is><t>2025-04-01</t></is>', "2025-04-01"),
    ('t="inlineStr"><is><t>=1+1</t></is>', "=1+1"),
    ('t="d"><v>2025-04-01</v>', "2025-04-01T00:00:00"),
    ('t="d" s="2"><v>2025-04-01T09:30:00</v>', "2025-04-01T09:30:00"),
    ('><f t="shared" ref="A1:A2" si="0">B1</f><v>3</v>', "3"),
    ('><f t="shared" si="0"/><v>3</v>', "3"), ('><f t="array" ref="A1">1</f><v>4</v>', "4"),
    ('t="inlineStr"><is><r><t>ri</t></r><r><rPr><b/></rPr><t>ch</t></r></is>', "rich"),
    ('t="inlineStr"><is><t>base</t><rPh sb="0" eb="1"><t>phonetic</t></rPh></is>', "base"),
    ('t="inlineStr"><is><t></t></is>', ""),
    ('t="inlineStr"><is><t><![CDATA[<&>]]></t></is>', "<&>"),
    ("><f>[1]Other!$A$1</f><v>5</v>", "5"),
    ('t="inlineStr"><is><t>&#x1F600;&#10;x</t></is>', "😀\nx"),
    ('cm="1" vm="1"><v>6</v>', "6"), ("><!-- x --><v>8</v>", "8"),
    # What a reader may drop without a word.
    ("><v>1&#50;3</v>", "123"), ("><v><![CDATA[12]]></v>", "12"), ("><v>1<!-- x -->3</v>", "13"),
    ("><v>1<?x y?>4</v>", "14"), ("><v>5</v><f>2+3</f>", "5"), ("><v> 7 </v>", "7"),
    ('t="str"><v>a&amp;<![CDATA[<b>]]>&#99;</v>', "a&<b>c"),
    ('t="inlineStr"><is><t>a<!-- x -->b</t></is>', "ab"),
    ("><f>1</f><v>9</v><extLst><ext uri='x'/></extLst>", "9"),
)  # fmt: skip
"""Cells of every type, and their text by the definitions."""

WITHOUT_VALUE = (
    *((f't="e"><v>{error}</v>', error) for error in (
        "#N/A", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NAME?", "#NULL!", "#GETTING_DATA",
        "#SPILL!", "#CALC!", "#FIELD!", "#BLOCKED!", "#CONNECT!", "#UNKNOWN!", "#BUSY!", "#PYTHON!",
    )),
    ('t="e"><f>1/0</f><v>#DIV/0!</v>', "#DIV/0!"), ('t="e" vm="1"><f>X(1)</f><v>#N/A</v>', "#N/A"),
    ("><f>1+1</f>", "#NOT CALCULATED"), ("><f>1+1</f><v></v>", "#NOT CALCULATED"),
    ("><f>1+1</f><v/>", "#NOT CALCULATED"), ('s="2"><f>NOW()</f>', "#NOT CALCULATED"),
    ('><f t="shared" si="0"/>', "#NOT CALCULATED"), ('t="str"><f>A1</f>', "#NOT CALCULATED"),
    ("><v>9007199254740993</v>", "9007199254740993"), ("><v>1e16</v>", "1e16"),
    ("><v>1000000000000000</v>", "1000000000000000"),
    ("><v>-1234567890123456</v>", "-1234567890123456"),
    ("><v>1.23456789012345E+15</v>", "1.23456789012345E+15"), ("><v>1E+300</v>", "1E+300"),
    ('s="1"><v>-1</v>', "-1"), ('s="2"><v>-0.5</v>', "-0.5"), ('s="1"><v>2958466</v>', "2958466"),
    ('s="3"><v>1E+10</v>', "1E+10"),
)  # fmt: skip
"""Cells without a value of their own, and the text that is kept of them."""


def _typed(r: Random, number: int, cells: Sequence[tuple[str, str]], rows: int) -> Case:
    """Some of these cells, all of them in turn; the truth is their texts."""
    it = table(r, rows=rows)
    xml: list[list[str]] = []
    for at, texts in enumerate(it.records):
        told = [r.choice(cells) for _ in texts]
        told[1] = variant(cells, number * rows + at)
        told[0] = (f"><v>{at}</v>", str(at))
        it.records[at] = [text for _, text in told]
        xml.append([cell for cell, _ in told])
    body = rows_xml(xml, lambda cell: cell, top=2)
    return book_case(it, parts_of([Sheet("S", rows_xml([it.names]) + body)]), must="rows")


@kind("workbook: typed cells", 90)
def _(r: Random, number: int) -> Case:
    return _typed(r, number, TYPED, 6)


@kind("workbook: cells without a value", 90)
def _(r: Random, number: int) -> Case:
    """They are read, with their text, also where a row has nothing else."""
    if number % 3:
        return _typed(r, number, (*TYPED, *WITHOUT_VALUE), 6)
    it = table(r, rows=4)
    told = [
        [r.choice(WITHOUT_VALUE) if r.random() < 0.4 else ("", "") for _ in it.names]
        for _ in it.records
    ]
    for at, cells in enumerate(told):
        cells[r.randrange(len(cells))] = variant(WITHOUT_VALUE, number * 4 + at)
    it.names += ["beside"] * (number % 2)
    for cells in told[: number % 2 * 4]:
        cells.append(r.choice(WITHOUT_VALUE))
    it.records = [[text for _, text in cells] for cells in told]
    xml = rows_xml([[cell for cell, _ in cells] for cells in told], lambda cell: cell, top=2)
    return book_case(it, parts_of([Sheet("S", rows_xml([it.names]) + xml)]), must="rows")


def _noted(r: Random, it: Table) -> list[list[str]]:
    """A note or a pivot: fewer than half of the columns in its first row."""
    few = (len(it.names) - 1) // 2
    names = r.sample(it.names, r.randint(0, few))
    header = [*names, *r.choices(["Sum of all", "note", "exported on 2 May"], k=r.randint(1, 3))]
    return [r.sample(header, len(header)), *([str(n), "x"] for n in range(r.randint(0, 3)))]


def _nearly(r: Random, it: Table) -> list[list[str]]:
    """At least half of the columns, but not all, or one of them twice."""
    at = r.randrange(len(it.names))
    lacking = [*it.names[:at], it.names[at] + r.choice(["x", " id", "s"]), *it.names[at + 1 :]]
    half = r.sample(it.names, (len(it.names) + 1) // 2)
    twice = [*it.names, it.names[at].upper()]
    return [r.choice([lacking, half, twice]), *it.records]


@kind("workbook: sheets beside each other", 160)
def _(r: Random, number: int) -> Case:
    """Good ones, hidden ones, notes, pivots, charts, empty ones, and those that nearly are good."""
    it, truth, sheets, says = table(r, WORDS), dict[Place, Texts](), list[Sheet](), ""
    roles = ["good", "hidden", "note", "nearly", "titled", "empty", "header", "chart", "macros"]
    drawn = r.choices(roles, k=r.randint(1, 4))
    if number % 4:
        drawn.insert(r.randint(0, len(drawn)), "good")
    for n, role in enumerate(drawn, 1):
        own = replace(
            it, records=[[f"{n}{at}", *r.choices(WORDS, k=len(it.names) - 1)] for at in range(3)]
        )
        xml, state, kind = rows_xml([own.names, *own.records]), "", "worksheet"
        if role in {"good", "hidden"}:
            truth |= sheet_truth(own, n)
            state = f'state="{r.choice(["hidden", "veryHidden"])}"' if role == "hidden" else ""
        elif role == "note":
            xml = rows_xml(_noted(r, own))
        elif role == "nearly":
            xml = rows_xml(_nearly(r, own))
        elif role == "titled":
            top = r.randint(2, 40)
            above = [["Title"], ["", "from", "to"], own.names[:1], own.names[:-1]]
            xml = rows_xml([r.choice(above)])
            xml += rows_xml([own.names, *own.records], top=top)
            says = "" if "titled" in drawn[n:] or "nearly" in drawn else rf"\b{top}\b"
        elif role == "header":
            xml = rows_xml([own.names])
        elif role == "empty":
            xml = r.choice(["", '<row r="3"><c r="B3" s="1"/></row>', rows_xml([[" ", "\u00a0"]])])
        else:
            xml = rows_xml([["=1"]]) if role == "macros" else ""
            kind = "xlMacrosheet" if role == "macros" else "chartsheet"
        sheets.append(Sheet(f"{role} {n}", xml, state, kind=kind))
    must = "rows" if {"good", "hidden", "header"} & {*drawn} else "unreadable"
    return book_case(it, parts_of(sheets), truth=truth, must=must, says=says)


@kind("workbook: XML that a reader may stumble over", 120)
def _(r: Random, number: int) -> Case:
    """The same sheet, written in another way: its cells are read or it is refused; none is lost."""
    it = table(r, WORDS)
    parts = good_book(it)
    text = parts[_SHEET1].decode()

    def spread(match: re.Match[str]) -> str:
        return "".join(r.choice([f"&#{ord(it)};", f"&#x{ord(it):x};"]) for it in match[0])

    nines, (cell, end) = [["9"] * len(it.names)], ("</is>", "</sheetData>")
    turned = (r'<c r="([A-Z]+[0-9]+)" t="inlineStr">', r"<c t='inlineStr' r='\1'\n>")
    second = f"{end}<sheetData>{rows_xml(nines, top=99)}{end}"

    ways: list[Callable[[], bytes]] = [
        lambda: text.replace("UTF-8", "UTF-16").encode("utf-16"),
        lambda: text.replace("UTF-8", "UTF-16").encode("utf-16-be"),
        lambda: text.replace("UTF-8", "ISO-8859-1").encode("latin-1", "xmlcharrefreplace"),
        lambda: re.sub("(?<=>)[^<>&]+(?=</t>)", spread, text).encode(),
        lambda: re.sub("(?<=>)([^<>&]+)(?=</t>)", r"<![CDATA[\1]]>", text).encode(),
        lambda: re.sub("(?<=>)([^<>&])([^<>&]*)(?=</t>)", r"\1<!-- x -->\2", text).encode(),
        lambda: re.sub(*turned, text).encode(),
        lambda: text.replace("<c ", "<c xmlns:q='q' q:r='Z9' ").encode(),
        lambda: re.sub(r'( r="[A-Z]+[0-9]+")', "", re.sub(r' r="[0-9]+"', "", text)).encode(),
        lambda: text.replace("</row>", "</row>\n  <!-- row -->  ").encode(),
        lambda: text.replace("<sheetData>", "<sheetData\n>").replace("</c>", "</c >").encode(),
        lambda: text.replace(cell, "</is><extLst><ext uri='x'><v>1</v></ext></extLst>").encode(),
        lambda: text.replace(cell, "</is><v></v>").encode(),
        lambda: text.replace(cell, "</is><v>99</v>").encode(),
        lambda: b"\xef\xbb\xbf" + text.encode(),
        lambda: text.replace(end, second).encode(),
        lambda: text.replace(end, rows_xml(nines, top=2) + end).encode(),
        lambda: text.replace('r="A2"', 'r="B2"', 1).encode(),
    ]  # fmt: skip
    return book_case(it, {**parts, _SHEET1: variant(ways, number)()}, truth=None)


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
        yield partial(read, one, Sheet("T", second, f'state="{state}"'), truth=both)
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
        yield partial(read, declared, must=must)
    merged = f'<mergeCells count="1"><mergeCell ref="A2:B{len(it.records) + 1}"/></mergeCells>'
    for behind in (
        merged,
        '<autoFilter ref="A1:B2"/>',
        '<sheetProtection password="CC1A" sheet="1"/>',
    ):
        yield partial(read, Sheet("S", xml, around=("", behind)))
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
    yield lambda: read(one, Sheet("S", second), truth=both)
    yield lambda: read(one, Sheet("S", second), Sheet("s", xml), truth=both | third)
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
        yield partial(book_case, it, _replaced(parts, _LINKS, "worksheets/sheet1.xml", target))
    for target in ("nowhere.xml", "../../etc/passwd", "http://x/y", "workbook.xml", ""):
        astray = _replaced(parts, _LINKS, "worksheets/sheet1.xml", target)
        yield partial(book_case, it, astray, must="unreadable")
    yield lambda: book_case(
        it, _replaced(parts, _BOOK, 'r:id="r1"', 'r:id="r9"'), must="unreadable"
    )
    yield lambda: book_case(it, _replaced(parts, _BOOK, 'r:id="r1"', ""), must="unreadable")
    shared = good_book(replace(it, records=[]))
    for path in parts:
        yield partial(book_case, it, _without(parts, path))
    for package in ([*parts.items(), (_SHEET1, shared[_SHEET1])], [(_BOOK, b""), *parts.items()]):
        yield partial(book_case, it, zipped(package), must="unreadable", says="more than once")
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
        yield partial(_changed_sheet, it, parts, old, new, must)
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
    main = f'<?xml version="1.0"?><x:worksheet xmlns:x="{MAIN[0]}"><x:sheetData>{prefixed}'
    yield lambda: read(Sheet("S", main + "</x:sheetData></x:worksheet>"))


def _changed_sheet(it: Table, parts: Parts, old: str, new: str, must: str) -> Case:
    """One change of the sheet's XML; a row that it adds is meant, too, if it has a number."""
    changed = _replaced(parts, _SHEET1, old, new)
    truth = sheet_truth(it)
    if "A99" in new:
        added = re.search("<v>(9|1)</v>", new)
        truth[1, 99] = {**dict.fromkeys(it.names), it.names[0]: added[1] if added else None}
    # In another encoding the same bytes mean something else.
    return book_case(it, changed, must=must, truth=None if "1252" in new else truth)


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
        return book_case(it, parts, must=must, limits=limits, oracle=False)

    def grown(inside: str) -> Parts:
        return parts_of([Sheet("S", xml + inside)])

    far = '<row r="1048576"><c r="XFD1048576" {}</c></row>'
    yield lambda: refused({**parts, "xl/media/zeros": bytes(32 * 2**20)})
    yield lambda: refused({**parts, _SHEET1: parts[_SHEET1] + b" " * 32 * 2**20})
    # A cell far away is a row of a million places, or beyond a limit.
    yield lambda: refused(grown(far.format("><v>1</v>")), "any")
    yield lambda: refused(grown(far.format('t="inlineStr"><is><t>x</t></is>')), "any")
    yield lambda: refused(grown(far.format('s="1">')), "rows")
    lonely = sheet_truth(it) | {(1, 1_048_576): {**dict.fromkeys(it.names), it.names[0]: "1"}}
    last_row = grown(far.replace("XFD", "A").format("><v>1</v>"))
    yield lambda: replace(refused(last_row, "rows"), truth=lonely)
    header = "".join(f"<c {inline(name)}</c>" for name in it.names)
    nameless = f"<row>{header}</row>{far.format('><v>1</v>')}"
    yield lambda: refused(parts_of([Sheet("S", nameless)]), "any")
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
    yield lambda: refused(
        parts, limits=replace(small, workbook_memory_bytes=64 * 2**20), must="any"
    )
    yield lambda: refused(parts, limits=replace(small, workbook_seconds=0.01))
    yield lambda: refused(parts, limits=replace(small, max_cells=3))
    yield lambda: refused(parts, limits=replace(small, max_bytes=100))
    yield lambda: refused({**parts, **{f"xl/x{n}": b"" for n in range(3_000)}}, "rows")


def _repeated(r: Random, length: int, times: int) -> Case:
    """A small workbook that says one long text many times."""
    it = table(r)
    cells = "".join(
        f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(9, 9 + times)
    )
    sheet = Sheet("S", rows_xml([it.names, *it.records]) + cells)
    return book_case(
        it, parts_of([sheet], [f"<t>{'x' * length}</t>"]), truth=None, oracle=False, limits=Limits()
    )


@kind("workbook: greed", 3)
def _(r: Random, number: int) -> Case:
    """What takes memory within the default limits."""
    sizes = [(32_767, 20_000), (3_000, 200_000), (20, 1_000_000)]
    return _repeated(r, *variant(sizes, number))


GREEDY = {
    "workbook: bombs": len([*_bombs(Random(0))]),
    "workbook: greed": 3,
    "CSV: greed": GREEDY_CSV,
}
"""The kinds whose inputs would take much memory, and how many of them there are."""


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
        text, gz(book), b"", b"PK", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), bytes(99),
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
