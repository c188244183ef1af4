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
    """What a run had to say: ``failure`` where it failed for another reason than bad files."""

    run_id: str
    failure: str | None
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
    return Outcome(run_id, _cause(result), _warnings(report.checks, report.files), report.lines)


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


def _warnings(failed: Sequence[FailedCheck], bad: Collection[str]) -> list[str]:
    """A line for each warning about a file, and one for each other check, whatever its dates.

    Also of the files that came with one that cannot be read, though their check is then an error;
    ``bad`` are the clear lines of such files. Warnings about rejected rows are left out: how many
    there are, and where to see them, is said once.
    """
    found: dict[tuple[str, str], list[FailedCheck]] = {}
    rejected = {(d.silver.id, name) for d in DATASETS.values() for name in rule_checks(d)}
    for check in failed:
        if not check.severe and (check.table, check.name) in rejected:
            continue
        if not check.severe or check.name in ABOUT_FILES:
            found.setdefault((check.table, check.name), []).append(check)
    of_files: list[str] = []
    lines: list[str] = []
    for (table, name), checks in found.items():
        if name in ABOUT_FILES and table.startswith(Layer.BRONZE):
            told = [line for check in checks for line in check.description.splitlines()]
            of_files += [line for line in told if line not in bad]
            continue
        newest = max(checks, key=lambda check: check.day or "")
        others = f"; likewise on {len(checks) - 1} other date(s)" if len(checks) > 1 else ""
        lines.append(f"{table} {name} ({newest.day}): {newest.description}{others}")
    return [*gathered(of_files), *lines]


def _cause(result: dg.ExecuteInProcessResult) -> str | None:
    for event in result.all_events:
        if event.is_step_failure and not waiting_files(event):
            return f"{cause(event)}; see the run in `lakehouse ui`"
    return None
