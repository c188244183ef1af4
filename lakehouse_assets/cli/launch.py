"""Runs started from the command line: the same assets, in this process, on the same instance."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
from rich.console import Console

from lakehouse_assets.defs.keys import JOB, RECEIPTS_KEY, REPLAY_TAG, STARTED_BY_TAG, asset_key
from lakehouse_assets.defs.run_report import cause
from lakehouse_assets.planning.run_requests import range_tags, stretches
from resources.dagster_instance import bury_dead_runs, open_instance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resources.settings import Settings

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize(
    settings: Settings,
    dates: Sequence[date],
    tables: Sequence[str] | None,
    console: Console,
    *,
    replay: bool = False,
) -> str | None:
    """Materialize tables (None for all) for these batch dates, a run for each stretch of days.

    ``replay`` derives them anew where nothing has changed, too. Returns one clear line where a
    run failed for another reason than bad files.
    """
    instance = open_instance(settings)
    bury_dead_runs(instance, settings)
    from definitions import defs  # noqa: PLC0415 - reads the settings when imported

    job = defs.resolve_job_def(JOB)
    selection = None
    if tables is not None:
        selection = [*map(asset_key, tables), RECEIPTS_KEY]
    failures = []
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
        failures += [line for line in [_cause(result)] if line]
    return failures[0] if failures else None


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
