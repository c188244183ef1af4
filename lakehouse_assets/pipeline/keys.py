"""Sets of keys, written down once, and the rows of a table that belong to them or do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.pipeline.select import none, select
from lakehouse_assets.tables.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lakehouse_assets.pipeline.workspace import Workspace

_RANGED: Final = (int, str, date)
"""Values that mean the same as a literal on every engine."""


@dataclass(frozen=True)
class Keys:
    """Values of some columns, with what lets a scan pass over files that have none of them.

    ``rows`` have the ``columns`` and can be read again without computing anew; ``count`` is how
    many they are, ``ends`` the least and the greatest value of each column.
    """

    rows: DataFrame
    columns: tuple[str, ...]
    count: int
    ends: tuple[tuple[Any, Any], ...]


def distinct(work: Workspace, rows: DataFrame) -> Keys:
    """The distinct ones of some rows, as keys of all their columns."""
    values = rows.distinct()
    staged = work.stage_any(values)
    if staged is None:
        return nothing(values)
    return of_staged(staged, staged.columns)


def of_staged(rows: DataFrame, columns: Sequence[str]) -> Keys:
    """The keys that stand in rows which can be read again, each as often as it does there."""
    from pyspark.sql import functions  # noqa: PLC0415 - takes long to import

    ends = [end(f"`{c}`") for c in columns for end in (functions.min, functions.max)]
    [found] = rows.agg(functions.count("*"), *ends).collect()
    count, *values = found
    pairs = zip(values[::2], values[1::2], strict=True)
    return Keys(rows.select(*columns), tuple(columns), count, tuple(pairs))


def nothing(like: DataFrame) -> Keys:
    """No keys, of the columns of these rows."""
    columns = tuple(like.columns)
    return Keys(none(like), columns, 0, tuple((None, None) for _ in columns))


def matching(rows: DataFrame, columns: Sequence[str], keys: Keys) -> DataFrame:
    """The rows whose columns stand among the keys: a semi-join that file statistics prune.

    The keys' ends go into the scan as a range, so that files without any of them are not read.
    """
    if any(least is None for least, _ in keys.ends):  # no keys, or null alone, which equals nothing
        return none(rows)
    for column, (least, greatest) in zip(columns, keys.ends, strict=True):
        if type(least) in _RANGED:
            rows = rows.where(f"`{column}` BETWEEN {literal(least)} AND {literal(greatest)}")
    return rows.join(_named(keys.rows, keys.columns, columns), list(columns), "left_semi")


def without(
    rows: DataFrame, columns: Sequence[str], values: DataFrame, key: Sequence[str] = ()
) -> DataFrame:
    """The rows whose columns do not stand among values (in their ``key``, if named otherwise)."""
    return rows.join(_named(values, key or columns, columns), list(columns), "left_anti")


def _named(values: DataFrame, key: Sequence[str], columns: Sequence[str]) -> DataFrame:
    return select(values, **{c: f"`{k}`" for k, c in zip(key, columns, strict=True)})
