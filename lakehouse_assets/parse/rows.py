"""Fields by position → bronze rows: the part that CSV files and sheets share."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse_assets.parse.model import (
    BLANKS,
    EXPORTED,
    ORIGIN,
    Expected,
    Limits,
    Unreadable,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_HAS_VALUE = r"[^ \t\r\n\x{A0}]"
_ESCAPED = r"\A'[=+\-@'\t\r]"
_EXTRA = pa.map_(pa.string(), pa.string())
_SHOWN_NAMES = 12
_SHOWN_LENGTH = 40

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def schema(columns: Sequence[str]) -> pa.Schema:
    """The schema of the rows of a dataset with these contract columns."""
    return pa.schema(
        [
            *((name, pa.string()) for name in columns),
            ("_sheet", pa.string()),
            ("_sheet_no", pa.int32()),
            ("_row", pa.int64()),
            ("_extra", _EXTRA),
            ("_raw", pa.string()),
            ("_fault", pa.string()),
        ]
    )


def quoted(names: Iterable[str]) -> str:
    """Names for a message: one line of bounded length whatever the file holds."""
    names = list(names)
    first = [shown(name, _SHOWN_LENGTH) or "(no name)" for name in names[:_SHOWN_NAMES]]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


def header_names(fields: Iterable[str | None]) -> list[str]:
    """Header fields as they are compared: trimmed and in lower case; a nameless column is ''."""
    return [(field or "").strip(BLANKS).lower() for field in fields]


def lacking(found: Collection[str], expected: Expected) -> list[str]:
    """The columns that must be among these header names and are not."""
    return [
        name
        for name in expected.columns
        if name not in expected.optional
        and not {name, *expected.aliases.get(name, ())}.intersection(found)
    ]


def _told_apart(names: Sequence[str]) -> list[str]:
    """A name for each column: `column_<n>` for none, `_2` or the next free number at the others.

    The first of a name keeps it, and every name that the header itself has stays with its column.
    """
    taken = {*names}
    seen: set[str] = set()
    told: list[str] = []
    for at, name in enumerate(names, start=1):
        wanted = name or f"column_{at}"
        free = wanted
        if wanted in seen or (not name and wanted in taken):
            free = next(it for n in itertools.count(2) if (it := f"{wanted}_{n}") not in taken)
        seen.add(wanted)
        taken.add(free)
        told.append(free)
    return told


class Header:
    """The named columns of one file or sheet, checked against what the contract expects.

    It keeps count of the rows that are made by it. Raises `Unreadable` for a contract column that
    is missing and not optional, or there twice, and for too many columns.
    """

    def __init__(self, fields: Iterable[str | None], expected: Expected, limits: Limits) -> None:
        found = header_names(fields)
        self.columns = tuple(expected.columns)
        self.unexpected: set[str] = set()
        self.read = 0
        self.repairs = 0
        if len(found) > limits.max_columns:
            raise Unreadable(
                f"more columns than max_columns ({limits.max_columns:,}) allows; "
                "remove those that are not needed or raise max_columns"
            )
        if missing := lacking(found, expected):
            raise Unreadable(
                f"missing column(s) {quoted(missing)}; "
                f"name them in the header, which now has: {quoted(found)}"
            )
        own = {alias: name for name, aliases in expected.aliases.items() for alias in aliases}
        names = [own.get(name, name) for name in found]
        if twice := sorted({n for n in names if n in self.columns and names.count(n) > 1}):
            raise Unreadable(
                f"column name(s) {quoted(twice)} more than once in the header; "
                "rename or remove the repeated columns"
            )
        self.names = _told_apart(names)
        """What each field is called, in its place: no two the same."""
        self._nameless = [not name for name in names]
        named = {name for name in self.names if name not in self.columns and name not in EXPORTED}
        self.unexpected.update(named - set(itertools.compress(self.names, self._nameless)))

    def rows(
        self, fields: Sequence[pa.Array], row: Int64s, sheet: str | None = None, sheet_no: int = 0
    ) -> pa.RecordBatch:
        """Bronze rows of split records: `fields[i]` holds all records' field i, null where empty.

        `row` holds the records' physical rows. Records without any value are left out.
        """
        keep = _any_value(fields, len(row))
        if keep is not None:
            mask = pa.array(keep)
            fields, row = [field.filter(mask) for field in fields], row[keep]
        origin = [has_value(fields[at]) for at, name in enumerate(self.names) if name in ORIGIN]
        if origin:
            repaired = np.logical_or.reduce(origin)
            self.repairs += int(repaired.sum())
            fields = _unescaped(fields, repaired)
        place = {name: at for at, name in enumerate(self.names)}
        extra, none = self._extra(fields, len(row)), pa.nulls(len(row), pa.string())
        values = [fields[place[n]] if n in place else none for n in self.columns]
        return self._batch(values, row, sheet, sheet_no, (extra, none, none))

    def faulty(
        self,
        records: Sequence[tuple[int, str]],
        fault: str,
        sheet: str | None = None,
        sheet_no: int = 0,
    ) -> pa.RecordBatch:
        """Bronze rows of records that have no fields: (physical row, text) each."""
        size = len(records)
        row = np.array([row for row, _ in records], np.int64)
        raw = pa.array([raw for _, raw in records], pa.string())
        tail = (pa.nulls(size, _EXTRA), raw, pa.repeat(pa.scalar(fault), size))
        values = [pa.nulls(size, pa.string())] * len(self.columns)
        return self._batch(values, row, sheet, sheet_no, tail)

    def _batch(
        self,
        values: Sequence[pa.Array],
        row: Int64s,
        sheet: str | None,
        sheet_no: int,
        tail: Sequence[pa.Array],
    ) -> pa.RecordBatch:
        self.read += len(row)
        place = [
            pa.repeat(pa.scalar(sheet, pa.string()), len(row)),
            pa.repeat(pa.scalar(sheet_no, pa.int32()), len(row)),
            pa.array(row, pa.int64()),
        ]
        return pa.record_batch([*values, *place, *tail], schema=schema(self.columns))

    def _extra(self, fields: Sequence[pa.Array], size: int) -> pa.Array:
        """What stands in columns beyond the contract's, as one map a row; null without any."""
        keys: list[str] = []
        values: list[pa.Array] = []
        present: list[Bools] = []
        for at, name in enumerate(self.names):
            if name in self.columns:
                continue
            has = has_value(fields[at])
            if not has.any():
                continue
            if self._nameless[at]:
                self.unexpected.add(name)
            keys.append(name)
            values.append(fields[at])
            present.append(has)
        if not keys:
            return pa.nulls(size, _EXTRA)
        filled = np.stack(present, axis=1)
        record, key_at = np.nonzero(filled)
        counts = filled.sum(axis=1)
        ends = np.concatenate([[0], np.cumsum(counts)])
        offsets = pa.array(ends, pa.int32(), mask=np.append(counts == 0, False))
        return pa.MapArray.from_arrays(
            offsets,
            pa.array(keys, pa.string()).take(pa.array(key_at)),
            pa.concat_arrays(values).take(pa.array(key_at * size + record)),
        )


def has_value(field: pa.Array) -> Bools:
    """For each value, whether anything but blanks is in it."""
    found = pc.match_substring_regex(field, _HAS_VALUE).fill_null(fill_value=False)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _any_value(fields: Sequence[pa.Array], size: int) -> Bools | None:
    """For each record, whether any field has a value; None if all have."""
    any_value = np.ones(size, np.bool_)
    without = np.arange(size)  # The records that have none in the fields so far: soon very few.
    for field in fields:
        without = without[~has_value(field.take(pa.array(without)))]
        if not len(without):
            return None
    any_value[without] = False
    return any_value


def _unescaped(fields: Sequence[pa.Array], repaired: Bools) -> Sequence[pa.Array]:
    """Take away the `'` that an export puts before what a spreadsheet would run as a formula.

    Only in rows that name the row they mend, and only before such: `'tis` stays.
    """
    rows = pa.array(repaired)

    def bare(field: pa.Array) -> pa.Array:
        escaped = pc.and_(rows, pc.match_substring_regex(field, _ESCAPED))
        return pc.if_else(
            escaped.fill_null(fill_value=False), pc.utf8_slice_codeunits(field, 1), field
        )

    return [bare(field) for field in fields] if repaired.any() else fields
