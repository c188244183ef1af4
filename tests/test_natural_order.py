"""The order of file names, alike in Python and SQL; what it decides, and what is said of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.operations.land import land
from lakehouse_assets.pipeline import resolve
from lakehouse_assets.tables import contract
from lakehouse_assets.tables.natural_order import natural
from lakehouse_assets.tables.registry import DATASETS
from tests.support.nasty_texts import NAMES, all_verdicts
from tests.support.oracle import Drop, Land, Run
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2025, 4, 1)
HEADER = "product_id,department_id,department,product_name\n"


def product(name: str) -> bytes:
    return f"{HEADER}1,1,Toys,{name}\n".encode()


def test_names_stand_as_people_count() -> None:
    assert natural("orders_9h.csv") < natural("orders_17h.csv")
    assert natural("orders.csv") < natural("orders (1).csv") < natural("orders-v2.csv")
    assert sorted(["a1.csv", "a01.csv", "a1.XLSX"], key=natural) == ["a01.csv", "a1.XLSX", "a1.csv"]


def test_the_engine_orders_as_python_does(spark: SparkSession) -> None:
    assert all_verdicts(spark)[-1]["names"] == sorted(NAMES, key=natural)


def test_a_correction_with_a_later_name_wins(lake: World) -> None:
    lake.apply(
        Land("products", DAY, "p (1).csv", product("new")),
        Land("products", DAY, "p.csv", product("old")),
        Run(),
    )
    lake.settle()
    assert [row["product_name"] for row in lake.rows("silver/products")] == ["new"]


def test_landing_says_what_counts_as_older(lake: World, tmp_path: Path) -> None:
    """Of files in force it names the newest, and only where the new one is older."""

    def landed(name: str, content: bytes) -> str | None:
        (tmp_path / name).write_bytes(content)
        return land(lake.ledger, tmp_path / name, "products", DAY).older

    lake.apply(*(Land("products", DAY, f"p-{n}.csv", product(str(n))) for n in (9, 10)), Run())
    older = (
        "products/2025-04-01/p.csv: landed after products/2025-04-01/p-10.csv, counts as older: "
        "of a row that both have, p-10.csv wins; give a correction a later --date or name"
    )
    assert landed("p.csv", product("x")) == older
    assert landed("p.csv", product("x")) is None  # no news
    assert landed("p-11.csv", product("y")) is None
    assert landed("p-10.csv", product("z")) is None  # p-11 is not in force yet


def test_a_run_says_what_counts_as_older(lake: World) -> None:
    """Not of files that it lands itself together; and not of one that it cannot read."""
    lake.apply(Drop("products", DAY, "p-2.csv", product("2")))
    lake.apply(Drop("products", DAY, "p-10.csv", product("10")), Run())
    assert not [line for result in lake.results for line in result.lines]
    lake.results.clear()
    lake.apply(Drop("products", DAY, "p-3.csv", product("3")))
    lake.apply(Drop("products", DAY, "p-4.csv", b"broken"), Run())
    [older] = [line for r in lake.results for line in r.lines if "older" in line]
    assert older.startswith("products/2025-04-01/p-3.csv: landed after products/2025-04-01/p-10")
    lake.settle()


def test_a_run_says_which_rows_change_nothing(lake: World) -> None:
    """Not of rows that say the same, nor of what was there before a correction."""
    same = "2,1,Toys,same\n"
    lake.apply(Land("products", DAY, "p-2.csv", product("first") + same.encode()), Run())
    lake.results.clear()
    lake.apply(Land("products", DAY, "p-1.csv", product("second") + same.encode()), Run())
    lake.apply(Land("products", DAY, "p-3.csv", product("third")), Run())
    found = [line for result in lake.results for line in result.lines if "nothing" in line]
    older, newer = (f"products/2025-04-01/p-{n}.csv" for n in (1, 2))
    more = "a correction needs a later batch date or file name"
    assert found == [f"{older}: 1 row of it changes nothing, as {newer} counts as newer; {more}"]
    lake.settle()


def test_a_lake_of_another_order_is_brought_over_once(
    lake: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the code before this order has left it: by the bytes of names."""
    products = DATASETS["products"]
    now = products.rules_digest
    with monkeypatch.context() as before:
        before.setattr(contract, "_VERSION_ORDER", "by bytes")
        before.delitem(vars(products), "rules_digest")  # and there again in the end
        before.setattr(
            resolve, "newest_first", lambda columns: ", ".join(f"`{c}` DESC" for c in columns)
        )
        for name in ("p.csv", "p (1).csv"):
            lake.apply(Land("products", DAY, name, product(name)))
        lake.run()
        assert [row["product_name"] for row in lake.rows("silver/products")] == ["p.csv"]
        assert not lake.plan()
        assert products.rules_digest != now
    assert products.rules_digest == now
    lake.reopen()  # as the code location is
    assert lake.plan().tables["silver.products"] == "rules changed"
    lake.apply(Run())
    lake.settle()
    assert [row["product_name"] for row in lake.rows("silver/products")] == ["p (1).csv"]
    lake.run_again()
