"""What a copy of a bucket may be: a table older than the ledger, or without some of its files."""

from __future__ import annotations

from datetime import date

import pytest
from harness import World
from oracle import COLUMNS, Land, Run, Withdraw

from deploy.recovery import healed
from lakehouse_assets.ledger import FACTS, Ledger
from lakehouse_assets.tables import queryable

pytestmark = pytest.mark.deploy

DAY, NEXT = date(2025, 4, 1), date(2025, 4, 2)
ROWS = {
    "products": ["1,1,Toys,Kite", "2,1,Toys,Ball", "3,1,Toys,"],
    "orders": ["1,1,7,2025-04-01T10:00:00,5.00", "2,2,8,2025-04-01T11:00:00,6.00"],
    "order_items": [
        "1,1,7,1,1,0,2025-04-01T10:00:00,1,5",
        "2,2,8,1,2,0,2025-04-01T11:00:00,1,5",
        "3,9,8,1,2,0,2025-04-01T11:00:00,1,5",
    ],
}


def content(dataset: str, *rows: str) -> bytes:
    columns = COLUMNS[dataset]
    filled = [",".join([*row.split(","), *[""] * len(columns)][: len(columns)]) for row in rows]
    return "\n".join([",".join(columns), *filled, ""]).encode()


@pytest.fixture
def shop(lake: World) -> World:
    """Two runs, the second of which changed each table of the orders."""
    lake.apply(*(Land(d, DAY, f"{d}.csv", content(d, *rows)) for d, rows in ROWS.items()), Run())
    late = content("orders", "3,1,7,2025-04-01T12:00:00,7.00", ROWS["orders"][1] + "0")
    lake.apply(Land("orders", NEXT, "late.csv", late), Run())
    return lake


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
    reopen(shop)


def reopen(shop: World) -> None:
    shop.lake = shop.lake.anew()
    shop.ledger = Ledger(shop.lake)


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
    reopen(shop)
    news = content("orders", "4,1,8,2025-04-01T13:00:00,9.00")
    shop.apply(Land("orders", NEXT, "news.csv", news), Run())
    shop.check()
    # Only now: a ledger that was cut knows the file again since that run.
    shop.apply(Withdraw("orders", NEXT, "late.csv"), Run())
    shop.check()
    assert not list(healed(shop.lake))
