"""Maintenance: fewer and ordered files, nothing kept that no restore needs; the same rows.

Through delta-rs. A table's new version goes into the ledger, so that no run mistakes it for
a change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from deltalake.exceptions import DeltaError

from lakehouse_assets.contract import RECEIPTS, Table
from lakehouse_assets.lake import Lake
from lakehouse_assets.ledger import FACTS, Fact, Kind, Ledger, State, moved
from lakehouse_assets.rehearsal import FOLDER as REHEARSALS
from lakehouse_assets.rewind import KEPT
from lakehouse_assets.tables import queryable

TARGET_BYTES: Final = 32 * 2**20
"""Size that files are brought to. Small enough for a look-up by an ordered column to read few."""

_KEPT_HOURS: Final = int(KEPT.total_seconds() // 3600)


@dataclass(frozen=True)
class Maintained:
    """What maintenance did to a table, in files."""

    table: str
    before: int
    after: int
    rewritten: int
    removed: int


def maintain(
    lake: Lake, run_id: str, alone: Callable[[str], AbstractContextManager[None]]
) -> list[Maintained]:
    """Maintain every table of the lake.

    ``alone`` keeps other writers from the table whose job it is given.
    """
    ledger = Ledger(lake)
    done = []
    for table in queryable().values():
        if lake.version(table) is None:
            continue
        with alone(_writer(table)):
            state = ledger.state()
            if state.rewinding:
                continue
            found, move = maintain_table(lake, table, state.maintained.get(table.id))
            _record(ledger, table, move, run_id)
        done.append(found)
    _sweep(lake)
    done += [maintain_table(lake, own, None)[0] for own in (FACTS, RECEIPTS) if lake.delta(own)]
    return done


def _sweep(lake: Lake) -> None:
    """Remove what dry runs have left that died a day ago or more."""
    yesterday = time.time() - 86_400
    for stored in lake.storage.list(REHEARSALS):
        if stored.modified < yesterday:
            lake.storage.delete(stored.path)


def _writer(table: Table) -> str:
    """The table whose job writes this one: quarantine and older versions go with silver."""
    beside = table.layer in {"rejected", "superseded"}
    return f"silver.{table.name}" if beside else table.id


def _record(ledger: Ledger, table: Table, move: tuple[int, int], run_id: str) -> None:
    """Record where the table stands, and that those who read it have read that."""

    def facts(state: State) -> Iterator[Fact]:
        if move[0] != move[1]:
            moves = {table.id: move}
            concerned = {
                name: known
                for name, known in state.absorbed.items()
                if name == table.id or table.id in known.inputs or table.id in known.beside
            }
            yield from moved(concerned, moves, run_id)
        detail = {"table": table.id, "version": move[1]}
        if state.maintained.get(table.id) != move[1]:
            yield Fact(Kind.MAINTAINED, detail=detail, run_id=run_id)

    ledger.decide(lambda state: list(facts(state)))


def maintain_table(
    lake: Lake, table: Table, last: int | None, target_bytes: int = TARGET_BYTES
) -> tuple[Maintained, tuple[int, int]]:
    """Bring files to size and order, then remove what is older than any restore needs."""
    before = lake.create(table)
    files = lake.files(table, before)
    opened = lake.delta(table)
    assert opened is not None  # created above
    rewritten = 0
    for filters in _worth_it(lake, table, files, last, target_bytes):
        options: dict[str, Any] = {"partition_filters": filters, "target_size": target_bytes}
        if table.zorder_by:
            told = opened.optimize.z_order(list(table.zorder_by), **options)
        else:
            told = opened.optimize.compact(**options)
        rewritten += told["numFilesRemoved"]
    removed = opened.vacuum(retention_hours=_KEPT_HOURS, dry_run=False)
    opened.create_checkpoint()
    opened.cleanup_metadata()
    after = lake.create(table)
    here = len(lake.files(table, after))
    return Maintained(table.id, len(files), here, rewritten, len(removed)), (before, after)


def _worth_it(
    lake: Lake, table: Table, files: list[dict[str, Any]], last: int | None, target_bytes: int
) -> list[Any]:
    """The partitions to rewrite, as filters: those with several files, changed since last time."""
    try:
        known = {f["path"] for f in lake.files(table, last)}
    except DeltaError:  # so long ago that the log is gone
        known = set()
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for file in files:
        groups.setdefault(tuple(file[c] for c in table.partition_by), []).append(file)
    found: list[Any] = []
    for values, mine in groups.items():
        new = any(f["path"] not in known for f in mine)
        several = len(mine) > 1 or mine[0]["size_bytes"] > 2 * target_bytes
        if new and several:
            named = zip(table.partition_by, values, strict=True)
            found.append([(c, "=", "" if v is None else str(v)) for c, v in named] or None)
    return found
