"""Arrow's columns as the Python values that people, CSV and JSON are given."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa

    from lakehouse_assets.queries.engine import Answer, Stream


def everything(stream: AbstractContextManager[Stream]) -> Answer:
    """A whole answer, for one that is small. Raises QueryError."""
    with stream as answer:
        return answer.schema.names, [row for batch in answer for row in rows(batch)]


def rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch."""
    return zip(*map(values, batch.columns), strict=True)


def values(column: pa.Array) -> list[Any]:
    """A column's values: maps as dicts, spans of time as timedelta, whole numbers as int."""
    import pyarrow as pa  # noqa: PLC0415 - only who asks pays for it

    kind = column.type
    found: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    if pa.types.is_decimal(kind) and kind.scale == 0:  # such as a sum of BIGINT
        return [None if value is None else int(value) for value in found]
    if pa.types.is_interval(kind):
        return [
            None
            if value is None
            else timedelta(30 * value.months + value.days, microseconds=value.nanoseconds // 1000)
            for value in found
        ]
    return found
