"""The real April files, raw to gold through the command line and Dagster, on each engine.

The input is not ours to copy: it is read from LAKEHOUSE_REAL_DATA, by default the folder
``shared/data/april_2025`` beside the project.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest
from commands import Lakehouse
from machine import needs_java

REAL = Path(
    os.environ.get(
        "LAKEHOUSE_REAL_DATA",
        Path(__file__).parents[2] / "shared" / "data" / "april_2025",
    )
)

pytestmark = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no real data at {REAL}: set LAKEHOUSE_REAL_DATA to read it"
)


@pytest.fixture(scope="module")
def april(tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """April landed as the batch of its last day, and run."""
    house = Lakehouse(tmp_path_factory.mktemp("april"))
    house.ok("land", *map(str, sorted(REAL.iterdir())), "--date", "2025-04-15")
    house.ok("run")
    return house


def test_every_row_reaches_silver(april: Lakehouse) -> None:
    """All fifteen sheets are read; order_num is no key, and pairs repeat on purpose."""
    assert april.rows("SELECT count(*) n, sum(total_amount) s FROM silver.orders") == [
        {"n": 7500, "s": "1945810.41"}
    ]
    assert april.value("SELECT count(*) FROM silver.order_items") == 40803
    assert april.value("SELECT count(*) FROM silver.products") == 1000
    for name in ("products", "orders", "order_items"):
        assert april.value(f"SELECT count(*) FROM rejected.{name}") == 0


def test_every_file_adds_up(april: Lakehouse) -> None:
    """Each file's rows have exactly one fate each."""
    receipts = april.rows(
        "SELECT dataset, state, read, published FROM ledger.receipts ORDER BY dataset"
    )
    assert receipts == [
        {"dataset": "order_items", "state": "in_force", "read": 40803, "published": 40803},
        {"dataset": "orders", "state": "in_force", "read": 7500, "published": 7500},
        {"dataset": "products", "state": "in_force", "read": 1000, "published": 1000},
    ]


def test_gold_sums(april: Lakehouse) -> None:
    """Gold's money is silver's, to the cent, however it is cut."""
    days = april.rows("SELECT order_date, revenue FROM gold.daily_sales ORDER BY order_date")
    assert len(days) == 15
    assert days[0] == {"order_date": "2025-04-01", "revenue": "132204.46"}
    for table, column in (
        ("daily_sales", "revenue"),
        ("product_performance", "allocated_revenue"),
        ("department_analytics", "allocated_revenue"),
        ("customer_insights", "spend"),
    ):
        total = april.value(f"SELECT sum({column}) FROM gold.{table}")
        assert Decimal(total) == Decimal("1945810.41"), table


def test_a_second_run_changes_nothing(april: Lakehouse) -> None:
    """Nothing is pending; a date run again commits nothing, neither rows nor facts."""
    before = april.versions()
    assert "Nothing is pending" in april.ok("run")
    april.ok("run", "--date", "2025-04-15")
    assert april.versions() == before


@pytest.mark.long
@pytest.mark.spark
@needs_java
@pytest.mark.timeout(1800)
def test_spark_gives_the_same_tables(april: Lakehouse, tmp_path: Path) -> None:
    """The same files on local Spark: equal content, table by table."""
    other = Lakehouse(tmp_path, LAKEHOUSE_ENGINE="spark")
    other.ok("land", *map(str, sorted(REAL.iterdir())), "--date", "2025-04-15")
    other.ok("run")
    assert other.hashes() == april.hashes()
