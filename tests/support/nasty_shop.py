"""A shop with all that is hard to show on a page.

A department that is markup, a product that a spreadsheet would compute, amounts in the billions, a
year without orders, customers who come back, a row that is rejected, a file that waits.
"""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import ITEMS, ORDERS, PRODUCTS, Lakehouse, put

MARKUP = "<script>alert(1)</script>"

_PRODUCTS = f"{PRODUCTS}3,2,{MARKUP},=1+1\n4,2,{MARKUP},</script><b>&amp;\n"
_ORDERS = ORDERS + (
    "3,12,7,2026-04-20T10:00:00,4000000000.01,\n"
    "4,13,9,2026-04-21T10:00:00,5000000000.02,\n"
    "5,14,9,2026-04-21T11:00:00,0.00,\n"
    "6,15,9,2026-04-22T11:00:00,-3,\n"
    "7,16,9,2026-03-20T10:00:00,0.00,\n"
)
_ITEMS = ITEMS + (
    "103,12,7,384,3,1,0,2026-04-20T10:00:00,\n"
    "104,12,7,384,1,2,1,2026-04-20T10:00:00,\n"
    "105,13,9,,4,1,0,2026-04-21T10:00:00,\n"
)


def nasty_shop(folder: Path) -> Lakehouse:
    """That shop in a folder, run raw to gold."""
    house = Lakehouse(folder)
    put(house, "products.csv", _PRODUCTS)
    put(house, "orders.csv", _ORDERS)
    put(house, "order_items.csv", _ITEMS)
    put(house, "products_2.csv", b"%PDF", "2025-04-16")
    assert house("run").code == 1  # the unreadable file
    return house


def as_it_was(cell: str) -> str:
    """What a cell of a CSV file was before it was kept from being a formula."""
    return cell.removeprefix("'") if cell[1:2] in ("=", "+", "-", "@") else cell
