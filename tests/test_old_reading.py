"""A lake whose files an earlier release has read otherwise: its next run reads them again, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.pipeline import bronze_judging
from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.settled_files import look
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.tables.registry import DATASETS
from tests.support.oracle import COLUMNS, Land, Run
from tests.support.sheet_and_csv import Drawn, workbook
from tests.support.world import World

DAY = date(2025, 4, 1)
FILE = "\n".join([",".join(COLUMNS["products"]), "1,1,Toys,Kite", "2,1,Toys,Ball", ""]).encode()


def test_files_are_read_again_once(lake: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        for module in (bronze_judging, pending_files):
            earlier.setattr(module, "READING", 1)
        lake.apply(Land("products", DAY, "p.csv", FILE))
        lake.run()
        # As a reader that did not see all of a cell would have left it.
        bronze = lake.table("bronze/products")
        assert bronze
        bronze.update({"product_name": "'Kit'"}, predicate="product_id = '1'")
        lake.reopen()
    plan = lake.plan()
    assert [p.reason for p in plan.files.values()] == ["files are read otherwise now"]
    lake.apply(Run())
    lake.check()
    assert not lake.ledger.state().waiting(lake.lake.raw)
    lake.run_again()
    assert not awake(lake)


def awake(lake: World) -> list[FilePath]:
    """The files that a plan looks at one by one."""
    return [*look(lake.ledger, DATASETS).state.paths]


def test_another_dialect_reads_files_again(lake: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says of rows and sheets' numbers is not a matter of the rules alone."""
    book = Drawn("orders", [[*COLUMNS["orders"]], [1, 1, 1, DAY, 12.5, None]])
    lake.apply(Land("orders", DAY, "o.xlsx", workbook([book])))
    lake.run()
    assert not awake(lake)
    comma = replace(DATASETS["orders"], dialect=Dialect(decimal=",", thousands="."))
    monkeypatch.setitem(DATASETS, "orders", comma)
    lake.reopen()
    plan = lake.plan()
    assert [p.reason for p in plan.files.values()] == ["files are read otherwise now"]
    lake.run()
    assert [row["total_amount"] for row in lake.rows("bronze/orders")] == ["12,5"]
    assert [row["total_amount"] for row in lake.rows("silver/orders")] == [Decimal("12.50")]
    assert not lake.plan()
    assert not awake(lake)
