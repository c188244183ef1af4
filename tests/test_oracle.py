"""The oracle against expectations worked out by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
from datetime import date, datetime
from decimal import Decimal

import openpyxl
import pytest

from tests.support import oracle as o
from tests.support.oracle_workbook import number_text

D1, D2, D3 = date(2025, 4, 1), date(2025, 4, 2), date(2025, 4, 3)
PRODUCTS = "product_id,department_id,department,product_name\n"
ORDERS = "order_num,order_id,user_id,order_timestamp,total_amount,date\n"
ITEMS = (
    "id,order_id,user_id,days_since_prior_order,product_id,add_to_cart_order,reordered,"
    "order_timestamp,date\n"
)


def products(text: str, day: date = D1, file: str = "p.csv") -> o.Land:
    """Land products."""
    return o.Land("products", day, file, (PRODUCTS + text).encode())


def orders(text: str, day: date = D1, file: str = "o.csv") -> o.Land:
    """Land orders."""
    return o.Land("orders", day, file, (ORDERS + text).encode())


def order(number: int, amount: str = "10.00", stamp: str = "2025-04-01T10:00:00") -> str:
    """One order's line."""
    return f"1,{number},7,{stamp},{amount},2025-04-01\n"


def item(number: int, order_id: int, product: int, place: int = 1, again: int = 0) -> str:
    """One item's line."""
    return f"{number},{order_id},7,,{product},{place},{again},2025-04-01T10:00:00,2025-04-01\n"


def items(text: str, day: date = D1, file: str = "i.csv") -> o.Land:
    """Land items."""
    return o.Land("order_items", day, file, (ITEMS + text).encode())


def fates(world: o.World, dataset: str) -> list[str]:
    """The fates in version order."""
    return [fate.fate for _, fate in sorted(world.fates[dataset].items())]


def states(world: o.World) -> list[str]:
    """The receipts' states, in the order of first landing."""
    return sorted(receipt.state for receipt in world.receipts.values())


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        *(("int", text, 7) for text in ("7", "007", "7.0", "7.00")),
        ("int", "-7", -7),
        *(("int", text, None) for text in ("+7", "7.", ".5", "1e3", "1,000", "7.5", "2147483648")),
        ("int", "-2147483648", -(2**31)),
        ("bigint", "9223372036854775807", 2**63 - 1),
        ("bigint", "9223372036854775808", None),
        ("bigint", "٧", None),
        ("decimal(12,2)", "1.5", Decimal("1.50")),
        ("decimal(12,2)", "9999999999.99", Decimal("9999999999.99")),
        ("decimal(12,2)", "12.3400", Decimal("12.34")),
        ("decimal(12,2)", "12.000", Decimal("12.00")),
        *(("decimal(12,2)", text, None) for text in ("10000000000", "1.555", "1e2", "NaN", "$1")),
        *(("decimal(12,2)", text, None) for text in ("7.", ".5", "+1", "1,000", "1.2345", "1.00x")),
        ("timestamp", "2025-04-01 01:00:00+02", datetime(2025, 3, 31, 23)),
        ("timestamp", "2025-04-01T01:00:00.1234567-0130", datetime(2025, 4, 1, 2, 30, 0, 123456)),
        *(
            ("timestamp", f"2025-04-01T01:00:00{zone}", datetime(2025, 4, 1, 1))
            for zone in ("Z", " Z", " UTC", "+00", " +0000", " -00:00", "")
        ),
        *(
            ("timestamp", f"2025-04-01T01:00:00{zone}", None)
            for zone in ("UTC", "  Z", " utc", " z", "+2:00", "+02:60", " GMT", "\tZ")
        ),
        *(
            ("timestamp", f"2025-04-01{rest}", None)
            for rest in ("", "T24:00:00", "T23:59:60", "t01:00:00", "T01:00:00z", "T01:00", " ")
        ),
        ("timestamp", "2025-04-01T00:00:00+18:00", datetime(2025, 3, 31, 6)),
        ("timestamp", "2025-04-01T00:00:00+18:01", None),
        ("timestamp", "2025-02-29T00:00:00", None),
        ("timestamp", "0000-01-01T00:00:00", None),
        ("timestamp", "0000-12-31T23:59:59-01:00", None),
    ],
)
def test_values(kind: str, text: str, value: object) -> None:
    """A text, and what its type makes of it."""
    assert o.TYPES[kind](text) == value


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ("", []),
        ("a,b\n", [(1, "a,b", ["a", "b"])]),
        ("a,\r\n\nb", [(1, "a,", ["a", ""]), (2, "", [""]), (3, "b", ["b"])]),
        ('"a\n""b""",c\nd', [(1, '"a\n""b""",c', ['a\n"b"', "c"]), (3, "d", ["d"])]),
        ('a"b\nc', [(1, 'a"b', None), (2, "c", ["c"])]),
        ('"a\nb"c,"\nd', [(1, '"a', None), (2, 'b"c,"', None), (3, "d", ["d"])]),
        ('x\n"a""\nb\n', [(1, "x", ["x"]), (2, '"a""', None), (3, "b", None)]),
        ("a\rb\nc", [(1, "a\rb", None), (2, "c", ["c"])]),
        ("a\r", [(1, "a\r", None)]),
        ('"a\rb"\r\n', [(1, '"a\rb"', ["a\rb"])]),
    ],
)
def test_split(text: str, records: list[object]) -> None:
    """RFC 4180, record by record."""
    assert list(o.split(text)) == records


