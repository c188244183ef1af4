"""Files read as a run reads them, for whoever only asks: no lake gets anything of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.bronze_reading import Staged, stage_files
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.planning.pending_files import ToRead
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.storage import LocalStorage, Storage
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse_assets.parse import Limits


@contextmanager
def staged_in_scratch(
    spark: SparkSession,
    dataset: Dataset,
    items: Sequence[ToRead],
    zones: Mapping[str, Storage],
    state: State | None = None,
    limits: Limits | None = None,
) -> Iterator[Staged]:
    """The rows of files and their summaries, in a temporary folder; they go when the block ends.

    ``zones`` are where the items' sources lie; ``state`` is what a ledger says of them.
    """
    with tempfile.TemporaryDirectory(prefix="lakehouse-") as folder:
        scratch = LocalStorage(folder)
        lake = Lake(scratch, scratch, date.min, date.max, frozenset({dataset.name}))
        with Workspace(spark, lake, "scratch", dataset.bronze.id) as work:
            yield stage_files(work, dataset, state or State(), items, limits, zones)
