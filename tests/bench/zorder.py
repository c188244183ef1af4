"""What z-order pays: `python -m tests.bench.zorder`.

Fills `customer_insights` (one row a customer, in the order in which customers came) and measures
the bytes that DuckDB reads from disk, in a process of its own, to answer what the table is for:
one customer, a hundred neighbours; as written, after compaction alone, and after z-order.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[n]) for n in (1, 2)]  # As pytest's `pythonpath` does.

from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from lakehouse_assets import maintain  # noqa: E402
from lakehouse_assets.lake import Lake  # noqa: E402
from lakehouse_assets.tables import GOLD  # noqa: E402
from resources.storage import LocalStorage  # noqa: E402

CONTRACT = GOLD["customer_insights"].table
QUERIES = {
    "one customer": "SELECT * FROM t WHERE user_id = {0}",
    "a hundred neighbours": "SELECT * FROM t WHERE user_id BETWEEN {0} AND {0} + 99",
    "everyone's spend": "SELECT sum(spend) FROM t",
}
_MEASURE = """
import sys
from resources.queries import connect
connection = connect()
connection.execute(f"CREATE VIEW t AS SELECT * FROM delta_scan('{sys.argv[1]}')")
def read():
    lines = dict(line.split(": ") for line in open("/proc/self/io").read().splitlines())
    return int(lines["rchar"])
before = read()
connection.execute(sys.argv[2]).fetchall()
print(read() - before)
"""


def main() -> None:
    """Fill, measure, maintain, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000_000)
    options = parser.parse_args()
    table = Table("query", title=f"bytes read of {options.customers:,} customers")
    told: dict[str, list[str]] = {name: [] for name in QUERIES}
    states = {"as written": None, "compacted": (), "z-ordered": CONTRACT.zorder_by}
    for name, columns in states.items():
        with tempfile.TemporaryDirectory() as folder:
            storage = LocalStorage(folder)
            lake = Lake(storage, storage, date.min, date.max, frozenset())
            _fill(lake, options.customers)
            if columns is not None:
                _maintain(lake, columns)
            files = len(lake.files(CONTRACT, lake.create(CONTRACT)))
            table.add_column(f"{name} ({files} files)", justify="right")
            for query, sql in QUERIES.items():
                told[query].append(f"{_read(lake, sql.format(options.customers // 3)):,}")
    for query, found in told.items():
        table.add_row(query, *found)
    Console(width=110).print(table)


def _fill(lake: Lake, customers: int) -> None:
    numbers = list(range(customers))
    random = Random(1)
    random.shuffle(numbers)
    step = customers // 20
    version = lake.create(CONTRACT)
    for start in range(0, customers, step):
        rows = [_customer(n, random) for n in numbers[start : start + step]]
        assert lake.append(CONTRACT, rows, on=version)
        version += 1


def _customer(number: int, random: Random) -> dict[str, Any]:
    money = Decimal(random.randrange(10_000_000)).scaleb(-2)
    return {
        "user_id": number,
        "first_order_date": date(2025, 1, 1),
        "last_order_date": date(2025, 4, random.randint(1, 30)),
        "orders": random.randint(1, 50),
        "items": random.randint(1, 500),
        "spend": money,
        "average_order_value": money,
        "average_basket_size": money,
        "average_days_between_orders": money,
        "stddev_days_between_orders": money,
        "reorder_rate": Decimal(random.randrange(10_000)).scaleb(-4),
        "favourite_department": f"Department {random.randint(1, 21)}",
    }


def _maintain(lake: Lake, columns: Sequence[str]) -> None:
    """Maintain the table as if its contract named these columns."""
    maintain.maintain_table(lake, replace(CONTRACT, zorder_by=tuple(columns)), None)


def _read(lake: Lake, sql: str) -> int:
    command = [sys.executable, "-c", _MEASURE, lake.uri(CONTRACT), sql]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


if __name__ == "__main__":
    main()
