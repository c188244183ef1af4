"""What ends a run once every table is up to date: the archive, and the receipts."""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from lakehouse_assets.defs import checks, metadata
from lakehouse_assets.defs.keys import ARCHIVE_KEY, CATALOG_KEY, OWNERS, RECEIPTS_KEY, asset_key
from lakehouse_assets.operations import restore
from lakehouse_assets.ports import Archiver
from lakehouse_assets.store import receipts
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.tables.registry import DATASETS, GOLD
from resources.lakehouse import Lakehouse


def closing_assets(lake: Lake, days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The archive, and the receipts at their place in this lake."""
    with checks.expected_previews():
        return [_archive(days), _receipts(lake, days)]


def _archive(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=ARCHIVE_KEY,
        deps=[*_queryable(), CATALOG_KEY],
        description=(
            "Files whose rows are in the tables, moved from the raw zone into its archive. What "
            "came meanwhile stays, and so do held and unreadable files."
        ),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="ledger",
        kinds={"file"},
        owners=OWNERS,
    )
    def archive(
        context: dg.AssetExecutionContext, archiver: dg.ResourceParam[Archiver]
    ) -> dg.MaterializeResult[Any]:
        moved = archiver.archive(context.run_id)
        return dg.MaterializeResult(metadata={"files": [str(path) for path in moved]})

    return archive


def _receipts(lake: Lake, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=RECEIPTS_KEY,
        deps=[*_queryable(), ARCHIVE_KEY],
        description=(
            "What became of every file: rows read, published, superseded, rejected and held. "
            "Fails the run where a file is held or unreadable, when all else is done."
        ),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="ledger",
        kinds={"delta"},
        owners=OWNERS,
        metadata=metadata.of_delta(lake, RECEIPTS),
    )
    def receipts_of_batch(
        context: dg.AssetExecutionContext, lakehouse: dg.ResourceParam[Lakehouse]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        lake = lakehouse.lake()
        dates = [date.fromisoformat(k) for k in context.partition_keys]
        found = receipts.current(lake, dates=dates)
        for day in dates:
            # Each date's own table: one of all dates would stand at every date of a long range.
            of_day = [r for r in found if r.path.batch_date == day]
            context.add_asset_metadata(metadata.of_receipts(of_day), partition_key=day.isoformat())
        restore.close(lake, context.run_id, context.partition_keys)
        yield dg.MaterializeResult()
        bad = Ledger(lake).followed().waiting(lake.raw, dates)
        # Only here does a run fail, when all that is good has been published.
        lines = [line for path, judged in bad for line in clear_lines(path, judged)]
        if lines:
            raise dg.Failure("\n".join(lines), allow_retries=False)

    return receipts_of_batch


def _queryable() -> list[dg.AssetKey]:
    """The tables that people query: a run is through when all of them are."""
    tables = [*(d.silver for d in DATASETS.values()), *(g.table for g in GOLD.values())]
    return [asset_key(table.id) for table in tables]
