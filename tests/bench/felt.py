"""What one waits for at the command line: `python -m tests.bench.felt`, wall seconds.

In a lakehouse of three small days (2,000 orders and 20,000 items each): help, status, a run with
nothing to do, the first line of a run and its end, the UI until its first page answers. Each is the
median of several, on the two cores that are there; the limits are what a person does not notice as
waiting, and a machine with other work on it is slower.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import SIZES, files_after, histories, put
from tests.support import PROJECT
from tests.support.servers import lakehouse_ui, own_port

_HISTORY: Final = 2
_MOST: Final = {
    "lakehouse --help": 0.5,
    "lakehouse status": 1.5,
    "lakehouse run, nothing pending": 1.5,
    "lakehouse run, to its first line": 1.0,
    "lakehouse run of a small day": 15.0,
    "lakehouse ui, to its first page": 15.0,
}
"""Seconds."""


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="that each is measured")
    times = parser.parse_args().times
    found: dict[str, list[float]] = {name: [] for name in _MOST}
    with tempfile.TemporaryDirectory(prefix="lakehouse-felt-") as folder:
        [lake] = histories(Path(folder), _HISTORY, ["sail"]).values()
        for number in range(times):
            root = Path(folder, str(number))
            shutil.copytree(lake, root)
            _measure(root, found)
    shown = Table("what", "wall s", "at most")
    for name, seconds in found.items():
        shown.add_row(name, f"{median(seconds):.1f}", f"{_MOST[name]:g}")
    Console(width=100).print(shown)


def _measure(root: Path, found: Mapping[str, list[float]]) -> None:
    environment = {**os.environ, "LAKEHOUSE_ROOT": str(root)}
    _lakehouse(environment, "run")  # the history was made without Dagster: its first run is longer
    for file in files_after(_HISTORY, *SIZES["small"]):
        put(root, file)
    first, whole = _lakehouse(environment, "run")
    found["lakehouse run, to its first line"].append(first)
    found["lakehouse run of a small day"].append(whole)
    for name, command in (
        ("lakehouse --help", "--help"),
        ("lakehouse status", "status"),
        ("lakehouse run, nothing pending", "run"),
    ):
        found[name].append(_lakehouse(environment, command)[1])
    started = time.monotonic()
    with own_port() as port, lakehouse_ui(root / "ui.log", environment, port):
        found["lakehouse ui, to its first page"].append(time.monotonic() - started)


def _lakehouse(environment: Mapping[str, str], *arguments: str) -> tuple[float, float]:
    """Seconds to a command's first line, and to its end."""
    started = time.monotonic()
    command = [str(Path(sys.executable).with_name("lakehouse")), *arguments]
    with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        first = time.monotonic() - started
        process.stdout.read()
    assert process.returncode == 0, arguments
    return first, time.monotonic() - started


if __name__ == "__main__":
    main()
