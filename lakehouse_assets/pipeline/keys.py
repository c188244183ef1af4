"""Sets of keys, written down once, and the rows of a table that belong to them or do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lakehouse_assets.pipeline.select import none, select
from lakehouse_assets.tables.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lakehouse_assets.pipeline.workspace import Stage, Workspace
    from lakehouse_assets.tables.contract import Table

_RANGED: Final = (int, str, date)
"""Values that mean the same as a literal on every engine."""

_COUNTED: Final = (int, date)
"""Those of which a log's statistics have the very ends: of long texts they have the beginning."""

_FOOTER_READ: Final = 2**20
"""Bytes of a stage up to which its footers are read here rather than by a query."""

Ends: TypeAlias = tuple[Any, Any]
"""The least and the greatest value of a column, or what encloses them; twice None for none."""


@dataclass(frozen=True)
class Keys:
    """Values of some columns, with what lets a scan pass over files that have none of them.

    ``rows`` have the ``columns`` and can be read again without computing anew; ``count`` is how
    many they are.
    """

    rows: DataFrame
    columns: tuple[str, ...]
    count: int
    ends: tuple[Ends, ...]


def distinct(work: Workspace, rows: DataFrame, columns: Sequence[str]) -> Keys:
    """The distinct values that rows have in some columns."""
    values = rows.select(*columns).distinct()
    return of_stage(work, work.stage_files(values), columns)


def of_stage(work: Workspace, stage: Stage, columns: Sequence[str]) -> Keys:
    """The keys that stand in rows written down, each as often as it does there."""
    rows = stage.rows.select(*columns)
    if not stage.files:
        return nothing(rows, columns)
    count, ends = _in_footers(work, stage, columns) or _asked_for(stage.rows, columns)
    return Keys(rows, tuple(columns), count, ends)


def nothing(like: DataFrame, columns: Sequence[str]) -> Keys:
    """No keys, of these columns of rows."""
    return Keys(none(like), tuple(columns), 0, tuple((None, None) for _ in columns))


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


def parted(
    work: Workspace, table: Table, columns: Sequence[str], keys: Keys | None
) -> tuple[DataFrame | None, DataFrame]:
    """A table's rows now that belong to the keys (None: to any), and all others.

    None instead of the first where the table's log shows that there can be none, as it does of an
    empty table, and for keys that have just come into being.
    """
    present = work.now(table)
    ranges = zip(columns, keys.ends, strict=True) if keys else ()
    known = {c: ends for c, ends in ranges if type(ends[0]) in _COUNTED}
    if (keys and not keys.count) or not work.may_hold(table, known):
        return None, present
    if keys is None:
        return present, none(present)
    return matching(present, columns, keys), without(present, columns, keys.rows, keys.columns)


def _named(values: DataFrame, key: Sequence[str], columns: Sequence[str]) -> DataFrame:
    return select(values, **{c: f"`{k}`" for k, c in zip(key, columns, strict=True)})


def _in_footers(
    work: Workspace, stage: Stage, columns: Sequence[str]
) -> tuple[int, tuple[Ends, ...]] | None:
    """The count, and what encloses each column's values, by the files' own statistics.

    None where these are many bytes to fetch, or do not say.
    """
    import pyarrow.parquet as pq  # noqa: PLC0415 - as wherever pyarrow is needed

    if sum(file.size for file in stage.files) > _FOOTER_READ:
        return None
    storage, count = work.lake.storage, 0
    found: dict[str, list[Any]] = {column: [] for column in columns}
    for file in stage.files:
        footer = pq.read_metadata(BytesIO(storage.read(file.path)))
        count += footer.num_rows
        for group in (footer.row_group(i) for i in range(footer.num_row_groups)):
            for chunk in (group.column(i) for i in range(group.num_columns)):
                name, says = chunk.path_in_schema, chunk.statistics
                if name not in found:
                    continue
                if says is None or not says.has_null_count:
                    return None
                if says.null_count == chunk.num_values:
                    continue
                if not says.has_min_max:
                    return None
                found[name] += [says.min, says.max]
    ends = tuple((min(v), max(v)) if v else (None, None) for v in found.values())
    return count, ends


def _asked_for(rows: DataFrame, columns: Sequence[str]) -> tuple[int, tuple[Ends, ...]]:
    from pyspark.sql import functions  # noqa: PLC0415 - takes long to import

    ends = [end(f"`{c}`") for c in columns for end in (functions.min, functions.max)]
    [found] = rows.agg(functions.count("*"), *ends).collect()
    count, *values = found
    return count, tuple(zip(values[::2], values[1::2], strict=True))
