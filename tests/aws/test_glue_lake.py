"""The same files through the Glue runner and through the embedded engine: the same tables.

Spark runs in the Glue process, from the wheels, and writes Delta to S3.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from deploy.glue.definition import job_definition
from lakehouse_assets.defs.keys import partitions
from lakehouse_assets.defs.schedules import maintenance
from lakehouse_assets.defs.table_assets import table_assets
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Dataset, Gold
from lakehouse_assets.tables.registry import DATASETS, GOLD, queryable, table_ids
from resources.runners import glue_job, runner
from resources.settings import Settings
from tests.support import PROJECT, SAMPLE
from tests.support.glue_runtime import LocalGlue

pytestmark = [pytest.mark.aws, pytest.mark.spark, pytest.mark.timeout(1800)]

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
    contracts += [g.table for g in GOLD.values()]
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


def both(
    glue: LocalGlue, folder: Path, patch: pytest.MonkeyPatch, tables: list[str], days: list[date]
) -> dict[str, Any]:
    """The tables by Glue and by the embedded engine, compared; what Glue's runs told."""
    settings = Settings.load()
    script = glue.put(
        "deployment/etl_scripts/job.py", (PROJECT / "deploy/glue/job.py").read_bytes()
    )
    wheels = "s3://lake/deployment/etl_scripts/lakehouse.gluewheels.zip"
    contracts: list[Dataset | Gold] = [*DATASETS.values(), *GOLD.values()]
    for found in contracts:
        derived = [found.bronze, found.silver] if isinstance(found, Dataset) else [found.table]
        for table in derived:
            name = glue_job(settings.glue_job_prefix, table.id)
            job = job_definition(name, table, "arn:aws:iam::123456789012:role/glue", script, wheels)
            glue.client("glue").create_job(**job | {"Timeout": 1200})
    for file in sorted(SAMPLE.glob("*/*/*")):
        path = file.relative_to(SAMPLE)
        if date.fromisoformat(path.parts[1]) in days:
            glue.put(f"raw/{path.as_posix()}", file.read_bytes())
            target = folder / "raw" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    told = materialize(tables, days)
    by_glue = content(tables)
    with here(folder, patch):
        materialize(tables, days)
        embedded = content(tables)
    assert all(embedded.values())
    assert by_glue == embedded
    return told


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


@pytest.mark.long
def test_the_whole_sample_comes_out_the_same(
    glue: LocalGlue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both(glue, tmp_path / "here", monkeypatch, table_ids(), DAYS)
