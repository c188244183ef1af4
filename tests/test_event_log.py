"""The event log of a laptop: Dagster's own databases, with connections that are kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from resources import event_log
from resources.dagster_instance import open_instance
from resources.event_log import SqliteEventLog
from resources.settings import Settings


@dg.asset(check_specs=[dg.AssetCheckSpec("good", asset="table")])
def table() -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Stand for a table, with events of the kinds that a run has most of."""
    yield dg.MaterializeResult(metadata={"rows": 7})
    yield dg.AssetCheckResult(check_name="good", passed=True)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance(Settings(root=str(tmp_path))) as instance:
        yield instance


def materialized(instance: dg.DagsterInstance) -> str:
    return dg.materialize([table], instance=instance).run_id


def test_a_statement_opens_no_connection(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = materialized(instance)
    report(instance)  # the first event without a run makes its database
    opened: list[str] = []
    connect = sqlite3.dbapi2.connect

    def counted(place: str, *more: object, **options: object) -> sqlite3.Connection:
        opened.append(place)
        return connect(place, *more, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3.dbapi2, "connect", counted)
    report(instance)
    assert instance.all_logs(run)
    assert not opened


def report(instance: dg.DagsterInstance) -> None:
    """Put a materialization and a check's outcome on record."""
    instance.report_runless_asset_event(dg.AssetMaterialization("table"))
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(check_name="good", asset_key=table.key, passed=True)
    )


def test_what_it_writes_dagsters_own_class_reads(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    run = materialized(instance)
    assert isinstance(instance.event_log_storage, SqliteEventLog)
    theirs = SqliteEventLogStorage(str(tmp_path / "dagster" / "history" / "runs"))
    kinds = [entry.dagster_event_type for entry in theirs.get_logs_for_run(run)]
    assert kinds == [entry.dagster_event_type for entry in instance.all_logs(run)]
    assert dg.DagsterEventType.ASSET_CHECK_EVALUATION in kinds
    assert theirs.get_latest_materialization_events([dg.AssetKey("table")])[dg.AssetKey("table")]


def test_materializations_are_read_anew_once_there_are_others(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another process has stored them; and after they were wiped."""
    asked: list[int] = []
    read = SqliteEventLogStorage.fetch_materializations

    def counted(self: SqliteEventLogStorage, *more: Any, **options: Any) -> Any:
        asked.append(1)
        return read(self, *more, **options)

    monkeypatch.setattr(SqliteEventLogStorage, "fetch_materializations", counted)

    def found() -> list[str]:
        records = instance.fetch_materializations(table.key, limit=9).records
        return [record.run_id for record in records]

    first = materialized(instance)
    asked.clear()
    assert found() == found() == [first]
    assert len(asked) == 1
    # As another process has it: an instance of its own, on the same files.
    with dg.DagsterInstance.from_ref(instance.get_ref()) as other:
        second = materialized(other)
    assert found() == [second, first]
    assert [r.run_id for r in instance.fetch_materializations(table.key, limit=1).records] == [
        second
    ]
    instance.wipe_assets([table.key])
    assert found() == []


def test_few_databases_are_kept_open_and_forgotten_ones_open_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "_MOST_KEPT", 2)
    runs = [materialized(instance) for _ in range(3)]
    assert all(instance.all_logs(run) for run in runs)
    storage = instance.event_log_storage
    assert isinstance(storage, SqliteEventLog)
    assert len(storage._engines) == 2


def test_a_wiped_log_is_empty_and_goes_on(instance: dg.DagsterInstance) -> None:
    run = materialized(instance)
    instance.wipe()
    assert not instance.all_logs(run)
    assert instance.all_logs(materialized(instance))
