"""What changed between two versions of a table: its rows gone and come.

The Delta log says which files were added and removed, and so which partitions can differ;
only those are compared. Files that were merely rewritten (compaction) give no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltalake.exceptions import DeltaError

from lakehouse_assets.contract import Table
from lakehouse_assets.workspace import Workspace, among

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Changes:
    """Rows gone and come, by the contract's columns; a changed row stands in both."""

    gone: DataFrame
    come: DataFrame

    @property
    def all(self) -> DataFrame:
        """Rows gone and rows come together."""
        return self.gone.unionByName(self.come)


def between(work: Workspace, table: Table, before: int, after: int) -> Changes | None:
    """The rows that differ between two versions, compared by the contract's columns.

    Returns None where none can differ. ``before`` may be -1: all rows are come. Raises
    VersionGoneError where the older version can no longer be read.
    """
    touched = touched_partitions(work, table, before, after)
    if not touched:
        return None
    columns = [c.name for c in table.payload]
    # Each partition column alone: a superset of the touched combinations, which is harmless.
    where = " AND ".join(among(c, {t[i] for t in touched}) for i, c in enumerate(table.partition_by))
    old = work.read(table, before).where(where or "true").select(*columns)
    new = work.read(table, after).where(where or "true").select(*columns)
    if before < 0:
        return Changes(old, new)
    return Changes(work.stage(old.exceptAll(new)), work.stage(new.exceptAll(old)))


def touched_partitions(
    work: Workspace, table: Table, before: int, after: int
) -> set[tuple[object, ...]]:
    """Partition values of the files that only one of two versions has.

    An unpartitioned table has the one empty tuple. Raises VersionGoneError.
    """
    if before == after:
        return set()
    try:
        old = {f["path"]: f for f in work.lake.files(table, None if before < 0 else before)}
    except DeltaError as error:
        raise VersionGoneError(f"{table.id} version {before}") from error
    new = {f["path"]: f for f in work.lake.files(table, after)}
    differing = [old.get(path) or new[path] for path in old.keys() ^ new.keys()]
    return {tuple(f[c] for c in table.partition_by) for f in differing}


class VersionGoneError(Exception):
    """A version that is needed to tell what changed has been cleaned away."""
