"""What changed between two versions of a table: the rows that only one of them has.

The Delta log says which files were added and removed, and so which partitions can differ;
only those are compared. Files that were merely rewritten (compaction) give no change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltalake.exceptions import DeltaError

from lakehouse_assets.pipeline.difference import difference
from lakehouse_assets.pipeline.select import none
from lakehouse_assets.pipeline.workspace import Workspace, among
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.tables.contract import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Changes:
    """Rows that only the older version has (``removed``), and only the newer one (``added``).

    They have the contract's columns; a row that changed stands in both.
    """

    removed: DataFrame
    added: DataFrame

    @property
    def all(self) -> DataFrame:
        """The rows of both."""
        return self.removed.unionByName(self.added)


def between(
    work: Workspace, table: Table, before: TableVersion | None, after: TableVersion
) -> Changes | None:
    """The rows that differ between two versions, compared by the contract's columns.

    Returns None where none can differ. Without a version ``before`` all rows are new. Raises
    VersionGoneError where the older version can no longer be read, or is of a lost table.
    """
    old, new = _differing(work, table, before, after)
    if not old and not new:
        return None
    columns = [c.name for c in table.payload]

    def rows(version: TableVersion | None, partitions: set[Partition]) -> DataFrame:
        # Each column alone: a superset of the combinations, which is exact for one column and
        # harmless for several where both versions are cut alike.
        where = [among(c, {p[i] for p in partitions}) for i, c in enumerate(table.partition_by)]
        found = work.read(table, version and version.version)
        if not partitions:
            return none(found).select(*columns)
        return (found.where(" AND ".join(where)) if where else found).select(*columns)

    both = old & new
    if len(table.partition_by) > 1:
        both = old | new
    removed, added = rows(before, old - both), rows(after, new - both)
    if both:
        differing = difference(work, rows(before, both), rows(after, both), columns)
        removed = removed.unionByName(differing.where("_removed > 0").select(*columns))
        added = added.unionByName(differing.where("_added > 0").select(*columns))
    return Changes(removed, added)


def touched_partitions(
    work: Workspace, table: Table, before: TableVersion | None, after: TableVersion
) -> set[Partition]:
    """Partition values of the files that only one of two versions has.

    An unpartitioned table has the one empty tuple. Raises VersionGoneError.
    """
    old, new = _differing(work, table, before, after)
    return old | new


def _differing(
    work: Workspace, table: Table, before: TableVersion | None, after: TableVersion
) -> tuple[set[Partition], set[Partition]]:
    """Partitions with files that differ, as far as each of the two versions has rows there."""
    if before == after:
        return set(), set()
    if before and not before.same_log(after):
        raise VersionGoneError(f"{table.id} version {before.version} of a table that was lost")
    try:
        old = {f["path"]: f for f in work.lake.files(table, before and before.version)}
    except DeltaError as error:
        raise VersionGoneError(f"{table.id} version {before and before.version}") from error
    new = {f["path"]: f for f in work.lake.files(table, after.version)}

    def partition(file: dict[str, object]) -> Partition:
        return tuple(file[c] for c in table.partition_by)

    touched = {partition(old.get(path) or new[path]) for path in old.keys() ^ new.keys()}
    return (
        touched & {partition(f) for f in old.values()},
        touched & {partition(f) for f in new.values()},
    )


Partition = tuple[Any, ...]


class VersionGoneError(Exception):
    """A version that is needed to tell what changed has been cleaned away."""
