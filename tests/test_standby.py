"""The job's second door: it carries a batch while Dagster is down, and leaves it nothing to do."""

from __future__ import annotations

import logging
import shutil
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.glue import job
from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.planning import pending_files
from lakehouse_assets.store.facts import Fact, Resumed
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.jobs import jobs
from lakehouse_assets.tables.registry import DATASETS, DERIVED, table_ids
from resources.glue_jobs import REGION, SETTINGS, STANDBY, TABLE
from resources.settings import Settings
from tests.support import SAMPLE
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAYS = ("2025-04-15", "2025-04-16")


@pytest.fixture(autouse=True)
def embedded(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Glue's session is the embedded engine's."""
    monkeypatch.setattr(job, "session", lambda _: spark)


def landed(root: Path) -> None:
    for file in SAMPLE.glob("*/*/*"):
        if file.parent.name in DAYS:
            target = root / "raw" / file.relative_to(SAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


@pytest.mark.slow
def test_it_takes_in_all_that_is_pending_and_nothing_is_left(
    lake: World,
) -> None:
    """By its arguments alone, one table after the other; a run of Dagster's finds it done."""
    landed(lake.root / "lake")
    settings = Settings(root=str(lake.root / "lake"))
    for table in table_ids():
        given = [REGION, "eu-west-1", STANDBY, "night-1", TABLE, table]
        given += [SETTINGS, settings.model_dump_json(exclude_unset=True)]
        job.main(["job.py", "--JOB_NAME", "x", *given])
    ledger = Ledger(settings.lake())
    assert not pending_files.of(ledger, DATASETS, DERIVED)
    assert {fact.run_id for fact in ledger.facts()} == {"standby-night-1"}
    by_standby = lake.content_hash()
    versions = ledger.lake.versions(t for it in jobs().values() for t in it.writes)
    lake.reopen()
    lake.run([date.fromisoformat(day) for day in DAYS])  # as Dagster does when it is back
    assert lake.ledger.lake.versions(t for it in jobs().values() for t in it.writes) == versions
    assert lake.content_hash() == by_standby


def test_it_takes_in_nothing_while_a_restore_is_half_done(lake: World) -> None:
    landed(lake.root / "lake")
    settings = Settings(root=str(lake.root / "lake"))
    Ledger(settings.lake()).append([Fact(Resumed("an-earlier-run", 1))])
    with pytest.raises(LakehouseError, match="a restore, or its end, is half done"):
        job.stand_in(settings, "bronze.orders", "standby-1")
    assert not lake.rows("bronze/orders")


def test_what_dagster_starts_goes_by_the_first_door(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(**_: object) -> None:
        raise ConnectionError("Pipes")

    monkeypatch.setattr(job, "open_dagster_pipes", opened)
    with pytest.raises(ConnectionError, match="Pipes"):
        job.main(["job.py", REGION, "eu-west-1", "--dagster-pipes-context", "x"])


def test_what_is_held_is_logged_and_lets_the_rest_through(
    lake: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed(lake.root / "lake")
    bad = lake.root / "lake/raw/orders/2025-04-16/broken.csv"
    bad.write_bytes(b"nothing,here\n1,2\n")
    monkeypatch.setattr(logging.getLogger("lakehouse"), "propagate", True)
    settings = Settings(root=str(lake.root / "lake"))
    job.stand_in(settings, "bronze.orders", "standby-1")
    assert "orders/2025-04-16/broken.csv" in caplog.text
    assert lake.rows("bronze/orders")
