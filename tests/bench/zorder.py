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
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from rich.console import Console
from rich.table import Table

from lakehouse_assets.operations import maintenance
from lakehouse_assets.store.delta import to_arrow
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.registry import DERIVED

CONTRACT = DERIVED["gold.customer_insights"].table
TARGET_BYTES = 2 * 2**20
"""A sixteenth of what `maintain` aims at, so that a sixteenth of the customers shows the same."""
QUERIES = {
    "one customer": "SELECT * FROM t WHERE user_id = {0}",
    "a hundred neighbours": "SELECT * FROM t WHERE user_id BETWEEN {0} AND {0} + 99",
    "everyone's spend": "SELECT sum(spend) FROM t",
}
_MEASURE = """
import sys
from resources.duckdb_engine import connect
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
    parser.add_argument("--customers", type=int, default=500_000)
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
    """Twenty appends, each with customers from everywhere."""
    random = np.random.default_rng(1)
    schema = to_arrow(CONTRACT, []).schema
    lake.create(CONTRACT)
    for numbers in np.array_split(random.permutation(customers), 20):
        rows = pa.table([_column(field, numbers, random) for field in schema], names=schema.names)
        write_deltalake(lake.uri(CONTRACT), rows.cast(schema), mode="append")


def _column(field: pa.Field, numbers: Any, random: np.random.Generator) -> pa.Array:
    """Values of a column for these customers; only their number follows any order."""
    if field.name == "user_id":
        return pa.array(numbers)
    found = pa.array(random.integers(1, 10_000, len(numbers)).astype(np.int32))
    if pa.types.is_date(field.type):
        return found.cast(pa.date32())
    return found.cast(pa.string()) if pa.types.is_string(field.type) else found.cast(field.type)


def _maintain(lake: Lake, columns: Sequence[str]) -> None:
    """Maintain the table as if its contract named these columns."""
    table = replace(CONTRACT, zorder_by=tuple(columns))
    maintenance.maintain_table(lake, table, None, TARGET_BYTES)


def _read(lake: Lake, sql: str) -> int:
    command = [sys.executable, "-c", _MEASURE, lake.uri(CONTRACT), sql]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


if __name__ == "__main__":
    main()
