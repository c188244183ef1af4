"""What a late change costs: `python -m tests.bench.late --days 300`.

A history of so many days; then a new day's batch of one order, and a correction of one order on
the first day of the history. Prints what gold changed and the CPU-seconds of each table's work,
from the results' own metadata.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date, timedelta

from rich.console import Console
from rich.table import Table

from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.run_table import run_table
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.registry import DATASETS, table_ids
from resources.engines import SailEngine

FIRST = date(2025, 1, 1)
_HEADERS = {name: ",".join(d.headers) for name, d in DATASETS.items()}


def main() -> None:
    """Build the history, run both changes, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=300)
    parser.add_argument("--orders", type=int, default=200, help="a day")
    options = parser.parse_args()
    days = [FIRST + timedelta(days=n) for n in range(options.days)]
    last = days[-1] + timedelta(days=1)
    with tempfile.TemporaryDirectory() as folder:
        storage = LocalStorage(folder)
        raw, processed = storage.within("raw"), storage.within("processed")
        lake = Lake(raw, processed, FIRST, last + timedelta(days=1), frozenset(DATASETS))
        products = "".join(f"{n},{n % 9},Department {n % 9},Product {n}\n" for n in range(100))
        _put(lake, "products", FIRST, products)
        for n, day in enumerate(days):
            numbers = range(n * options.orders, (n + 1) * options.orders)
            _put(lake, "orders", day, "".join(_order(i, day) for i in numbers))
            _put(lake, "order_items", day, "".join(_item(i, day) for i in numbers))
        _run(lake, days)  # the history
        new = options.days * options.orders
        _put(lake, "orders", last, _order(new, last))
        _put(lake, "order_items", last, _item(new, last))
        results = {"a new day of one order": _run(lake, [last])}
        correction = last + timedelta(days=1)
        _put(lake, "orders", correction, _order(0, FIRST, amount="99.99"))
        results[f"one order of {options.days} days ago"] = _run(lake, [correction])
    _print(results, options.days)


def _order(number: int, day: date, amount: str = "10.00") -> str:
    return f"{number},{number},{number % 5000},{day}T10:00:00,{amount},{day}\n"


def _item(number: int, day: date) -> str:
    return f"{number},{number},{number % 5000},,{number % 100},1,0,{day}T10:00:00,{day}\n"


def _put(lake: Lake, dataset: str, day: date, rows: str) -> None:
    path = FilePath(dataset, day, f"{dataset}.csv")
    lake.raw.write(str(path), f"{_HEADERS[dataset]}\n{rows}".encode())


def _run(lake: Lake, days: list[date]) -> list[Result]:
    session = SailEngine().session()
    return [run_table(session, lake, table, days, "bench") for table in table_ids()]


def _print(results: dict[str, list[Result]], days: int) -> None:
    table = Table("table", title=f"after {days} days")
    for what in results:
        table.add_column(what)
    for of_table in zip(*results.values(), strict=True):
        told = []
        for result in of_table:
            found = [f"{result.metadata['cpu_seconds']:.2f} CPU s"]
            if "changed_grains" in result.metadata:
                changed = result.metadata.get("changed", "")
                found.append(f"{result.metadata['changed_grains']} changed: {changed}")
            elif result.metadata.get("rows_added"):
                found.append(f"+{result.metadata['rows_added']} -{result.metadata['rows_removed']}")
            told.append(", ".join(found))
        table.add_row(of_table[0].table, *told)
    totals = [sum(r.metadata["cpu_seconds"] for r in found) for found in results.values()]
    table.add_row("all", *(f"{total:.2f} CPU s" for total in totals))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
