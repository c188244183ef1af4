"""A lake whose files an earlier release has read otherwise: its next run reads them again, once."""

from __future__ import annotations

from datetime import date

import pytest

from lakehouse_assets.pipeline import bronze_judging
from lakehouse_assets.planning import pending_files
from tests.support.oracle import COLUMNS, Land, Run
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
