"""A held file: why, in which rows, and what a person can do."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.operations.held_rows import held_rows
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.tables.registry import DATASETS
from tests.support.commands import Lakehouse
from tests.support.oracle import Land, Run
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HEADER = "order_id,order_num,user_id,order_timestamp,total_amount,date\n"


def orders(faulty: int) -> str:
    """A hundred and twenty orders, of which so many have an amount that is none."""
    return HEADER + "".join(
        f"{n},{n},7,2025-05-01T10:00:00,{'3.30003' if n <= faulty else '3.30'},2025-05-01\n"
        for n in range(1, 121)
    )


@pytest.mark.slow
def test_a_held_file_says_why_and_shows_its_rows_until_it_is_accepted(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path)
    file = tmp_path / "orders.csv"
    file.write_text(orders(faulty=30))
    assert lakehouse("land", str(file), "--date", "2025-05-01").code == 0
    done = lakehouse("run")
    assert done.code == 1
    why = "held: 30 of 120 rows break a rule: total_amount.type 30 (line 2: 3.30003);"
    assert f"orders/2025-05-01/orders.csv: {why}" in done.err
    receipts = "SELECT error FROM ledger.receipts ORDER BY seq DESC LIMIT 1"
    [receipt] = json.loads(lakehouse("query", receipts, "--format", "json").out)
    assert receipt["error"].startswith(why)
    shown = lakehouse("rejected", "orders", "--held", "--format", "json", "--limit", "200")
    rows = json.loads(shown.out)
    assert [row["order_id"] for row in rows] == [str(n) for n in range(1, 31)]
    assert all(row["_rules"] == ["total_amount.type"] for row in rows)
    assert lakehouse("accept", "orders/2025-05-01/orders.csv", "--why", "known").code == 0
    done = lakehouse("run")
    assert done.code == 0, done.err
    assert json.loads(lakehouse("rejected", "orders", "--held", "--format", "json").out) == []


def test_only_the_bytes_that_are_held_are_shown(lake: World, spark: SparkSession) -> None:
    """Kept aside or at their path; never those that lie there by now, and have not landed."""
    path = FilePath("orders", date(2025, 5, 1), "orders.csv")
    content = orders(faulty=30).encode()
    digest = hashlib.sha256(content).hexdigest()
    lake.apply(Land(*path, content), Run())

    def shown() -> tuple[int, list[str]]:
        found = held_rows(spark, lake.lake, lake.ledger.followed(), DATASETS["orders"])
        return len(found.rows), found.gone

    assert shown() == (30, [])
    lake.lake.storage.write(lake.lake.aside(path, digest), content)
    lake.lake.raw.write(str(path), orders(faulty=40).encode())
    assert shown() == (30, [])
    lake.lake.storage.delete(lake.lake.aside(path, digest))
    gone = (
        f"orders/2025-05-01/orders.csv: the held bytes {digest[:12]} are gone; land the file again"
    )
    assert shown() == (0, [gone])
