"""What gold must hold, added up from silver; for the oracle."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.support.oracle_contracts import Record, Value

GOLD = ("daily_sales", "product_performance", "department_analytics", "customer_insights")


def _ratio(over: Decimal | int | Fraction, under: Decimal | int, places: int = 4) -> Decimal | None:
    """The exact quotient, rounded half up; null where it divides by zero."""
    if not under:
        return None
    exact = Fraction(over) / Fraction(under) * 10**places
    whole = int(abs(exact) + Fraction(1, 2))
    return Decimal(whole if exact >= 0 else -whole).scaleb(-places) + 0


def allocate(amount: Decimal, lines: int) -> list[Decimal]:
    """An amount spread over so many lines, the first ones getting the cents left over."""
    each, more = divmod(int(amount * 100), lines)
    return [Decimal(each + (n < more)).scaleb(-2) for n in range(lines)]


def add_up(silver: Mapping[str, Mapping[Any, Record]]) -> dict[str, dict[object, Record]]:
    """Every gold table, by its grain."""
    products, orders = silver["products"], silver["orders"]
    lines: dict[int, list[Record]] = {order: [] for order in orders}
    for item in silver["order_items"].values():
        lines[item["order_id"]].append(item)
    by_day, by_user = defaultdict(list), defaultdict(list)
    by_product: dict[Any, list[tuple[Record, Any, Decimal]]] = defaultdict(list)
    by_department: dict[Any, list[tuple[Record, Any, Decimal]]] = defaultdict(list)
    for number, order in orders.items():
        by_day[order["order_date"]].append(order)
        by_user[order["user_id"]].append(order)
        items = sorted(lines[number], key=lambda i: (i["add_to_cart_order"], i["id"]))
        if not items:
            by_department[order["order_date"], None, "unknown"].append(
                (order, None, order["total_amount"])
            )
            continue
        for item, part in zip(items, allocate(order["total_amount"], len(items)), strict=True):
            product = products[item["product_id"]]
            by_product[order["order_date"], item["product_id"]].append((order, item, part))
            grain = order["order_date"], product["department_id"], product["department"]
            by_department[grain].append((order, item, part))
    gold: dict[str, dict[object, Record]] = {table: {} for table in GOLD}
    for day, sold in by_day.items():
        revenue = sum((o["total_amount"] for o in sold), Decimal("0.00"))
        gold["daily_sales"][day] = {
            "order_date": day,
            "orders": len(sold),
            "items": sum(len(lines[o["order_id"]]) for o in sold),
            "customers": len({o["user_id"] for o in sold}),
            "revenue": revenue,
            "average_order_value": _ratio(revenue, len(sold)),
        }
    for (day, number), parts in by_product.items():
        reorders = sum(item["reordered"] for _, item, _ in parts)
        gold["product_performance"][day, number] = {
            "order_date": day,
            "product_id": number,
            **{c: products[number][c] for c in ("product_name", "department_id", "department")},
            "units": len(parts),
            "orders": len({order["order_id"] for order, _, _ in parts}),
            "reorders": reorders,
            "reorder_rate": _ratio(reorders, len(parts)),
            "average_cart_position": _ratio(
                sum(item["add_to_cart_order"] for _, item, _ in parts), len(parts)
            ),
            "allocated_revenue": sum((part for *_, part in parts), Decimal("0.00")),
        }
    for (day, number, name), parts in by_department.items():
        items = [item for _, item, _ in parts if item]
        revenue = sum((part for *_, part in parts), Decimal("0.00"))
        gold["department_analytics"][day, number, name] = {
            "order_date": day,
            "department_id": number,
            "department": name,
            "units": len(items),
            "orders": len({order["order_id"] for order, _, _ in parts}),
            "customers": len({order["user_id"] for order, _, _ in parts}),
            "allocated_revenue": revenue,
            "revenue_share": _ratio(revenue, gold["daily_sales"][day]["revenue"]),
            "reorder_rate": _ratio(sum(item["reordered"] for item in items), len(items)),
        }
    for user, bought in by_user.items():
        gold["customer_insights"][user] = _customer(
            user, bought, [i for o in bought for i in lines[o["order_id"]]], products
        )
    return gold


def _customer(
    user: Value, orders: list[Record], items: list[Record], products: Mapping[int, Record]
) -> Record:
    stamps = sorted(order["order_timestamp"] for order in orders)
    gaps = [(after - before) // timedelta(microseconds=1) for before, after in pairwise(stamps)]
    day = 86_400_000_000  # in microseconds
    spend = sum((order["total_amount"] for order in orders), Decimal("0.00"))
    names = Counter(products[item["product_id"]]["department"] for item in items)
    deviation = None
    if (n := len(gaps)) > 1:
        exact = Context(prec=60, rounding=ROUND_HALF_UP)
        variance = exact.divide(
            Decimal(n * sum(gap * gap for gap in gaps) - sum(gaps) ** 2), Decimal(n * (n - 1))
        )
        deviation = exact.divide(exact.sqrt(variance), Decimal(day)).quantize(
            Decimal("0.000001"), context=exact
        )
    return {
        "user_id": user,
        "first_order_date": stamps[0].date(),
        "last_order_date": stamps[-1].date(),
        "orders": len(orders),
        "items": len(items),
        "spend": spend,
        "average_order_value": _ratio(spend, len(orders)),
        "average_basket_size": _ratio(len(items), len(orders)),
        "average_days_between_orders": _ratio(Fraction(sum(gaps), day), len(gaps)),
        "stddev_days_between_orders": deviation,
        "reorder_rate": _ratio(sum(item["reordered"] for item in items), len(items)),
        "favourite_department": min(names, key=lambda d: (-names[d], d.encode()), default=None),
    }
