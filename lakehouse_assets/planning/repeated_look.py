"""The looks of whoever looks all the time: where nothing was pending and nothing has come, few.

What is pending follows from the raw zone's files, the ledger, the tables and the day. Whoever
changes a table does it for something pending, or tells the ledger. So where nothing was pending,
and the raw zone, the ledger and the day are as they were, nothing is pending still: one listing and
two requests say so, however many tables there are.

Trusted is that nobody changes tables behind the ledger's back. Whoever looks once does not trust it
(``lakehouse run``, the daily schedule), and finds what was lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.pending_files import Plan
from lakehouse_assets.planning.settled_files import SETTLED_SECONDS, listed
from lakehouse_assets.store.facts import FACTS
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.storage import StoredObject
from lakehouse_assets.tables.contract import Dataset, Derived


@dataclass(frozen=True)
class _Idle:
    """A plan with nothing pending, and what it follows from.

    ``lake`` has its places and its days; ``files`` is a digest of the raw zone; ``version`` is the
    ledger's, -1 where there is none, and ``commit`` that version's file.
    """

    plan: Plan
    lake: Lake
    files: int
    version: int
    commit: StoredObject | None

    def holds(self, lake: Lake, files: int) -> bool:
        """Whether all of it is as it was."""
        return (
            self.lake == lake
            and self.files == files
            and lake.commit_file(FACTS, self.version + 1) is None
            and _commit(lake, self.version) == self.commit
        )


class RepeatedLook:
    """Looks at a lake again and again."""

    def __init__(self, datasets: Mapping[str, Dataset], derived: Mapping[str, Derived]) -> None:
        self._datasets, self._derived = datasets, derived
        self._idle: _Idle | None = None

    def plan(self, lake: Lake, now: datetime) -> Plan:
        """What is pending now, and why; ``now`` is when the look begins."""
        stored = listed(lake)
        files = _digest(stored)
        if self._idle and self._idle.holds(lake, files):
            return self._idle.plan
        self._idle = None
        # Before the plan is made: what is recorded meanwhile is seen by the next look.
        newest = lake.version(FACTS)
        version = -1 if newest is None else newest
        commit = _commit(lake, version)
        plan = pending_files.of(Ledger(lake), self._datasets, self._derived, stored)
        settled = now.timestamp() - SETTLED_SECONDS
        if not plan and all(found.modified < settled for found in stored):
            self._idle = _Idle(plan, lake.fresh(), files, version, commit)
        return plan

    def forget(self) -> None:
        """Look at everything the next time: a run is at work on the tables."""
        self._idle = None


def _commit(lake: Lake, version: int) -> StoredObject | None:
    return lake.commit_file(FACTS, version) if version >= 0 else None


def _digest(stored: Iterable[StoredObject]) -> int:
    """Tells one raw zone from another, in whatever order it is listed."""
    return sum(int.from_bytes(_digest_of(found)) for found in stored)


def _digest_of(found: StoredObject) -> bytes:
    told = f"{found.path}\0{found.stamp}\0{found.readable}"
    return hashlib.sha256(told.encode(errors="surrogateescape")).digest()
