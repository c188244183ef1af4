"""The Dagster instance of a laptop: where runs are recorded and the UI looks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from resources.settings import Settings

_PROJECT = Path(__file__).parent.parent
_CONFIG = _PROJECT / "deploy" / "local" / "dagster.yaml"


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

    # Dagster's own tools read the variable, and so do the processes that it starts.
    folder = home(settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    # Two processes that both make its databases trip over each other.
    with FileLock(folder / ".open.lock"):
        return dg.DagsterInstance.get()


def serve(settings: Settings, port: int) -> None:
    """Become webserver and daemon on this instance, on 127.0.0.1, until told to stop."""
    os.environ["DAGSTER_HOME"] = str(home(settings))
    lake = settings.lake()
    os.environ |= {
        "LAKEHOUSE_RAW": lake.raw.root,
        "LAKEHOUSE_PROCESSED": lake.storage.root,
        "LAKEHOUSE_HOME": str(settings.local),
    }
    # Its pyproject.toml names the code location; and a module in the folder where the command
    # was given cannot take the place of one of ours.
    os.chdir(_PROJECT)
    # `dg dev`, which Dagster would rather see, adds warnings of its own about environments.
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    program = [sys.executable, *quiet, "-m", "dagster", "dev"]
    os.execv(sys.executable, [*program, "-h", "127.0.0.1", "-p", str(port)])  # noqa: S606
