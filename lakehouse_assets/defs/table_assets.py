"""Contracts as Dagster assets: one asset a table, with its checks, metadata and lineage.

Nothing here knows an engine or an environment: an asset hands its table to the runner, and
reports the result to Dagster.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from textwrap import dedent
from typing import Any, Final

import dagster as dg

from lakehouse_assets.defs import checks, metadata, raw_assets
from lakehouse_assets.defs.keys import FRESH, OWNERS, REPLAY_TAG, asset_key
from lakehouse_assets.pipeline import bronze_checks, derived, silver_checks
from lakehouse_assets.pipeline.publish import AuditError
from lakehouse_assets.pipeline.result import Check, Result
from lakehouse_assets.ports import JobFailedError, Runner
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables import sql_checks
from lakehouse_assets.tables.contract import Layer, Table
from lakehouse_assets.tables.jobs import upstream
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from resources.lakehouse import Lakehouse

_DERIVED: Final = (
    "A partition is a batch date, not a date of the rows: a date that is materialized says that "
    "the table has taken in what came with it (`published_…`: how many rows of each input). Rows, "
    "files and preview are of the whole table."
)
_PARTITIONS: Final = {
    Layer.BRONZE: "A partition is a batch date: the rows of the files that landed in its folder.",
    Layer.SILVER: (
        "A partition is a batch date, not a date of the rows: a date that is materialized says "
        "that its files have been taken in."
    ),
    Layer.GOLD: _DERIVED,
    Layer.MART: _DERIVED,
}
"""What a table's partitions mean, by layer."""


def table_assets(lake: Lake, days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Every table of bronze, silver, gold and the marts, at its place in this lake."""
    with checks.expected_previews():
        return list(_table_assets(lake, days))


def _table_assets(lake: Lake, days: dg.DailyPartitionsDefinition) -> Iterator[dg.AssetsDefinition]:
    sql_checks.check_all()
    made_of = upstream()
    for dataset in DATASETS.values():
        yield _asset(
            dataset.bronze,
            [f"raw.{dataset.name}"],
            days,
            bronze_checks.CHECKS,
            (),
            metadata.of_table(
                lake,
                dataset.bronze,
                metadata.bronze_lineage(dataset),
                "Every row of every file in force, as text.",
            ),
        )
        yield _asset(
            dataset.silver,
            made_of[dataset.silver.id],
            days,
            silver_checks.checks(dataset),
            silver_checks.AUDITS,
            metadata.of_table(
                lake,
                dataset.silver,
                metadata.silver_lineage(dataset),
                f"The newest qualifying row of each `{', '.join(dataset.key_columns)}`.",
            ),
        )
    for table in DERIVED.values():
        yield _asset(
            table.table,
            made_of[table.table.id],
            days,
            derived.checks(table),
            derived.AUDITS,
            metadata.of_table(
                lake,
                table.table,
                metadata.derived_lineage(table),
                f"```sql\n{dedent(table.sql).strip()}\n```",
            ),
        )


def _asset(
    table: Table,
    made_of: Iterable[str],
    days: dg.DailyPartitionsDefinition,
    check_descriptions: Mapping[str, str],
    audits: Collection[str],
    described: dict[str, Any],
) -> dg.AssetsDefinition:
    key = asset_key(table.id)

    @dg.asset(
        key=key,
        deps=[asset_key(name) for name in made_of],
        description=f"{table.description}\n\n{_PARTITIONS[Layer(table.layer)]}",
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        # As plain text: Dagster cannot send an enum to its webserver.
        group_name=str(table.layer),
        kinds={"delta", "spark"},
        owners=OWNERS,
        tags={"layer": str(table.layer)},
        pool=table.id.replace(".", "_"),
        check_specs=checks.specs(key, check_descriptions, days, audits),
        freshness_policy=FRESH,
        metadata=described,
    )
    def materialize(
        context: dg.AssetExecutionContext,
        runner: dg.ResourceParam[Runner],
        lakehouse: dg.ResourceParam[Lakehouse],
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        result = run(context, runner, table.id, audits)
        lake = lakehouse.lake()
        if table.layer == "bronze":
            state = Ledger(lake).followed()
            for event in raw_assets.observations(DATASETS[table.name], result.days, state):
                context.log_event(event)
        _add_counts(context, result.days)
        lineage = {metadata.COLUMN_LINEAGE: described[metadata.COLUMN_LINEAGE]}
        yield dg.MaterializeResult(metadata=metadata.of_result(lake, table, result) | lineage)
        yield from checks.results(context, result)

    return materialize


def run(
    context: dg.AssetExecutionContext, runner: Runner, table: str, audits: Collection[str] = ()
) -> Result:
    """Have a table brought up to date with the batches of the step's partitions.

    Raises what its job ended with, once the checks that it had done until then are logged (the
    ``audits`` are, as failed, where one of them kept everything out), and dagster's Failure where
    a declared check is missing.
    """
    dates = [date.fromisoformat(key) for key in context.partition_keys]
    replay = context.run.tags.get(REPLAY_TAG) == "true"
    try:
        # Pipes reads what is deprecated on an asset's own context.
        result = runner.run(context.op_execution_context, table, dates, replay=replay)
    except JobFailedError as failed:
        checks.log_outcomes(context, failed.result)
        raise failed.cause from None
    except AuditError as refused:
        found = [
            Check(name, passed=False, day=day, description=str(refused))
            for name in audits
            for day in dates
        ]
        checks.log_outcomes(context, Result(table, checks=found))
        raise
    checks.demand_all(context, result)
    for line in result.lines:
        context.log.warning(line)
    return result


def _add_counts(context: dg.AssetExecutionContext, days: Mapping[date, dict[str, int]]) -> None:
    for day, counts in days.items():
        # A batch date of gold has no rows of its own: the table has taken in what came with it.
        rows = counts.get("published", counts.get("read"))
        own = {} if rows is None else {"dagster/partition_row_count": rows}
        context.add_asset_metadata(counts | own, partition_key=day.isoformat())
