"""Runners: where a table's work runs. In this process, or (later) as a Glue job."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date

import dagster as dg
from filelock import FileLock, Timeout

from lakehouse_assets import rewind
from lakehouse_assets.job import Result, run, table_ids
from lakehouse_assets.ledger import Ledger
from lakehouse_assets.maintain import Maintained, maintain
from resources.engines import Engine
from resources.settings import Settings

_log = logging.getLogger(__name__)


class BusyError(Exception):
    """Another run is at work on the same table; its text is one clear line."""


class LocalRunner(dg.ConfigurableResource["LocalRunner"]):
    """Does a table's work in this process, on the engine it is given."""

    engine: Engine

    def run(
        self, table: str, dates: Sequence[date], run_id: str, *, replay: bool = False
    ) -> Result:
        """Bring one table up to date with the batches of these dates; see `job.run`.

        Raises BusyError where another process keeps the table for too long.
        """
        settings = Settings.load()
        lake = settings.lake()
        if Ledger(lake).state().rewinding:  # a restore that died halfway goes first
            with all_tables(settings):
                rewind.finish(Ledger(lake), run_id)
        with one_writer(settings, table):
            return run(
                self.engine.session(), lake, table, dates, run_id, settings.limits, replay=replay
            )

    def maintain(self, run_id: str) -> list[Maintained]:
        """Maintain every table. Raises BusyError."""
        settings = Settings.load()
        return maintain(settings.lake(), run_id, lambda table: one_writer(settings, table))


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
def all_tables(settings: Settings) -> Iterator[None]:
    """Keep other processes of this machine from writing any table. Raises BusyError."""
    with ExitStack() as held:
        for table in table_ids():
            held.enter_context(one_writer(settings, table))
        yield
