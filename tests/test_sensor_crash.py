"""A real daemon, killed again and again between the launch of a run and the sensor's cursor."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from lakehouse_assets.defs.keys import PLAN_TAG
from lakehouse_assets.planning import pending_files
from lakehouse_assets.store.facts import Kind
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from resources.dagster_instance import open_instance
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.processes import end_group, until

KILLS = 5
HEADER = "department_id,department,product_id,product_name\n"

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def start_daemon(log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("dagster-daemon")), "run"],
            cwd=PROJECT,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def land(root: Path, number: int) -> None:
    folder = root / "raw" / "products" / f"2025-04-{15 + number % 3}"
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{number}.part"
    half.write_text(f"{HEADER}1,dairy,{number},milk\n")
    half.rename(folder / f"{number}.csv")


def test_nothing_is_missed_and_nothing_runs_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, log = tmp_path / "lakehouse", tmp_path / "daemon.log"
    for name, value in {
        "ROOT": str(root),
        "SETTLE_SECONDS": "0",
        "PATIENCE_MINUTES": "0",
        "SENSOR_INTERVAL_SECONDS": "1",
    }.items():
        monkeypatch.setenv(f"LAKEHOUSE_{name}", value)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings = Settings.load()
    started = []

    def runs() -> list[dg.DagsterRun]:
        return list(instance.get_runs(dg.RunsFilter(job_name="lakehouse")))

    def more_than(known: int) -> Callable[[], bool]:
        return lambda: len(runs()) > known

    with open_instance(settings) as instance:
        try:
            for number in range(KILLS):
                land(root, number)
                known = len(runs())
                started.append(start_daemon(log))
                watch(more_than(known), 300)
                started[-1].kill()
                assert started[-1].wait() == -signal.SIGKILL, log.read_text()[-3000:]
            land(root, KILLS)
            started.append(start_daemon(log))
            until(lambda: all(r.is_finished for r in runs()) and quiet(settings), 900, "quiet")
        finally:
            for daemon in started:
                end_group(daemon.pid)
                daemon.wait()
        found = runs()
    facts = Ledger(settings.lake()).facts()
    landed = Counter(fact.path.file for fact in facts if fact.kind is Kind.LANDED and fact.path)
    assert landed == {f"{number}.csv": 1 for number in range(KILLS + 1)}
    done = [r for r in found if r.status is dg.DagsterRunStatus.SUCCESS]
    assert max(Counter(r.tags["dagster/run_key"] for r in found).values()) == 1
    assert max(Counter(r.tags[PLAN_TAG] for r in done).values()) == 1
    assert log.read_text().count("Traceback") == 0


def watch(happened: Callable[[], bool], seconds: float) -> None:
    """Wait for it without a pause: what follows must strike at that very moment."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "no run in time"


def quiet(settings: Settings) -> bool:
    ledger = Ledger(settings.lake())
    plan = pending_files.of(ledger, DATASETS, DERIVED)
    return not plan and bool(ledger.state().paths)
