"""A table's checks as Dagster's asset checks: declared, and their outcomes per batch date.

All that works around Dagster's partitioned asset checks is here. They are a preview, and a run of
a date range reports one result of a check for all of its dates
(https://github.com/dagster-io/dagster/issues/17005). So a range logs an evaluation for each date
by itself. Dagster would attach it to the asset's newest materialization of any date
(https://github.com/dagster-io/dagster/pull/33803 mends that for runs of one date), hence each
names the materialization that it judges.

The UI takes whether a check fails from the newest outcome of each date, but how badly, and what
it says, from the newest evaluation of any: a check would read "Failed" over "All dates pass". So
each run ends with an evaluation of no date, which says what all dates together come to: it
carries on from the one before it.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any, Final, get_args, get_type_hints

import dagster as dg

from lakehouse_assets.defs.keys import FAILING_DATES
from lakehouse_assets.pipeline.result import Check, Result, Severity

_SEVERITIES: Final = {
    Severity.WARN: dg.AssetCheckSeverity.WARN,
    Severity.ERROR: dg.AssetCheckSeverity.ERROR,
}

_COUNTED: Final = ((Severity.ERROR, "error", "errors"), (Severity.WARN, "warning", "warnings"))
_MOST_DAYS: Final = 3
_LOOK_BACK: Final = 20
_FILTER: Final = "partition_filter"

# What AssetCheckEvaluation takes to name a materialization; Dagster does not export the type.
_TARGET = get_args(get_type_hints(dg.AssetCheckEvaluation)["target_materialization_data"])[0]


def specs(
    key: dg.AssetKey,
    descriptions: Mapping[str, str],
    days: dg.PartitionsDefinition,
    audits: Collection[str] = (),
) -> list[dg.AssetCheckSpec]:
    """The declarations of an asset's checks, by name, each with an outcome per batch date.

    ``audits`` are those without which nothing is committed. They alone are blocking: Dagster then
    starts nothing downstream, which would keep the good files of a date out because of a bad one.
    """
    return [
        dg.AssetCheckSpec(
            name,
            asset=key,
            description=description,
            partitions_def=days,
            blocking=name in audits,
        )
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

    The run's materializations must be on record before this is iterated. Last, each check gets
    the evaluation of all dates that it has ever judged.
    """
    by_name = _by_name(result.checks)
    days = {check.day for check in result.checks if check.day}
    mine = {date.fromisoformat(key) for key in context.partition_keys}
    targets = _materializations(context, days - mine if context.has_partition_key else days)
    for name, outcomes in by_name.items():
        for outcome in outcomes:
            if outcome.day in targets:
                context.log_event(_evaluation(context, outcome, targets[outcome.day]))
        yield _of_run(name, [check for check in outcomes if check.day in mine or not check.day])
    _log_summaries(context, by_name)


def log_outcomes(context: dg.AssetExecutionContext, result: Result) -> None:
    """Log the outcomes of a step that fails: Dagster drops results that a failed step yields."""
    for check in result.checks:
        context.log_event(_evaluation(context, check))
    _log_summaries(context, _by_name(result.checks))


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


_BREAK: Final = "  \n"


def in_ui(description: str) -> str:
    """What a check says, line by line: the UI reads Markdown, in which a line ends with blanks."""
    return description.replace("\n", _BREAK)


def out_of_ui(description: str | None) -> str:
    """What ``in_ui`` was given."""
    return (description or "").replace(_BREAK, "\n")


def _evaluation(
    context: dg.AssetExecutionContext, check: Check, target: Any = None
) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=context.asset_key,
        check_name=check.name,
        partition=check.day.isoformat() if check.day else None,
        passed=check.passed,
        severity=_SEVERITIES[check.severity],
        description=in_ui(check.description),
        metadata=check.metadata,
        target_materialization_data=target,
    )


def _materializations(
    context: dg.AssetExecutionContext, days: Collection[date]
) -> dict[date | None, Any]:
    """The newest materialization of each date, as an evaluation names it.

    An evaluation that names none counts as outdated: the date would show no outcome. A date that
    the run has not materialized itself (rows of it have moved) may never have been.
    """
    keys = sorted(str(day) for day in days)
    wanted = dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=keys)
    targets: dict[date | None, Any] = {}
    cursor, more = None, bool(keys)
    while more and len(targets) < len(keys):
        found = context.instance.fetch_materializations(wanted, limit=len(keys), cursor=cursor)
        cursor, more = found.cursor, found.has_more
        for record in found.records:  # newest first
            if record.partition_key:
                targets.setdefault(
                    date.fromisoformat(record.partition_key),
                    _TARGET(
                        storage_id=record.storage_id,
                        run_id=record.run_id,
                        timestamp=record.timestamp,
                    ),
                )
    return targets


