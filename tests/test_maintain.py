"""Every version stays readable that a run may still have to compare, maintained or not."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse_assets.operations.maintenance import maintain_table
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.contract import Column, Layer, Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMN = Column(name="number", type="BIGINT", description="A number.")


def test_versions_before_a_checkpoint_can_be_read(spark: SparkSession, tmp_path: Path) -> None:
    storage = LocalStorage(str(tmp_path))
    lake = Lake(storage, storage, date(2025, 1, 1), date(2025, 1, 1), frozenset())
    table = Table(layer=Layer.SILVER, name="t", description="Some.", columns=(COLUMN,))
    lake.create(table)
    for version in range(3):
        assert lake.append(table, [{"number": version}], on=version or -1)
    assert lake.version(table) == 3
    maintain_table(lake, table, None)
    assert lake.version(table) == 4
    hint = tmp_path / "silver/t/_delta_log/_last_checkpoint"
    assert hint.exists()
    work = Workspace(spark, lake, "a run", table.id)
    for version in (4, 3, 2, 1, 0, 4):
        assert work.read(table, version).count() == min(version, 3)
