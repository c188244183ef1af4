"""Runs started from the command line: the same assets, in this process, on the same instance."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from lakehouse_assets.cli.console import gathered
from lakehouse_assets.cli.progress import Progress, State, rows_of
from lakehouse_assets.defs import run_report
from lakehouse_assets.defs.keys import (
    JOB,
    QUIET,
    RECEIPTS_KEY,
    REPLAY_TAG,
    STARTED_BY_TAG,
    asset_key,
)
from lakehouse_assets.defs.run_report import FailedCheck, cause, waiting_files
from lakehouse_assets.pipeline.bronze_checks import ABOUT_FILES
from lakehouse_assets.pipeline.silver_checks import rule_checks
from lakehouse_assets.planning.run_requests import range_tags
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.registry import DATASETS, table_ids
from resources.dagster_instance import bury_dead_runs, open_instance

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """What a run had to say: ``failure`` where it failed for another reason than bad files.

    ``errors`` are of checks that are no warnings, of figures that do not agree above all.
    """

    run_id: str
    failure: str | None
    errors: Sequence[str]
    warnings: Sequence[str]
    notes: Sequence[str]


def materialize(
    settings: Settings,
    days: Sequence[date],
    tables: Sequence[str] | None,
    progress: Progress,
    *,
    replay: bool = False,
) -> Outcome:
    """Materialize tables (None for all) for batch dates without a gap, in one run.

    ``replay`` derives them again where nothing has changed, too. Where ``progress`` is stopped
    from another thread, the run is canceled on record and goes on no further than that.
    """
    instance = open_instance(settings, captures_output=False)
    bury_dead_runs(instance, settings)
    from definitions import defs  # noqa: PLC0415 - reads the settings when imported

    selection = None if tables is None else [*map(asset_key, tables), RECEIPTS_KEY]
    run_id = str(uuid.uuid4())
    tags = {STARTED_BY_TAG: "command line"} | ({REPLAY_TAG: "true"} if replay else {})
    instance.add_event_listener(run_id, _listener(progress))
    try:
        with progress.stopped_by(lambda: _cancel(instance, run_id, settings)):
            result = defs.resolve_job_def(JOB).execute_in_process(
                instance=instance,
                run_id=run_id,
                tags=tags | range_tags(days),
                partition_key=days[0].isoformat() if len(days) == 1 else None,
                asset_selection=selection,
                run_config=QUIET,
                raise_on_error=False,
            )
    except dg.DagsterExecutionInterruptedError:
        # The step has stopped its job elsewhere, and Dagster has the run on record as canceled.
        raise KeyboardInterrupt from None
    report = run_report.read(instance, result.dagster_run)
    failure, warnings = _cause(result), _warnings(report.checks, report.files)
    # An audit that kept a table as it was is the failure, and a check as well.
    errors = _errors([c for c in report.checks if c.description not in (failure or "")])
    return Outcome(run_id, failure, errors, warnings, report.lines)


def _listener(progress: Progress) -> Callable[[dg.EventLogEntry], None]:
    """What tells the display of each step, as soon as Dagster has it on record."""
    names = {asset_key(table).to_python_identifier(): table for table in table_ids()}
    rows: dict[str, str] = {}

    def listen(entry: dg.EventLogEntry) -> None:
        progress.hold_if_stopped()
        step = entry.step_key or ""
        name = names.get(step, step.replace("__", "."))
        match entry.dagster_event_type:
            case dg.DagsterEventType.STEP_START:
                progress.begin(name)
            case dg.DagsterEventType.ASSET_MATERIALIZATION if entry.asset_materialization:
                told = entry.asset_materialization.metadata
                rows[name] = rows_of({key: value.value for key, value in told.items()})
            case dg.DagsterEventType.STEP_SUCCESS:
                progress.end(name, State.DONE, rows.get(name, ""))
            case dg.DagsterEventType.STEP_FAILURE if entry.dagster_event:
                waits = waiting_files(entry.dagster_event)
                progress.end(name, State.FILES_WAIT if waits else State.FAILED, rows.get(name, ""))
            case dg.DagsterEventType.STEP_SKIPPED:
                progress.end(name, State.LEFT_OUT)

    return listen


def _cancel(instance: dg.DagsterInstance, run_id: str, settings: Settings) -> None:
    """Have the run on record as canceled, if it is there and has not ended."""
    run = instance.get_run_by_id(run_id)
    if run and not run.is_finished:
        instance.report_run_canceled(run, "Interrupted by a person at the command line.")
    settings.locks.forget(run_id)


def _errors(failed: Sequence[FailedCheck]) -> list[str]:
    """A line for each check that is no warning: of tables; files and their rows have their own."""
    of_tables = [c for c in failed if c.severe and c.name not in ABOUT_FILES and not _of_rows(c)]
    return [_line(checks) for checks in _by_check(of_tables).values()]


def _of_rows(check: FailedCheck) -> bool:
    """Whether it fails for rows that are rejected, of which a run says how many and where."""
    return any(
        check.table == d.silver.id and check.name in rule_checks(d) for d in DATASETS.values()
    )


def _by_check(failed: Sequence[FailedCheck]) -> dict[tuple[str, str], list[FailedCheck]]:
    found: dict[tuple[str, str], list[FailedCheck]] = {}
    for check in failed:
        found.setdefault((check.table, check.name), []).append(check)
    return found


def _line(checks: Sequence[FailedCheck]) -> str:
    """What the newest of a check's outcomes says, and that others are like it."""
    newest = max(checks, key=lambda check: check.day or "")
    said = f"{newest.table} {newest.name} ({newest.day}): {newest.description.rstrip('.')}"
    others = len(checks) - 1
    return f"{said}; likewise on {others} other date{'s' * (others > 1)}" if others else f"{said}."


def _warnings(failed: Sequence[FailedCheck], bad: Collection[str]) -> list[str]:
    """A line for each warning about a file, and one for each other check, whatever its dates.

    Also of the files that came with one that cannot be read, though their check is then an error;
    ``bad`` are the clear lines of such files. Warnings about rejected rows are left out: how many
    there are, and where to see them, is said once.
    """
    found = _by_check([c for c in failed if c.name in ABOUT_FILES or not (c.severe or _of_rows(c))])
    of_files: list[str] = []
    lines: list[str] = []
    for (table, name), checks in found.items():
        if name in ABOUT_FILES and table.startswith(Layer.BRONZE):
            told = [line for check in checks for line in check.description.splitlines()]
            of_files += [line for line in told if line not in bad]
            continue
        lines.append(_line(checks))
    return [*gathered(of_files), *lines]


def _cause(result: dg.ExecuteInProcessResult) -> str | None:
    for event in result.all_events:
        if event.is_step_failure and not waiting_files(event):
            return f"{cause(event)}; see the run in `lakehouse ui`"
    return None
