"""What the bytes of one landed file become: rows of text, or one clear line."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xlsxwriter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse_assets.parse import (
    Dialect,
    Expected,
    Limits,
    SheetProblem,
    Unreadable,
    csv_records,
    csv_text,
    schema,
    xlsx_precheck,
    xlsx_reader,
)
from lakehouse_assets.parse.xlsx_worker import cell_text
from tests.support.machine import REAL, needs_real_data
from tests.support.parsed import Parsed, parse_whole

BOM = b"\xef\xbb\xbf"
BLANKS = " \t\r\n\u00a0"


def read(data: bytes | str, columns: str = "a b", name: str = "f.csv", **limits: Any) -> Parsed:
    data = data.encode() if isinstance(data, str) else data
    return parse_whole(name, data, columns.split(), Limits(**limits))


def values(parsed: Parsed, columns: str = "a b") -> list[tuple[Any, ...]]:
    """(row, contract columns …) of the rows without a fault."""
    names = ["_row", *columns.split()]
    return [
        tuple(row[name] for name in names)
        for row in parsed.rows.to_pylist()
        if row["_fault"] is None
    ]


def faults(parsed: Parsed) -> list[tuple[int, str, str]]:
    """(row, fault, text) of the rows that could not be split, by row."""
    rows = [row for row in parsed.rows.to_pylist() if row["_fault"] is not None]
    return sorted((row["_row"], row["_fault"], row["_raw"]) for row in rows)


def extras(parsed: Parsed) -> list[dict[str, str] | None]:
    return [None if it is None else dict(it) for it in parsed.rows["_extra"].to_pylist()]


def reason(data: bytes | str, columns: str = "a b", name: str = "f.csv", **limits: Any) -> str:
    """The one clear line; its two halves are there and it is one line."""
    with pytest.raises(Unreadable) as caught:
        read(data, columns, name, **limits)
    line = str(caught.value)
    wrong, _, remedy = line.partition("; ")
    assert wrong
    assert remedy
    assert "\n" not in line
    assert len(line) < 2_000
    return line


# ------------------------------------------------------------------------------------ interface


def test_schema_and_column_order() -> None:
    text = pa.string()
    expected = pa.schema(
        [
            ("b", text),
            ("a", text),
            ("_sheet", text),
            ("_sheet_no", pa.int32()),
            ("_row", pa.int64()),
            ("_extra", pa.map_(text, text)),
            ("_raw", text),
            ("_fault", text),
        ]
    )
    parsed = read("a,b\n1,2\n", "b a")
    assert parsed.rows.schema == expected == schema(["b", "a"])
    assert parsed.rows.to_pylist() == [
        {"b": "2", "a": "1", "_sheet": None, "_sheet_no": 0, "_row": 2}
        | {"_extra": None, "_raw": None, "_fault": None}
    ]


def test_light_import_and_the_workbook_reader_stays_in_its_own_process() -> None:
    book = workbook_of([("S", [["a"], [1]])])
    code = """if True:
        import sys
        import lakehouse_assets.parse as it
        heavy = {"dagster", "pyspark", "pandas", "pyarrow", "numpy", "python_calamine"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        reading = it.parse("b.xlsx", sys.stdin.buffer, it.Expected(["a"]))
        assert sum(batch.num_rows for batch in reading) == reading.summary.read == 1
        assert not {"dagster", "pyspark", "python_calamine"} & set(sys.modules)
    """
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], input=book, cwd=root, check=True)


@pytest.mark.parametrize("name", ["f.csv", "F.CSV", "x.y.Csv"])
def test_ending_in_any_case(name: str) -> None:
    assert values(read("a,b\n1,2", name=name)) == [(2, "1", "2")]


@pytest.mark.parametrize("name", ["f", "f.txt", "f.xls", "f.csv.zip", "f.gz", "csv", "f.xlsx.bak"])
def test_other_endings_are_unreadable(name: str) -> None:
    assert reason("a,b\n1,2", name=name).startswith("not a .csv, .csv.gz or .xlsx file; ")


# ------------------------------------------------------------------- CSV: records, fields, lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b\n1,2\n3,4\n", [(2, "1", "2"), (3, "3", "4")]),
        ("a,b\r\n1,2\r\n3,4", [(2, "1", "2"), (3, "3", "4")]),
        ("a,b\n1,2\r\n3,4\n", [(2, "1", "2"), (3, "3", "4")]),
        ("\ufeffa,b\n1,2", [(2, "1", "2")]),
        ('\ufeff"a","b"\n"1","2"', [(2, "1", "2")]),
        ('a,b\n"x,y","say ""hi"""\n', [(2, "x,y", 'say "hi"')]),
        ('a,b\n"1\n\n2",x\n3,4\n', [(2, "1\n\n2", "x"), (5, "3", "4")]),
        ('a,b\r\n"1\r\n2",x\r\n3,4', [(2, "1\r\n2", "x"), (4, "3", "4")]),
        ('a,b\n"1\r2",x\n3,4', [(2, "1\r2", "x"), (3, "3", "4")]),
        ('"a\n",b\n1,2\n', [(3, "1", "2")]),
        ("\n , \n,\na,b\n1,2\n", [(5, "1", "2")]),
        ("a,b\n 1\t,\u00a02 \n", [(2, " 1\t", "\u00a02 ")]),
        ("a,b\nNULL,NaN\nN/A,#N/A\n", [(2, "NULL", "NaN"), (3, "N/A", "#N/A")]),
        ("a,b\n007,1e3\ntrue,2025-04-01\n", [(2, "007", "1e3"), (3, "true", "2025-04-01")]),
        ("a,b\n'x,=1\n", [(2, "'x", "=1")]),
        ("a,b\na,b\n", [(2, "a", "b")]),
    ],
)
def test_records(text: str, expected: list[tuple[Any, ...]]) -> None:
    parsed = read(text)
    assert values(parsed) == expected
    assert faults(parsed) == []


def test_empty_fields_are_null_and_whitespace_is_text() -> None:
    assert values(read('a,b\n,1\n"",1\n ,1\n1,\u00a0\n')) == [
        (2, None, "1"),
        (3, None, "1"),
        (4, " ", "1"),
        (5, "1", "\u00a0"),
    ]


@pytest.mark.parametrize(
    "line", ["", " ", "\t", "\u00a0", ",", ",,,", " , ", '"",""', '" "', '"\r\n"," "', '"",,,""']
)
def test_blank_and_commas_only_lines_do_not_count(line: str) -> None:
    parsed = read(f"a,b\n1,2\n{line}\n3,4\n{line}\n")
    assert [row[1:] for row in values(parsed)] == [("1", "2"), ("3", "4")]
    assert faults(parsed) == []


