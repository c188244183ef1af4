"""What the bytes of one landed file become: rows of text, or one clear line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakehouse_assets.parse import (
    Dialect,
    Expected,
    Unreadable,
    csv_records,
    csv_text,
    schema,
)
from tests.support.machine import REAL, needs_real_data
from tests.support.parsed import Parsed, extras, faults, parse_whole, read, reason, values

BOM = b"\xef\xbb\xbf"
BLANKS = " \t\r\n\u00a0"


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


WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le")


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
        ("a^b\n1^2\n", "looks like '^'-separated; save it comma-separated"),
        ("a\x01b\n1\x012\n", "looks like '\\x01'-separated"),
        ("# x\n" * 200 + "a,b\n1,2\n", "the header is in line 201, not in line 1"),
        ('a,b,c\r1,2,"a\nb\nc\nd"\r', "its lines end in CR alone"),
        ("sep=;\na,b\n1,2\n", "its first line says sep=;, where comma-separated is declared"),
        ("Report of April\n\na,b\n1,2\n", "the header is in line 3, not in line 1"),
        ("sep=,\n\nReport\na,b\n1,2\n", "the header is in line 4, not in line 3"),
        ("a,b\r1,2\r3,4\r", "its lines end in CR alone"),
        ('"a","b"\r"1","2"\r3,4\r\n', "its lines end in CR alone"),
        ("Report\ra,b\r1,2", "its lines end in CR alone"),
        ("a,b\r\r\n1,2\r\r\n", "its lines end in CR CR LF"),
        ('"a,b"\n"1,2"\n', "line 1 is in quotes as a whole, and so one single name; "),
        ("a,b\n1,\0\n", "a NUL byte in line 2: "),
        ("a,b\n1,2\n" + "\0" * 999, "a NUL byte in line 3: "),
        ("\0" * 99, "a NUL byte in line 1: "),
        *(("a,b\n1,2\n".encode(name), "encoded in UTF-16 or UTF-32; ") for name in WIDE),
        (b"%PDF-1.4\n%\xe2\xe3\n", "a PDF document, not the text of a CSV file; "),
        ("<!DOCTYPE html>\n<p>Log in</p>\n", "looks like HTML or XML, not like CSV; "),
        ('[{"a": 1, "b": 2}]\n', "looks like JSON, not like CSV; "),
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
    few: dict[str, Any] = {limit: 1}
    line = reason(text, "a b", "f.csv", **few)
    assert f" than {limit} (1) allows" in line
    assert line.endswith(f"raise {limit}")
    few[limit] = 6
    assert read(text, "a b", "f.csv", **few).rows.num_rows


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


@pytest.mark.slow
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
    with pytest.raises(Unreadable, match="encoded in UTF-16-LE, where the contract decl"):
        read_dialect(codecs.BOM_UTF16_LE + b"a\0", encoding="cp1252")
    with pytest.raises(Unreadable, match="encoded in UTF-16-BE, where the contract decl"):
        read_dialect(codecs.BOM_UTF16_BE + b"\0a", encoding="utf-16-le")
    with pytest.raises(Unreadable, match="encoded in UTF-16 or UTF-32; save it as CP1252"):
        read_dialect("a,b\n1,2\n".encode("utf-16-le"), encoding="cp1252")
    for encoding in ("utf-16", "utf-32"):  # Python has no place in the file for this error.
        with pytest.raises(Unreadable, match=f"not {encoding.upper()} from line 1 on, or without "):
            read_dialect("a,b\n1,2\n".encode(f"{encoding}-le"), encoding=encoding)
    with pytest.raises(Unreadable, match="not UTF-16: byte 0x32 in line 2"):
        read_dialect("a,b\n1,2".encode("utf-16")[:-1], encoding="utf-16")


def test_another_delimiter_where_columns_are_missing_too() -> None:
    """The header names several columns by it, and none by the one that is declared."""
    expected = Expected(["order_id", "user_id", "id", "day", "amount"])

    def problem(text: str) -> str:
        with pytest.raises(Unreadable) as found:
            parse_whole("f.csv", text.encode(), expected)
        return str(found.value)

    assert problem("order_id;user_id\n1;2\n").startswith("looks like semicolon-separated")
    # One name, or names that another mark divides by chance, say nothing of the kind.
    assert problem("order_id;x\n1;2\n").startswith("missing column(s) order_id, ")
    assert problem("order_id,user id\n1,2\n").startswith("missing column(s) user_id, ")
    assert problem("order id,user id\n1,2\n").startswith("missing column(s) order_id, ")


def test_rows_before_the_header() -> None:
    parsed = read_dialect('Report "of\n\na,b\n1,2\n', skip_rows=2)
    assert values(parsed) == [(4, "1", "2")]
    with pytest.raises(Unreadable, match="the header is in line 4, not in line 3"):
        read_dialect("Report\n\nof\na,b\n1,2\n", skip_rows=2)
    for text in ("a,b\n1,2", "a,b\n1,2\n3,4\n", "a,b\n1,2\n3,4\n5,6\n"):
        with pytest.raises(Unreadable, match=r"the header is in line 1, not behind the skip_rows "):
            read_dialect(text, skip_rows=2)
    with pytest.raises(Unreadable, match="looks like semicolon-separated"):
        read_dialect("a;b\n1;2\n3;4\n", skip_rows=2)
    with pytest.raises(Unreadable, match="empty"):
        read_dialect("Report\nof April\n", skip_rows=2)
    with pytest.raises(Unreadable, match="its lines end in CR alone"):
        read_dialect("Report\rof April\ra,b\r1,2\r", skip_rows=2)


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
