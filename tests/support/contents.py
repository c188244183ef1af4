"""A few rows of each dataset, and files made of rows."""

from __future__ import annotations

from datetime import date

from tests.support.oracle import COLUMNS

DAY, NEXT = date(2025, 4, 1), date(2025, 4, 2)
ROWS = {
    "products": ["1,1,Toys,Kite", "2,1,Toys,Ball", "3,1,Toys,"],
    "orders": ["1,1,7,2025-04-01T10:00:00,5.00", "2,2,8,2025-04-01T11:00:00,6.00"],
    "order_items": [
        "1,1,7,1,1,0,2025-04-01T10:00:00,1,5",
        "2,2,8,1,2,0,2025-04-01T11:00:00,1,5",
        "3,9,8,1,2,0,2025-04-01T11:00:00,1,5",
    ],
}


def content(dataset: str, *rows: str) -> bytes:
    columns = COLUMNS[dataset]
    filled = [",".join([*row.split(","), *[""] * len(columns)][: len(columns)]) for row in rows]
    return "\n".join([",".join(columns), *filled, ""]).encode()