def test_rows_of_a_csv() -> None:
    """Ragged, blank, unsplittable and faulty rows, each with its line, its text and its rules."""
    text = ' 1\u00a0,7,3,2025-04-01T10:00:00,-1,\n\n,,,\n1,2\n,x"y\n,,3,,1e2,NULL\n'
    world = o.evaluate([orders(text)])
    key = (D1, "o.csv", 0)
    assert world.fates["orders"] == {
        (*key, 2): o.Fate("rejected", "data_quality", frozenset({"total_amount.min"})),
        (*key, 5): o.Fate("rejected", "schema", frozenset({"row.ragged"})),
        (*key, 6): o.Fate("rejected", "schema", frozenset({"row.unsplittable"})),
        (*key, 7): o.Fate(
            "rejected",
            "data_quality",
            frozenset({"order_id.required", "order_timestamp.required", "total_amount.type"}),
        ),
    }
    assert world.bronze["orders"][0]["order_num"] == " 1\u00a0"
    assert [row["_raw"] for row in world.bronze["orders"]] == [None, "1,2", ',x"y', None]


@pytest.mark.parametrize(
    ("file", "content", "good"),
    [
        ("p.csv", PRODUCTS.encode(), True),
        ("p.CSV", b"\xef\xbb\xbf" + PRODUCTS.upper().encode(), True),
        (
            "p.csv.gz",
            gzip.compress(PRODUCTS[:9].encode(), mtime=0)
            + gzip.compress(PRODUCTS[9:].encode(), mtime=0),
            True,
        ),
        ("p.csv.gz", PRODUCTS.encode(), False),
        ("p.csv", b"", False),
        ("p.csv", PRODUCTS.replace(",", ";").encode(), False),
        ("p.csv", b"A preamble\n" + PRODUCTS.encode(), False),
        ("p.csv", PRODUCTS.encode() + b"1,2,\0,x", False),
        ("p.csv", PRODUCTS.encode() + b"1,2,\xe9,x", False),
        ("p.csv", PRODUCTS.strip().encode() + b",more, More", True),
        ("p.csv", PRODUCTS.strip().encode() + b", Department", False),
        ("p.csv", b"\xef\xbb\xbf" * 3 + PRODUCTS.encode(), True),
        ("p.csv", b"sep=,\r\n" + PRODUCTS.encode(), True),
        ("p.csv", b"sep=;\n" + PRODUCTS.encode(), False),
        ("p.csv", PRODUCTS.encode() + b"\x1a", True),
        ("p.csv", PRODUCTS.replace("\n", "\r").encode() + b"1,2,3,4\r", False),
        ("p.csv", PRODUCTS.encode("utf-16"), False),
        ("p.csv", PRODUCTS.encode() + b"1,2,3,4,,\n", True),
        ("p.xlsx", PRODUCTS.encode(), False),
        ("p.txt", PRODUCTS.encode(), False),
    ],
)
def test_readable(file: str, content: bytes, good: bool) -> None:
    """What makes a file unreadable."""
    world = o.evaluate([o.Land("products", D1, file, content)])
    assert states(world) == (["in_force"] if good else ["unreadable"])
    assert world.failed_runs == {1: not good}


