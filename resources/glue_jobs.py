"""What the tables' Glue jobs are called, and what whoever defines or starts one tells it."""

from __future__ import annotations

from typing import Final

REGION: Final = "--lakehouse-region"
"""The region in which it runs."""

WORK: Final = "--lakehouse-work"
"""Which work, of which Dagster run, a job run does."""

STANDBY: Final = "--lakehouse-standby"
"""The execution of the standby's state machine that has started it in Dagster's place."""

TABLE: Final = "--lakehouse-table"
"""In Dagster's place: the table to bring up to date."""

SETTINGS: Final = "--lakehouse-settings"
"""In Dagster's place: what the job must know of the settings, as JSON."""


def glue_job(prefix: str, table: str) -> str:
    """Name of the Glue job that does a table's work."""
    return prefix + table.replace(".", "-")
