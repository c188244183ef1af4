"""The Dagster instance of a laptop: where runs are recorded and the UI looks."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from resources.settings import RunnerName

if TYPE_CHECKING:
    from dagster import DagsterInstance, RunRecord

    from resources.settings import Settings

_PROJECT = Path(__file__).parent.parent
_CONFIG = _PROJECT / "deploy" / "local" / "dagster.yaml"

_GRACE_SECONDS = 5.0
"""How long a run without a sign of life may be about to give one, or to end."""

_START_SECONDS = 120.0
"""How long a run may take from its launch to its first sign of life."""


def home(settings: Settings) -> Path:
    """The instance's folder, made and configured where it is not there yet."""
    folder = settings.dagster_home or settings.local / "dagster"
    folder = folder.expanduser().absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        shutil.copyfile(_CONFIG, folder / "dagster.yaml")
    return folder


def open_instance(settings: Settings) -> DagsterInstance:
    """The instance, for this process."""
    import dagster as dg  # noqa: PLC0415 - takes long to import

    # DagsterInstance.get() knows no other way, and the processes that Dagster starts inherit it.
    folder = home(settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    # Two processes that both make its databases trip over each other.
    with FileLock(folder / ".open.lock"):
        return dg.DagsterInstance.get()


def bury_dead_runs(instance: DagsterInstance, settings: Settings) -> None:
    """Report runs of this machine as failed whose process has died without a word.

    They would stand as running for ever, and take a place from others. What runs elsewhere shows
    no sign of life here, and is watched by who launched it there.
    """
    import dagster as dg  # noqa: PLC0415 - takes long to import

    if settings.runner is not RunnerName.LOCAL:
        return
    if instance.run_launcher.supports_check_run_worker_health:
        return
    launched = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    silent = [
        record.dagster_run
        for record in instance.get_run_records(launched)
        if not settings.locks.is_alive(record.dagster_run.run_id) and not _may_come(record)
    ]
    if silent:
        time.sleep(_GRACE_SECONDS)
    for run in silent:
        now = instance.get_run_by_id(run.run_id)
        if now and now.status is run.status and not settings.locks.is_alive(run.run_id):
            instance.report_run_failed(now, "its process has died; run again")
            settings.locks.forget(run.run_id)


def _may_come(record: RunRecord) -> bool:
    """Whether a run's process may be about to start."""
    if record.dagster_run.status.value != "STARTING":
        return False
    return time.time() - record.update_timestamp.timestamp() < _START_SECONDS


def serve(settings: Settings, port: int) -> None:
    """Become webserver and daemon on this instance, on 127.0.0.1, until told to stop."""
    # It works in another folder: what is relative to this one would be lost.
    places = settings.lakehouse
    environment = os.environ | {
        "DAGSTER_HOME": str(home(settings)),
        "LAKEHOUSE_RAW": places.raw.root,
        "LAKEHOUSE_PROCESSED": places.processed.root,
        "LAKEHOUSE_HOME": str(settings.local),
    }
    # Its pyproject.toml names the code location; and a module in the folder where the command
    # was given cannot take the place of one of ours.
    os.chdir(_PROJECT)
    # `dg dev`, which Dagster would rather see, adds warnings of its own about environments.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    program = [sys.executable, *quiet, "-m", "dagster", "dev"]
    arguments = [*program, "-h", "127.0.0.1", "-p", str(port)]
    os.execve(sys.executable, arguments, environment)  # noqa: S606
