"""A look after one that found nothing pending: what it passes over, and what ends that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse_assets.operations import decide
from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.repeated_look import RepeatedLook
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from resources.settings import Settings
from tests.support.commands import GOOD, PRODUCTS, Lakehouse

LATER = datetime.now(UTC) + timedelta(hours=1)


class Looking:
    """Somebody who looks at a lake again and again, and how often that was a whole look."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lake: Lake = Settings(root=str(root)).lake()
        self.looks = RepeatedLook(DATASETS, DERIVED)
        self.whole = 0

    def plan(self, now: datetime = LATER) -> pending_files.Plan:
        return self.looks.plan(self.lake.fresh(), now)


@pytest.fixture
def looking(good_day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looking:
    found = Looking(Lakehouse.copied(good_day, tmp_path).root)
    of = pending_files.of

    def counted(*arguments: object) -> pending_files.Plan:
        found.whole += 1
        return of(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(pending_files, "of", counted)
    return found


def test_where_nothing_has_come_nothing_is_looked_at_again(looking: Looking) -> None:
    plans = [looking.plan() for _ in range(3)]
    assert not any(plans)
    assert looking.whole == 1


def file_comes(looking: Looking) -> None:
    (looking.root / "raw/products/2025-04-15/more.csv").write_text(PRODUCTS)


def file_changes(looking: Looking) -> None:
    (looking.root / "raw/products/2025-04-15/products.csv").write_text(
        PRODUCTS + "3,1,Books,Saga\n"
    )


def person_decides(looking: Looking) -> None:
    path = FilePath("orders", date(2025, 4, 15), "orders.csv")
    decide.withdraw(Ledger(looking.lake.fresh()), path)


@pytest.mark.parametrize("what", [file_comes, file_changes, person_decides])
def test_what_is_pending_is_seen_at_once_and_until_it_is_done(
    looking: Looking, what: Callable[[Looking], None]
) -> None:
    assert not looking.plan()
    what(looking)
    assert looking.plan()
    assert looking.plan()  # a plan that waits is made anew each time: tables move meanwhile
    assert looking.whole == 3


def file_goes(looking: Looking) -> None:
    (looking.root / "raw/products/2025-04-15/products.csv").unlink()


def day_begins(looking: Looking) -> None:
    looking.lake = replace(looking.lake, last_date=looking.lake.last_date + timedelta(days=1))


def ledger_is_another(looking: Looking) -> None:
    """As after a restore of the bucket: the same version, and another commit."""
    log = looking.root / "processed/ledger/_delta_log"
    newest = max(log.glob("*.json"))
    newest.write_bytes(newest.read_bytes() + b"\n")


def run_begins(looking: Looking) -> None:
    looking.looks.forget()


@pytest.mark.parametrize("what", [file_goes, day_begins, ledger_is_another, run_begins])
def test_what_may_make_something_pending_is_looked_at_whole_once(
    looking: Looking, what: Callable[[Looking], None]
) -> None:
    assert not looking.plan()
    what(looking)
    assert not looking.plan()
    assert not looking.plan()
    assert looking.whole == 2


def test_where_a_file_may_change_without_showing_it_every_look_is_whole(looking: Looking) -> None:
    """Within the grain of the storage's clock after its last change."""
    just_now = datetime.now(UTC)
    for file in (looking.root / "raw").rglob("*.csv"):
        file.touch()
    assert not looking.plan(just_now)
    assert not looking.plan(just_now)
    assert looking.whole == 2


def test_a_lost_table_is_found_by_whoever_looks_once(looking: Looking) -> None:
    assert not looking.plan()
    shutil.rmtree(looking.root / "processed/gold/daily_sales")
    assert not looking.plan()
    assert looking.whole == 1
    assert pending_files.of(Ledger(looking.lake), DATASETS, DERIVED)


def test_a_lake_without_anything_is_idle_too(looking: Looking, tmp_path: Path) -> None:
    looking.lake = Settings(root=str(tmp_path / "none")).lake()
    assert not looking.plan()
    assert not looking.plan()
    assert looking.whole == 1
    file = tmp_path / "none/raw/orders/2025-04-15/orders.csv"
    file.parent.mkdir(parents=True)
    file.write_text(GOOD["orders.csv"])
    assert looking.plan()
