"""Workspaces for tests of single steps of the pipeline."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.contract import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def workspace(folder: Path, spark: SparkSession, table: Table) -> Workspace:
    """One for work on a table, in a lake of that folder with nothing in it."""
    storage = LocalStorage(str(folder))
    lake = Lake(storage, storage, date.min, date.max, frozenset())
    return Workspace(spark, lake, "a test", table.id)