def test_workbook() -> None:
    """Every sheet, cell kinds, short and ragged rows; a bad sheet does not stop the good ones."""
    book = openpyxl.Workbook()
    first = book.active
    first.append(PRODUCTS.strip().split(","))
    first.append([1, 2.0, True, datetime(2025, 4, 1)])
    first.append([2, 89.68000000000001, None, "x", "beyond"])
    first.append([3, 1e16])
    book.create_sheet("empty")
    book.create_sheet("bad").append(["product_id", "department"])
    book["bad"].append([1])
    book["bad"].sheet_state = "hidden"
    buffer = io.BytesIO()
    book.save(buffer)
    world = o.evaluate([o.Land("products", D1, "p.xlsx", buffer.getvalue())])
    good, ragged, short = world.bronze["products"]
    assert [good[c] for c in o.COLUMNS["products"]] == ["1", "2", "TRUE", "2025-04-01T00:00:00"]
    assert ragged["_raw"] == '["2", "89.68", null, "x", "beyond"]'
    assert (short["department_id"], short["product_name"], short["_row"]) == ("1e+16", None, 4)
    assert [name for _, name in world.unreadable_sheets] == ["bad"]
    (receipt,) = world.receipts.values()
    assert receipt == o.Receipt("in_force", read=3, published=1, rejected=2, has_error=True)


@pytest.mark.parametrize(
    "names",
    [
        ["orders.csv", "orders (1).csv", "orders (2).XLSX", "orders (10).csv.gz", "orders-v2.csv"],
        ["orders_9h.csv", "orders_17h.csv"],
        ["a-9.csv", "a-010.xlsx", "a-10.csv", "a-10.xlsx", "a-10.xlsx.csv"],
        ["1.csv", "2.csv", "10.csv", "10a.csv", "a.csv"],
        ["x007.csv", "x07.csv", "x7.csv", "x8.csv"],
        ["a.csv", "a.xlsx", "a1.csv", "a1b.csv", "a1b2.csv", "ab.csv", "é.csv"],
        ["٣.csv", "٤.csv"],  # no ASCII digits: text, by its bytes
    ],
)
def test_names_in_natural_order(names: list[str]) -> None:
    """The later name is the newer version, whatever comes first."""
    assert sorted(names, key=o.natural) == names
    plain = [name for name in names if name.endswith(".csv")]
    world = o.evaluate([orders(order(1, str(n)), file=name) for n, name in enumerate(plain)][::-1])
    assert world.silver["orders"][1]["total_amount"] == len(plain) - 1


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        *((name, False) for name in (
            "", ".x.csv", "_x.csv", "~$o.xlsx", "o.csv.tmp", "o.csv.part", "o.csv.filepart",
            "o.partial", "o.csv.crdownload", ".o.csv.crc", "o.csv.MD5", "o.sha256", "o.csv~",
            "Thumbs.db", "desktop.ini", "thumbs.DB", "a/b.csv",
        )),
        *((name, True) for name in (
            "o.csv", "~o.csv", "o.json", "$o.csv", "mydesktop.ini", "o.tmp.csv",
        )),
    ],
)  # fmt: skip
def test_what_is_no_file(name: str, is_file: bool) -> None:
    """Companions of files are passed over; anything else is a file, if only an unreadable one."""
    world = o.evaluate([o.Drop("orders", D1, name, (ORDERS + order(1)).encode())])
    assert bool(world.receipts) == is_file


