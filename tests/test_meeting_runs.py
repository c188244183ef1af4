"""Runs that meet: both end right, or one says plainly that another is at work."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import PROJECT
from tests.support.commands import GOOD, ORDERS, Ended, Lakehouse, put

_HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""
_APPEND = """
import sys
from lakehouse_assets.store.facts import Fact, Maintained
from lakehouse_assets.store.ledger import Ledger
from resources.settings import Settings
ledger = Ledger(Settings.load().lake())
for n in range(8):
    ledger.append([Fact(Maintained(sys.argv[1], n))] * 2)
"""


@pytest.fixture
def house(tmp_path: Path) -> Lakehouse:
    """Files of two days, none of which has run."""
    house = Lakehouse(tmp_path)
    for name, content in GOOD.items():
        put(house, name, content)
    put(house, "orders.csv", ORDERS.replace("20.00", "30.00"), "2025-04-16")
    return house


@pytest.mark.slow
def test_two_runs_at_the_same_time(house: Lakehouse) -> None:
    """The same work, and other dates: each ends well, and the tables are what the files say."""
    day = ("--date", "2025-04-16")
    with ThreadPoolExecutor() as pool:
        both: list[Ended] = list(pool.map(lambda a: house("run", *a), [(), day]))
    assert [ended.code for ended in both] == [0, 0], both
    assert house.value("SELECT sum(revenue) FROM gold.daily_sales") == "35.01"
    assert house.value("SELECT count(*) FROM silver.order_items") == 3
    assert house.value("SELECT count(*) - count(DISTINCT seq) FROM ledger.facts") == 0
    assert "Nothing is pending" in house.ok("run")
    before = house.hashes()
    house.ok("replay", "--all")
    assert house.hashes() == before


@pytest.mark.slow
def test_who_finds_a_table_taken_says_so(house: Lakehouse) -> None:
    """One clear line after waiting; and a dead process's lock does not stay."""
    lock = house.root / "locks" / "silver.orders.lock"
    lock.parent.mkdir(parents=True)
    house.environment["LAKEHOUSE_PATIENCE_SECONDS"] = "1"
    hold = [sys.executable, "-c", _HOLD, str(lock)]
    with subprocess.Popen(hold, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            refused = house("run")
            restored = house("restore", "--to", "2025-01-01")
        finally:
            holder.kill()
    assert refused.code == 1
    assert "silver.orders: another process has been at work on it for 1 s; wait" in refused.err
    assert (restored.code, "another process" in restored.err) == (1, True)
    house.ok("run")
    assert house.value("SELECT sum(revenue) FROM gold.daily_sales") == "35.01"


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_behind(house: Lakehouse) -> None:
    """Its locks are free, the next run ends well, and Dagster knows that it failed."""
    run = house.start("run")
    table = house.root / "processed" / "silver" / "orders" / "_delta_log"
    while run.poll() is None and not table.is_dir():
        time.sleep(0.005)
    run.kill()
    assert run.wait() == -signal.SIGKILL, "it had ended before it was killed"
    house.ok("run")
    assert house.value("SELECT sum(revenue) FROM gold.daily_sales") == "35.01"
    runs = house.root / "dagster" / "history" / "runs.db"
    with closing(sqlite3.connect(runs)) as database:
        statuses = database.execute("SELECT status FROM runs ORDER BY id").fetchall()
    assert statuses == [("FAILURE",), ("SUCCESS",)]
    assert not list((house.root / "locks").glob("run-*"))


def test_facts_of_several_processes_are_all_there_in_one_order(house: Lakehouse) -> None:
    """No fact is lost, none stands twice, no number is given twice."""
    names = ("a", "b", "c", "d")
    appending = [
        subprocess.Popen([sys.executable, "-c", _APPEND, name], env=house.environment, cwd=PROJECT)
        for name in names
    ]
    assert [process.wait() for process in appending] == [0] * len(names)
    facts = house.rows("SELECT seq, detail FROM ledger.facts ORDER BY seq")
    assert [fact["seq"] for fact in facts] == list(range(1, 1 + 2 * 8 * len(names)))
    for name in names:
        mine = [fact["detail"] for fact in facts if f'"table": "{name}"' in fact["detail"]]
        assert mine == sorted(mine)
        assert len(mine) == 16
