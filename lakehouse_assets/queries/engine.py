"""What answers questions, and what an answer is: `resources` has the engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from lakehouse_assets.errors import LakehouseError

if TYPE_CHECKING:
    from datetime import date

    import pyarrow as pa

    from lakehouse_assets.queries.named import NamedQuery

Answer = tuple[list[str], list[tuple[Any, ...]]]
"""Column names and rows."""


class QueryError(LakehouseError):
    """A query that cannot be answered.

    Lines after the first show the place in the query.
    """


class Stream(Protocol):
    """An answer as it comes, to be taken once: what was taken is not kept."""

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The rows that were not taken yet. Raises QueryError."""
        ...

    def total(self) -> int:
        """How many rows the whole answer has; no more can be taken then. Raises QueryError."""
        ...


Ask = Callable[["NamedQuery", Sequence["date"]], Answer]
"""What answers a small named query whole, with values for its parameters. Raises QueryError."""


class QueryEngine(Protocol):
    """Something that answers queries. Raises QueryError."""

    def stream(self, sql: str) -> AbstractContextManager[Stream]:
        """Answer a SELECT in the engine's own dialect, as a person typed it, within a block."""
        ...

    def stream_named(
        self, named: NamedQuery, values: Sequence[date] = ()
    ) -> AbstractContextManager[Stream]:
        """Answer a named query with values for its parameters, in their order, within a block."""
        ...

    def together(self) -> AbstractContextManager[Ask]:
        """What answers several named queries within a block, at less cost than one by one.

        Where the engine can, of the tables as they were when the block first named each.
        """
        ...

    def create_views(self) -> None:
        """Make every view what its query says; nothing where views are made as they are asked."""
        ...