@pytest.mark.parametrize("text", ["a,b", "a,b\n", '"a","b"\r\n', "a,b\n\n\n", "a,b\n,\n"])
def test_header_alone_is_a_valid_file_without_rows(text: str) -> None:
    parsed = read(text)
    assert parsed.rows.num_rows == 0
    assert parsed.rows.schema == schema(["a", "b"])


@pytest.mark.parametrize(
    ("line", "raw"),
    [
        ("1", "1"),
        ("1,2,3", "1,2,3"),
        (" 1", " 1"),
        ('"1\n2","3",x\r', '"1\n2","3",x'),
        (",,x", ",,x"),
        ('","', '","'),
        ('""""', '""""'),
    ],
)
def test_ragged_record_is_one_row_with_its_text(line: str, raw: str) -> None:
    parsed = read(f"a,b,c2\n0,0,\n{line}\n3,4,\n", "a b") if line == "1,2,3" else None
    if parsed:  # As many fields as the header has names: not ragged.
        assert faults(parsed) == []
    parsed = read(f"a,b\n0,0\n{line}\n3,4\n")
    assert faults(parsed) == [(3, "ragged", raw)]
    assert [row[1:] for row in values(parsed)] == [("0", "0"), ("3", "4")]


@pytest.mark.parametrize(
    ("text", "bad", "good"),
    [
        # a quote inside a bare field
        ('1,5" pipe\n3,4\n', [(2, '1,5" pipe')], [(3, "3", "4")]),
        (' "1",2\n3,4\n', [(2, ' "1",2')], [(3, "3", "4")]),
        ('1,2"\n3,4\n', [(2, '1,2"')], [(3, "3", "4")]),
        # text after a closing quote
        ('"1"x,2\n3,4\n', [(2, '"1"x,2')], [(3, "3", "4")]),
        ('"1" ,2\n3,4\n', [(2, '"1" ,2')], [(3, "3", "4")]),
        ('"1""" ",2\n3,4\n', [(2, '"1""" ",2')], [(3, "3", "4")]),
        # a lone CR outside quotes
        ("1,2\r3,4\n5,6\n", [(2, "1,2\r3,4")], [(3, "5", "6")]),
        ("1,2\r", [(2, "1,2\r")], []),
        ('"1"\r,2\n3,4', [(2, '"1"\r,2')], [(3, "3", "4")]),
        ("1,2\r\r\n3,4", [(2, "1,2\r")], [(3, "3", "4")]),
        # a quote never closed: up to the last line of the file
        ('1,2\n3,"4\n5,6\n\n7,8', [(3, '3,"4'), (4, "5,6"), (6, "7,8")], [(2, "1", "2")]),
        ('1,"2', [(2, '1,"2')], []),
        ('"', [(2, '"')], []),
        ('1,"2""', [(2, '1,"2""')], []),
        # each physical line from the record's first to the one where reading fails
        (
            '1,"x\r\ny"z,5\n3,4\n',
            [(2, '1,"x'), (3, 'y"z,5')],
            [(4, "3", "4")],
        ),
        ('1,"x\n \n,,\ny"z\n3,4\n', [(2, '1,"x'), (5, 'y"z')], [(6, "3", "4")]),
        # reading starts anew with the next line, quotes or not
        (
            'x"y\n"1","2"\nx"y\n"3\n3","4"\n',
            [(2, 'x"y'), (4, 'x"y')],
            [(3, "1", "2"), (5, "3\n3", "4")],
        ),
        ('1,"a\nb,"c"\n"5","6"\n', [(2, '1,"a'), (3, 'b,"c"')], [(4, "5", "6")]),
    ],
)
def test_unsplittable_lines(
    text: str, bad: list[tuple[int, str]], good: list[tuple[Any, ...]]
) -> None:
    parsed = read("a,b\n" + text)
    assert faults(parsed) == [(line, "unsplittable", raw) for line, raw in bad]
    assert values(parsed) == good


def test_faulty_rows_carry_nothing_but_their_text() -> None:
    [row] = read("a,b,c\n1,2\n").rows.to_pylist()
    assert row == dict.fromkeys(row) | {
        "_row": 2,
        "_sheet_no": 0,
        "_raw": "1,2",
        "_fault": "ragged",
    }


# ------------------------------------------------------------------------------- CSV: the header


@pytest.mark.parametrize("header", [" A ,\tB", "\u00a0a\u00a0,b", '"a ","\nB\r\n"', "b,a"])
def test_header_names_are_trimmed_and_lower_case(header: str) -> None:
    parsed = read(f"{header}\n1,1\n")
    assert [row[1:] for row in values(parsed)] == [("1", "1")]
    assert parsed.unexpected == ()


def test_unexpected_columns_are_kept_in_extra_and_named() -> None:
    parsed = read("z,a, Über ,b\nq,1,,2\n,1,x y ,2\n,1,,2\nq, ,r,\n , ,\u00a0,1")
    assert parsed.unexpected == ("z", "über")
    assert extras(parsed) == [{"z": "q"}, {"über": "x y "}, None, {"z": "q", "über": "r"}, None]


def test_no_header_is_illegal_in_extra() -> None:
    parsed = read("a,b,_row,_extra,_file,_sheet,_fault\n1,2,3,4,5,6,7\n")
    assert extras(parsed) == [
        {"_row": "3", "_extra": "4", "_file": "5", "_sheet": "6", "_fault": "7"}
    ]
    assert values(parsed) == [(2, "1", "2")]


def test_column_without_a_name_is_left_out_when_empty() -> None:
    parsed = read("a,,b, ,\n1,,2,,\n3, ,4,,\n")
    assert values(parsed) == [(2, "1", "2"), (3, "3", "4")]
    assert extras(parsed) == [None, None]
    assert parsed.unexpected == ()


def test_column_without_a_name_and_with_a_value_is_counted_from_1() -> None:
    parsed = read("a,,b,\n1,x,2,\n3,,4,y\n")
    assert extras(parsed) == [{"column_2": "x"}, {"column_4": "y"}]
    assert parsed.unexpected == ("column_2", "column_4")


def test_column_without_a_name_never_hides_a_named_one() -> None:
    parsed = read("a,b,column_4,\n1,2,3,4\n")
    assert extras(parsed) == [{"column_4": "3", "column_4_2": "4"}]
    assert parsed.unexpected == ("column_4", "column_4_2")


def test_an_unexpected_name_again_gets_the_next_number_that_is_free() -> None:
    parsed = read("a,X,b, x ,x_2,x,z,z\n1,2,3,4,5,6,,\n")
    assert extras(parsed) == [{"x": "2", "x_3": "4", "x_2": "5", "x_4": "6"}]
    assert parsed.unexpected == ("x", "x_2", "x_3", "x_4", "z", "z_2")


