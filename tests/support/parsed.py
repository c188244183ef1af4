"""A landed file read whole, as tests look at it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from lakehouse_assets.parse import (
    Dialect,
    Expected,
    Limits,
    SheetProblem,
    Summary,
    Unreadable,
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


def read(data: bytes | str, columns: str = "a b", name: str = "f.csv", **limits: Any) -> Parsed:
    data = data.encode() if isinstance(data, str) else data
    return parse_whole(name, data, columns.split(), Limits(**limits))


def values(parsed: Parsed, columns: str = "a b") -> list[tuple[Any, ...]]:
    """(row, contract columns …) of the rows without a fault."""
    names = ["_row", *columns.split()]
    return [
        tuple(row[name] for name in names)
        for row in parsed.rows.to_pylist()
        if row["_fault"] is None
    ]


def faults(parsed: Parsed) -> list[tuple[int, str, str]]:
    """(row, fault, text) of the rows that could not be split, by row."""
    rows = [row for row in parsed.rows.to_pylist() if row["_fault"] is not None]
    return sorted((row["_row"], row["_fault"], row["_raw"]) for row in rows)


def extras(parsed: Parsed) -> list[dict[str, str] | None]:
    return [None if it is None else dict(it) for it in parsed.rows["_extra"].to_pylist()]


def reason(data: bytes | str, columns: str = "a b", name: str = "f.csv", **limits: Any) -> str:
    """The one clear line; its two halves are there and it is one line."""
    with pytest.raises(Unreadable) as caught:
        read(data, columns, name, **limits)
    line = str(caught.value)
    wrong, _, remedy = line.partition("; ")
    assert wrong
    assert remedy
    assert "\n" not in line
    assert len(line) < 2_000
    return line
