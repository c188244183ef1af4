"""The same files through the Glue runner and through the embedded engine: the same tables.

Spark runs in the Glue process, from the wheels, and writes Delta to S3.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from deploy.glue.definition import job_definition
from deploy.glue.standby import definition
from lakehouse_assets.defs.keys import partitions
from lakehouse_assets.defs.schedules import maintenance
from lakehouse_assets.defs.table_assets import table_assets
from lakehouse_assets.planning import pending_files
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.jobs import jobs
from lakehouse_assets.tables.registry import DATASETS, DERIVED, queryable, table_ids
from resources.glue_jobs import glue_job
from resources.runners import runner
from resources.settings import Settings
from tests.support import PROJECT, SAMPLE
from tests.support.glue_runtime import LocalGlue
from tests.support.state_machines import carried_out

pytestmark = [pytest.mark.aws, pytest.mark.spark, pytest.mark.timeout(1800)]

ROLE = "arn:aws:iam::123456789012:role/glue"
DAYS = [date(2025, 4, 15), date(2025, 4, 16), date(2025, 4, 17), date(2025, 4, 18)]


def materialize(tables: Sequence[str], days: Sequence[date]) -> dict[str, Any]:
    """Bring tables up to date by one run of these days; returns the metadata of each."""
    settings = Settings.load()
    days_there = partitions(settings.first_date)
    keys = [dg.AssetKey(table.split(".")) for table in tables]
    ranged = {
        "dagster/asset_partition_range_start": str(days[0]),
        "dagster/asset_partition_range_end": str(days[-1]),
    }
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [a for a in table_assets(settings.lake(), days_there) if a.key in keys],
            instance=instance,
            resources={"runner": runner(settings), "lakehouse": settings.lakehouse},
            partition_key=str(days[0]) if len(days) == 1 else None,
            tags=ranged if len(days) > 1 else {},
        )
        assert done.success
        return {
            e.asset_key.to_user_string(): e.materialization.metadata
            for e in done.get_asset_materialization_events()
            if e.asset_key
        }


def content(tables: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each table, over the contract's columns, in one order."""
    lake = Settings.load().lake()
    contracts = [*(d.bronze for d in DATASETS.values()), *(d.silver for d in DATASETS.values())]
    contracts += [t.table for t in DERIVED.values()]
    found = {}
    for table in contracts:
        if table.id in tables:
            columns = ", ".join(f'"{c.name}"' for c in table.payload)
            rows = lake.rows(table, f"SELECT {columns} FROM t")
            found[table.id] = sorted(rows, key=lambda row: str(sorted(row.items())))
    return found


@contextmanager
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Another lake, in a folder, for a while."""
    with monkeypatch.context() as patch:
        patch.setenv("LAKEHOUSE_ROOT", str(folder))
        patch.setenv("LAKEHOUSE_RUNNER", "local")
        yield


def deploy(glue: LocalGlue) -> None:
    """The tables' jobs, as the stacks make them."""
    settings = Settings.load()
    script = glue.put(
        "deployment/etl_scripts/job.py", (PROJECT / "deploy/glue/job.py").read_bytes()
    )
    wheels = "s3://lake/deployment/etl_scripts/lakehouse.gluewheels.zip"
    for table, job in jobs().items():
        name = glue_job(settings.glue_job_prefix, table)
        told = job_definition(name, job.table, ROLE, "us-east-1", script, wheels)
        glue.client("glue").create_job(**told | {"Timeout": 1200})