def test_a_header_may_go_by_other_names() -> None:
    expected = Expected(["a", "b"], aliases={"a": ["alpha", "first"]})
    for name in ("a", "Alpha", "first"):
        parsed = parse_whole("f.csv", f"b,{name}\n1,2\n".encode(), expected)
        assert values(parsed) == [(2, "2", "1")]
        assert parsed.unexpected == ()
    with pytest.raises(Unreadable, match=r"column name\(s\) a more than once"):
        parse_whole("f.csv", b"b,a,alpha\n1,2,3\n", expected)
    with pytest.raises(Unreadable, match=r"missing column\(s\) a"):
        parse_whole("f.csv", b"b,beta\n1,2\n", expected)


def test_record_with_a_value_in_an_unexpected_column_only_counts() -> None:
    assert values(read("a,b,c\n,,x\n")) == [(2, None, None)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("", "empty, not even a header"),
        (BOM, "empty, not even a header"),
        ("\n \r\n,,\n", "empty, not even a header"),
        ("a\n1\n", "missing column(s) b; "),
        ("x,y\n1,2\n", "missing column(s) a, b; "),
        ("1,2\n3,4\n", "missing column(s) a, b; "),
        ("\u3000a,b\x0b\n1,2\n", "missing column(s) a, b; "),  # No blanks of ours.
        ("a,b,a\n1,2,3\n", "column name(s) a more than once"),
        ('a,b"\n1,2\n', "the header in line 1 cannot be split"),
        ('a,"b\n1,2\n', "the header in line 1 cannot be split"),
        ("a,b\rc\n1,2\n", "the header in line 1 cannot be split"),
        ('x"y\na,b\n1,2\n', "the header is in line 2, not in line 1"),
        ("\na,b\n1,2\n".replace("b", "c"), "missing column(s) b; "),
        ("a;b\n1;2\n", "looks like semicolon-separated; save it comma-separated"),
        ('"a";"b"\n"1";"2"\n', "looks like semicolon-separated"),
        ("a\tb\n1\t2\n", "looks like tab-separated"),
        ("a|b\n1|2\n", "looks like pipe-separated"),
        ("sep=;\na;b\n1;2\n", "looks like semicolon-separated"),
        ("Report of April\n\na,b\n1,2\n", "the header is in line 3, not in line 1"),
        ("sep=,\n\nReport\na,b\n1,2\n", "the header is in line 4, not in line 3"),
        ("a,b\r1,2\r3,4\r", "its lines end in CR alone"),
        ('"a","b"\r"1","2"\r3,4\r\n', "its lines end in CR alone"),
        ("Report\ra,b\r1,2", "its lines end in CR alone"),
        ("a,b\n1,\0\n", "a NUL byte in line 2; "),
        ("a,b\n1,2\n".encode("utf-16"), "encoded in UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-be"), "a NUL byte in line 1"),
        (b"a,b\n1,caf\xe9\n", "byte 0xe9 in line 2 (byte 10 of the file)"),
        (b"a,b\n1,\xed\xa0\x80\n", "not UTF-8: byte 0xed in line 2"),
        (b"a,b\n1,2\n3,\xc3", "not UTF-8: byte 0xc3 in line 3"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "compressed with gzip, but not named so"),
        (b"PK\x03\x04rest", "a zip or a workbook, not text"),
    ],
)
def test_unreadable_csv(data: bytes | str, words: str) -> None:
    assert words in reason(data)


def test_where_utf8_breaks_is_found_in_any_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_text, "CHUNK", 3)
    good = "a,b\né€😀,2\n".encode() * 4
    assert values(read(b"a,b\n" + good))[1] == (3, "é€😀", "2")
    for at in range(8, len(good)):
        data = b"a,b\n" + good[:at] + b"\xff"
        with pytest.raises(UnicodeDecodeError) as caught:
            data.decode()
        assert f"(byte {caught.value.start + 1:,} of the file)" in reason(data)


def test_a_header_line_of_any_kind_gives_one_short_line() -> None:
    assert "and 488 more" in reason(",".join(f"n{i}\t{'x' * 99}" for i in range(500)))


def test_what_is_unseen_in_a_header_shows_in_its_line() -> None:
    line = reason("a\u200b,\x1b[31mb,\u202ec,d\x0be,\x7f\n")
    assert line.endswith("which now has: a\ufffd, \ufffd[31mb, \ufffdc, d e, \ufffd")


# --------------------------------------------------------------- CSV: proven against a reference


def split_by_hand(text: str) -> Iterator[tuple[int, str, list[str] | None]]:
    """RFC 4180 one character after the other: (line, text, fields or None) of all that counts."""
    at, line = 0, 1
    while at < len(text):
        begin = at
        fields, at, why = record_by_hand(text, at)
        if fields is not None:
            if any(field.strip(BLANKS) for field in fields):
                yield line, text[begin:at], fields
            at += 2 if text[at : at + 1] == "\r" else 1
        else:
            at = next_line(text, at)
            if why == "closed early":
                at = behind_the_fields_end(text, at) or at
            for number, raw in enumerate(io.StringIO(text[begin:at], newline="\n"), line):
                shown = raw[:-1].removesuffix("\r") if raw.endswith("\n") else raw
                if shown.strip(BLANKS + ","):
                    yield number, shown, None
        line += text.count("\n", begin, at)


def record_by_hand(text: str, at: int) -> tuple[list[str] | None, int, str]:
    """A record's fields, or None; where reading ended; and what it failed on."""
    fields, field, state = list[str](), "", "start"
    while True:
        char, following = text[at : at + 1], text[at + 1 : at + 2]
        ends = char in ("", "\n") or char + following == "\r\n"
        if state == "quoted":
            if not char:
                return None, at, "never closed"
            if char != '"':
                field += char
            elif following == '"':
                field += '"'
                at += 1
            else:
                state = "closed"
        elif ends or char == ",":
            fields.append(field)
            field, state = "", "start"
            if ends:
                return fields, at, ""
        elif char == '"' and state == "start":
            state = "quoted"
        elif char == "\r":
            return None, at, "a lone CR"
        elif state == "closed":
            return None, at, "closed early"
        elif char == '"':
            behind = text[at:].lstrip('"')
            odd = (len(text) - at - len(behind)) % 2 == 1
            an_end = odd and (not behind or behind.startswith((",", "\n", "\r\n")))
            return None, at, "an end" if an_end else "a quote"
        else:
            field += char
            state = "bare"
        at += 1


def behind_the_fields_end(text: str, at: int) -> int | None:
    """Where to go on behind a field that was closed too early, if its end is within 100 lines."""
    most = at
    for _ in range(100):
        most = next_line(text, most)
    while at < most:
        fields, at, why = record_by_hand(text, at)
        if fields is None and at < most and why == "an end":
            return next_line(text, at)
        at = next_line(text, at)
    return None


