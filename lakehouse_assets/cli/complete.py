"""What the shell offers at the Tab key: all that has a name. Quick, and silent if in doubt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.queries.named import named_queries, tables, views
from lakehouse_assets.tables.registry import DATASETS, table_ids

if TYPE_CHECKING:
    from lakehouse_assets.store.file_state import PathState
    from lakehouse_assets.store.ledger import Ledger, State

Complete = Callable[[str], list[str]]


def _completing(names: Callable[[], Iterable[str]]) -> Complete:
    """Offer those of these names that go on from what was typed."""

    def complete(incomplete: str) -> list[str]:
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except (LakehouseError, OSError):  # a message would be typed into the command
            return []

    complete.__doc__ = names.__doc__  # typer asks for its signature, which must be its own
    return complete


@_completing
def dataset_names() -> Iterable[str]:
    """Datasets."""
    return DATASETS


@_completing
def table_names() -> Iterable[str]:
    """Tables and views that a query can name."""
    return [*tables(), *views()]


@_completing
def query_names() -> Iterable[str]:
    """Named queries."""
    return named_queries()


@_completing
def dashboard_names() -> Iterable[str]:
    """Dashboards."""
    from lakehouse_assets.dashboards.registry import dashboards  # noqa: PLC0415 - reads their queries

    return dashboards()


def job_tables(incomplete: str) -> list[str]:
    """Tables that a run can work on, the last of a list with commas."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in table_ids() if name.startswith(last)]


@_completing
def batch_dates() -> Iterable[str]:
    """Batch dates on which anything landed, or lies, newest first."""
    from lakehouse_assets.store.lake import RawFile  # noqa: PLC0415 - opens Delta tables

    ledger = _ledger()
    landed = {str(path.batch_date) for path in ledger.state().paths}
    lying = {str(f.path.batch_date) for f in ledger.lake.raw_files() if isinstance(f, RawFile)}
    return sorted(landed | lying, reverse=True)


@_completing
def runs() -> Iterable[str]:
    """Runs that published something, newest first, by what `history` shows of their names."""
    return [fact.run_id[:8] for fact in reversed(_state().published) if fact.run_id]


@_completing
def files_to_withdraw() -> Iterable[str]:
    """Files of which something stands."""
    return _paths(lambda past: bool(past.open))


@_completing
def files_to_reinstate() -> Iterable[str]:
    """Files that are withdrawn."""
    return _paths(lambda past: bool(past.withdrawals))


@_completing
def files_to_accept() -> Iterable[str]:
    """Files that are held, or have unreadable sheets."""
    return _paths(lambda past: bool(past.acceptable))


def _paths(wanted: Callable[[PathState], bool]) -> list[str]:
    return sorted(str(path) for path, past in _state().paths.items() if wanted(past))


def _state() -> State:
    return _ledger().state()


def _ledger() -> Ledger:
    from lakehouse_assets.store.ledger import Ledger as Opened  # noqa: PLC0415 - opens Delta tables
    from resources.settings import Settings  # noqa: PLC0415 - imports pydantic's settings

    return Opened(Settings.load().lake())
