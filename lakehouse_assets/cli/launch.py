"""Runs started from the command line: the same assets, in this process, on the same instance."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
from rich.console import Console

from lakehouse_assets.defs import run_report
from lakehouse_assets.defs.keys import JOB, RECEIPTS_KEY, REPLAY_TAG, STARTED_BY_TAG, asset_key
from lakehouse_assets.defs.run_report import FailedCheck, cause
from lakehouse_assets.pipeline.bronze_checks import STRUCTURE
from lakehouse_assets.planning.run_requests import range_tags, stretches
from lakehouse_assets.tables.contract import Layer
from resources.dagster_instance import bury_dead_runs, open_instance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resources.settings import Settings

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Outcome:
    """What runs had to say: ``failure`` where one failed for another reason than bad files."""

    failure: str | None = None
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def materialize(
    settings: Settings,
    dates: Sequence[date],
    tables: Sequence[str] | None,
    console: Console,
    *,
    replay: bool = False,
) -> Outcome:
    """Materialize tables (None for all) for these batch dates, a run for each stretch of days.

    ``replay`` derives them again where nothing has changed, too.
    """
    instance = open_instance(settings)
    bury_dead_runs(instance, settings)
    from definitions import defs  # noqa: PLC0415 - reads the settings when imported

    job = defs.resolve_job_def(JOB)
    selection = None
    if tables is not None:
        selection = [*map(asset_key, tables), RECEIPTS_KEY]
    outcome = Outcome()
    for days in stretches(dates):
        tags = {STARTED_BY_TAG: "command line"} | ({REPLAY_TAG: "true"} if replay else {})
        run_id = str(uuid.uuid4())
        with _progress(instance, run_id, console):
            result = job.execute_in_process(
                instance=instance,
                run_id=run_id,
                tags=tags | range_tags(days),
                partition_key=days[0].isoformat() if len(days) == 1 else None,
                asset_selection=selection,
                run_config=_QUIET,
                raise_on_error=False,
            )
        outcome.failure = outcome.failure or _cause(result)
        report = run_report.read(instance, result.dagster_run)
        outcome.notes += report.lines
        outcome.warnings += _warnings(report.checks)
    return outcome


def _warnings(failed: Sequence[FailedCheck]) -> list[str]:
    """A line for each warning about a file, and one for each other check, whatever its dates."""
    found: dict[tuple[str, str], list[FailedCheck]] = {}
    for check in failed:
        if not check.severe:
            found.setdefault((check.table, check.name), []).append(check)
    lines: list[str] = []
    for (table, name), checks in found.items():
        if name == STRUCTURE and table.startswith(Layer.BRONZE):
            lines += [line for check in checks for line in check.description.splitlines()]
            continue
        when = f"{checks[0].day}" if len(checks) == 1 else f"{len(checks)} dates, {checks[0].day}"
        lines.append(f"{table} {name} ({when}): {checks[0].description}")
    return lines


def _cause(result: dg.ExecuteInProcessResult) -> str | None:
    for event in result.all_events:
        if event.is_step_failure and event.step_key != RECEIPTS_KEY.to_user_string():
            return f"{cause(event)}; see the run in `lakehouse ui`"
    return None


@contextmanager
def _progress(instance: dg.DagsterInstance, run_id: str, console: Console) -> Iterator[None]:
    """Say which step is at work, from the run's own events."""
    done = threading.Event()

    def watch() -> None:
        with console.status("starting") as status:
            while not done.wait(0.3):
                logs = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_START)
                if logs and logs[-1].step_key:
                    status.update(f"{logs[-1].step_key} (step {len(logs)})")

    thread = threading.Thread(target=watch, daemon=True)
    if console.is_terminal:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if thread.ident:
            thread.join()
