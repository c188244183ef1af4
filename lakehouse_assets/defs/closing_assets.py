"""What ends a run once every table is up to date: the archive, and the receipts."""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from lakehouse_assets.defs import checks, metadata
from lakehouse_assets.defs.keys import (
    ARCHIVE_KEY,
    CATALOG_KEY,
    LINES,
    OWNERS,
    RECEIPTS_KEY,
    asset_key,
)
from lakehouse_assets.operations import restore
from lakehouse_assets.ports import Archiver
from lakehouse_assets.store import receipts
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from resources.lakehouse import Lakehouse


def closing_assets(lake: Lake, days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The archive, and the receipts at their place in this lake."""
    with checks.expected_previews():
        return [_archive(days), _receipts(lake, days)]


def _archive(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=ARCHIVE_KEY,
        deps=[CATALOG_KEY],
        description=(
            "Files whose rows are in the tables, moved from the raw zone into its archive. What "
            "came meanwhile stays, and so do held and unreadable files. Does nothing where files "
            "stay where they landed (LAKEHOUSE_ARCHIVE), as on a laptop."
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
            "Fails the run where a file is held or unreadable, when all else is done; the dates of "
            "such files are then not materialized, but observed."
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
        # Each date's own table: one of all dates would stand at every date of a long range.
        by_day = {
            day: metadata.of_receipts([r for r in found if r.path.batch_date == day])
            for day in dates
        }
        restore.close(lake, context.run_id, context.partition_keys)
        bad = Ledger(lake).followed().waiting(lake.raw, dates)
        if not bad:
            for day, told in by_day.items():
                context.add_asset_metadata(told, partition_key=day.isoformat())
            yield dg.MaterializeResult()
            return
        # A backfill has failed where a date is not materialized, whatever its runs end with.
        waiting = {path.batch_date for path, _ in bad}
        for day, told in by_day.items():
            event = dg.AssetObservation if day in waiting else dg.AssetMaterialization
            context.log_event(event(RECEIPTS_KEY, partition=day.isoformat(), metadata=told))
        # Only here does a run fail, when all that is good has been published.
        raise _files_wait([line for path, judged in bad for line in clear_lines(path, judged)])

    return receipts_of_batch


def _files_wait(lines: list[str]) -> dg.Failure:
    """What fails the run: that nothing else went wrong is what a person wants to know first."""
    first = "Everything that can be read is published. Held or unreadable, until someone acts:"
    told = {"files": dg.MetadataValue.int(len(lines)), LINES: dg.MetadataValue.json(lines)}
    return dg.Failure("\n".join([first, *lines]), told, allow_retries=False)


def _queryable() -> list[dg.AssetKey]:
    """The tables that people query: a run is through when all of them are.

    Each is an edge of its own: of two steps Dagster does not see which comes first by way of a
    third that a run leaves out.
    """
    return [asset_key(name) for name in [*(d.silver.id for d in DATASETS.values()), *DERIVED]]