def arrive(glue: LocalGlue, folder: Path, days: Sequence[date]) -> None:
    """The sample's files of these days, in the bucket and in a folder."""
    for file in sorted(SAMPLE.glob("*/*/*")):
        path = file.relative_to(SAMPLE)
        if date.fromisoformat(path.parts[1]) in days:
            glue.put(f"raw/{path.as_posix()}", file.read_bytes())
            target = folder / "raw" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def both(
    glue: LocalGlue, folder: Path, patch: pytest.MonkeyPatch, tables: list[str], days: list[date]
) -> dict[str, Any]:
    """The tables by Glue and by the embedded engine, compared; what Glue's runs told."""
    deploy(glue)
    arrive(glue, folder, days)
    told = materialize(tables, days)
    started = glue.requests.count("StartJobRun")
    assert started == len(tables)
    for metadata in materialize(tables, days).values():  # no news: nothing is started, all is said
        if "dpu_seconds" in metadata:
            assert metadata["dpu_seconds"].value == metadata["cost_usd"].value == 0
    assert glue.requests.count("StartJobRun") == started
    by_glue = content(tables)
    with here(folder, patch):
        materialize(tables, days)
        embedded = content(tables)
    assert all(embedded.values())
    assert by_glue == embedded
    return told


@pytest.mark.long
def test_a_state_machine_carries_a_batch_while_dagster_is_down(
    glue: LocalGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gold is right, and Dagster, when it is back, starts nothing."""
    deploy(glue)
    arrive(glue, tmp_path / "here", DAYS[:1])
    settings = Settings.load()
    told = json.dumps(settings.of_a_job())
    ended = carried_out(definition(settings.glue_job_prefix, told), glue, tmp_path)
    assert ended["status"] == "SUCCEEDED", (ended["error"], ended["cause"])
    tables = table_ids()
    assert glue.requests.count("StartJobRun") == len(tables)
    lake = Settings.load().lake()
    assert not pending_files.of(Ledger(lake), DATASETS, DERIVED)
    by_standby, versions = content(tables), lake.versions(queryable().values())
    materialize(tables, DAYS[:1])
    assert glue.requests.count("StartJobRun") == len(tables)
    assert Settings.load().lake().versions(queryable().values()) == versions
    with here(tmp_path / "here", monkeypatch):
        materialize(tables, DAYS[:1])
        assert by_standby == content(tables)


@pytest.mark.slow
def test_a_dataset_comes_out_the_same(
    glue: LocalGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = ["bronze.products", "silver.products"]
    told = both(glue, tmp_path / "here", monkeypatch, tables, DAYS[:1])
    for table in tables:  # the raw files have events, too
        metadata = told[table.replace(".", "/")]
        assert metadata["dpu_seconds"].value >= 600
        assert metadata["cost_usd"].value > 0


@pytest.mark.long
def test_maintenance_is_the_jobs_work(
    glue: LocalGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each table's job rewrites its files with Spark, and no run takes that for a change."""
    tables = ["bronze.products", "silver.products"]
    both(glue, tmp_path / "here", monkeypatch, tables, DAYS)
    before = content(tables)
    ledger = Ledger(Settings.load().lake())
    with dg.DagsterInstance.ephemeral() as instance:
        done = maintenance.execute_in_process(
            instance=instance, resources={"runner": runner(Settings.load())}
        )
        assert done.success
    assert content(tables) == before
    versions = {name: ledger.lake.version(queryable()[name]) for name in tables}
    state = ledger.state()
    assert {name: state.maintained[name] for name in tables} == versions
    read = state.absorbed["silver.products"].inputs["bronze.products"]
    assert read.version == versions[tables[0]]
    products = ledger.lake.delta(queryable()["silver.products"])
    assert products
    assert "OPTIMIZE" in {commit["operation"] for commit in products.history()}
    started = glue.requests.count("StartJobRun")
    with dg.DagsterInstance.ephemeral() as instance:  # the night after, with nothing in between
        again = maintenance.execute_in_process(
            instance=instance, resources={"runner": runner(Settings.load())}
        )
        assert again.success
    assert glue.requests.count("StartJobRun") == started


@pytest.mark.long
def test_the_whole_sample_comes_out_the_same(
    glue: LocalGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(glue, tmp_path / "here", monkeypatch, table_ids(), DAYS)
