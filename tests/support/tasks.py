"""Dagster's tasks on ECS as processes of this machine: each with its own home and variables."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import requests

from tests.support import PROJECT
from tests.support.servers import answering, own_port, serving

DEPLOY: Final = PROJECT / "deploy" / "dagster"


class Platform:
    """What the tasks' definitions say, and folders for what belongs to a task alone.

    ``variables`` are those of every task, ``own`` those of one alone, by its part: code, web,
    daemon, run.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        code_port: int,
        own: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._folder, self._own = folder, own or {}
        self.home = folder / "dagster"
        self.home.mkdir()
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copyfile(DEPLOY / name, self.home / name)
        self.code_port = code_port
        # The one thing that is not as deployed: the port, which others have here.
        text = (self.home / "workspace.yaml").read_text()
        assert "port: 4000" in text
        (self.home / "workspace.yaml").write_text(
            text.replace("port: 4000", f"port: {self.code_port}")
        )
        here = {"DAGSTER_HOME": str(self.home), "DAGSTER_CODE_HOST": "127.0.0.1"}
        self.variables = {**variables, **here}

    def environment(self, task: str) -> dict[str, str]:
        """A task's variables; its home is its own, as its disk is."""
        mine = {"LAKEHOUSE_HOME": str(self._folder / "homes" / task)}
        return {**os.environ, **self._own.get(task, {}), **self.variables, **mine}

    @contextmanager
    def at_work(self) -> Iterator[str]:
        """Code location, webserver and daemon, until the block ends: the URL of the UI."""
        workspace = ("--workspace", "workspace.yaml")
        with (
            own_port() as port,
            self._serving(
                *("code", "dagster", "code-server", "start", "--host", "127.0.0.1"),
                *("--port", str(self.code_port), "--module-name", "definitions"),
                *("--location-name", "lakehouse"),
            ),
            self._serving(
                *("web", "dagster_webserver", *workspace, "--host", "127.0.0.1"),
                *("--port", str(port)),
                answers=answering(f"http://127.0.0.1:{port}/server_info"),
            ),
            self._serving("daemon", "dagster._daemon", "run", *workspace),
        ):
            yield f"http://127.0.0.1:{port}"

    def carry_out(self, task: Mapping[str, Any]) -> int:
        """Do what a launched task was told to, as Fargate would; how it ended."""
        [override] = task["overrides"]["containerOverrides"]
        return self.run(override["command"])

    def run(self, command: list[str]) -> int:
        """A command in a run's task; how it ended."""
        with (self._folder / "run.log").open("ab") as log:
            return subprocess.run(
                [sys.executable, "-m", *command],
                env=self.environment("run"),
                cwd=self.home,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode

    @contextmanager
    def _serving(
        self, task: str, *command: str, answers: Callable[[], object] = lambda: True
    ) -> Iterator[None]:
        """A task at work, ended with the block."""
        with serving(
            [sys.executable, "-m", *command],
            answers,
            self._folder / f"{task}.log",
            env=self.environment(task),
            cwd=self.home,
        ):
            yield


def graphql(ui: str, query: str, **variables: object) -> dict[str, Any]:
    """What the webserver answers."""
    told = {"query": query, "variables": variables}
    answer = requests.post(f"{ui}/graphql", json=told, timeout=60).json()
    assert "errors" not in answer, answer["errors"]
    found: dict[str, Any] = answer["data"]
    return found
