"""What a copy of a bucket may be: a table older than the ledger, or without some of its files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.recovery import healed
from lakehouse_assets.store.facts import FACTS
from lakehouse_assets.tables.registry import queryable
from tests.support.contents import DAY, NEXT, ROWS, content
from tests.support.oracle import Land, Run, Withdraw
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.deploy


@pytest.fixture(scope="module")
def shop_of_two_runs(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> World:
    """The second run changed each table of the orders; not to be changed."""
    with World(tmp_path_factory.mktemp("shop"), spark) as lake:
        lake.apply(*(Land(d, DAY, f"{d}.csv", content(d, *rows)) for d, rows in ROWS.items()))
        late = content("orders", "3,1,7,2025-04-01T12:00:00,7.00", ROWS["orders"][1] + "0")
        lake.apply(Run(), Land("orders", NEXT, "late.csv", late), Run())
        return lake


@pytest.fixture
def shop(shop_of_two_runs: World, tmp_path: Path) -> Iterator[World]:
    """The same shop, to lose something of."""
    with shop_of_two_runs.copied(tmp_path) as world:
        yield world


def lose_newest(shop: World, name: str, part: str) -> None:
    """Of a table's newest version something has not been copied.

    Its entry of the log, with or without the entry's checksum (which then makes the whole log
    unreadable), or a data file.
    """
    table = FACTS if name == "ledger.facts" else queryable()[name]
    version = shop.lake.version(table) or 0
    folder = shop.lake.path(table)
    newest = f"{folder}/_delta_log/{version:020}"
    lost = {
        "entry": [f"{newest}.json", f"{newest}.crc"],
        "entry, not its checksum": [f"{newest}.json"],
        "data file": [f"{folder}/{shop.lake.files(table, version)[-1]['path']}"],
    }
    for path in lost[part]:
        shop.lake.storage.delete(path)
    shop.reopen()


@pytest.mark.parametrize("part", ["entry", "entry, not its checksum", "data file"])
@pytest.mark.parametrize(
    "name", ["ledger.facts", "bronze.orders", "silver.orders", "gold.daily_sales"]
)
def test_what_is_half_there_is_made_whole(shop: World, name: str, part: str) -> None:
    """Also where the next run takes in news, and comes to the version that was lost."""
    lose_newest(shop, name, part)
    told = list(healed(shop.lake))
    # The ledger itself knows no newer one (and has no checksums): what it lacks lands again.
    whole = name == "ledger.facts" and part != "data file"
    assert any(line.startswith(f"{name}: ") for line in told) != whole, told
    shop.reopen()
    news = content("orders", "4,1,8,2025-04-01T13:00:00,9.00")
    shop.apply(Land("orders", NEXT, "news.csv", news), Run())
    shop.check()
    # Only now: a ledger that was cut knows the file again since that run.
    shop.apply(Withdraw("orders", NEXT, "late.csv"), Run())
    shop.check()
    assert not list(healed(shop.lake))


@pytest.mark.parametrize("name", ["bronze.orders", "silver.orders"])
def test_a_table_that_was_set_back_and_moved_on_is_found(shop: World, name: str) -> None:
    """Its new version passes for the one that is gone, until somebody looks who wrote it."""
    table = queryable()[name]
    newest = shop.lake.version(table)
    lose_newest(shop, name, "entry")
    news = content("orders", "4,1,8,2025-04-01T13:00:00,9.00")
    shop.apply(Land("orders", NEXT, "news.csv", news), Run())
    assert shop.lake.version(table) == newest
    [line] = healed(shop.lake)
    what = f"{name}: set back, and a run has written another version {newest} since"
    assert line == f"{what}; removed"
    shop.reopen()
    shop.apply(Run())
    shop.check()
    assert not list(healed(shop.lake))
    shop.settle()
