"""One writer per table on this machine, whoever it is: the command line, the UI, a schedule."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import BaseFileLock, FileLock, Timeout

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.tables.registry import table_ids

_GLANCE_SECONDS: Final = 30.0
"""Longer than anyone holds a run's lock only to see whether it is held."""

_log = logging.getLogger(__name__)


class BusyError(LakehouseError):
    """Another process is at work on the same table."""


@dataclass(frozen=True)
class Locks:
    """Locks in a folder of this machine. The system frees a dead process's locks.

    Who wants a table that another process is at work on waits for ``patience_seconds``.
    """

    folder: Path
    patience_seconds: float

    @contextmanager
    def one_writer(self, table: str) -> Iterator[None]:
        """Keep other processes of this machine from writing a table. Raises BusyError."""
        lock = self._lock(table)
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                _log.warning("%s: another process is at work on it; waiting", table)
                lock.acquire(timeout=self.patience_seconds)
        except Timeout:
            raise BusyError(
                f"{table}: another process has been at work on it for {self.patience_seconds:g} s; "
                "wait for it to end, then try again"
            ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def all_tables(self) -> Iterator[None]:
        """Keep other processes of this machine from writing any table. Raises BusyError."""
        with ExitStack() as held:
            for table in table_ids():
                held.enter_context(self.one_writer(table))
            yield

    @contextmanager
    def alive(self, run_id: str) -> Iterator[None]:
        """Show that a Dagster run is at work, for as long as this process lives at the most."""
        with self._of_run(run_id).acquire(timeout=_GLANCE_SECONDS):
            yield
        self.forget(run_id)

    def is_alive(self, run_id: str) -> bool:
        """Whether a process of this machine shows that it is at work on a run."""
        try:
            with self._of_run(run_id).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def forget(self, run_id: str) -> None:
        """Remove what showed that a run was at work, once it has ended."""
        Path(self._of_run(run_id).lock_file).unlink(missing_ok=True)

    def _of_run(self, run_id: str) -> BaseFileLock:
        return self._lock(f"run-{run_id}")

    def _lock(self, name: str) -> BaseFileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{name}.lock")
