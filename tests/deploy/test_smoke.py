"""The smoke batch against a lakehouse on S3: it comes through, leaves nothing, and can fail."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.smoke import Batch, SmokeError, smoke
from lakehouse_assets.store.ledger import Ledger
from resources.duckdb_engine import query
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.object_store import BUCKET, Store

pytestmark = [pytest.mark.deploy, pytest.mark.aws, pytest.mark.timeout(600)]


@pytest.fixture
def settings(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty lakehouse on S3."""
    for name, value in store.environment(failing=False).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAKEHOUSE_ROOT", f"s3://{BUCKET}/{tmp_path.name}")
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    return Settings.load()


@contextmanager
def somebody_runs() -> Iterator[None]:
    """In the sensor's place: whatever is pending is run, again and again."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(1):
            subprocess.run(
                [sys.executable, "-m", "lakehouse_assets.cli", "run"],
                cwd=PROJECT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_batch_comes_through_and_leaves_no_row(settings: Settings) -> None:
    program = [sys.executable, "-m", "deploy.smoke", "--minutes", "4"]
    with somebody_runs():
        done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": withdrawn\n") == 3
    assert "the tables have forgotten it" in done.stdout
    lake = settings.lake()
    for table in ("gold.daily_sales", "gold.customer_insights", "silver.products"):
        assert query(lake, f"SELECT count(*) FROM {table}")[1] == [(0,)]
    assert list(lake.raw_files()) == []


def test_a_batch_that_nobody_runs_fails_and_is_taken_back(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = Batch(17, datetime.now(UTC).date())
    with pytest.raises(SmokeError, match=r"after 0\.1 s the query engine says .*; see the sensor"):
        smoke(settings, batch, seconds=0.1, pause=0.1)
    assert capsys.readouterr().out.count("had not landed; removed") == 3
    assert list(settings.lake().raw_files()) == []
    assert not Ledger(settings.lake()).state().paths


def test_what_is_not_all_there_is_not_enough(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer without the order's lines: the answer is compared, not only awaited."""
    monkeypatch.setattr(Batch, "ask", lambda self, settings: [(1, 0, Batch.expected)])
    with pytest.raises(SmokeError, match=r"says \[\(1, 0"):
        smoke(settings, Batch(18, datetime.now(UTC).date()), seconds=0.1, pause=0.1)


def test_the_views_are_made_once_the_tables_are_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch(19, datetime.now(UTC).date())
    asked: list[str] = []

    class Engine:
        def stream_named(self, _: object) -> tuple[list[str], list[Any]]:
            asked.append("answer")
            return [], batch.expected if "views" not in asked else []

        def create_views(self) -> None:
            asked.append("views")

    monkeypatch.setattr("deploy.smoke.query_engine", lambda _: Engine())
    monkeypatch.setattr("deploy.smoke.everything", lambda answer: answer)
    smoke(settings, batch, seconds=1, pause=0.1)
    assert asked == ["answer", "views", "answer"]
