"""Back and forth in time by the command line: history, --as-of, restore, resume, replay, upkeep."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakehouse_assets.store.facts import Fact, Restored
from lakehouse_assets.store.ledger import Ledger
from resources.settings import Settings
from tests.support import Once
from tests.support.commands import GOOD, ORDERS, PRODUCTS, Lakehouse, put

DAILY = "SELECT order_date, orders, revenue FROM gold.daily_sales ORDER BY order_date"
LATER = ORDERS.replace("2,11,8,2025-04-02T10:00:00,5.01", "2,11,8,2025-04-03T10:00:00,7.00")


@pytest.fixture
def two_runs(once: Once, good_day: Path, tmp_path: Path) -> Lakehouse:
    """A day, then a correction that moves an order to another day."""

    def make(folder: Path) -> None:
        house = Lakehouse.copied(good_day, folder)
        put(house, "orders.csv", LATER, "2025-04-16")
        house.ok("run")

    return Lakehouse.copied(once("two-runs", make), tmp_path)


def runs(house: Lakehouse) -> list[str]:
    """The runs that read files, as history lists them: newest first."""
    rows = json.loads(house.ok("history", "--format", "json"))
    return [row["run"] for row in rows if row["files read"]]


def test_history_says_what_each_run_did(two_runs: Lakehouse) -> None:
    """Its dates, files and rows."""
    rows = json.loads(two_runs.ok("history", "--format", "json"))
    newest, oldest = [row for row in rows if row["files read"]]
    assert (oldest["batch dates"], oldest["files read"]) == ("2025-04-15", 3)
    assert (newest["batch dates"], newest["files read"]) == ("2025-04-16", 1)
    assert (newest["silver +"], newest["silver -"]) == (2, 2)


@pytest.mark.slow
def test_restore_and_resume(two_runs: Lakehouse) -> None:
    """Restored tables are what --as-of shows; what lands meanwhile waits; resume undoes it."""
    newest, before = runs(two_runs)
    as_of = two_runs.ok("query", DAILY, "--as-of", before)
    after, hashes = two_runs.ok("query", DAILY), two_runs.hashes()
    assert as_of != after
    assert two_runs.ok("query", DAILY, "--as-of", newest) == after
    today = f"{datetime.now(UTC):%Y-%m-%d}"  # to its end
    assert two_runs.ok("query", DAILY, "--as-of", today) == after

    assert before in two_runs.ok("restore", "--to", before)
    assert two_runs.ok("query", DAILY) == as_of
    assert two_runs.value("SELECT count(*) FROM bronze.orders") == 2
    late = put(two_runs, "products_late.csv", PRODUCTS.replace("Novel", "Poem"), "2025-04-17")
    waiting = two_runs("run")
    assert (waiting.code, "resume" in waiting.err) == (0, True)
    two_runs.ok("run", "--date", "2025-04-17")
    assert two_runs.ok("query", DAILY) == as_of

    two_runs.ok("resume")
    assert two_runs.hashes() == hashes
    assert "products_late.csv (new)" in two_runs.ok("status")
    late.unlink()
    assert "Nothing is pending" in two_runs.ok("run")
    again = two_runs("resume")
    assert (again.code, again.err.count("\n")) == (1, 1)


@pytest.mark.slow
def test_replay_and_maintenance_leave_the_same_tables(two_runs: Lakehouse) -> None:
    """Derived anew, compacted and ordered: the same rows, and nothing pending afterwards."""
    before = two_runs.hashes()
    two_runs.ok("replay", "--from", "2025-04-15", "--to", "2025-04-16")
    two_runs.ok("replay", "--all")
    assert "silver.orders" in two_runs.ok("maintain")
    assert two_runs.hashes() == before
    assert "Nothing is pending" in two_runs.ok("run")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("restore", "--to", "deadbeef"), "not the beginning of a run's id, and not a time"),
        (("restore", "--to", "2001-01-01"), "no run had published anything by then"),
        (("query", DAILY, "--as-of", "2001-01-01T00:00:00"), "no run had published"),
        (("replay",), "--all"),
        (("replay", "--all", "--from", "2025-04-15"), "--all"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    two_runs: Lakehouse, arguments: tuple[str, ...], says: str
) -> None:
    """And it ends non-zero."""
    ended = two_runs(*arguments)
    assert ended.code == 1
    assert says in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.slow
def test_dry_run_tells_what_the_run_then_does(tmp_path: Path) -> None:
    """Dates, files with why, rows, fates, grains; nothing is committed, landed or left behind."""

    def fates(printed: str) -> list[str]:
        return [
            line for line in printed.splitlines() if line.startswith(("│ order", "│ products "))
        ]

    house = Lakehouse(tmp_path)
    empty = house("run", "--dry-run")
    assert empty.out == "Nothing has landed yet: lakehouse land FILE puts files in.\n"
    for name, content in GOOD.items():
        put(house, name, content)
    told = house.ok("run", "--dry-run")
    assert "2025-04-15" in told
    assert "orders/2025-04-15/orders.csv" in told
    assert not [left for left in (house.root / "processed").rglob("*") if left.is_file()]
    silver = next(line for line in told.splitlines() if "│ gold.daily_sales" in line)
    assert [c.strip() for c in silver.split("│")[3:6]] == ["2", "0", "2"]  # in, out, grains
    assert "2025-04-01; 2025-04-02" in silver
    assert len(fates(told)) == 3
    assert fates(house.ok("run")) == fates(told)
    assert house.value("SELECT count(*) FROM gold.daily_sales") == 2


def test_dry_run_only_says_that_a_restore_was_left_halfway(two_runs: Lakehouse) -> None:
    """Its process died once it was announced: a run finishes it, a dry run writes nothing."""
    ledger = Ledger(Settings(root=str(two_runs.root)).lake())
    state = ledger.state()
    first = state.published[0]
    ledger.append([Fact(Restored(first.run_id or "", first.seq, state.seq), run_id="died")])
    before = two_runs.versions()
    assert "left halfway" in two_runs.ok("run", "--dry-run")
    assert two_runs.versions() == before
    two_runs.ok("run")
    assert ledger.state().unfinished is None
    two_runs.ok("resume")
