"""Columns that come into a contract, or go, where tables are full already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.operations import decide, restore
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.table_schema import MisfitError
from lakehouse_assets.tables.contract import Column
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from tests.support.oracle import Land
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY, NEXT, LAST = date(2025, 4, 1), date(2025, 4, 2), date(2025, 4, 3)
BRAND = Column(name="brand", type="STRING", description="Who makes it.")
WITHOUT = "product_id,department_id,department,product_name"
WITH = f"{WITHOUT},brand"

ORDER = b"""order_num,order_id,user_id,order_timestamp,total_amount,date
1,1,7,2025-04-01T10:00:00,5.00,2025-04-01
"""


def text(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> World:
    """Two files before the column is in the contract, one of which has it; a rejected row."""
    files = {
        "a.csv": text(WITH, "1,1,Toys,Kite,Acme", "2,1,,Ball,Bell"),
        "b.csv": text(WITHOUT, "3,1,Toys,Top"),
    }
    with World(tmp_path_factory.mktemp("before"), spark) as lake:
        for file, content in files.items():
            lake._apply(Land("products", DAY, file, content))
        lake.run()
        return lake


@pytest.fixture
def shop(before: World, tmp_path: Path) -> Iterator[World]:
    """The same, to do anything with; contracts are put back afterwards."""
    with before.copied(tmp_path) as world:
        yield world


def come(kind: str = "STRING") -> None:
    """The column comes into the contract."""
    products = DATASETS["products"]
    DATASETS["products"] = replace(products, columns=(*products.columns, replace(BRAND, type=kind)))


def go() -> None:
    """The column leaves the contract: a release is taken back."""
    products = DATASETS["products"]
    DATASETS["products"] = replace(products, columns=products.columns[:-1])


def brands(shop: World, table: str = "silver") -> dict[str, str | None]:
    of = getattr(DATASETS["products"], table)
    found = shop.lake.rows(of, "SELECT product_id, brand FROM t")
    return {str(row["product_id"]): row["brand"] for row in found}


@pytest.mark.slow
def test_files_read_before_have_what_was_unexpected_then(shop: World) -> None:
    """In silver and in quarantine; and a file that comes must have the column."""
    come()
    assert shop.plan()
    shop.run()
    assert brands(shop) == {"1": "Acme", "3": None}
    assert brands(shop, "rejected") == {"2": "Bell"}
    shop._apply(Land("products", NEXT, "c.csv", text(WITH, "4,1,Toys,Dice,Cube", "2,1,Toys,Ball,")))
    shop._apply(Land("products", NEXT, "d.csv", text(WITHOUT, "5,1,Toys,Doll")))
    shop.run()
    assert brands(shop) == {"1": "Acme", "2": None, "3": None, "4": "Cube"}
    assert [path.file for path, _ in shop.plan().waiting] == ["d.csv"]
    shop._apply(Land("products", NEXT, "d.csv", text(WITH, "1,1,Toys,Kite,Other")))
    shop.run()
    assert brands(shop)["1"] == "Other"


@pytest.mark.slow
def test_files_read_before_may_be_without_it_when_they_are_read_again(shop: World) -> None:
    """Brought back into force, or because bronze is lost: what was admitted stays so."""
    come()
    shop.run()
    path = FilePath("products", DAY, "b.csv")
    decide.withdraw(shop.ledger, path)
    shop.run()
    assert brands(shop) == {"1": "Acme"}
    decide.reinstate(shop.ledger, path)
    shop.run()
    assert brands(shop) == {"1": "Acme", "3": None}
    shop._lose(DATASETS["products"].bronze)
    shop.run()
    assert brands(shop) == {"1": "Acme", "3": None}
    assert brands(shop, "rejected") == {"2": "Bell"}
    assert not shop.plan().waiting
    assert not shop.plan()


@pytest.mark.slow
def test_a_release_that_added_it_is_taken_back_and_comes_again(shop: World) -> None:
    come()
    shop.run()
    go()
    shop.run()
    shop._apply(Land("products", NEXT, "c.csv", text(WITH, "4,1,Toys,Dice,Cube")))
    shop._apply(Land("products", NEXT, "d.csv", text(WITHOUT, "5,1,Toys,Doll")))
    shop.run()
    names = shop.lake.rows(DATASETS["products"].silver, "SELECT product_id FROM t")
    assert {row["product_id"] for row in names} == {1, 3, 4, 5}
    come()
    shop.run()
    assert brands(shop) == {"1": "Acme", "3": None, "4": "Cube", "5": None}
    assert not shop.plan()


def test_a_column_of_gold_comes_too(shop: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gold = DERIVED["gold.department_analytics"]
    more = Column(name="seen", type="BIGINT", description="Rows behind it.")
    given = ", ".join(c.name for c in gold.columns)
    sql = f"SELECT {given}, CAST(7 AS BIGINT) AS seen FROM ({gold.sql})"
    shop._apply(Land("orders", DAY, "o.csv", ORDER))
    shop.run()
    now = replace(gold, columns=(*gold.columns, more), sql=sql)
    monkeypatch.setitem(DERIVED, gold.table.id, now)
    shop.run()
    assert {row["seen"] for row in shop.lake.rows(now.table, "SELECT seen FROM t")} == {7}
    assert not shop.plan()


def test_another_type_is_one_clear_line(shop: World) -> None:
    come()
    shop.run()
    go()
    come("BIGINT")
    with pytest.raises(MisfitError, match=r"column 'brand' has another type in its contract") as e:
        shop.run()
    assert "\n" not in str(e.value)


def test_tables_go_back_to_before_it_came_and_forth_again(shop: World) -> None:
    before = shop.ledger.state().published[-1].run_id or ""
    come()
    shop.run()
    restore.restore(shop.ledger, before, "a test")
    names = shop.lake.rows(DATASETS["products"].silver, "SELECT product_name FROM t")
    assert {row["product_name"] for row in names} == {"Kite", "Top"}
    shop.run()
    restore.resume(shop.ledger, "a test")
    shop.run()
    assert brands(shop) == {"1": "Acme", "3": None}
    assert not shop.plan()
