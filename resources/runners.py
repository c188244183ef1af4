"""Runners: where a table's work runs. In this process, or (later) as a Glue job."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
from filelock import FileLock, Timeout

from lakehouse_assets.job import Result, run
from resources.engines import Engine
from resources.settings import Settings

_PATIENCE_SECONDS = 900.0


class BusyError(Exception):
    """Another run is at work on the same table; its text is one clear line."""


class LocalRunner(dg.ConfigurableResource["LocalRunner"]):
    """Does a table's work in this process, on the engine it is given."""

    engine: Engine

    def run(self, table: str, dates: Sequence[date], run_id: str) -> Result:
        """Bring one table up to date with the batches of these dates; see `job.run`.

        Raises BusyError where another run keeps the table for a quarter of an hour.
        """
        settings = Settings.load()
        lake = settings.lake()
        with _one_writer(Path(lake.storage.uri("locks")), table):
            return run(self.engine.session(), lake, table, dates, run_id, settings.limits)


@contextmanager
def _one_writer(folder: Path, table: str) -> Iterator[None]:
    """One writer per table on this machine. The system frees a dead process's lock."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{table}.lock")
    try:
        with lock.acquire(timeout=_PATIENCE_SECONDS):
            yield
    except Timeout:
        raise BusyError(
            f"{table}: another run has been at work on it for {_PATIENCE_SECONDS:.0f} s; "
            "wait for it to end, then run again"
        ) from None