def _by_name(checks: Iterable[Check]) -> dict[str, list[Check]]:
    found: dict[str, list[Check]] = {}
    for check in checks:
        found.setdefault(check.name, []).append(check)
    return found


def _of_run(name: str, outcomes: Sequence[Check]) -> dg.AssetCheckResult:
    """The worst outcome of a run's dates: what a blocking check goes by."""
    worst = _worst(outcomes)
    return dg.AssetCheckResult(
        check_name=name,
        passed=worst.passed,
        severity=_SEVERITIES[worst.severity],
        description=in_ui(worst.description),
        metadata=worst.metadata,
    )


def _worst(outcomes: Sequence[Check]) -> Check:
    """Of the outcomes the worst; of those that are as bad the newest date's."""
    return max(
        outcomes,
        key=lambda c: (not c.passed, c.severity is Severity.ERROR, c.day or date.min),
    )


def _log_summaries(
    context: dg.AssetExecutionContext, by_name: Mapping[str, Sequence[Check]]
) -> None:
    before = _failing_before(context, by_name)
    for name, outcomes in by_name.items():
        dated = [check for check in outcomes if check.day]
        if dated:
            failing = before.get(name, {}) | {c.day: c.severity for c in dated if c.day}
            for check in dated:
                if check.passed and check.day:
                    del failing[check.day]
            context.log_event(_evaluation(context, summary(name, dated, failing)))


def summary(name: str, outcomes: Sequence[Check], failing: Mapping[date, Severity]) -> Check:
    """What all dates of a check come to.

    Args:
        name: The check's.
        outcomes: Those of the run, each of a date.
        failing: Every date whose newest outcome, of this run or an earlier one, is a failure.
    """
    metadata = {FAILING_DATES: {str(day): str(failing[day]) for day in sorted(failing)}}
    if not failing:
        days = sorted(str(check.day) for check in outcomes)
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        note = f"Every date passes; checked last: {span}."
        if len(notes := {check.description for check in outcomes}) == 1:
            note = f"{note} {notes.pop()}".rstrip()
        return Check(name, passed=True, description=note, metadata=metadata)
    parts = []
    for severity, one, many in _COUNTED:
        days = sorted((str(day) for day in failing if failing[day] is severity), reverse=True)
        if days:
            more = [f"and {len(days) - _MOST_DAYS} more"] if len(days) > _MOST_DAYS else []
            listed = ", ".join([*days[:_MOST_DAYS], *more])
            parts.append(f"{len(days)} {one if len(days) == 1 else many} ({listed})")
    severity = Severity.ERROR if Severity.ERROR in failing.values() else Severity.WARN
    note = f"{' and '.join(parts)}; every other date passes."
    worst = _worst(outcomes)
    if not worst.passed and worst.severity is severity:
        note += f"\n{worst.day}: {worst.description}"
    return Check(name, passed=False, severity=severity, description=note, metadata=metadata)


def _failing_before(
    context: dg.AssetExecutionContext, names: Iterable[str]
) -> dict[str, dict[date, Severity]]:
    """By check the dates that failed when a run last said what all dates come to.

    That is not always the newest outcome without a date: a run of several dates has by now one
    that is planned, or its own, and so has every such run that died before it could say more.
    """
    history = context.instance.event_log_storage.get_asset_check_execution_history
    # The filter's type is not exported.
    of = get_args(get_type_hints(history)[_FILTER])[0]
    found: dict[str, dict[date, Severity]] = {}
    for name in names:
        key = dg.AssetCheckKey(context.asset_key, name)
        for record in history(key, limit=_LOOK_BACK, partition_filter=of(key=None)):
            told = record.evaluation.metadata.get(FAILING_DATES) if record.evaluation else None
            value = told.value if isinstance(told, dg.JsonMetadataValue) else None
            if isinstance(value, dict):
                found[name] = {date.fromisoformat(d): Severity(s) for d, s in value.items()}
                break
    return found