def next_line(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


@settings(
    max_examples=1_000,
    deadline=None,
)
@given(
    body=st.text('aé,"\n\r \u00a0\ufeff', max_size=60)
    | st.lists(
        st.sampled_from(
            ["1,2", '"x\n",y', "\r\n", "\n", "\n", "\n", "\r", '"', '""', ",", "z", "\ufeff"]
        )
        | st.sampled_from(['"a"b,c\n', 'd",e\n', 'd""",e\n', "\n" * 40]),
        max_size=40,
    ).map("".join),
    width=st.integers(1, 3),
    start=st.sampled_from(["", "\ufeff", "\ufeff\ufeff", "\n", "sep=,\r\n"]),
    end=st.sampled_from(["\n", "\r\n"]),
    window=st.sampled_from([1, 2, 7, 30, 2**20]),
)
@example(body='a"\n"\n"', width=1, start="", end="\n", window=1)
@example(body="\ufeff\n\ufeff1\n\ufeff", width=1, start="\ufeff", end="\n", window=1)
def test_every_text_is_split_as_by_hand(
    body: str, width: int, start: str, end: str, window: int
) -> None:
    names = ["c1", "c2", "c3"][:width]
    text = start + ",".join(names) + end + body
    expected: list[tuple[int, str | None, Any]] = []
    plain = text.lstrip("\ufeff").replace("sep=,\r\n", "\n")
    for line, raw, fields in list(split_by_hand(plain))[1:]:
        if fields is None:
            expected.append((line, "unsplittable", raw))
        elif len(fields) < width or any(field.strip(BLANKS) for field in fields[width:]):
            expected.append((line, "ragged", raw))
        elif any(field.strip(BLANKS) for field in fields):
            expected.append((line, None, [field or None for field in fields[:width]]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_text, "CHUNK", window)
        parsed = parse_whole("f.csv", text.encode(), names)
    found = [
        (row["_row"], row["_fault"], row["_raw"] if row["_fault"] else [row[it] for it in names])
        for row in parsed.rows.to_pylist()
    ]
    assert sorted(found, key=lambda row: row[0]) == expected
    cut = not plain.endswith("\n") and "\n" in plain
    assert [it.split(",")[0] for it in parsed.summary.warnings] == (
        [f"the last line ({plain.count(chr(10)) + 1}) has no line end"] if cut else []
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=3, max_size=3
        )
    ),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_what_a_csv_writer_writes_comes_back(records: list[list[str]], quoting: Any) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=quoting).writerows([["a", "b", "c"], *records])
    rows = parse_whole("f.csv", out.getvalue().encode(), ["a", "b", "c"]).rows.to_pylist()
    expected = [record for record in records if any(field.strip(BLANKS) for field in record)]
    assert [[row[name] or "" for name in "abc"] for row in rows] == expected


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: b"a,b\n" + tail),
    st.sampled_from(["f.csv", "f.csv.gz"]),
)
def test_any_bytes_give_rows_or_one_clear_line(data: bytes, name: str) -> None:
    if name.endswith(".gz") and data[:1] != b"\x1f":
        data = gzip.compress(data, mtime=0)
    try:
        parsed = parse_whole(name, data, ["a", "b"])
    except Unreadable as problem:
        assert "; " in str(problem)
    else:
        assert parsed.rows.schema == schema(["a", "b"])


def test_a_file_of_several_blocks_keeps_row_numbers_and_values(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_text, "CHUNK", 2**16)
    lines = ["id,text,more"]
    for i in range(12_000):
        lines.append(f'{i},"{i} ""é"",\n{"x" * (i % 300)}",' + ("m" if i % 1000 == 1 else ""))
        if i % 777 == 0:
            lines += ["", 'stray"quote,,', "1,2"]
    data = "\n".join(lines).encode()
    assert len(data) > 2 * csv_text.CHUNK
    parsed = parse_whole("f.csv", data, ["id", "text"])
    expected = list(split_by_hand("\n".join(lines)))[1:]
    good = [(line, *fields[:2]) for line, _, fields in expected if fields and len(fields) == 3]
    bad = [(line, raw) for line, raw, fields in expected if not fields or len(fields) != 3]
    assert values(parsed, "id text") == good
    assert [(line, raw) for line, _, raw in faults(parsed)] == bad
    assert [it for it in extras(parsed) if it] == [{"more": "m"}] * 12


def test_quoted_line_ends_survive_wherever_a_block_ends() -> None:
    """Arrow loses the LF where one of its blocks ends between a quoted CR and LF."""
    value = "\r\n" * 500
    data = b"a,b\n" + f'1,"xy{value}"\n'.encode() * 9_000
    assert len(data) > 2 * csv_text.CHUNK
    parsed = read(data)
    assert set(parsed.rows["b"].to_pylist()) == {f"xy{value}"}
    assert parsed.rows["_row"].to_pylist() == [2 + 501 * i for i in range(9_000)]


@pytest.mark.parametrize("quote", ["", '"'])
def test_speed(quote: str) -> None:
    """100,000 rows of 8 columns; 0.05 s where this was written, the rest is for slow machines."""
    row = ",".join(f"{quote}{value}{quote}" for value in (7, 10000, 1990, 10.0, 988, 1, 0))
    data = b"a,b,c,d,e,f,g,h\n" + f"{row},2025-04-01T11:27:00\n".encode() * 100_000
    begin = time.process_time()
    parsed = parse_whole("f.csv", data, list("abcdefgh"))
    assert time.process_time() - begin < 1
    assert parsed.rows.num_rows == 100_000


# ------------------------------------------------------------------------------------ gzip, limits


def test_gzip_of_one_member_or_several() -> None:
    parts = [b"a,b\n1,", b"2\n3", b",4\n"]
    for data in (gzip.compress(b"".join(parts)), b"".join(map(gzip.compress, parts))):
        for name in ("f.csv.gz", "F.CSV.GZ"):
            assert values(read(data, name=name)) == [(2, "1", "2"), (3, "3", "4")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\n1,2\n", "named .csv.gz but not compressed with gzip; name plain text .csv"),
        (b"", "empty"),
        (gzip.compress(b"", mtime=0), "empty, not even a header"),
        (gzip.compress(b"a,b\n1,2\n" * 9, mtime=0)[:-9], "cut short"),
        (gzip.compress(b"a,b\n1,2\n" * 9, mtime=0)[:14], "cut short"),
        (gzip.compress(b"a,b\n1,2\n" * 9, mtime=0)[:-8] + b"\0" * 8, "damaged"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0) + b"junk", "damaged"),
        (b"\x1f\x8b" + b"\xff" * 40, "damaged"),
        (gzip.compress(gzip.compress(b"a,b\n1,2\n", mtime=0), mtime=0), ""),
    ],
)
def test_unreadable_gzip(data: bytes, words: str) -> None:
    assert words in reason(data, name="f.csv.gz")


