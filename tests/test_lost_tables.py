"""Tables that are gone with their logs: made anew from what the ledger and the bytes say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.operations.restore import RestoreError, restore
from lakehouse_assets.tables.registry import queryable
from tests.support.contents import DAY, NEXT, ROWS, content
from tests.support.oracle import COLUMNS, Land, Remove, Run
from tests.support.steps import Archive, Back, Lose
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> World:
    """Two days, the second of which corrects the first; not to be changed."""
    with World(tmp_path_factory.mktemp("two-days"), spark) as lake:
        files = (Land(d, DAY, f"{d}.csv", content(d, *rows)) for d, rows in ROWS.items())
        lake.apply(*files, Run())
        lake.apply(Land("products", NEXT, "p.csv", content("products", "1,2,Games,Kite")), Run())
        assert lake.rows("silver/orders")
        return lake


@pytest.fixture
def shop(two_days: World, tmp_path: Path) -> Iterator[World]:
    """The same two days, to do anything with."""
    with two_days.copied(tmp_path) as world:
        yield world


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["bronze.orders"], marks=pytest.mark.slow),
        pytest.param(["silver.orders"], marks=pytest.mark.slow),
        pytest.param(["rejected.products"], marks=pytest.mark.slow),
        pytest.param([n for n in queryable() if n.startswith("gold")], marks=pytest.mark.slow),
        [*queryable()],
    ],
    ids=["bronze", "silver", "rejected", "gold", "all"],
)
def test_what_is_lost_is_made_anew(shop: World, names: list[str]) -> None:
    """By the next run, even where the new table comes to the old one's version."""
    shop.apply(*(Lose(name) for name in names))
    assert shop.plan()
    shop.apply(Run())
    shop.check()
    assert not shop.plan()
    shop.apply(Land("orders", NEXT, "o.csv", content("orders", ROWS["orders"][1])), Run())
    shop.settle()


def test_bronze_is_made_anew_from_the_archive(shop: World) -> None:
    shop.apply(Archive(), *(Lose(f"bronze.{dataset}") for dataset in COLUMNS), Run())
    shop.check()
    shop.settle()


def test_what_is_nowhere_any_more_is_said(shop: World) -> None:
    """Rows whose file somebody has removed, and whose bronze is lost as well."""
    shop.apply(Remove("orders", DAY, "orders.csv"), Lose("bronze.orders"))
    [notice] = shop.plan().notices
    assert notice.startswith("orders/2025-04-01/orders.csv: bronze has lost its rows, and its")


def test_nobody_goes_back_to_a_table_that_is_no_more(shop: World) -> None:
    """One clear line, and everything stays; a run after the loss can be gone back to."""
    old = shop.ledger.state().published[-1].run_id or ""
    shop.apply(Lose("silver.orders"), Run())
    with pytest.raises(RestoreError, match=r"silver\.orders was lost since"):
        restore(shop.ledger, old, "a test")
    shop.check()
    shop.apply(Back(0))
    shop.check(listings=False)
