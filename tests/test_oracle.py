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
        *(("decimal(12,2)", text, None) for text in ("10000000000", "1.555", "1e2", "NaN", "$1")),
        ("timestamp", "2025-04-01 01:00:00+02", datetime(2025, 3, 31, 23)),
        ("timestamp", "2025-04-01T01:00:00.1234567-0130", datetime(2025, 4, 1, 2, 30, 0, 123456)),
        ("timestamp", "2025-04-01T01:00:00Z", datetime(2025, 4, 1, 1)),
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
        ("p.csv", PRODUCTS.strip().encode() + b",more, More", False),
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
    book.create_sheet("bad").append(["product_id"])
    book["bad"].append([1])
    book["bad"].sheet_state = "hidden"
    buffer = io.BytesIO()
    book.save(buffer)
    world = o.evaluate([o.Land("products", D1, "p.xlsx", buffer.getvalue())])
    good, ragged, short = world.bronze["products"]
    assert [good[c] for c in o.COLUMNS["products"]] == ["1", "2", "1", "2025-04-01T00:00:00"]
    assert ragged["_raw"] == '["2", "89.68", null, "x", "beyond"]'
    assert (short["department_id"], short["product_name"], short["_row"]) == ("1e+16", None, 4)
    assert [name for _, name in world.unreadable_sheets] == ["bad"]
    (receipt,) = world.receipts.values()
    assert receipt == o.Receipt("in_force", read=3, published=1, rejected=2, has_error=True)


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