def test_an_unreadable_file_that_is_gone_waits_for_nobody() -> None:
    """It failed its run, and the run that asks while it is there; no other."""
    path = ("orders", D1, "o.json")
    ask = o.Run(frozenset({D1}))
    world = o.evaluate([o.Drop(*path, b"{}"), o.Run(), ask, o.Remove(*path, False), ask])
    assert world.failed_runs == {1: True, 2: True, 4: False, 5: False}
    assert not world.unreadable
    assert states(world) == ["unreadable"]


EARLY = '1,"say "hi\n2,x\n\n3,"a\nb"\n4,there",y\n5,x\n'


@pytest.mark.parametrize(
    ("text", "given_up"),
    [
        (EARLY, [1, 2, 3, 4, 5, 6]),
        (EARLY.replace('there",y', 'there"'), [1, 2, 3, 4, 5, 6]),
        (EARLY.replace('there",y', 'there""",y'), [1, 2, 3, 4, 5, 6]),
        (EARLY.replace('there",y', 'there"y'), [1, 6]),  # a fault of its own
        (EARLY.replace('there",y', 'there"",y'), [1, 6]),
        (EARLY.replace('say "hi', 'say hi"'), [6]),  # nothing was closed too early
        ('1,"a "b\n2,x\n3,"c "d\n4,x\n5,e",x\n6,x\n7,f",x\n', [1, 2, 3, 4, 5, 7]),
        ('1,"a "b\n' + "x\n" * 99 + 'e",x\n', list(range(1, 102))),
        ('1,"a "b\n' + "x\n" * 100 + 'e",x\n', [1, 102]),
    ],
)
def test_a_quoted_field_that_is_closed_too_early(text: str, given_up: list[int]) -> None:
    """All lines from where it fails to what looks like its end are given up."""
    assert [line for line, _, fields in o.split(text) if fields is None] == given_up


def test_names_that_come_again() -> None:
    """Unexpected ones get the next number that is free; nameless columns count from 1."""
    text = (
        PRODUCTS.strip()
        + ",X,x,x_2, ,x,\n1,2,3,4,a,b,c,d,e\n1,2,3,4,a,b,c,d,e,,\n1,2,3,4,a,b,c,,e,\n"
    )
    lines = o.read(o.SHOP["products"], "p.csv", text.encode()).lines
    assert [(line.row, line.raw, line.extra) for line in lines] == [
        (2, "1,2,3,4,a,b,c,d,e", None),  # a field too few
        (3, None, {"x": "a", "x_3": "b", "x_2": "c", "column_8": "d", "x_4": "e"}),
        (4, None, {"x": "a", "x_3": "b", "x_2": "c", "x_4": "e"}),
    ]


def _book(*sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, 1):
        sheet = book.create_sheet(f"S{number}")
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (89.68000000000001, "89.68"), (3.3000000000000003, "3.3"), (90.949999999999989, "90.95"),
        (7.0, "7"), (1e14, "100000000000000"), (999_999_999_999_999, "999999999999999"),
        (1e15, None), (9007199254740993, None), (-1e15, None), (1e300, None), (-0.5, "-0.5"),
        (1e-7, "0.0000001"), (0.1 + 0.2, "0.3"), (123456789.123456789, "123456789.123457"),
        (-0.0, "0"), (1e-20, "0.00000000000000000001"),
    ],
)  # fmt: skip
def test_numbers_of_a_workbook(number: float, text: str | None) -> None:
    """At 15 digits, and never with an exponent."""
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        (1.5, "[h]:mm:ss", "36:00:00"), (0.5, "[hh]:mm", "12:00:00"), (0.5, "h:mm", "12:00:00"),
        (45779.5, "h:mm", "2025-05-02T12:00:00"), (45779.5, "mmm-yy", "2025-05-02T12:00:00"),
        (45779.376388888886, "General", "45779.3763888889"), (3, '0.0" days"', "3"),
        (60, "d/m/yyyy", "60"), (1, "d/m/yyyy", "1900-01-01T00:00:00"), (-1, "d/m/yyyy", "-1"),
    ],
)  # fmt: skip
def test_dates_of_a_workbook(value: float, style: str, text: str) -> None:
    """By the format that a cell shows; without a value of its own where no such day was."""
    book = openpyxl.Workbook()
    book.active.append([*PRODUCTS.strip().split(","), "shown"])
    book.active.append([1, 2, "x", "y", value])
    book.active["E2"].number_format = style
    buffer = io.BytesIO()
    book.save(buffer)
    (line,) = o.read(o.SHOP["products"], "p.xlsx", buffer.getvalue()).lines
    assert line.extra == {"shown": text}


