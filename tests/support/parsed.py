"""A landed file read whole, as tests look at it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from lakehouse_assets.parse import (
    Dialect,
    Expected,
    Limits,
    SheetProblem,
    Summary,
    parse,
    schema,
)


@dataclass(frozen=True)
class Parsed:
    """All rows of a file, and its summary."""

    rows: pa.Table
    summary: Summary = field(default_factory=lambda: Summary(0))

    @property
    def unexpected(self) -> tuple[str, ...]:
        return self.summary.unexpected

    @property
    def sheet_problems(self) -> tuple[SheetProblem, ...]:
        return self.summary.sheet_problems

    @property
    def repairs(self) -> int:
        return self.summary.repairs


def parse_whole(
    name: str,
    data: bytes,
    columns: Sequence[str] | Expected,
    limits: Limits | None = None,
    dialect: Dialect | None = None,
) -> Parsed:
    """Read a file's bytes. Raises `Unreadable`."""
    if not isinstance(columns, Expected):
        columns = Expected(columns, dialect=dialect or Dialect())
    reading = parse(name, io.BytesIO(data), columns, limits)
    rows = pa.Table.from_batches(reading, schema(columns.columns))
    assert reading.summary.read == rows.num_rows
    return Parsed(rows, reading.summary)