def test_gzip_is_never_unpacked_beyond_the_limit() -> None:
    bomb = gzip.compress(b"a,b\n" + b"1,2\n" * 8_000_000, 1, mtime=0)
    assert "more than max_text_bytes (1,000,000) allows; split the file or raise" in reason(
        bomb, name="f.csv.gz", max_text_bytes=1_000_000
    )


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("a,b\n1,2\n", {"max_bytes": 7}),
        ("a,b,c\n1,2,3\n", {"max_columns": 2}),
        ('a,b\n1,"2\n3"\n', {"max_record_bytes": 6}),
        ('a,b\n1,2"é\n', {"max_record_bytes": 5}),
    ],
)
def test_limit_is_named_with_its_setting(text: str, limit: dict[str, Any]) -> None:
    [(name, most)] = limit.items()
    line = reason(text, **limit)
    assert f" than {name} (" in line
    assert line.endswith(f"raise {name}")
    assert read(text, **{name: most + 1}).rows.num_rows == 1


@pytest.mark.parametrize(
    ("text", "limit"),
    [("a,b\n\n\n\n1,2\n", "max_lines"), ("a,b\n1,2\n1\n2\n", "max_faulty_lines")],
)
def test_limits_on_lines(text: str, limit: str) -> None:
    assert reason(text, **{limit: 1}).endswith(f"raise {limit}")
    assert f"more than {limit} (1) allows" in reason(text, **{limit: 1}).replace(
        "more lines than", "more than"
    ).replace("more faulty lines than", "more than")
    assert read(text, **{limit: 6}).rows.num_rows


BOMB = """if True:
    import resource, sys
    from lakehouse_assets.parse import Expected, Unreadable, parse
    head, unit, size, tail = (text.encode() for text in eval(sys.argv[1]))

    class Stream:
        left, done = int(size), False
        rest = head
        def read(self, most):
            while len(self.rest) < most and not self.done:
                more = unit * (2**20 // len(unit)) if self.left > 0 else tail
                self.done = self.left <= 0
                self.left -= len(more)
                self.rest += more
            data, self.rest = self.rest[:most], self.rest[most:]
            return data

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    class Start:
        def __init__(self): self.text = b"a,b\\n1,2\\n"
        def read(self, most):
            text, self.text = self.text, b""
            return text

    list(parse("f.csv", Start(), Expected(["a", "b"])))
    before, rows = peak(), 0
    try:
        for batch in parse("f.csv", Stream(), Expected(["a", "b"])):
            rows += batch.num_rows
        found = "read"
    except Unreadable as problem:
        found = str(problem)
    print((peak() - before) // 2**10, rows, found, sep="|")
"""
MIB = 2**20


@pytest.mark.parametrize(
    ("head", "unit", "size", "tail", "found"),
    [
        ("a,b\n", "\n", 100 * MIB, "1,2\n", "read"),
        ("a,b\n", "1\n", 100 * MIB, "", "more faulty lines than max_faulty_lines"),
        ("a,b\n", 'x"\n', 20 * MIB, "", "more faulty lines than max_faulty_lines"),
        ('a,b\n1,"', "x\n", 200 * MIB, "", "longer than max_record_bytes"),
        ('a,b\n1,"', "\n", 200 * MIB, "", "longer than max_record_bytes"),
        ('a,b\n1,"', "\n", 7 * MIB, "", "read"),
        ('a,b\n1,"', '""\n', 7 * MIB, '"\n', "read"),
        ("a,b\n", '"', 100 * MIB, "", "longer than max_record_bytes"),
        ("a,b\n", ",", 100 * MIB, "", "longer than max_record_bytes"),
        ("a,b\n", '"",1\n', 60 * MIB, "", "read"),
        ("a,b\r", "1,2\r", 60 * MIB, "", "its lines end in CR alone"),
    ],
    ids=repr,
)
def test_memory_does_not_follow_the_file(
    head: str, unit: str, size: int, tail: str, found: str
) -> None:
    told = repr((head, unit, str(size), tail))
    done = subprocess.run(
        [sys.executable, "-c", BOMB, told],
        cwd=Path(__file__).parents[1],
        check=True,
        capture_output=True,
        text=True,
    )
    mebibytes, _, says = done.stdout.strip().split("|", 2)
    assert found in says
    assert int(mebibytes) < 512


def test_a_bomb_of_gzip_is_read_like_any_other_file() -> None:
    lines = gzip.compress(b"a,b\n" + b"\n" * 64 * MIB + b"1,2\n", 1, mtime=0)
    assert len(lines) < MIB
    assert values(read(lines, name="f.csv.gz")) == [(64 * MIB + 2, "1", "2")]


def test_running_out_of_memory_is_a_line_about_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), pa.ArrowMemoryError("no"), pa.ArrowCapacityError("no")):

        def fails(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(csv_records, "split", fails)
        assert reason("a,b\n1,2\n").startswith("reading it takes more memory than there is; ")


# --------------------------------------------------------------------- what is free of doubt


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff\ufeff\ufeffa,b\n1,2\n",
        "sep=,\na,b\n1,2\n",
        "\ufeffsep=,\r\na,b\r\n1,2\r\n",
        "a,b\n1,2\n\x1a",
        "a,b\n1,2,,\n",
        'a,b\n1,2,"", \n',
        'a,b\n1,2," ",\u00a0\n',
        "a,b,,\n1,2,,\n",
    ],
)
def test_what_is_free_of_doubt_is_taken_as_it_is(text: str) -> None:
    parsed = read(text)
    assert [row[1:] for row in values(parsed)] == [("1", "2")]
    assert faults(parsed) == []
    assert parsed.unexpected == ()
    assert parsed.summary.warnings == ()


def test_a_ctrl_z_within_the_text_is_text() -> None:
    assert values(read("a,b\n1,\x1a\n")) == [(2, "1", "\x1a")]


@pytest.mark.parametrize(
    ("text", "cut"),
    [("a,b\n1,2", 2), ("a,b\n1,2\n3,", 3), ("a,b", 0), ("a,b\n", 0), ("a,b\n1,2\n\x1a", 0)],
)
def test_a_last_line_without_an_end_is_warned_of(text: str, cut: int) -> None:
    warnings = read(text).summary.warnings
    assert len(warnings) == bool(cut)
    assert all(f"the last line ({cut}) has no line end" in it for it in warnings)


@pytest.mark.parametrize("lines", [100, 101])
def test_the_end_of_a_broken_field_is_looked_for_in_a_hundred_lines(lines: int) -> None:
    middle = "".join(f"{n},x\n" for n in range(lines - 1))
    parsed = read(f'a,b\n1,"say "hi"\n{middle}bye",2\n3,4\n')
    assert len(faults(parsed)) == (101 if lines == 100 else 2)
    assert [row[1:] for row in values(parsed)][-1] == ("3", "4")


