"""What the benchmarks share: a process with its children, and what a lake's tables say."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Self

FIRST = date(2025, 1, 1)
GOLD = ("daily_sales", "product_performance", "department_analytics", "customer_insights")
SILVER = ("products", "orders", "order_items")
_PAUSE = 0.1


def family(of: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rsplit(") ")[-1].split()[1]
                )
            except (FileNotFoundError, ProcessLookupError):
                continue
    found = {of}
    while grown := {p for p, parent in parents.items() if parent in found} - found:
        found |= grown
    return sorted(found)


def cpu_seconds(of: Sequence[int] = ()) -> float:
    """CPU time so far of these processes, or of this one's family: ended children included.

    To find the family is some 10 ms of work itself: who asks often finds it once.
    """
    ticks = 0
    for pid in of or family(os.getpid()):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ")[-1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(int(f) for f in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def peak_kib() -> int:
    """The peaks of all processes of this one's family that are still there, together."""
    return _held(os.getpid(), "VmHWM")


def _held(of: int, what: str) -> int:
    total = 0
    for pid in family(of):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(what))
    return total


class Watched:
    """The most memory that a process and its children hold together, looked at ten times a second.

    ``peak_kib`` is that, once the block has ended.
    """

    def __init__(self, pid: int) -> None:
        self.peak_kib = 0
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE):
            self.peak_kib = max(self.peak_kib, _held(self._pid, "VmRSS"))


def hashes(root: Path) -> dict[str, str]:
    """Content of every published table, by the contracts' columns."""
    from resources.duckdb_engine import connect

    connection = connect()
    found = {}
    for table in [f"silver/{t}" for t in SILVER] + [f"gold/{t}" for t in GOLD]:
        columns = _columns(table)
        [(count, digest)] = connection.execute(
            f"SELECT count(*), sum(hash(t)) FROM (SELECT {columns} "
            f"FROM delta_scan('{root}/processed/{table}')) t"
        ).fetchall()
        found[table] = f"{count}:{digest}"
    connection.close()
    return found


def _columns(table: str) -> str:
    from lakehouse_assets.tables.registry import queryable

    payload = queryable()[table.replace("/", ".")].payload
    # A deviation is compared to four places: doubles differ in the last.
    return ", ".join(
        f"round({c.name}, 4)" if c.name.startswith("stddev") else c.name for c in payload
    )
