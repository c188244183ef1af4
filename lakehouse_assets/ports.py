"""What the assets ask of an environment, and the plain values that go to and fro.

``resources`` has an implementation for each protocol; nothing here knows Dagster or AWS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import date, datetime

    import dagster as dg

    from lakehouse_assets.dashboards.publish import Published
    from lakehouse_assets.operations.load_warehouse import Load
    from lakehouse_assets.operations.maintenance import Maintenance
    from lakehouse_assets.operations.renew_manifests import Renewed
    from lakehouse_assets.pipeline.result import Result
    from lakehouse_assets.store.lake import FilePath
    from lakehouse_assets.tables.dashboard import Dashboard

# ------------------------------------------------------------------------------------ the work


class JobFailedError(Exception):
    """A table's job did not do what it was asked to.

    ``result`` is what it had reported until then; ``cause`` is what its step ends with, such as
    Dagster's ``Failure``.
    """

    def __init__(self, result: Result, cause: Exception) -> None:
        super().__init__(str(cause))
        self.result = result
        self.cause = cause


class Runner(Protocol):
    """Where a table's work runs."""

    def run(
        self,
        context: dg.OpExecutionContext,
        table: str,
        dates: Sequence[date],
        *,
        replay: bool = False,
    ) -> Result:
        """Bring a table up to date with the batches of these dates; ``replay``: derive it anew.

        ``context`` is the step's. Raises JobFailedError where the work is done elsewhere and
        fails there, and whatever stops it where it is done here.
        """
        ...


class Maintainer(Protocol):
    """What maintains tables."""

    def maintain(self, context: dg.OpExecutionContext) -> list[Maintenance]:
        """Maintain every table; returns what was done to each."""
        ...


class Archiver(Protocol):
    """What takes processed files out of the raw zone, or leaves them where they are."""

    def archive(self, run_id: str) -> list[FilePath]:
        """Move every processed file into the archive; returns where they were."""
        ...


class DashboardPages(Protocol):
    """What draws dashboards."""

    def draw(self, dashboard: Dashboard) -> Published:
        """Write a page, unless it stands already. Raises QueryError."""
        ...


# ---------------------------------------------------------------------------------- the catalog


@dataclass
class Registered:
    """What registering did, by table id; ``drift`` says what had been changed by hand before."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)


class Catalog(Protocol):
    """Where people's tools find the tables."""

    def register(self) -> Registered | None:
        """Make it say what the contracts say; None where there is no catalog."""
        ...


# -------------------------------------------------------------------------------- the warehouse


class Loader(Protocol):
    """What brings marts into the warehouse. Raises LakehouseError, one clear line."""

    def renew_manifests(self) -> list[Renewed]:
        """Let it read the lake's other tables in their place, as they are now."""
        ...

    def prepare(self) -> int:
        """Make the warehouse's tables what the contracts say; how many transactions that took."""
        ...

    def load(self, table: str, run_id: str) -> Load:
        """Take in what has changed in a mart, by its id, since its version that is loaded."""
        ...


# ------------------------------------------------------------------------- messages and figures


class Topic(StrEnum):
    """What a message is about; people subscribe to the ones that concern them."""

    SUCCESS = "success"
    FAILURE = "failure"
    DATA_QUALITY = "data-quality"
    DELAY = "delay"


@dataclass(frozen=True)
class Message:
    """One message: a subject, and what, where and how many in a line each.

    ``run_id`` is of the run that it is about, None where it is about none.
    """

    topic: Topic
    subject: str
    lines: tuple[str, ...]
    run_id: str | None = None


class Alerts(Protocol):
    """Where messages for people go."""

    def send(self, message: Message) -> None:
        """Send one. Raises LakehouseError where that cannot be done."""
        ...


@dataclass(frozen=True)
class Measure:
    """One figure of one table; the unit is one that CloudWatch knows."""

    name: str
    table: str
    value: float
    unit: str


class Metrics(Protocol):
    """Where figures go."""

    def send(self, figures: Sequence[Measure], at: datetime) -> None:
        """Send the figures of one run. Raises LakehouseError where that cannot be done."""
        ...