# --------------------------------------------------------------------------------- dialects


def read_dialect(text: str | bytes, **dialect: Any) -> Parsed:
    data = text.encode() if isinstance(text, str) else text
    return parse_whole("f.csv", data, Expected(["a", "b"], dialect=Dialect(**dialect)))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_delimiter(delimiter: str) -> None:
    text = 'a,b\n1,2,,\n"x,y","z\n"\n ,\n1\n'.replace('"x,y"', "XY").replace(",", delimiter)
    parsed = read_dialect(text.replace("XY", f'"x{delimiter}y,"'), delimiter=delimiter)
    assert sorted(values(parsed)) == [(2, "1", "2"), (3, f"x{delimiter}y,", "z\n")]
    assert faults(parsed) == [(6, "ragged", "1")]
    with pytest.raises(Unreadable, match="looks like comma-separated"):
        read_dialect("a,b\n1,2\n", delimiter=delimiter)
    assert values(
        read_dialect(f"sep={delimiter}\na{delimiter}b\n1{delimiter}\n", delimiter=delimiter)
    ) == [(3, "1", None)]


def test_another_encoding() -> None:
    for encoding in ("cp1252", "utf-16", "utf-16-le"):
        parsed = read_dialect("a,b\n1,é€\n".encode(encoding), encoding=encoding)
        assert values(parsed) == [(2, "1", "é€")]
    with pytest.raises(Unreadable, match=r"not CP1252: byte 0x81 in line 2 \(byte 7 of the file\)"):
        read_dialect(b"a,b\n1,\x81\n", encoding="cp1252")
    with pytest.raises(Unreadable, match="encoded in UTF-8, where the contract declares cp1252"):
        read_dialect(BOM + b"a,b\n1,2\n", encoding="cp1252")


def test_rows_before_the_header() -> None:
    parsed = read_dialect('Report "of\n\na,b\n1,2\n', skip_rows=2)
    assert values(parsed) == [(4, "1", "2")]
    with pytest.raises(Unreadable, match="the header is in line 4, not in line 3"):
        read_dialect("Report\n\nof\na,b\n1,2\n", skip_rows=2)
    with pytest.raises(Unreadable, match="empty"):
        read_dialect("a,b\n1,2", skip_rows=2)


def test_short_records() -> None:
    parsed = read_dialect('a,b\n1\n\n"x\ny"\n1,2,3\n', short_records=True)
    assert values(parsed) == [(2, "1", None), (4, "x\ny", None)]
    assert faults(parsed) == [(6, "ragged", "1,2,3")]


# ----------------------------------------------------------------------------------------- repairs

EXPORTED = "_origin_file,_origin_digest,_origin_sheet,_origin_row,a,b,_raw,_rules"


def test_columns_of_an_export_are_in_extra_but_not_unexpected() -> None:
    parsed = read(f"{EXPORTED},other\nf,d,0,7,1,2,r,x,y\n")
    assert extras(parsed) == [
        {"_origin_file": "f", "_origin_digest": "d", "_origin_sheet": "0", "_origin_row": "7"}
        | {"_raw": "r", "_rules": "x", "other": "y"}
    ]
    assert parsed.unexpected == ("other",)
    assert parsed.rows["_raw"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("'=1", "=1"), ("'+1", "+1"), ("'-x", "-x"), ("'@x", "@x"), ("''x", "'x"), ("'\tx", "\tx"),
     ("'\rx", "\rx"), ("'''", "''"), ("'", "'"), ("'tis", "'tis"), (" '=1", " '=1"), ("-5", "-5"),
     ("=1", "=1"), ("'=1\n'=2", "=1\n'=2")],
)  # fmt: skip
def test_one_quote_of_the_export_is_taken_away_where_there_is_an_origin(
    cell: str, value: str
) -> None:
    parsed = read(f'{EXPORTED},o\nf,,,,"{cell}",1,"{cell}",,"{cell}"\n,,,,"{cell}",1,,,"{cell}"\n')
    repaired, plain = parsed.rows.to_pylist()
    assert (repaired["a"], plain["a"]) == (value, cell)
    assert dict(repaired["_extra"]) == {"_origin_file": "f", "_raw": value, "o": value}
    assert dict(plain["_extra"]) == {"o": cell}


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
@settings(max_examples=200, deadline=None)
@example("'=1").via("a quote that was there before")
def test_what_an_export_writes_comes_back(value: str) -> None:
    shielded = f"'{value}" if value[0] in "=+-@'\t\r" else value
    field = '"' + shielded.replace('"', '""') + '"'
    assert values(read(f"_origin_file,a,b\nf,{field},x\n"))[0][1] == value


def test_blank_origin_is_none() -> None:
    assert values(read("_origin_file,a,b\n ,'=1,2\n")) == [(2, "'=1", "2")]


# --------------------------------------------------------------------------------------- workbooks

Sheet = tuple[str, Sequence[Sequence[Any]]]


def workbook_of(
    sheets: Sequence[Sheet], change: Callable[[xlsxwriter.Workbook], None] = lambda _: None
) -> bytes:
    """A workbook as a person's program writes it; None leaves a cell out."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        formats = {
            dt.date: book.add_format({"num_format": "yyyy-mm-dd"}),
            dt.datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            dt.time: book.add_format({"num_format": "hh:mm:ss"}),
            dt.timedelta: book.add_format({"num_format": "[h]:mm:ss"}),
        }
        for name, rows in sheets:
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(rows):
                for column, value in enumerate(cells):
                    if value is not None:
                        sheet.write(row, column, value, formats.get(type(value)))
        change(book)
    return out.getvalue()


MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
STRICT_RELATIONS = "http://purl.oclc.org/ooxml/officeDocument/relationships"
HEADER = '<row r="1"><c r="A1" t="str"><v>a</v></c><c r="B1" t="str"><v>b</v></c></row>'


def raw_workbook(*sheets: str, strict: bool = False, workbook_pr: str = "") -> bytes:
    """A workbook by hand: each sheet is the XML of its rows, or a whole document."""
    main, relations = (STRICT, STRICT_RELATIONS) if strict else (MAIN, RELATIONS)
    numbers = range(1, len(sheets) + 1)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relations}">{workbook_pr}<sheets>'
        + "".join(f'<sheet name="S{n}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{relations}/worksheet" Target="/xl/sheets/s{n}.xml"/>'
            for n in numbers
        )
        + f'<Relationship Id="r0" Type="{relations}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="3"><xf numFmtId="0"/>'
        '<xf numFmtId="14"/><xf numFmtId="22"/></cellXfs></styleSheet>',
    }
    for n, sheet in zip(numbers, sheets, strict=True):
        body = f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>'
        parts[f"xl/sheets/s{n}.xml"] = sheet if sheet.startswith("<?") else body
    return zip_of(parts)


def test_where_the_parts_of_sheets_may_be() -> None:
    def moved(old: str, new: str) -> bytes:
        with zipfile.ZipFile(io.BytesIO(GOOD)) as archive:
            parts = {name: archive.read(name).decode() for name in archive.namelist()}
        relations = "xl/_rels/workbook.xml.rels"
        assert old in parts[relations]
        parts[relations] = parts[relations].replace(old, new)
        return zip_of(parts)

    assert values(read_book(moved("/xl/sheets", "sheets"))) == [(2, "1", None)]
    assert "its part of the workbook is missing" in reason(
        moved("/xl/sheets", "/xl/nowhere"), name="f.xlsx"
    )


def zip_of(parts: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def cells_of(*cells: str) -> str:
    """Rows of one cell in column A each, below the header; each cell's attributes and content."""
    rows = enumerate(cells, start=2)
    return HEADER + "".join(f'<row r="{n}"><c r="A{n}" {cell}</c></row>' for n, cell in rows)


