"""The rows of held files, which no table has: read again, each with the rules that it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.pipeline.scratch import staged_in_scratch
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import among
from lakehouse_assets.planning.pending_files import ToRead
from lakehouse_assets.store.facts import Kind
from lakehouse_assets.store.lake import Lake, Source, Zone, content_id
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse_assets.parse import Limits

_PLACE = ("_batch_date", "_file", "_sheet_no", "_row")


class HeldRows(NamedTuple):
    """Rows under their names, and a clear line for each file whose held bytes are gone."""

    names: list[str]
    rows: list[tuple[Any, ...]]
    gone: list[str]


def held_rows(
    spark: SparkSession,
    lake: Lake,
    state: State,
    dataset: Dataset,
    day: date | None = None,
    limits: Limits | None = None,
) -> HeldRows:
    """Of the held files (of a batch date) each row that breaks a rule of its own.

    Nothing is written to the lake.
    """
    names = ["_batch_date", "_file", "_sheet", "_row", "_rules", *dataset.headers, "_raw"]
    items = list(_held(lake, state, dataset, day))
    if not items:
        return HeldRows(names, [], [])
    with staged_in_scratch(spark, dataset, items, lake.zones, state, limits) as staged:
        read = {(summary.path, summary.digest) for summary in staged.summaries}
        # What was held is a content: another may have taken its place without having landed yet.
        there = [item for item in items if (item.path, item.digest) in read]
        contents = {content_id(item.path, item.digest or "") for item in there}
        found = []
        if contents:
            bronze = staged.rows.where(among("_content", contents))
            rules = judged(bronze, dataset).where("size(_own) > 0")
            rules = select(rules, *_PLACE, _rules="_own")
            rows = bronze.join(rules, list(_PLACE)).orderBy(*_PLACE)
            found = select(rows, *names).collect()
    gone = [
        f"{item.path}: the held bytes {(item.digest or '')[:12]} are gone; land the file again"
        for item in items
        if item not in there
    ]
    return HeldRows(names, [tuple(row) for row in found], gone)


def _held(lake: Lake, state: State, dataset: Dataset, day: date | None) -> Iterator[ToRead]:
    for path, judgement in state.waiting(lake.raw, [day] if day else None):
        last = state.at(path).last
        if path.dataset != dataset.name or judgement.kind is not Kind.HELD or last is None:
            continue
        aside = lake.bytes_of(path, last.digest or "")
        yield ToRead(path, aside or Source(Zone.RAW, str(path)), last.digest, "held")
