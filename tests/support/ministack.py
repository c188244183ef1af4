"""MiniStack, an AWS on this machine whose CloudFormation makes what it is asked to."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.support import PROJECT
from tests.support.servers import own_port, serving

PROGRAM = PROJECT / ".venv-ministack" / "bin" / "ministack"


class MiniStack:
    """A server on 127.0.0.1; a context manager that ends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._port = stack.enter_context(own_port())
            # It binds every address unless told.
            bound = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self._port)}
            stack.enter_context(
                serving(
                    [str(PROGRAM)],
                    self._answers,
                    self._folder / "log",
                    cwd=self._folder,
                    env={**os.environ, **bound},
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._port)):
            return True

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