def test_sheets() -> None:
    """Something else is passed over; what nearly is one is unreadable, and can be accepted."""
    header: list[object] = list(PRODUCTS.strip().split(","))
    good: list[list[object]] = [header, [1, 1, "A", "x"]]
    note: list[list[object]] = [["Hello"], ["product_id"]]
    titled: list[list[object]] = [["Title"], [None], *good]
    half: list[list[object]] = [header[:2], [1, 1]]
    path = ("products", D1, "p.xlsx")
    event = o.Land(*path, _book(note, good, []))
    world = o.evaluate([event])
    assert (list(world.failed_runs.values()), world.unreadable_sheets) == ([False], {})
    assert [row["_sheet_no"] for row in world.bronze["products"]] == [2]
    for sheets in ([note], [titled], [half], [note, half], [note, []]):
        assert states(o.evaluate([o.Land(*path, _book(*sheets))])) == ["unreadable"]
    torn = o.Land(*path, _book(good, titled, half))
    world = o.evaluate([torn])
    assert {name: "row 3" in why for (_, name), why in world.unreadable_sheets.items()} == {
        "S2": True,
        "S3": False,
    }
    world = o.evaluate([torn, o.Run(), o.Accept(*path), o.Run(frozenset({D1}))])
    assert (world.refused, world.unreadable_sheets) == ({}, {})
    assert world.failed_runs == {1: True, 3: False, 4: False}
    assert [*world.receipts.values()] == [o.Receipt("in_force", read=1, published=1)]
    again = o.evaluate([torn, o.Run(), o.Accept(*path), o.Accept(*path)])
    assert again.refused == {3: "nothing is held"}


def test_a_composite_key() -> None:
    """A row whose key cannot be read in any part has none."""
    lines = o.Dataset(
        columns={"order": "text", "line": "int", "price": "decimal(9,2)"},
        key=("order", "line"),
        foreign_keys={"order": "heads"},
    )
    shop = {"heads": o.Dataset({"order": "text"}, ("order",)), "lines": lines}
    text = "order,line,price\na,1,1\na,2,2\na,1,3\na,x,4\n,1,5\nb,1,6\n"
    world = o.evaluate(
        [o.Land("lines", D1, "l.csv", text.encode()), o.Land("heads", D1, "h.csv", b"order\na\n")],
        shop=shop,
    )
    assert fates(world, "lines") == [
        "superseded", "published", "published", "rejected", "rejected", "rejected",
    ]  # fmt: skip
    assert {key: row["price"] for key, row in world.silver["lines"].items()} == {
        ("a", 1): 3,
        ("a", 2): 2,
    }


def test_why_a_file_is_held() -> None:
    """Each rule with its count and its first row."""
    events = [orders(held(6, 94) + order(9, "-1") + order(9, "-2", "never"))]
    (why,) = o.evaluate(events).held.values()
    assert (why.faulty, why.rows) == (8, 102)
    assert {rule: (count, line.row) for rule, (count, line) in why.rules.items()} == {
        "total_amount.type": (6, 2),
        "total_amount.min": (2, 102),
        "order_timestamp.type": (1, 103),
    }


