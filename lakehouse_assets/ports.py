"""What every query engine offers, whichever the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Protocol

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.queries.named import NamedQuery

Answer = tuple[list[str], list[tuple[Any, ...]]]


class QueryError(LakehouseError):
    """A query that cannot be answered."""


class QueryEngine(Protocol):
    """Something that answers queries with column names and rows. Raises QueryError."""

    def answer(self, sql: str) -> Answer:
        """Answer a SELECT in the engine's own dialect, as a person typed it."""
        ...

    def answer_named(self, query: NamedQuery, values: Sequence[date] = ()) -> Answer:
        """Answer a named query with values for its parameters, in their order."""
        ...

    def create_views(self) -> None:
        """Make every view what its query says; nothing where views are made as they are asked."""
        ...
