"""MiniStack, an AWS on this machine whose CloudFormation makes what it is asked to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.support import PROJECT
from tests.support.object_store import _free_port
from tests.support.processes import die_with_parent

PROGRAM = PROJECT / ".venv-ministack" / "bin" / "ministack"


class MiniStack:
    """A server on 127.0.0.1; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        self._port = _free_port()
        with (folder / "log").open("w") as log:
            self._server = subprocess.Popen(
                [str(PROGRAM)],
                cwd=folder,
                # It binds every address unless told.
                env={**os.environ, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self._port)},
                stdout=log,
                stderr=log,
                preexec_fn=lambda: die_with_parent(signal.SIGKILL),  # noqa: PLW1509
            )

    def __enter__(self) -> Self:
        for _ in range(600):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", self._port)) == 0:
                    return self
            assert self._server.poll() is None, "MiniStack has ended"
            time.sleep(0.1)
        raise TimeoutError("MiniStack does not start")

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    @property
    def environment(self) -> dict[str, str]:
        """What leads boto3 here."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
