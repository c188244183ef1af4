"""What the marts must hold, made of silver and of the products' history; for the oracle.

In the place of a surrogate key stands what it is the key of: only the product knows its hashes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from tests.support.oracle_contracts import Record
from tests.support.oracle_gold import allocate

MARTS = (
    "dim_date", "dim_department", "dim_product", "dim_customer", "fact_orders", "fact_order_items",
)  # fmt: skip

History = Mapping[Any, list[tuple[date, Record]]]
"""Of each key, what it said from which batch date on."""


class Customer(NamedTuple):
    """What a customer's key stands for."""

    user_id: int


class Department(NamedTuple):
    """What a department's key stands for."""

    department_id: int
    department: str


class Product(NamedTuple):
    """What a product version's key stands for."""

    product_id: int
    valid_from: date


def _number(day: date) -> int:
    return int(f"{day:%Y%m%d}")


def _calendar(days: set[date]) -> dict[object, Record]:
    if not days:
        return {}
    first, last = date(min(days).year, 1, 1), date(max(days).year, 12, 31)
    every = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return {
        _number(day): {
            "date_key": _number(day),
            "date": day,
            "year": day.year,
            "quarter": (day.month + 2) // 3,
            "month": day.month,
            "month_name": f"{day:%B}",
            "week": day.isocalendar().week,
            "day": day.day,
            "weekday": day.isoweekday(),
            "weekday_name": f"{day:%A}",
            "is_weekend": day.isoweekday() in {6, 7},
        }
        for day in every
    }


def make(silver: Mapping[str, Mapping[Any, Record]], products: History) -> dict[str, Any]:
    """Every mart, by what its rows are about."""
    orders, items = silver["orders"], silver["order_items"]
    marts: dict[str, dict[object, Record]] = {name: {} for name in MARTS}
    marts["dim_date"] = _calendar({order["order_date"] for order in orders.values()})
    for number, versions in products.items():
        ends = [start for start, _ in versions[1:]] + [None]
        for (start, said), end in zip(versions, ends, strict=True):
            department = Department(said["department_id"], said["department"])
            marts["dim_department"][department] = {
                "department_key": department,
                **department._asdict(),
            }
            marts["dim_product"][Product(number, start)] = {
                "product_key": Product(number, start),
                "product_id": number,
                "product_name": said["product_name"],
                "department_key": department,
                **department._asdict(),
                "valid_from": start,
                "valid_to": end,
                "is_current": end is None,
            }
    lines: dict[Any, list[Record]] = defaultdict(list)
    for item in items.values():
        lines[item["order_id"]].append(item)
    bought: dict[Any, list[Record]] = defaultdict(list)
    for number, order in orders.items():
        bought[order["user_id"]].append(order)
        keys = {
            "order_id": number,
            "order_date": order["order_date"],
            "date_key": _number(order["order_date"]),
            "customer_key": Customer(order["user_id"]),
        }
        own = sorted(lines[number], key=lambda i: (i["add_to_cart_order"], i["id"]))
        marts["fact_orders"][number] = {
            **keys,
            "order_timestamp": order["order_timestamp"],
            "order_num": order["order_num"],
            "items": len(own),
            "reordered_items": sum(item["reordered"] for item in own),
            "total_amount": order["total_amount"],
        }
        parts = allocate(order["total_amount"], len(own)) if own else []
        for item, part in zip(own, parts, strict=True):
            begins = [start for start, _ in products[item["product_id"]]]
            sold = max((b for b in begins if b <= order["order_date"]), default=begins[0])
            marts["fact_order_items"][item["id"]] = {
                **keys,
                "id": item["id"],
                "product_key": Product(item["product_id"], sold),
                "current_product_key": Product(item["product_id"], begins[-1]),
                "add_to_cart_order": item["add_to_cart_order"],
                "reordered": item["reordered"],
                "allocated_revenue": part,
            }
    for user, made in bought.items():
        marts["dim_customer"][Customer(user)] = {
            "customer_key": Customer(user),
            "user_id": user,
            "first_order_date": min(order["order_date"] for order in made),
            "last_order_date": max(order["order_date"] for order in made),
            "orders": len(made),
            "spend": sum(order["total_amount"] for order in made),
        }
    return marts


KEYS: dict[str, tuple[str, Callable[..., object], tuple[str, ...]]] = {
    "department_key": ("dim_department", Department, Department._fields),
    "product_key": ("dim_product", Product, Product._fields),
    "customer_key": ("dim_customer", Customer, Customer._fields),
    "current_product_key": ("dim_product", Product, Product._fields),
}
"""For each column that is a surrogate key: its dimension, and what it stands for."""


def named(marts: Mapping[str, list[Record]]) -> dict[str, list[Record]]:
    """The product's marts with what they stand for in the place of surrogate keys.

    A key that stands for two things, or for none, is an AssertionError.
    """
    meant: dict[str, dict[int, object]] = {}
    for column, (dimension, kind, fields) in KEYS.items():
        own = column.removeprefix("current_")
        found = {row[own]: kind(*(row[f] for f in fields)) for row in marts[dimension]}
        assert len(found) == len(marts[dimension]), f"a key of {dimension} stands twice"
        assert len({*found.values()}) == len(found), f"{dimension}: two keys for one thing"
        meant[column] = found
    days = {row["date_key"] for row in marts["dim_date"]}

    def read(table: str, row: Record) -> Record:
        lost = {c: v for c, v in row.items() if c in meant and v not in meant[c]}
        assert not lost, f"{table}: in no dimension: {lost}"
        assert row.get("date_key", min(days, default=None)) in {*days, None}, f"{table}: {row}"
        return {c: meant[c][v] if c in meant else v for c, v in row.items()}

    return {name: [read(name, row) for row in rows] for name, rows in marts.items()}
