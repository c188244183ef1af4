"""A PostgreSQL on this machine, of a folder that goes with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from tests.support.servers import own_port, serving

USER, PASSWORD, DATABASE = "dagster", "a secret: @/%", "dagster"
"""The password has what a URL must not hold as it is: one that AWS makes may, too."""

_OWNER: Final = "postgres" if os.geteuid() == 0 else None
"""The server refuses to be root."""


def programs() -> Path | None:
    """Folder of PostgreSQL's programs, where Debian or the path has them."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found or on_path:
        return (found[-1] if found else Path(str(on_path))).parent
    return None


class Postgres:
    """A server on 127.0.0.1 that asks for its password; a context manager that ends it."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="postgres-")))
            self.port = stack.enter_context(own_port())
            data, secret = self._folder / "data", self._folder / "password"
            secret.write_text(PASSWORD)
            if _OWNER:
                shutil.chown(self._folder, _OWNER)
                shutil.chown(secret, _OWNER)
            self._run(
                *("initdb", "--pgdata", str(data), "--username", USER, "--auth", "scram-sha-256"),
                *("--pwfile", str(secret), "--no-sync", "--encoding", "UTF8", "--locale", "C"),
            )
            options = f"-p {self.port} -h 127.0.0.1 -k {self._folder} -c fsync=off"
            stack.enter_context(
                serving(
                    [str(self._bin / "postgres"), "-D", str(data), *options.split()],
                    self._answers,
                    self._folder / "log",
                    stop=signal.SIGINT,  # at once, whoever is connected
                    cwd=self._folder,
                    user=_OWNER,
                )
            )
            self._run("createdb", "--host", "127.0.0.1", "--port", str(self.port),
                      "--username", USER, DATABASE)  # fmt: skip
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a task's definition says of its database."""
        return {
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_USERNAME": USER,
            "DAGSTER_PG_PASSWORD": PASSWORD,
            "DAGSTER_PG_DB": DATABASE,
            "DAGSTER_PG_PORT": str(self.port),
            "PGSSLMODE": "disable",
        }

    def _answers(self) -> bool:
        asked = [str(self._bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(asked).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self._folder,
            user=_OWNER,
            env={**os.environ, "PGPASSWORD": PASSWORD},
            check=True,
            stdout=subprocess.DEVNULL,
        )
