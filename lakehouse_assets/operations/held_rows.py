"""The rows of held files, which no table has: read again, each with the rules that it breaks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from lakehouse_assets.pipeline.bronze_reading import stage_files
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.planning.pending_files import ToRead
from lakehouse_assets.store.facts import Kind
from lakehouse_assets.store.lake import Lake, Source, Zone
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse_assets.parse import Limits

_PLACE = ("_batch_date", "_file", "_sheet_no", "_row")


def held_rows(
    spark: SparkSession,
    lake: Lake,
    state: State,
    dataset: Dataset,
    day: date | None = None,
    limits: Limits | None = None,
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Names and rows: of the held files (of a batch date) each row that breaks a rule of its own.

    Nothing is written to the lake.
    """
    names = ["_batch_date", "_file", "_sheet", "_row", "_rules", *dataset.headers, "_raw"]
    items = list(_held(lake, state, dataset, day))
    if not items:
        return names, []
    with tempfile.TemporaryDirectory(prefix="lakehouse-") as folder:
        scratch = replace(lake, storage=LocalStorage(folder))
        with Workspace(spark, scratch, "held", dataset.bronze.id) as work:
            bronze = stage_files(work, dataset, state, items, limits).rows
            rules = judged(bronze, dataset).where("size(_own) > 0")
            rules = rules.selectExpr(*_PLACE, "_own AS _rules")
            rows = bronze.join(rules, list(_PLACE)).orderBy(*_PLACE)
            found = rows.selectExpr(*(f"`{name}`" for name in names)).collect()
    return names, [tuple(row) for row in found]


def _held(lake: Lake, state: State, dataset: Dataset, day: date | None) -> Iterator[ToRead]:
    for path, judgement in state.waiting(lake.raw, [day] if day else None):
        last = state.at(path).last
        if path.dataset != dataset.name or judgement.kind is not Kind.HELD or last is None:
            continue
        aside = lake.bytes_of(path, last.digest or "")
        yield ToRead(path, aside or Source(Zone.RAW, str(path)), last.digest, "held")
