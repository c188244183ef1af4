"""Contracts as Dagster assets: one asset a table, its checks, its metadata and lineage.

Nothing here knows an engine or an environment: an asset hands its table to the runner and
tells Dagster what came of it.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from textwrap import dedent
from typing import Any, Protocol, get_args, get_type_hints

import dagster as dg

from lakehouse_assets.defs.checks import SEVERITIES, evaluation
from lakehouse_assets.operations import restore
from lakehouse_assets.pipeline import bronze_checks, gold, silver_checks
from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.store import receipts
from lakehouse_assets.store.file_state import clear_lines, waiting_files
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.tables import column_lineage
from lakehouse_assets.tables.contract import LINEAGE, Column, Dataset, Gold, Table
from lakehouse_assets.tables.jobs import gold_job, silver_job
from lakehouse_assets.tables.registry import DATASETS, GOLD

OWNERS = ["team:data-engineering"]
FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24))
RECEIPTS_KEY = dg.AssetKey("receipts")
ARCHIVE_KEY = dg.AssetKey("archive")
CATALOG_KEY = dg.AssetKey("catalog")
REPLAY_TAG = "lakehouse/replay"
"""A run with this tag, set to true, derives its dates anew although nothing has changed."""

# What AssetCheckEvaluation takes to name a materialization; Dagster does not export the type.
_TARGET = get_args(get_type_hints(dg.AssetCheckEvaluation)["target_materialization_data"])[0]


class Runner(Protocol):
    """Where a table's work runs."""

    def run(
        self,
        context: dg.AssetExecutionContext,
        table: str,
        dates: list[date],
        *,
        replay: bool = False,
    ) -> Result:
        """Bring one table up to date with the batches of these dates, or derive it anew."""
        ...


class Archiver(Protocol):
    """What takes processed files out of the raw zone, or leaves them where they are."""

    def archive(self, run_id: str) -> list[FilePath]:
        """Move every processed file into the archive; returns where they were."""
        ...


def partitions(first: date) -> dg.DailyPartitionsDefinition:
    """Batch dates. Today's is there from its first minute on, so that today's files can run."""
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), end_offset=1)


def raw_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetSpec]:
    """The raw files of each dataset: they come from outside, so they are external assets."""
    return [
        dg.AssetSpec(
            key=dg.AssetKey(["raw", d.name]),
            description=(
                f"Files of {d.name}: .csv, .csv.gz or .xlsx in raw/{d.name}/, in a folder for each "
                "batch date. The types are what the values must be readable as."
            ),
            group_name="raw",
            kinds={"csv", "excel"},
            owners=OWNERS,
            partitions_def=days,
            metadata={"dagster/column_schema": _schema(d.headers, d.sources)},
        )
        for d in DATASETS.values()
    ]


