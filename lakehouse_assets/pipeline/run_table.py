"""Which code does a table's work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline import bronze, derived, silver
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.planning.staleness import table_reason
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.jobs import jobs
from lakehouse_assets.tables.registry import DATASETS, DERIVED

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse_assets.parse import Limits
    from lakehouse_assets.store.lake import Lake


def has_news(lake: Lake, table: str, dates: Sequence[date], *, replay: bool = False) -> bool:
    """Whether a run of these dates would change the table; else it only reports on it.

    Raises KeyError for an unknown table.
    """
    ledger = Ledger(lake)
    state = ledger.followed()
    if state.frozen:
        return False
    job = jobs()[table]
    if job.table.layer == Layer.BRONZE:
        return bronze.has_news(lake, state, DATASETS[job.table.name], sorted(set(dates)))
    return replay or table_reason(job, state, lake.versions(job.tables)) is not None


def run_table(
    spark: SparkSession,
    lake: Lake,
    table: str,
    dates: Sequence[date],
    run_id: str,
    limits: Limits | None = None,
    *,
    replay: bool = False,
) -> Result:
    """Bring one table up to date with the batches of these dates.

    Bronze reads the dates' files. Silver, gold and marts take in whatever has changed since they
    last did; the dates only say what to report on, and with ``replay`` what to derive again
    although nothing has changed. Running it again changes nothing. While a restore stands it
    only reports. Raises KeyError for an unknown table, AuditError where the result may not be
    published.
    """
    started, cpu = time.perf_counter(), time.process_time()
    layer, name = table.split(".")
    lake = lake.fresh()
    ledger = Ledger(lake)
    days = sorted(set(dates))
    with Workspace(spark, lake, run_id, table) as work:
        if layer == "bronze":
            result = bronze.run(work, ledger, DATASETS[name], days, limits)
        elif layer == "silver":
            result = silver.run(work, ledger, DATASETS[name], days, replay=replay)
        else:
            result = derived.run(work, ledger, DERIVED[table], days, replay=replay)
    result.metadata["seconds"] = round(time.perf_counter() - started, 3)
    result.metadata["cpu_seconds"] = round(time.process_time() - cpu, 3)
    return result
