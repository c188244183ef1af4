"""Fields by position → bronze rows: the part that CSV files and sheets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse_assets.parse.model import BLANKS, ORIGIN, Limits, Unreadable, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_HAS_VALUE = r"[^ \t\r\n\x{A0}]"
_ESCAPED = r"\A'[=+\-@'\t\r]"
_EXPORTED = frozenset((*ORIGIN, "_raw", "_rules"))
"""Columns of an export of rejected rows: expected in any file, though no contract names them."""
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


class Header:
    """The named columns of one file or sheet, checked against the contract.

    Raises `Unreadable` for a contract column that is missing and not optional, a name twice, too
    many columns.
    """

    def __init__(
        self,
        fields: Iterable[str | None],
        columns: Sequence[str],
        optional: Collection[str],
        limits: Limits,
    ) -> None:
        self.names = header_names(fields)
        self.columns = tuple(columns)
        self.unexpected: set[str] = set()
        self.repairs = 0
        if len(self.names) > limits.max_columns:
            raise Unreadable(
                f"more columns than max_columns ({limits.max_columns:,}) allows; "
                "remove those that are not needed or raise max_columns"
            )
        named = [name for name in self.names if name]
        if missing := [n for n in self.columns if n not in named and n not in optional]:
            raise Unreadable(
                f"missing column(s) {quoted(missing)}; "
                f"name them in the header, which now has: {quoted(self.names)}"
            )
        if len(set(named)) < len(named):
            twice = sorted({name for name in named if named.count(name) > 1})
            raise Unreadable(
                f"column name(s) {quoted(twice)} more than once in the header; "
                "rename or remove the repeated columns"
            )
        self.unexpected.update(set(named) - set(self.columns) - _EXPORTED)

    def rows(
        self, fields: Sequence[pa.Array], row: Int64s, sheet: str | None = None, sheet_no: int = 0
    ) -> pa.Table:
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
        place = {name: at for at, name in enumerate(self.names) if name}
        extra, none = self._extra(fields, len(row)), pa.nulls(len(row), pa.string())
        values = [fields[place[n]] if n in place else none for n in self.columns]
        return self._table(values, row, sheet, sheet_no, (extra, none, none))

    def faulty(
        self,
        records: Sequence[tuple[int, str]],
        fault: str,
        sheet: str | None = None,
        sheet_no: int = 0,
    ) -> pa.Table:
        """Bronze rows of records that have no fields: (physical row, text) each."""
        size = len(records)
        row = np.array([row for row, _ in records], np.int64)
        raw = pa.array([raw for _, raw in records], pa.string())
        tail = (pa.nulls(size, _EXTRA), raw, pa.repeat(pa.scalar(fault), size))
        values = [pa.nulls(size, pa.string())] * len(self.columns)
        return self._table(values, row, sheet, sheet_no, tail)

    def _table(
        self,
        values: Sequence[pa.Array],
        row: Int64s,
        sheet: str | None,
        sheet_no: int,
        tail: Sequence[pa.Array],
    ) -> pa.Table:
        place = [
            pa.repeat(pa.scalar(sheet, pa.string()), len(row)),
            pa.repeat(pa.scalar(sheet_no, pa.int32()), len(row)),
            pa.array(row, pa.int64()),
        ]
        return pa.table([*values, *place, *tail], schema=schema(self.columns))

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
            key = name or f"column_{at + 1}"
            if not name:
                if key in self.names:
                    raise Unreadable(
                        f"column {at + 1} has values but no name, and another is named {key}; "
                        "name each column in the header"
                    )
                self.unexpected.add(key)
            keys.append(key)
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
