"""The marts in the warehouse as assets: one a mart, and one for the tables that it needs there.

Only where there is a warehouse. A load that fails fails its step and run, and nothing else waits
for it: the lake's own tables and receipts are done without.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
import time
from dataclasses import asdict
from typing import Any, Final

import dagster as dg

from lakehouse_assets.defs import checks, metadata
from lakehouse_assets.defs.keys import FRESH, OWNERS, WAREHOUSE, asset_key
from lakehouse_assets.ports import Loader
from lakehouse_assets.tables.contract import Mart
from lakehouse_assets.tables.jobs import dimensions, jobs
from lakehouse_assets.tables.spectrum import is_read

_SCHEMA_KEY: Final = dg.AssetKey([WAREHOUSE, "schema"])
_MANIFESTS_KEY: Final = dg.AssetKey([WAREHOUSE, "manifests"])


def warehouse_assets(
    marts: list[Mart], days: dg.DailyPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """The warehouse's tables, and each mart as it is loaded into its own."""
    with checks.expected_previews():
        loads = (_loaded(mart, days) for mart in marts)
        return [_manifests(days), _schema(marts, days), *loads]


def _manifests(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=_MANIFESTS_KEY,
        deps=[asset_key(job.id) for job in jobs().values() if is_read(job.table)],
        description=(
            "What Redshift Spectrum reads silver and gold by: a manifest of each partition's "
            "files, and databases of their own in the catalog. Nothing without one "
            "(LAKEHOUSE_CATALOG)."
        ),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=WAREHOUSE,
        kinds={"glue"},
        owners=OWNERS,
        pool=f"{WAREHOUSE}_manifests",
    )
    def manifests(loader: dg.ResourceParam[Loader]) -> dg.MaterializeResult[Any]:
        done = loader.renew_manifests()
        kinds = {"table": "string", "version": "int", "written": "int", "removed": "int"}
        renewed = metadata.as_table(kinds, [asdict(it) for it in done if it.written or it.removed])
        return dg.MaterializeResult(metadata={"tables": len(done), "renewed": renewed})

    return manifests


def _schema(marts: list[Mart], days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=_SCHEMA_KEY,
        # The schemas of Spectrum name the manifests' databases.
        deps=[_MANIFESTS_KEY, *(asset_key(mart.table.id) for mart in marts)],
        description="The warehouse's tables, comments and views, as the marts' contracts say.",
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=WAREHOUSE,
        kinds={"redshift"},
        owners=OWNERS,
        pool=WAREHOUSE,
    )
    def schema_of_warehouse(loader: dg.ResourceParam[Loader]) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata={"transactions": loader.prepare()})

    return schema_of_warehouse


def _loaded(mart: Mart, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=dg.AssetKey([WAREHOUSE, mart.name]),
        deps=[
            _SCHEMA_KEY,
            asset_key(mart.table.id),
            # What refers to a dimension comes after it, and so is never without for long.
            *(dg.AssetKey([WAREHOUSE, other.name]) for other in dimensions(mart).values()),
        ],
        description=(
            f"{mart.description}\n\nIn the warehouse: what has changed since the version that it "
            "has, which is whatever has come with any batch date."
        ),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=WAREHOUSE,
        kinds={"redshift"},
        owners=OWNERS,
        pool=f"{WAREHOUSE}_{mart.name}",
        freshness_policy=FRESH,
        metadata={
            "dagster/column_schema": metadata.schema(mart.table.names, mart.columns),
            "dagster/table_name": mart.table.id,
        },
    )
    def load(
        context: dg.AssetExecutionContext, loader: dg.ResourceParam[Loader]
    ) -> dg.MaterializeResult[Any]:
        started = time.perf_counter()
        done = asdict(loader.load(mart.table.id, context.run.run_id))
        done["seconds"] = round(time.perf_counter() - started, 3)
        told = {name: value for name, value in done.items() if value is not None}
        return dg.MaterializeResult(metadata=told)

    return load
