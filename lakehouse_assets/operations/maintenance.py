"""Maintenance: fewer and ordered files, nothing kept that no restore needs; the same rows.

Files are rewritten by delta-rs, or by Spark where tables may be larger than one machine; the
rest is work on the log, and delta-rs's. A table's new version goes into the ledger, so that no
run mistakes it for a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from deltalake.exceptions import DeltaError

from lakehouse_assets.operations.restore import KEPT
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import FACTS, Fact, Maintained
from lakehouse_assets.store.lake import DRY_RUNS, Lake
from lakehouse_assets.store.ledger import Ledger, State, moved
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.jobs import jobs
from lakehouse_assets.tables.registry import table_ids

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TARGET_BYTES: Final = 32 * 2**20
"""Size that files are brought to. Small enough for a look-up by an ordered column to read few."""

_KEPT_HOURS: Final = int(KEPT.total_seconds() // 3600)


@dataclass(frozen=True)
class Maintenance:
    """What maintenance did to a table, in files."""

    table: str
    before: int
    after: int
    rewritten: int
    removed: int


Partition = list[tuple[str, str, str]] | None
"""One partition of a table as a filter, ``(column, "=", value)``; None for all of a table."""

Rewrite = Callable[[Lake, Table, Partition, int], int]
"""Brings a partition's files to a size in bytes, in the contract's order; returns how many went."""


def by_delta_rs(lake: Lake, table: Table, partition: Partition, target_bytes: int) -> int:
    """Rewrite a partition's files in this process; see `Rewrite`."""
    opened = lake.delta(table)
    assert opened is not None  # maintained is what exists
    options: dict[str, Any] = {"partition_filters": partition, "target_size": target_bytes}
    if table.zorder_by:
        told = opened.optimize.z_order(list(table.zorder_by), **options)
    else:
        told = opened.optimize.compact(**options)
    return int(told["numFilesRemoved"])


def maintain(
    lake: Lake, run_id: str, alone: Callable[[str], AbstractContextManager[None]]
) -> list[Maintenance]:
    """Maintain every table of the lake, on this machine.

    ``alone`` keeps other writers from the table whose job it is given.
    """
    done = []
    for job in table_ids():
        with alone(job):
            done += maintain_tables_of(lake, job, run_id)
    return done + maintain_own(lake)


def written_by(lake: Lake, job: str) -> list[Table]:
    """The tables that a table's job writes, as far as they exist."""
    return [t for t in jobs()[job].writes if lake.version(t) is not None]


def has_files_to_rewrite(lake: Lake, job: str) -> bool:
    """Whether maintenance of a job's tables would rewrite files: work for an engine."""
    maintained = Ledger(lake).state().maintained
    for table in written_by(lake, job):
        files = lake.files(table, lake.version(table))
        if _worth_it(lake, table, files, maintained.get(table.id), TARGET_BYTES):
            return True
    return False


def maintain_tables_of(
    lake: Lake, job: str, run_id: str, rewrite: Rewrite = by_delta_rs
) -> list[Maintenance]:
    """Maintain the tables that a table's job writes; nobody else may write them meanwhile."""
    ledger = Ledger(lake)
    done = []
    for table in written_by(lake, job):
        state = ledger.state()
        if state.unfinished:
            break
        last = state.maintained.get(table.id)
        lake.create(table)
        before = lake.versions([table])[table.id]
        done.append(maintain_table(lake, table, last, rewrite=rewrite))
        _record(ledger, table, before, lake.versions([table])[table.id], run_id)
    return done


def maintain_own(lake: Lake) -> list[Maintenance]:
    """Maintain what is no table's: the ledger and the receipts, and what dry runs left."""
    _sweep(lake)
    return [maintain_table(lake, own, None) for own in (FACTS, RECEIPTS) if lake.delta(own)]


def _sweep(lake: Lake) -> None:
    """Remove what dry runs have left that died a day ago or more."""
    yesterday = time.time() - 86_400
    for stored in lake.storage.list(DRY_RUNS):
        if stored.modified < yesterday:
            lake.storage.delete(stored.path)


def _record(
    ledger: Ledger, table: Table, before: TableVersion, after: TableVersion, run_id: str
) -> None:
    """Record where the table stands, and that those who read it have read that."""

    def facts(state: State) -> Iterator[Fact]:
        if before != after:
            moves = {before: after}
            concerned = [
                known
                for known in state.absorbed.values()
                if before in (*known.written.values(), *known.inputs.values())
            ]
            yield from moved(concerned, moves, run_id)
        if state.maintained.get(table.id) != after.version:
            yield Fact(Maintained(table.id, after.version), run_id=run_id)

    ledger.transact(lambda state: list(facts(state)))


@dataclass(frozen=True)
class BySpark:
    """Rewrites a partition's files on a Spark with Delta Lake's own commands; see `Rewrite`."""

    spark: SparkSession

    def __call__(self, lake: Lake, table: Table, partition: Partition, target_bytes: int) -> int:
        """Rewrite a partition's files."""
        for name in ("minFileSize", "maxFileSize"):
            self.spark.conf.set(f"spark.databricks.delta.optimize.{name}", str(target_bytes))
        where = " AND ".join(
            f"`{column}` IS NULL" if not value else f"`{column}` = '{value}'"
            for column, _, value in partition or ()
        )
        order = ", ".join(f"`{column}`" for column in table.zorder_by)
        [told] = self.spark.sql(
            f"OPTIMIZE delta.`{lake.uri(table)}`"
            + (f" WHERE {where}" if where else "")
            + (f" ZORDER BY ({order})" if order else "")
        ).collect()
        return int(told["metrics"]["numFilesRemoved"])


def maintain_table(
    lake: Lake,
    table: Table,
    last: int | None,
    target_bytes: int = TARGET_BYTES,
    rewrite: Rewrite = by_delta_rs,
) -> Maintenance:
    """Bring files to size and order, then remove what is older than any restore needs."""
    before = lake.create(table)
    files = lake.files(table, before)
    rewritten = sum(
        rewrite(lake, table, partition, target_bytes)
        for partition in _worth_it(lake, table, files, last, target_bytes)
    )
    opened = lake.delta(table)
    assert opened is not None  # created above
    removed = opened.vacuum(retention_hours=_KEPT_HOURS, dry_run=False)
    opened.create_checkpoint()
    opened.cleanup_metadata()
    after = lake.create(table)
    here = len(lake.files(table, after))
    return Maintenance(table.id, len(files), here, rewritten, len(removed))


def _worth_it(
    lake: Lake, table: Table, files: list[dict[str, Any]], last: int | None, target_bytes: int
) -> list[Partition]:
    """The partitions to rewrite, as filters: those with several files, changed since last time."""
    try:
        known = {f["path"] for f in lake.files(table, last)}
    except DeltaError:  # so long ago that the log is gone
        known = set()
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for file in files:
        groups.setdefault(tuple(file[c] for c in table.partition_by), []).append(file)
    found: list[Partition] = []
    for values, mine in groups.items():
        new = any(f["path"] not in known for f in mine)
        several = len(mine) > 1 or mine[0]["size_bytes"] > 2 * target_bytes
        if new and several:
            named = zip(table.partition_by, values, strict=True)
            found.append([(c, "=", "" if v is None else str(v)) for c, v in named] or None)
    return found
