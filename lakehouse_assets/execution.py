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

from resources.instance import open_instance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from resources.settings import Settings

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize(
    settings: Settings, dates: Sequence[date], tables: Sequence[str] | None, console: Console
) -> str | None:
    """Materialize tables (None for all) for the batch dates from the first to the last.

    Returns one clear line where the run failed for another reason than bad files.
    """
    instance = open_instance(settings)
    from definitions import defs  # noqa: PLC0415 - reads the settings when imported

    job = defs.resolve_job_def("lakehouse")
    first, last = min(dates).isoformat(), max(dates).isoformat()
    tags = (
        {"dagster/partition": first}
        if first == last
        else {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }
    )
    selection = None
    if tables is not None:
        selection = [dg.AssetKey(t.split(".")) for t in tables] + [dg.AssetKey("receipts")]
    run_id = str(uuid.uuid4())
    with _progress(instance, run_id, console):
        result = job.execute_in_process(
            instance=instance,
            run_id=run_id,
            tags=tags,
            partition_key=first if first == last else None,
            asset_selection=selection,
            run_config=_QUIET,
            raise_on_error=False,
        )
    return _cause(result)


def _cause(result: dg.ExecuteInProcessResult) -> str | None:
    for event in result.all_events:
        if event.is_step_failure and event.step_key != "receipts":
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            text = " ".join(error.message.split()) if error else "failed"
            return f"{event.step_key}: {text}; see the run in `lakehouse ui`"
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
