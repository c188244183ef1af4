"""The catalog as an asset: every table's entry, with what was changed by hand as a check."""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
from collections.abc import Iterator
from typing import Any

import dagster as dg

from lakehouse_assets.defs import checks, metadata
from lakehouse_assets.defs.keys import CATALOG_KEY, OWNERS, asset_key
from lakehouse_assets.ports import Catalog, Registered
from lakehouse_assets.tables.jobs import upstream

_CHECK = "catalog_drift"


def catalog_asset(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The catalog's entries of all tables, registered once these tables are up to date."""
    with checks.expected_previews():
        return _catalog_asset(_last_tables(), days)


def _last_tables() -> list[dg.AssetKey]:
    """The tables that no other is made from: the others are up to date before them.

    An edge from every table would say no more, and bury the way of the data in the lineage graph.
    """
    made_of = upstream()
    read = {name for names in made_of.values() for name in names}
    return [asset_key(name) for name in made_of if name not in read]


def _catalog_asset(
    tables: list[dg.AssetKey], days: dg.DailyPartitionsDefinition
) -> dg.AssetsDefinition:
    @dg.asset(
        key=CATALOG_KEY,
        deps=tables,
        description=(
            "Every table in the catalog that Athena, Trino and Spark read, as its contract says. "
            "Does nothing where there is none (LAKEHOUSE_CATALOG)."
        ),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="ledger",
        kinds={"glue"},
        owners=OWNERS,
        pool="catalog",
        check_specs=[
            dg.AssetCheckSpec(
                _CHECK,
                asset=CATALOG_KEY,
                # Of the catalog as it is now: no batch date has a drift of its own.
                description="Nobody has changed a registered table by hand.",
            )
        ],
    )
    def catalog_of_tables(
        context: dg.AssetExecutionContext, catalog: dg.ResourceParam[Catalog]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        registered = catalog.register()
        if registered is None:
            context.log.info("There is no catalog here; LAKEHOUSE_CATALOG=glue names one.")
        yield dg.MaterializeResult(metadata=_counts(registered))
        yield _drift(registered)

    return catalog_of_tables


def _counts(done: Registered | None) -> dict[str, Any]:
    if done is None:
        return {"catalog": "none"}
    counts = {name: len(getattr(done, name)) for name in ("created", "updated", "removed")}
    changes = [{"table": t, "change": name} for name in counts for t in getattr(done, name)]
    columns = {"table": "string", "change": "string"}
    changed = metadata.as_table(columns, changes)
    return {**counts, "unchanged": len(done.unchanged), "changes": changed}


def _drift(done: Registered | None) -> dg.AssetCheckResult:
    drift = done.drift if done else []
    note = "Nobody has changed a registered table by hand." if done else "There is no catalog here."
    return dg.AssetCheckResult(
        check_name=_CHECK,
        passed=not drift,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(drift) + "; put right" if drift else note,
        metadata={"drift": drift},
    )