def table_assets(lake: Lake, days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Every bronze, silver and gold table, and the receipts that close a run."""
    with warnings.catch_warnings():
        # Single-run backfills are beta, checks per partition a preview. Without the two a
        # range would be a run a day, or show every day the same outcome.
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        return _table_assets(lake, days)


def _table_assets(lake: Lake, days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    found: list[dg.AssetsDefinition] = []
    for dataset in DATASETS.values():
        found.append(
            _asset(
                lake,
                days,
                dataset.bronze,
                [f"raw.{dataset.name}"],
                bronze_checks.CHECKS,
                _bronze_lineage(dataset),
                "Every row of every file in force, as text.",
            )
        )
        found.append(
            _asset(
                lake,
                days,
                dataset.silver,
                [table.id for table in silver_job(dataset).reads],
                silver_checks.checks(dataset),
                _silver_lineage(dataset),
                f"The newest qualifying row of each `{dataset.key}`.",
            )
        )
    found += [
        _asset(
            lake,
            days,
            table.table,
            [read.id for read in gold_job(table).reads],
            gold.checks(table),
            _gold_lineage(table),
            f"```sql\n{dedent(table.sql).strip()}\n```",
        )
        for table in GOLD.values()
    ]
    return [*found, _archive(days), _receipts(lake, days)]


def _asset(
    lake: Lake,
    days: dg.DailyPartitionsDefinition,
    table: Table,
    upstream: Iterable[str],
    checks: Mapping[str, str],
    column_lineage: dg.TableColumnLineage,
    logic: str,
) -> dg.AssetsDefinition:
    key = _key(table.id)
    specs = [
        dg.AssetCheckSpec(name, asset=key, description=note, partitions_def=days)
        for name, note in checks.items()
    ]

    @dg.asset(
        key=key,
        deps=[_key(name) for name in upstream],
        description=table.description,
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        # As plain text: Dagster cannot send an enum to its webserver.
        group_name=str(table.layer),
        kinds={"delta", "spark"},
        owners=OWNERS,
        tags={"layer": str(table.layer)},
        pool=table.id.replace(".", "_"),
        check_specs=specs,
        freshness_policy=FRESH,
        metadata=_table_metadata(lake, table, column_lineage, logic),
    )
    def materialize(
        context: dg.AssetExecutionContext, runner: dg.ResourceParam[Runner]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        dates = [date.fromisoformat(k) for k in context.partition_keys]
        replay = context.run.tags.get(REPLAY_TAG) == "true"
        result = runner.run(context, table.id, dates, replay=replay)
        for line in result.lines:
            context.log.warning(line)
        if table.layer == "bronze":
            _tell_of_raw_files(context, table.name, result)
        yield from _materialization(context, lake, table, result)

    return materialize


def _materialization(
    context: dg.AssetExecutionContext, lake: Lake, table: Table, result: Result
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Metadata per date, and each check's outcome per date."""
    for day, counts in result.days.items():
        # A batch date of gold has no rows of its own: the table has taken that batch in.
        rows = counts.get("published", counts.get("read"))
        if rows is not None:
            metadata = {**counts, "dagster/partition_row_count": rows}
            context.add_asset_metadata(metadata, partition_key=day.isoformat())
    yield dg.MaterializeResult(metadata=_result_metadata(lake, table, result))
    by_name: dict[str, list[Check]] = {}
    for check in result.checks:
        by_name.setdefault(check.name, []).append(check)
    # A run of a range has no partition key, and Dagster keeps its results without a date.
    targets = {} if context.has_partition_key else _materialized(context)
    for name, outcomes in by_name.items():
        for outcome in outcomes:
            if outcome.day and outcome.day in targets:
                context.log_event(evaluation(context.asset_key, outcome, targets[outcome.day]))
        yield _summary(name, outcomes)


def _materialized(context: dg.AssetExecutionContext) -> dict[date, Any]:
    """What this run's materialization of each date is known by.

    An evaluation that does not name it counts as outdated: the date would show no outcome.
    """
    keys = list(context.partition_keys)
    found = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=keys), limit=len(keys)
    )
    return {
        date.fromisoformat(record.partition_key): _TARGET(
            storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
        )
        for record in found.records
        if record.partition_key and record.run_id == context.run_id
    }


def _summary(name: str, outcomes: list[Check]) -> dg.AssetCheckResult:
    """One outcome for all dates of a run: the worst, and the dates that failed."""
    failed = [c for c in outcomes if not c.passed]
    worst = next((c for c in failed if c.severity is Severity.ERROR), (failed or outcomes)[0])
    note, metadata = worst.description, worst.metadata
    if len(outcomes) > 1:
        if failed:
            note = f"{len(failed)} of {len(outcomes)} dates fail; {worst.day}: {note}"
        else:
            note = f"All {len(outcomes)} dates pass."
        metadata = {"failed_dates": [str(c.day) for c in failed]}
    return dg.AssetCheckResult(
        check_name=name,
        passed=not failed,
        severity=SEVERITIES[worst.severity],
        description=note,
        metadata=metadata,
    )


def _tell_of_raw_files(context: dg.AssetExecutionContext, name: str, result: Result) -> None:
    for day, counts in result.days.items():
        if counts.get("files"):
            context.log_event(
                dg.AssetMaterialization(
                    asset_key=dg.AssetKey(["raw", name]),
                    partition=day.isoformat(),
                    description="Files that stand in the raw zone, as this run read them.",
                    metadata={"files": counts["files"], "rows": counts["read"] + counts["held"]},
                )
            )


