"""What Dagster knows the lakehouse's things by: asset keys, the job's name, tags of runs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import dagster as dg

if TYPE_CHECKING:
    from datetime import date

JOB: Final = "lakehouse"
"""The job that takes raw files to gold; sensor, schedule and command line start runs of it."""

RECEIPTS_KEY: Final = dg.AssetKey("receipts")
ARCHIVE_KEY: Final = dg.AssetKey("archive")
CATALOG_KEY: Final = dg.AssetKey("catalog")

OWNERS: Final = ["team:data-engineering"]
FRESH: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24))

REPLAY_TAG: Final = "lakehouse/replay"
"""A run with this tag, set to true, derives its dates anew although nothing has changed."""
LINES: Final = "lines"
"""Metadata of a materialization: what the table's job had to say, a line each."""

PLAN_TAG: Final = "lakehouse/plan"
"""Digest of what was pending when the run was requested."""
ATTEMPT_TAG: Final = "lakehouse/attempt"
"""Which attempt at its plan the run is, from 1."""
STARTED_BY_TAG: Final = "lakehouse/started_by"
REPORTED_TAG: Final = "lakehouse/reported"
"""A run with this tag has been reported: a sensor's cursor may be lost, or reset by a person."""


def asset_key(table: str) -> dg.AssetKey:
    """Key of the asset of a table, or of raw files, by its id: layer and name."""
    return dg.AssetKey(table.split("."))


def partitions(first: date) -> dg.DailyPartitionsDefinition:
    """Batch dates, up to tomorrow's in UTC: east of Greenwich it is that day already."""
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=2)
