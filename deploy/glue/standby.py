"""The standby's state machine: every table's Glue job, each after those whose tables it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lakehouse_assets.tables.jobs import jobs
from resources.glue_jobs import SETTINGS, STANDBY, TABLE, glue_job

_HOURS: Final = 12
"""How long a batch may take in all; each job has its own time besides."""

_RETRIED: Final = [
    {
        # A job that Dagster has left is still at it, or Glue has no room: what waiting mends.
        "ErrorEquals": ["Glue.ConcurrentRunsExceededException", "Glue.ThrottlingException"],
        "IntervalSeconds": 60,
        "BackoffRate": 2.0,
        "MaxAttempts": 6,
    }
]


def definition(prefix: str, settings: str) -> Mapping[str, object]:
    """The state machine in Amazon's States Language; its input is not looked at.

    One job after the other: it is there for the worst day, and that is what is easiest to follow
    and to start again. ``prefix`` is what the jobs' names begin by, ``settings`` what they must
    know, as JSON.
    """
    tables = [*jobs()]  # each stands after those whose tables it reads
    following = [*tables[1:], None]
    return {
        "Comment": "Takes in what is pending, from raw files to gold, while Dagster is down.",
        "StartAt": tables[0],
        "TimeoutSeconds": _HOURS * 3600,
        "States": {
            table: _job(prefix, table, settings) | ({"Next": after} if after else {"End": True})
            for table, after in zip(tables, following, strict=True)
        },
    }


def _job(prefix: str, table: str, settings: str) -> dict[str, object]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::glue:startJobRun.sync",
        "Parameters": {
            "JobName": glue_job(prefix, table),
            "Arguments": {f"{STANDBY}.$": "$$.Execution.Name", TABLE: table, SETTINGS: settings},
        },
        "ResultPath": None,
        "Retry": _RETRIED,
    }
