"""Ten million items in one CSV: `python -m tests.bench.large`, raw to gold on the embedded engine.

The same shop twice: once all items are in one file, once in five, with a share of rows repeated
and of faulty ones. Prints how long each took and the most memory that its process and its children
held together; ends with 1 where that is more than `--most-mib`, or where the tables differ.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

import duckdb
from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import timed
from tests.bench.measure import FIRST, hashes

_PRODUCTS: Final = 1_000
_USERS: Final = 200_000
_LINES: Final = 10
"""Items of an order."""

_WHEN: Final = "TIMESTAMP '{first}' + to_seconds({order} * {seconds} // {orders})"
_SQL: Final = {
    "products": """
        SELECT n AS product_id, n % 9 AS department_id, 'Department ' || n % 9 AS department,
            'Product ' || n AS product_name
        FROM range({products}) AS t(n)""",
    "orders": """
        SELECT n AS order_num, n AS order_id, n * 7919 % {users} AS user_id,
            strftime({when}, '%Y-%m-%dT%H:%M:%S') AS order_timestamp,
            printf('%d.%02d', n % 400, n % 100) AS total_amount,
            strftime({when}, '%Y-%m-%d') AS date
        FROM range({orders}) AS t(n)""",
    # A hundredth of the ids comes again, with another product; a thousandth of them is faulty.
    "order_items": """
        SELECT CASE WHEN n % 100 = 99 THEN n - 50 ELSE n END AS id, o AS order_id,
            o * 7919 % {users} AS user_id,
            CASE WHEN n % 3 = 0 THEN NULL ELSE n % 30 END AS days_since_prior_order,
            n * 31 % {products} AS product_id,
            CASE WHEN n % 1000 = 7 THEN 'many' ELSE CAST(n % {lines} + 1 AS VARCHAR) END
                AS add_to_cart_order,
            n % 2 AS reordered,
            strftime({when}, '%Y-%m-%dT%H:%M:%S') AS order_timestamp,
            strftime({when}, '%Y-%m-%d') AS date
        FROM (SELECT n, n // {lines} AS o FROM range({begin}, {end}) AS t(n))""",
}


def main() -> None:
    """Write, run, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=365, help="that the orders are of")
    parser.add_argument("--files", default="1,5", help="of the items, by commas")
    parser.add_argument("--most-mib", type=int, default=3 * 1024)
    options = parser.parse_args()
    shown = Table("files of items", "wall s", "CPU s", "peak MiB", title=f"{options.items:,} items")
    found: list[dict[str, str]] = []
    faults = []
    for files in map(int, options.files.split(",")):
        with tempfile.TemporaryDirectory(prefix="lakehouse-large-") as folder:
            _write(Path(folder), options.items, options.days, files)
            told = timed("sail", Path(folder), [FIRST])
            found.append(hashes(Path(folder)))
        shown.add_row(
            str(files), *(f"{told[it]:,.0f}" for it in ("work_wall", "work_cpu", "peak_mib"))
        )
        print(f"{files} files: {told}, {found[-1]}", flush=True)
        if told["peak_mib"] > options.most_mib:
            faults.append(f"{files} files: {told['peak_mib']:,} MiB, not {options.most_mib:,}")
    if any(other != found[0] for other in found):
        faults.append("the tables differ")
    Console(width=100).print(shown)
    print("\n".join(faults) or "the same tables, within the memory")
    sys.exit(bool(faults))


def _write(root: Path, items: int, days: int, files: int) -> None:
    """A shop's first load: products, orders, and the items in so many files."""
    orders, first, seconds = -(-items // _LINES), FIRST - timedelta(days=days), days * 86_400
    same = {"orders": orders, "products": _PRODUCTS, "users": _USERS, "lines": _LINES}
    with duckdb.connect() as query:
        query.execute("SET memory_limit = '1GB'; SET preserve_insertion_order = true")
        for dataset, sql in _SQL.items():
            of = "o" if dataset == "order_items" else "n"
            when = _WHEN.format(first=first, order=of, seconds=seconds, orders=orders)
            parts = files if dataset == "order_items" else 1
            for at in range(parts):
                path = root / "raw" / dataset / str(FIRST) / f"{dataset}_{at + 1}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                between = {"begin": items * at // parts, "end": items * (at + 1) // parts}
                rows = sql.format(when=when, **same, **between)
                query.execute(f"COPY ({rows}) TO '{path}' (HEADER)")


if __name__ == "__main__":
    main()
