"""What can happen to a lake beside the oracle's events, and rules as both sides have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pytest

from lakehouse_assets.pipeline import bronze, publish
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.tables.contract import HoldLimit, Table
from lakehouse_assets.tables.registry import DATASETS
from tests.support import oracle


@dataclass(frozen=True)
class RuleSet:
    """Rules as the oracle has them, and how the product's contracts say the same.

    `columns`: (dataset, column) → what is replaced in it; `hold`: dataset → its limit, else `least`
    rows and 5 %.
    """

    oracle: oracle.Rules
    columns: tuple[tuple[str, str, tuple[tuple[str, Any], ...]], ...] = ()
    hold: tuple[tuple[str, float], ...] = ()

    def install(self, original: dict[str, Any]) -> None:
        """Change the contracts in place."""
        shares = dict(self.hold)
        for name, dataset in original.items():
            limit = HoldLimit(share=shares.get(name, 0.05), least_rows=self.oracle.hold_rows)
            columns = list(dataset.columns)
            for of, column, changes in self.columns:
                if of == name:
                    at = next(i for i, c in enumerate(columns) if c.name == column)
                    columns[at] = replace(columns[at], **dict(changes))
            DATASETS[name] = replace(dataset, columns=tuple(columns), hold=limit)


DEFAULT = RuleSet(oracle.DEFAULT)


@dataclass(frozen=True)
class SomeTables:
    """A run of these dates that brings only some tables behind bronze up to date, in this order.

    To the oracle it is a run: bronze, which reads and judges, is complete.
    """

    dates: frozenset[date]
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Crashing:
    """A run that dies at its nth write (from 0) or at a named one; what happens next; it again.

    To the oracle it is one run after all of that. `then` must not be about bytes put or taken by
    hand: what the run that died has read of them differs with where it died. Before that, another
    run brings `others` up to date, tables behind bronze, as one that meets it would.
    """

    dates: frozenset[date] | None
    write: int | str
    then: tuple[oracle.Event, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Repair(oracle.At):
    """Export what is rejected, mend some of it, and land that here.

    The nth exported row gets the nth of these texts in its columns (None: it stays as it is; the
    texts are taken in turn). To the oracle it is the landing of those bytes.
    """

    mended: tuple[tuple[str, ...] | None, ...] = (None,)


@dataclass(frozen=True)
class Back:
    """Restore to the nth last recorded run (0: the last), if there is one."""

    runs: int


@dataclass(frozen=True)
class Replay:
    """Derive silver and gold of these dates again. To the oracle it is nothing."""

    dates: frozenset[date]


@dataclass(frozen=True)
class Maintain:
    """Compact, order, vacuum. To the oracle it is nothing."""


@dataclass(frozen=True)
class Archive:
    """Move what is processed out of the raw zone. To the oracle these files are removed."""


@dataclass(frozen=True)
class Lose:
    """A table is gone, with its log; not while a restore stands. To the oracle it is nothing."""

    table: str


Step = (
    oracle.Event
    | RuleSet
    | SomeTables
    | Crashing
    | Repair
    | Back
    | Replay
    | Maintain
    | Archive
    | Lose
)


class CrashError(Exception):
    """The process died here."""


@contextmanager
def crash_at(write: int | str) -> Iterator[None]:
    """Let the nth write fail, or the one so named.

    A table's commit is named by the table, its fact `absorbed <table>`, others by their kind.
    """
    count = 0

    def die(name: str) -> None:
        nonlocal count
        count += 1
        if write in {count - 1, name}:
            raise CrashError(name)

    commit, append = publish.commit, Lake.append

    def dying_commit(work: Any, table: Any, *args: Any) -> None:
        die(table.id)
        commit(work, table, *args)

    def dying_write(self: Lake, table: Table, rows: Any, on: int) -> bool:
        detail = json.loads(rows[-1].get("detail", "{}"))
        kind = rows[-1].get("kind", "receipts")
        die(f"{kind} {detail.get('table', '')}".strip())
        return append(self, table, rows, on)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publish, "commit", dying_commit)
        patch.setattr(bronze, "commit", dying_commit)
        patch.setattr(Lake, "append", dying_write)
        yield
