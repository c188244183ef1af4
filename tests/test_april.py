"""The real April files, raw to gold through the command line and Dagster, on each engine.

The input is not ours to copy: it is read from TESTS_REAL_DATA, by default the folder
``shared/data/april_2025`` beside the project.
"""

from __future__ import annotations

import signal
import time
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from lakehouse_assets.operations import file_dataset
from lakehouse_assets.tables.registry import DATASETS
from tests.support.commands import Lakehouse
from tests.support.machine import REAL, needs_java, needs_real_data

pytestmark = needs_real_data


@pytest.fixture(scope="module")
def april(tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """April landed as the batch of its last day, and run."""
    house = Lakehouse(tmp_path_factory.mktemp("april"))
    house.ok("land", *map(str, sorted(REAL.iterdir())), "--date", "2025-04-15")
    house.ok("run")
    return house


@pytest.mark.slow
def test_every_row_reaches_silver(april: Lakehouse) -> None:
    """All fifteen sheets are read; order_num is no key, and pairs repeat on purpose."""
    assert april.rows("SELECT count(*) n, sum(total_amount) s FROM silver.orders") == [
        {"n": 7500, "s": "1945810.41"}
    ]
    assert april.value("SELECT count(*) FROM silver.order_items") == 40803
    assert april.value("SELECT count(*) FROM silver.products") == 1000
    for name in ("products", "orders", "order_items"):
        assert april.value(f"SELECT count(*) FROM rejected.{name}") == 0


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_second_run_changes_nothing(april: Lakehouse) -> None:
    """Nothing is pending; a date run again commits nothing, neither rows nor facts."""
    before = april.versions()
    assert "Nothing is pending" in april.ok("run")
    april.ok("run", "--date", "2025-04-15")
    assert april.versions() == before


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """April's rows as a file of each dataset and day, products as one."""
    folder = tmp_path_factory.mktemp("days")
    found: dict[str, dict[str, Path]] = {}
    for source in sorted(REAL.iterdir()):
        dataset = file_dataset.of_name(source.name, DATASETS) or ""
        if source.suffix == ".csv":
            sheets = [pd.read_csv(source, dtype=str, keep_default_na=False)]
        else:
            sheets = list(pd.read_excel(source, sheet_name=None).values())
        rows = pd.concat(sheets)
        if dataset == "products":
            cut = {"2025-04-15": rows}
        else:
            day = pd.to_datetime(rows["order_timestamp"], format="ISO8601").dt.strftime("%Y-%m-%d")
            cut = {str(name): some for name, some in rows.groupby(day)}
        for name, some in cut.items():
            file = folder / f"{dataset}_{name}.csv"
            some.to_csv(file, index=False, date_format="%Y-%m-%dT%H:%M:%S")
            found.setdefault(name, {})[dataset] = file
    return found


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_backwards_day_by_day_is_the_same(
    april: Lakehouse, days: dict[str, dict[str, Path]], tmp_path: Path
) -> None:
    """The last day first, each day's items before its orders, products last, a run after each."""
    house = Lakehouse(tmp_path)
    for day in sorted(days, reverse=True):
        for dataset in ("order_items", "orders"):
            house.ok("land", str(days[day][dataset]), "--date", day)
            house.ok("run")
    assert house.value("SELECT count(*) FROM silver.order_items") == 0  # no products yet
    house.ok("land", str(days["2025-04-15"]["products"]), "--date", "2025-04-15")
    house.ok("run")
    assert house.hashes() == april.hashes()
    assert "Nothing is pending" in house.ok("run")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_in_the_middle_of_a_range(
    april: Lakehouse, days: dict[str, dict[str, Path]], tmp_path: Path
) -> None:
    """The process dies at a dozen commits of the 15-day range; run again, all is the same."""
    house = Lakehouse(tmp_path)
    for day, files in days.items():
        house.ok("land", *map(str, files.values()), "--date", day)
    commits = 0
    for _ in range(12):
        run = house.start("run")
        wanted = commits + 2
        while run.poll() is None and commits < wanted:
            commits = len(list((house.root / "processed").rglob("_delta_log/*.json")))
            time.sleep(0.005)
        run.kill()
        assert run.wait() == -signal.SIGKILL, "it had ended before it was killed"
    house.ok("run")
    assert house.hashes() == april.hashes()
    assert "Nothing is pending" in house.ok("run")


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