def _archive(days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """What takes the processed files away, once every table has taken them in."""

    @dg.asset(
        key=ARCHIVE_KEY,
        deps=[*(_key(table.id) for table in _published()), CATALOG_KEY],
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


def _published() -> list[Table]:
    """The tables that people query: a run is through when all of them are."""
    return [*(d.silver for d in DATASETS.values()), *(g.table for g in GOLD.values())]


def _receipts(lake: Lake, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The last asset of a run: it says of every file what became of it, and fails for bad ones.

    Only here does a run fail, when all that is good has been published.
    """

    @dg.asset(
        key=RECEIPTS_KEY,
        deps=[*(_key(table.id) for table in _published()), ARCHIVE_KEY],
        description=(
            "What became of every file: rows read, published, superseded, rejected and held. "
            "Fails the run where a file is held or unreadable, when all else is done."
        ),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="ledger",
        kinds={"delta"},
        owners=OWNERS,
        metadata={
            "dagster/column_schema": _schema(RECEIPTS.names, RECEIPTS.columns),
            "dagster/table_name": RECEIPTS.id,
            "dagster/uri": lake.uri(RECEIPTS),
        },
    )
    def receipts_of_batch(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        dates = [date.fromisoformat(k) for k in context.partition_keys]
        found = receipts.current(lake, dates=dates)
        for day in dates:
            of_day = [r for r in found if r.path.batch_date == day]
            total = sum((r.counts for r in of_day), receipts.Counts())
            # Each date's own table: one of all dates would stand at every date of a long range.
            table = dg.MetadataValue.md(_receipt_table(of_day))
            context.add_asset_metadata(
                {"files": len(of_day), **total.__dict__, "receipts": table},
                partition_key=day.isoformat(),
            )
        restore.close(lake, context.run_id, context.partition_keys)
        yield dg.MaterializeResult()
        bad = waiting_files(Ledger(lake).followed(), dates)
        lines = [line for path, judged in bad for line in clear_lines(path, judged)]
        if lines:
            raise dg.Failure("\n".join(lines), allow_retries=False)

    return receipts_of_batch


# ----------------------------------------------------------------------------------- metadata


def _key(name: str) -> dg.AssetKey:
    return dg.AssetKey(name.split("."))


def _table_metadata(
    lake: Lake, table: Table, column_lineage: dg.TableColumnLineage, logic: str
) -> dict[str, Any]:
    return {
        "dagster/column_schema": _schema(table.names, table.columns),
        "dagster/column_lineage": column_lineage,
        "dagster/table_name": table.id,
        "dagster/uri": lake.uri(table),
        "partition_columns": ", ".join(table.partition_by) or "none",
        "zorder_columns": ", ".join(table.zorder_by) or "none",
        "aggregation_logic": dg.MetadataValue.md(logic),
    }


def _schema(names: Iterable[str], columns: Iterable[Column]) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                c.type.lower(),
                description=c.description,
                constraints=dg.TableColumnConstraints(nullable=not c.required),
            )
            for name, c in zip(names, columns, strict=True)
        ]
    )


def _result_metadata(lake: Lake, table: Table, result: Result) -> dict[str, Any]:
    delta = lake.delta(table)
    metadata: dict[str, Any] = dict(result.metadata)
    if delta is None:
        return metadata
    files = lake.files(table, delta.version())
    created = delta.metadata().created_time
    metadata |= {
        "dagster/row_count": sum(f["num_records"] or 0 for f in files),
        "bytes": sum(f["size_bytes"] for f in files),
        "delta_files": len(files),
        "version": delta.version(),
        "created": dg.MetadataValue.timestamp(created / 1000) if created else "unknown",
        "updated": dg.MetadataValue.timestamp(delta.history(1)[0]["timestamp"] / 1000),
        "location": dg.MetadataValue.path(lake.uri(table)),
        "preview": dg.MetadataValue.md(_preview(lake, table)),
    }
    return metadata


def _preview(lake: Lake, table: Table, rows: int = 5) -> str:
    names = [c.name for c in table.payload][:12]
    listed = ", ".join(f'"{n}"' for n in names)
    found = lake.rows(table, f"SELECT {listed} FROM t LIMIT {rows}")
    lines = [_row(names), _row(["---"] * len(names))]
    values = (["" if v is None else str(v) for v in row.values()] for row in found)
    return "\n".join(lines + [_row(row) for row in values])


def _receipt_table(found: list[receipts.Receipt]) -> str:
    names = ["file", "state", *receipts.Counts().__dict__, "error"]
    lines = [_row(names), _row(["---"] * len(names))]
    values = ([r.path, r.state, *r.counts.__dict__.values(), r.error or ""] for r in found)
    return "\n".join(lines + [_row(str(v) for v in row) for row in values])


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"


def _depends(pairs: Iterable[tuple[str, str]]) -> list[dg.TableColumnDep]:
    return [dg.TableColumnDep(_key(table), column) for table, column in pairs]


def _bronze_lineage(dataset: Dataset) -> dg.TableColumnLineage:
    raw = f"raw.{dataset.name}"
    return dg.TableColumnLineage({h: _depends([(raw, h)]) for h in dataset.headers})


def _silver_lineage(dataset: Dataset) -> dg.TableColumnLineage:
    headers = {c.name: c.header for c in dataset.sources if c.header}
    headers |= {c.name: c.name for c in LINEAGE}
    found = {name: [header] for name, header in headers.items()}
    for column in dataset.columns:
        if column.derived:
            found[column.name] = [headers[n] for n in column_lineage.names(column.derived)]
    return dg.TableColumnLineage(
        {name: _depends((dataset.bronze.id, header) for header in of) for name, of in found.items()}
    )


def _gold_lineage(table: Gold) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            name: _depends((f"silver.{dataset}", column) for dataset, column in pairs)
            for name, pairs in column_lineage.columns(table).items()
        }
    )
