"""What the assets ask of an environment, and the plain values that go to and fro.

``resources`` has an implementation for each protocol; nothing here knows Dagster or AWS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from lakehouse_assets.errors import LakehouseError

if TYPE_CHECKING:
    from datetime import date, datetime

    import dagster as dg

    from lakehouse_assets.operations.maintenance import Maintenance
    from lakehouse_assets.pipeline.result import Result
    from lakehouse_assets.queries.named import NamedQuery
    from lakehouse_assets.store.lake import FilePath

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


# -------------------------------------------------------------------------------------- queries

Answer = tuple[list[str], list[tuple[Any, ...]]]
"""Column names and rows."""


class QueryError(LakehouseError):
    """A query that cannot be answered."""


class QueryEngine(Protocol):
    """Something that answers queries. Raises QueryError."""

    def answer(self, sql: str) -> Answer:
        """Answer a SELECT in the engine's own dialect, as a person typed it."""
        ...

    def answer_named(self, query: NamedQuery, values: Sequence[date] = ()) -> Answer:
        """Answer a named query with values for its parameters, in their order."""
        ...

    def create_views(self) -> None:
        """Make every view what its query says; nothing where views are made as they are asked."""
        ...