def test_versions_and_fates() -> None:
    """Batch date, then file name, decide; a broken newest row hides nothing."""
    events = [
        orders(order(1, "3") + order(1, "bad"), D2),
        orders(order(1, "2") + order(2, "5"), D1, "late.csv"),
        orders(order(1, "3.0"), D1),
    ]
    for sequence in (events, events[::-1]):
        world = o.evaluate(sequence)
        assert fates(world, "orders") == [
            "superseded", "published", "duplicate", "published", "rejected",
        ]  # fmt: skip
        assert world.silver["orders"][1]["total_amount"] == Decimal(3)


def test_parents() -> None:
    """Children wait for parents, and go back to quarantine without them."""
    child = items(item(1, 1, 1) + item(2, 1, 2))
    world = o.evaluate([child, orders(order(1)), products("1,1,A,x\n")])
    assert fates(world, "order_items") == ["published", "rejected"]
    assert world.rejected["order_items"][0]["_rules"] == ["product_id.foreign_key"]
    gone = o.Withdraw("orders", D1, "o.csv")
    world = o.evaluate([child, orders(order(1)), products("1,1,A,x\n"), gone])
    assert fates(world, "order_items") == ["rejected", "rejected"]
    assert states(world) == ["in_force", "in_force", "withdrawn"]


def held(bad: int, good: int) -> str:
    """Orders, some of them wrong."""
    return "".join(order(n, "x" if n < bad else "1") for n in range(bad + good))


def test_holding() -> None:
    """Five in a hundred pass, six do not; below a hundred rows all do."""
    assert states(o.evaluate([orders(held(5, 95))])) == ["in_force"]
    assert states(o.evaluate([orders(held(99, 0))])) == ["in_force"]
    world = o.evaluate([orders(held(6, 94))])
    assert list(world.receipts.values()) == [o.Receipt("held", 100, held=100, has_error=True)]
    assert world.bronze["orders"] == []
    assert world.failed_runs == {1: True}


def test_held_over_good_and_accepted() -> None:
    """The good one stays until the held one is accepted, or the limit changes."""
    accept = o.Accept("orders", D1, "o.csv")
    events = [orders(order(1)), orders(held(6, 94))]
    world = o.evaluate([*events, accept])
    assert (states(world), world.refused) == (["held", "in_force"], {2: "nothing is held"})
    assert states(o.evaluate([*events, o.Run(), accept])) == ["in_force", "replaced"]
    loose = o.SetRules(o.Rules(hold_share={"orders": Decimal("0.06")}))
    strict = o.SetRules(o.Rules())
    world = o.evaluate([*events, o.Run(), loose, o.Run(), strict])
    assert states(world) == ["in_force", "replaced"]


def test_by_hand() -> None:
    """Overwritten before a run, a drop never landed, and what it hides was never read."""
    path = ("orders", D1, "o.csv")
    a, b, c = (ORDERS.encode() + order(n).encode() for n in (1, 2, 3))
    assert len(o.evaluate([o.Drop(*path, a), o.Drop(*path, b)]).receipts) == 1
    digest = hashlib.sha256(a).hexdigest()
    world = o.evaluate([o.Land(*path, a), o.Drop(*path, b), o.Run(), o.Drop(*path, c)])
    assert world.receipts[*path, digest] == o.Receipt("replaced")
    assert list(world.silver["orders"]) == [3]
    world = o.evaluate([o.Land(*path, a), o.Run(), o.Withdraw(*path), o.Drop(*path, a)])
    assert states(world) == ["withdrawn"]
    world = o.evaluate([o.Land(*path, a), o.Run(), o.Withdraw(*path), o.Land(*path, a)])
    assert states(world) == ["in_force"]
    undone: list[o.Event] = [o.Land(*path, a), o.Run(), o.Withdraw(*path), o.Reinstate(*path)]
    assert states(o.evaluate(undone)) == ["in_force"]
    gone: list[o.Event] = [*undone[:3], o.Remove(*path, archived=False), o.Reinstate(*path)]
    assert o.evaluate(gone).refused == {4: "its bytes are gone"}


