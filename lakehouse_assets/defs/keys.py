"""What Dagster knows the lakehouse's things by: asset keys, the job's name, tags of runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

if TYPE_CHECKING:
    from datetime import date

JOB: Final = "lakehouse"
"""The job that takes raw files to gold; sensor, schedule and command line start runs of it."""
ASSET_JOB: Final = "__ASSET_JOB"
"""What backfills and the UI's materialize button start; Dagster does not export the name."""

RECEIPTS_KEY: Final = dg.AssetKey("receipts")
ARCHIVE_KEY: Final = dg.AssetKey("archive")
CATALOG_KEY: Final = dg.AssetKey("catalog")

WAREHOUSE: Final = "warehouse"
"""Group, and beginning of the keys, of what is loaded into the warehouse."""

OWNERS: Final = ["team:data-engineering"]
FRESH: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24))

REPLAY_TAG: Final = "lakehouse/replay"
"""A run with this tag, set to true, derives its dates anew although nothing has changed."""
LINES: Final = "lines"
"""Metadata of a materialization: what the table's job had to say, a line each."""

FAILING_DATES: Final = "failing_dates"
"""Metadata of a check's evaluation of all dates: those that fail now, and how badly.

It tells of dates that other runs have judged: no outcome of its own run.
"""

# The UI hides tags that begin like Dagster's own hidden ones: these are for machines.
PLAN_TAG: Final = ".dagster/lakehouse_plan"
"""Digest of what was pending when the run was requested."""
ATTEMPT_TAG: Final = ".dagster/lakehouse_attempt"
"""Which attempt at its plan the run is, from 1."""
QUIET: Final = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run config of a run whose events are on record alone, and not in a terminal as well.

Dagster prints a stack trace of its own of a run that fails, also where only a file is bad.
"""
STARTED_BY_TAG: Final = "lakehouse/started_by"
REPORTED_TAG: Final = ".dagster/lakehouse_reported"
"""A run with this tag has been reported: a sensor's cursor may be lost, or reset by a person."""


def asset_key(table: str) -> dg.AssetKey:
    """Key of the asset of a table, or of raw files, by its id: layer and name."""
    return dg.AssetKey(table.split("."))


def not_in_runs(*, draw: bool) -> dg.AssetSelection:
    """What runs of the job leave alone: raw files, and dashboards unless runs ``draw`` them."""
    return dg.AssetSelection.groups("raw", *(() if draw else ("dashboards",)))


def partitions(first: date) -> dg.DailyPartitionsDefinition:
    """Batch dates, up to tomorrow's in UTC: east of Greenwich it is that day already."""
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=2)
