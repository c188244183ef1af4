"""One writer per table on this machine, whoever it is: the command line, the UI, a schedule."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.tables.registry import table_ids
from resources.settings import Settings

_GLANCE_SECONDS = 30.0
"""Longer than anyone holds a run's lock only to see whether it is held."""

_log = logging.getLogger(__name__)


class BusyError(LakehouseError):
    """Another process is at work on the same table."""


@contextmanager
def one_writer(settings: Settings, table: str) -> Iterator[None]:
    """Keep other processes of this machine from writing a table.

    The system frees a dead process's lock. Raises BusyError.
    """
    folder = settings.local / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{table}.lock")
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.warning("%s: another process is at work on it; waiting", table)
            lock.acquire(timeout=settings.patience_seconds)
    except Timeout:
        raise BusyError(
            f"{table}: another process has been at work on it for {settings.patience_seconds:g} s; "
            "wait for it to end, then try again"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alive(settings: Settings, run_id: str) -> Iterator[None]:
    """Show that a Dagster run is at work, for as long as this process lives at the most."""
    with _of_run(settings, run_id).acquire(timeout=_GLANCE_SECONDS):
        yield
    forget(settings, run_id)


def is_alive(settings: Settings, run_id: str) -> bool:
    """Whether a process of this machine shows that it is at work on a run."""
    try:
        with _of_run(settings, run_id).acquire(timeout=0):
            return False
    except Timeout:
        return True


def forget(settings: Settings, run_id: str) -> None:
    """Remove what showed that a run was at work, once it has ended."""
    Path(_of_run(settings, run_id).lock_file).unlink(missing_ok=True)


def _of_run(settings: Settings, run_id: str) -> BaseFileLock:
    folder = settings.local / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"run-{run_id}.lock")


@contextmanager
def all_tables(settings: Settings) -> Iterator[None]:
    """Keep other processes of this machine from writing any table. Raises BusyError."""
    with ExitStack() as held:
        for table in table_ids():
            held.enter_context(one_writer(settings, table))
        yield