def test_restore() -> None:
    """While a restore stands, what came after that run waits."""
    events: list[o.Event] = [orders(order(1)), o.Run(), orders(order(2), D2), o.Run(), o.Restore(1)]
    assert list(o.evaluate(events).silver["orders"]) == [1]
    assert sorted(o.evaluate([*events, o.Resume()]).silver["orders"]) == [1, 2]


def repair(events: list[o.Event], row: int, text: str, day: date = D3) -> o.Land:
    """Land a repair of a row of the first event."""
    first = events[0]
    assert isinstance(first, o.Land)
    digest = hashlib.sha256(first.content).hexdigest()
    cells = f"{first.path},{digest},0,{row}"
    content = f"{','.join(o.ORIGIN)},{ORDERS}{cells},{text}"
    return o.Land("orders", day, f"repair{row}.csv", content.encode())


def test_repairs() -> None:
    """A repair takes its origin's place, so that a later correction still wins."""
    events: list[o.Event] = [orders(order(1, "bad") + "ragged\n")]
    world = o.evaluate([*events, repair(events, 2, order(1, "4"))])
    assert fates(world, "orders") == ["superseded", "rejected", "published"]
    later = orders(order(1, "5"), D2)
    world = o.evaluate([*events, later, repair(events, 2, order(1, "4"))])
    assert fates(world, "orders") == ["superseded", "rejected", "published", "superseded"]
    world = o.evaluate([*events, repair(events, 3, order(9)), repair(events, 2, order(9, "x"))])
    assert fates(world, "orders") == ["rejected", "superseded", "superseded", "published"]
    world = o.evaluate([*events, repair(events, 4, order(1))])
    assert world.rejected["orders"][-1]["_rules"] == ["origin"]
    gone = o.Withdraw("orders", D1, "o.csv")
    world = o.evaluate([*events, repair(events, 2, order(1)), gone])
    assert [row["_category"] for row in world.rejected["orders"]] == ["referential_integrity"]


def test_a_repair_with_another_key() -> None:
    """The origin is gone, whatever its key: an older row of that key is the newest again."""
    old = orders(order(1, "3"), date(2025, 3, 1))
    events: list[o.Event] = [orders(order(1, "4"))]
    world = o.evaluate([*events, old, repair(events, 2, order(8, "4"))])
    assert fates(world, "orders") == ["published", "superseded", "published"]
    assert sorted(world.silver["orders"]) == [1, 8]


def test_gold() -> None:
    """Cents, shares, ties and the order without lines."""
    world = o.evaluate(
        [
            products("1,1,B,x\n2,2,A,y\n3,2,A,z\n"),
            orders(order(1) + order(2, "5") + order(3, "1", "2025-04-03T22:00:00")),
            items(item(3, 1, 1, 1) + item(2, 1, 2, 2, 1) + item(1, 1, 3, 2) + item(4, 3, 1, 1)),
        ]
    )
    per_product = {
        row["product_id"]: row["allocated_revenue"]
        for row in world.gold["product_performance"].values()
        if row["order_date"] == D1
    }
    assert per_product == {1: Decimal("3.34"), 2: Decimal("3.33"), 3: Decimal("3.33")}
    departments = world.gold["department_analytics"]
    unknown = departments[D1, None, "unknown"]
    assert (unknown["units"], unknown["orders"], unknown["allocated_revenue"]) == (0, 1, 5)
    assert (unknown["revenue_share"], unknown["reorder_rate"]) == (Decimal("0.3333"), None)
    assert departments[D1, 2, "A"]["reorder_rate"] == Decimal("0.5000")
    daily = world.gold["daily_sales"][D1]
    assert list(daily.values()) == [D1, 2, 3, 1, Decimal("15.00"), Decimal("7.5000")]
    customer = world.gold["customer_insights"][7]
    assert customer["favourite_department"] == "A"
    assert customer["average_days_between_orders"] == Decimal("1.2500")
    assert customer["stddev_days_between_orders"] == Decimal("1.767767")  # 0 and 2.5 days
    assert customer["average_basket_size"] == Decimal("1.3333")