def read_book(data: bytes, columns: str = "a b", **limits: Any) -> Parsed:
    return read(data, columns, "f.xlsx", **limits)


def test_sheets_of_one_name_are_unreadable() -> None:
    """Calamine gives the first one's rows for each."""
    data = raw_workbook(*(cells_of(f"><v>{n}</v>") for n in range(1, 4)))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace('name="S3"', 'name="S1"')
    parsed = read_book(zip_of(parts))
    assert [(it["_sheet_no"], it["a"]) for it in parsed.rows.to_pylist()] == [(2, "2")]
    problem = SheetProblem("S1", "another sheet has the same name; rename one of them")
    assert parsed.sheet_problems == (problem, problem)


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
            ("bad", [["x"], [2]]),
            ("hidden", [["a"], [3]]),
            ("very", [[], ["A ", "more"], [], [4, "m"]]),
            ("blanks", [[" "], [None, "\u00a0"]]),
        ],
        change,
    )
    parsed = read_book(data, "a")
    rows = [(it["_sheet"], it["_sheet_no"], it["_row"], it["a"]) for it in parsed.rows.to_pylist()]
    assert rows == [  # The chart is sheet 7.
        ("first", 1, 2, "1"), ("hidden", 4, 2, "3"), ("very", 5, 4, "4"), ("after", 8, 2, "5"),
    ]  # fmt: skip
    assert [it.sheet for it in parsed.sheet_problems] == ["bad"]
    assert parsed.unexpected == ("more",)
    assert extras(parsed)[2] == {"more": "m"}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts["xl/chartsheets/sheet1.xml"] = "broken, but nobody reads it"
    assert read_book(zip_of(parts), "a") == parsed


def test_cells_as_text() -> None:
    moments = [
        (dt.date(2025, 4, 1), "2025-04-01T00:00:00"),
        (dt.datetime(2025, 4, 1), "2025-04-01T00:00:00"),
        (dt.datetime(2025, 4, 1, 11, 27), "2025-04-01T11:27:00"),
        (dt.datetime(2025, 12, 31, 23, 59, 59), "2025-12-31T23:59:59"),
        (dt.time(11, 27), "11:27:00"),
        (dt.timedelta(days=1, hours=12), "36:00:00"),
        (True, "1"),
        (False, "0"),
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


def test_numbers_are_their_shortest_text() -> None:
    numbers = {
        "89.68000000000001": "89.68", "65.45999999999999": "65.46", "1E+3": "1000", "1.0": "1",
        "007": "7", "0.1": "0.1", "-0.5": "-0.5", "0.0001": "0.0001",
        "123456789012345": "123456789012345", "1000000000000000": "1000000000000000",
        "1e16": "1e+16", "12345678901234567890": "1.2345678901234567e+19", "1e300": "1e+300",
        "0.00001": "1e-05", "0.30000000000000004": "0.30000000000000004",
    }  # fmt: skip
    data = raw_workbook(cells_of(*(f"><v>{raw}</v>" for raw in numbers)))
    expected = [repr(float(raw)).removesuffix(".0") for raw in numbers]
    assert read_book(data).rows["a"].to_pylist() == expected
    assert [want for raw, want in numbers.items() if raw != "65.45999999999999"] == [
        got for raw, got in zip(numbers, expected, strict=True) if raw != "65.45999999999999"
    ]


@given(st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=300)
def test_a_number_is_its_doubles_shortest_text(number: float) -> None:
    text = cell_text(number)
    assert text is not None
    assert float(text) == number
    assert not text.endswith(".0")


@pytest.mark.parametrize(
    "cell",
    [
        't="e"><v>#N/A</v>', 't="e"><v>#DIV/0!</v>', 't="e"><f>1/0</f><v>#VALUE!</v>',
        "><f>1+1</f>", "><f>1+1</f><v></v>", 't="str"><f>"x"</f>', 't="str"><f>""</f><v></v>',
        't="inlineStr"><is><t></t></is>', 's="1">',
    ],
)  # fmt: skip
def test_error_cells_and_formulas_without_a_value_are_empty(cell: str) -> None:
    parsed = read_book(raw_workbook(cells_of("><v>1</v>", cell, "><v>3</v>")))
    assert values(parsed) == [(2, "1", None), (4, "3", None)]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("><f>1+1</f><v>2</v>", "2"),
        ('t="str"><f>"x"</f><v>x</v>', "x"),
        ('t="b"><f>TRUE()</f><v>1</v>', "1"),
        ('s="1"><v>45748</v>', "2025-04-01T00:00:00"),
        ('s="2"><v>45748.47708333333</v>', "2025-04-01T11:27:00"),
        ('t="inlineStr"><is><r><t>ri</t></r><r><t>ch</t></r></is>', "rich"),
    ],
)
def test_stored_values(cell: str, text: str) -> None:
    assert values(read_book(raw_workbook(cells_of(cell)))) == [(2, text, None)]


def test_dates_of_the_1904_system() -> None:
    data = raw_workbook(cells_of('s="1"><v>44286</v>'), workbook_pr='<workbookPr date1904="1"/>')
    assert values(read_book(data)) == [(2, "2025-04-01T00:00:00", None)]


def test_strict_ooxml_with_iso_dates() -> None:
    data = raw_workbook(
        cells_of('t="d"><v>2025-04-01</v>', 't="d"><v>2025-04-01T11:27:00</v>'), strict=True
    )
    assert [row[1] for row in values(read_book(data))] == [
        "2025-04-01T00:00:00", "2025-04-01T11:27:00",
    ]  # fmt: skip


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
    parsed = read_book(workbook_of([("S", [["a", "b"]]), ("T", [["x"], [1]])]))
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


OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
GOOD = raw_workbook(cells_of("><v>1</v>"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "named .xlsx but no workbook"),
        (OLE2 + "EncryptedPackage".encode("utf-16-le"), "locked with a password"),
        (OLE2 + "Workbook".encode("utf-16-le"), "an old .xls workbook"),
        (zip_of({"a.csv": "a,b"}), "a zip file without a workbook in it"),
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


# --------------------------------------------------------------- workbooks: limits and the process

FAR = '<row r="1048576"><c r="XFD1048576" {}</c></row>'


@pytest.mark.parametrize("far", ["><v>1</v>", 't="inlineStr"><is><t>x</t></is>'])
def test_a_sparse_sheet_is_refused_before_it_is_read(far: str) -> None:
    data = raw_workbook(cells_of("><v>1</v>") + FAR.format(far), cells_of("><v>2</v>"))
    assert len(data) < 3_000
    parsed = read_book(data)
    assert parsed.rows["a"].to_pylist() == ["2"]
    [problem] = parsed.sheet_problems
    assert "1,048,576 rows and 16,384 columns, more cells than max_cells" in problem.problem
    assert problem.problem.endswith("raise max_cells")


@pytest.mark.parametrize("far", [' s="1">', ">", 's="1"><!-- nothing -->'])
def test_a_cell_with_a_format_only_is_no_extent(far: str) -> None:
    data = raw_workbook(cells_of("><v>1</v>") + FAR.format(far))
    assert values(read_book(data)) == [(2, "1", None)]


@pytest.mark.parametrize("chunk", [1, 7, 100, 2**20])
def test_an_extent_is_found_wherever_a_chunk_ends(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xlsx_precheck, "_CHUNK", chunk)
    rows = [
        '<row r="3"><c  r="B3" s="1"/><x:c xmlns:x="x" s="1" r="C3" t="n"><x:v>1</x:v></x:c></row>',
        "<row r='9'><c t='inlineStr' r='AB9'>\n <is><t>x &lt;c r=\"ZZ99\"</t></is></c></row>",
        '<row r="99"><c r="XFD99"></c></row>',
    ]
    sheet = f"<sheetData>{''.join(rows)}</sheetData>".encode()
    assert xlsx_precheck._extent(io.BytesIO(sheet)) == (7, 28)


@pytest.mark.parametrize("declared", ["A1", "A1:XFD1048576"])
def test_the_declared_dimension_does_not_matter(declared: str) -> None:
    sheet = (
        f'<?xml version="1.0"?><worksheet xmlns="{MAIN}"><dimension ref="{declared}"/>'
        f"<sheetData>{cells_of('><v>1</v>', '><v>2</v>')}</sheetData></worksheet>"
    )
    assert values(read_book(raw_workbook(sheet))) == [(2, "1", None), (3, "2", None)]


def test_max_cells_counts_all_sheets() -> None:
    sheets: list[Sheet] = [(f"S{n}", [["a", "b"], [n, n]]) for n in range(3)]
    data = workbook_of(sheets)
    assert read_book(data, max_cells=12).sheet_problems == ()
    assert [it.sheet for it in read_book(data, max_cells=11).sheet_problems] == ["S2"]


def test_workbook_limits_name_their_setting() -> None:
    data = raw_workbook(cells_of(*["><v>1</v>"] * 2_000))
    line = reason(data, name="f.xlsx", max_expanded_bytes=50_000)
    assert "more than max_expanded_bytes (50,000) allows" in line
    assert line.endswith("raise max_expanded_bytes")
    wide = workbook_of([("S", [[f"c{n}" for n in range(9)] + ["a"], [1] * 10])])
    assert "more columns than max_columns (9)" in reason(wide, "a", "f.xlsx", max_columns=9)
    assert read_book(wide, "a", max_columns=10).rows.num_rows == 1


def test_one_long_text_in_many_cells_is_limited() -> None:
    text = "x" * 30_000
    data = workbook_of([("S", [["a"], *[[text]] * 200])])  # 6 MB as text, once in the file
    assert "its cells hold more text than max_expanded_bytes" in reason(
        data, "a", "f.xlsx", max_expanded_bytes=2_000_000
    )
    assert read_book(data, "a").rows["a"].to_pylist() == [text] * 200


def test_a_reader_that_aborts_takes_nothing_with_it() -> None:
    """Cells without a reference escape the look at extents; the reader wants 400 GB and aborts."""
    header = '<row r="1"><c t="str"><v>a</v></c><c t="str"><v>b</v></c></row>'
    data = raw_workbook(header + FAR.format("><v>1</v>"))
    line = reason(data, name="f.xlsx")
    assert line.startswith("too large or damaged: its reader broke off")
    assert line.endswith("raise workbook_memory_bytes")


def test_memory_limit() -> None:
    line = reason(GOOD, name="f.xlsx", workbook_memory_bytes=100 * 2**20)
    assert "workbook_memory_bytes (104,857,600)" in line


def test_time_limit() -> None:
    line = reason(GOOD, name="f.xlsx", workbook_seconds=0.001)
    assert line.endswith("raise workbook_seconds")


def test_a_broken_installation_is_no_verdict_on_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        xlsx_reader, "_START", "import sys; sys.path[:] = []; import python_calamine"
    )
    with pytest.raises(ImportError, match="python_calamine"):
        read_book(GOOD)


def test_the_reader_finds_what_this_process_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the project is only in the current folder."""
    root = str(Path(__file__).parents[1])
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "path", ["", *(it for it in sys.path if it not in ("", root))])
    assert values(read_book(GOOD)) == [(2, "1", None)]


# --------------------------------------------------------------------------------------- real input


@needs_real_data
@pytest.mark.parametrize(
    ("file", "columns", "rows"),
    [
        ("products.csv", "product_id department_id department product_name", 1_000),
        ("orders_apr_2025.xlsx", "order_num order_id user_id order_timestamp total_amount", 7_500),
        ("order_items_apr_2025.xlsx", "id order_id product_id reordered add_to_cart_order", 40_803),
    ],
)
def test_real_input(file: str, columns: str, rows: int) -> None:
    parsed = read((REAL / file).read_bytes(), columns, file)
    assert parsed.rows.num_rows == rows
    assert parsed.rows["_fault"].null_count == rows
    assert parsed.sheet_problems == ()
    key = {"products.csv": "product_id", "orders_apr_2025.xlsx": "order_id"}.get(file, "id")
    assert all(it.isdecimal() for it in parsed.rows[key].to_pylist())
    assert len(set(parsed.rows[key].to_pylist())) == rows
    if "total_amount" in columns:
        amounts = [Decimal(it) for it in parsed.rows["total_amount"].to_pylist()]
        assert sum(amounts) == Decimal("1945810.41")
        assert all(amount == round(amount, 2) for amount in amounts)
        assert parsed.rows["_sheet_no"].to_pylist()[::500] == list(range(1, 16))
        assert parsed.rows["_row"].to_pylist() == list(range(2, 502)) * 15
