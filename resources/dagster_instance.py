"""The Dagster instance of a laptop: where runs are recorded and the UI looks."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from resources import ui_watcher
from resources.settings import RunnerName

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun, JobDefinition, RunRecord

    from resources.settings import Settings

_PROJECT = Path(__file__).parent.parent
_CONFIG = _PROJECT / "deploy" / "local" / "dagster.yaml"

_WATCHER = Path(ui_watcher.__file__)
CODE_LOCATION = "lakehouse"
"""What the UI knows the code location by; pyproject.toml tells Dagster."""

_GRACE_SECONDS = 5.0
"""How long a run without a sign of life may be about to give one, or to end."""

_START_SECONDS = 120.0
"""How long a run may take from its launch to its first sign of life."""

_NO_CAPTURE = "dagster.core.storage.noop_compute_log_manager", "NoOpComputeLogManager"
"""Module and class, as `dagster.yaml` names them."""


def home(settings: Settings) -> Path:
    """The instance's folder, made and configured where it is not there yet."""
    folder = _place(settings)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        shutil.copyfile(_CONFIG, folder / "dagster.yaml")
    return folder


def _place(settings: Settings) -> Path:
    folder = settings.dagster_home or settings.local / "dagster"
    return folder.expanduser().absolute()


def open_instance(settings: Settings, *, captures_output: bool = True) -> DagsterInstance:
    """The instance, for this process.

    Where it captures no output, what runs print goes where this process prints. To capture it
    takes Dagster four processes a run, which a Ctrl-C reaches as well as this one.
    """
    import dagster as dg  # noqa: PLC0415 - takes long to import

    # DagsterInstance.get() knows no other way, and the processes that Dagster starts inherit it.
    folder = home(settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    # Two processes that both make its databases trip over each other.
    with FileLock(folder / ".open.lock"):
        instance = dg.DagsterInstance.get()
    if not captures_output:
        ref = instance.get_ref()
        # Only a file in that folder, which is the UI's too, could say the same without naming
        # classes.
        no_capture = type(ref.compute_logs_data)(*_NO_CAPTURE, "{}\n")
        instance = dg.DagsterInstance.from_ref(ref._replace(compute_logs_data=no_capture))
    _place_runs(instance)
    return instance


def _place_runs(instance: DagsterInstance) -> None:
    """Have runs that are carried out in this process belong to the code location of the UI.

    Dagster writes down of launched runs alone where their job is from; its Overview and Jobs pages
    leave out all others.
    """
    create = instance.create_run_for_job

    def create_placed(job_def: JobDefinition, **more: Any) -> DagsterRun:
        return create(job_def, **{"remote_job_origin": _origin(job_def.name)} | more)

    vars(instance)["create_run_for_job"] = create_placed


def _origin(job: str) -> Any:
    """Where `lakehouse ui` finds a job, as Dagster keeps it; it exports no type of it."""
    import dagster as dg  # noqa: PLC0415 - takes long to import

    location = {"__class__": "RegisteredRepositoryLocationOrigin", "location_name": CODE_LOCATION}
    repository = {
        "__class__": "ExternalRepositoryOrigin",
        "repository_location_origin": location,
        "repository_name": "__repository__",
    }
    told = {
        "__class__": "ExternalPipelineOrigin",
        "external_repository_origin": repository,
        "pipeline_name": job,
    }
    return dg.deserialize_value(json.dumps(told))


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


def open_ui(settings: Settings) -> str | None:
    """Where the UI of this lakehouse is that somebody has opened; None where there is none."""
    lock = _ui_lock(settings)
    return ui_watcher.held(lock) if lock.exists() else None


def _ui_lock(settings: Settings) -> Path:
    return _place(settings) / "ui.lock"


def serve(settings: Settings, host: str, port: int) -> None:
    """Become webserver and daemon on this instance until told to stop; says when they are there.

    They end, too, where their folder is taken away: they would fill the terminal with errors of a
    database that is not there.
    """
    # It works in another folder: what is relative to this one would be lost.
    places, folder = settings.lakehouse, home(settings)
    environment = os.environ | {
        # After a reload Dagster tells whoever backfills of snapshots that differ: they may.
        "PYTHONWARNINGS": "ignore:Stored parent snapshot ID",
        "DAGSTER_HOME": str(folder),
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
    # What the daemon says of every tick is for nobody: the sensor itself says what is new.
    arguments = [*program, "-h", host, "-p", str(port), "--log-level", "warning"]
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - only compared
    url = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    environment.setdefault("LAKEHOUSE_UI_URL", url)
    # A shell starts what is to run in its background deaf to Ctrl-C. Dagster takes SIGTERM for the
    # same, and ends webserver and daemon by it: it would be deaf to both, and they would stay.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    files = [str(folder / "dagster.yaml"), str(_ui_lock(settings))]
    watcher = [sys.executable, "-I", str(_WATCHER), url, *files]
    subprocess.Popen(watcher)  # noqa: S603 - our own program
    os.execve(sys.executable, arguments, environment)  # noqa: S606
