"""A table's checks as Dagster's asset checks: declared, and their outcomes per batch date.

All that works around Dagster's partitioned asset checks is here. They are a preview, and a run of
a date range reports one result of a check for all of its dates
(https://github.com/dagster-io/dagster/issues/17005). So a range logs an evaluation for each date
by itself. Dagster would attach it to the asset's newest materialization of any date
(https://github.com/dagster-io/dagster/pull/33803 mends that for runs of one date), hence each
names the materialization that it judges.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final, get_args, get_type_hints

import dagster as dg

from lakehouse_assets.pipeline.result import Check, Result, Severity

_SEVERITIES: Final = {
    Severity.WARN: dg.AssetCheckSeverity.WARN,
    Severity.ERROR: dg.AssetCheckSeverity.ERROR,
}

# What AssetCheckEvaluation takes to name a materialization; Dagster does not export the type.
_TARGET = get_args(get_type_hints(dg.AssetCheckEvaluation)["target_materialization_data"])[0]


def specs(
    key: dg.AssetKey, descriptions: Mapping[str, str], days: dg.PartitionsDefinition
) -> list[dg.AssetCheckSpec]:
    """The declarations of an asset's checks, by name, each with an outcome per batch date."""
    return [
        dg.AssetCheckSpec(name, asset=key, description=description, partitions_def=days)
        for name, description in descriptions.items()
    ]


@contextmanager
def expected_previews() -> Iterator[None]:
    """Silence that single-run backfills are beta and partitioned asset checks a preview.

    Without the two, a date range would be a run a date, or show every date the same outcome.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        yield


def results(context: dg.AssetExecutionContext, result: Result) -> Iterator[dg.AssetCheckResult]:
    """One result for each check that a run has done, once each date's outcome is logged.

    The run's materializations must be on record before this is iterated.
    """
    by_name: dict[str, list[Check]] = {}
    for check in result.checks:
        by_name.setdefault(check.name, []).append(check)
    targets = {} if context.has_partition_key else _materializations(context)
    for name, outcomes in by_name.items():
        for outcome in outcomes:
            if outcome.day in targets:
                context.log_event(_evaluation(context, outcome, targets[outcome.day]))
        yield _summary(name, outcomes)


def log_outcomes(context: dg.AssetExecutionContext, result: Result) -> None:
    """Log the outcomes of a step that fails: Dagster drops results that a failed step yields."""
    for check in result.checks:
        context.log_event(_evaluation(context, check))


def demand_all(context: dg.AssetExecutionContext, result: Result) -> None:
    """Raise dagster's Failure unless every declared check has an outcome."""
    declared = {key.name for key in context.selected_asset_check_keys}
    if missing := sorted(declared - {check.name for check in result.checks}):
        log_outcomes(context, result)
        raise dg.Failure(
            f"{result.table}: its job reported no outcome of {', '.join(missing)}; "
            "deploy the wheels of the version that Dagster runs",
            allow_retries=False,
        )


def _evaluation(
    context: dg.AssetExecutionContext, check: Check, target: Any = None
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=context.asset_key,
        check_name=check.name,
        partition=check.day.isoformat() if check.day else None,
        passed=check.passed,
        severity=_SEVERITIES[check.severity],
        description=check.description,
        metadata=check.metadata,
        target_materialization_data=target,
    )


def _materializations(context: dg.AssetExecutionContext) -> dict[date | None, Any]:
    """This run's materialization of each date, as an evaluation names it.

    An evaluation that names none counts as outdated: the date would show no outcome.
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


def _summary(name: str, outcomes: Sequence[Check]) -> dg.AssetCheckResult:
    """One result for all dates of a run: the worst outcome, and the dates that failed."""
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
        severity=_SEVERITIES[worst.severity],
        description=note,
        metadata=metadata,
    )
