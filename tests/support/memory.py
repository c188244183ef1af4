"""A lake in memory, without tables: what the plan and the sensor are driven on, fast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any, cast

from lakehouse_assets.parse.model import READING
from lakehouse_assets.planning.pending_files import bronze_work
from lakehouse_assets.store import receipts
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import Admitted, Fact, Landed
from lakehouse_assets.store.lake import Lake, RawFile
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.store.storage import Storage, StoredObject
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import DATASETS


@dataclass(frozen=True)
class MemoryStorage:
    """Files in memory; equal bytes have equal stamps, as on S3."""

    root: str = "memory"
    files: dict[str, tuple[bytes, float]] = field(default_factory=dict)

    def list(self, prefix: str, *, without: str | None = None) -> Iterator[StoredObject]:
        for path in list(self.files):
            if (not prefix or path.startswith(f"{prefix}/")) and not (
                without and path.startswith(f"{without}/")
            ):
                found = self.find(path)
                if found:
                    yield found

    def find(self, path: str) -> StoredObject | None:
        if path not in self.files:
            return None
        data, modified = self.files[path]
        return StoredObject(path, len(data), data.hex(), modified)

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path][0]

    def open(self, path: str, version: str | None = None) -> BytesIO:
        return BytesIO(self.read(path))


@dataclass(frozen=True)
class MemoryLake(Lake):
    """A lake whose only table is that of the receipts; bronze stays empty."""

    @property
    def dropped(self) -> dict[str, tuple[bytes, float]]:
        """What lies in the raw zone, by path: bytes and time."""
        assert isinstance(self.raw, MemoryStorage)
        return self.raw.files

    told: list[dict[str, Any]] = field(default_factory=list)

    def version(self, table: Table) -> int | None:
        return None

    def versions(self, tables: Iterable[Table]) -> dict[str, TableVersion]:
        return {}

    def files(self, table: Table, version: int | None) -> list[dict[str, Any]]:
        return []

    def rows(
        self, table: Table, sql: str = "SELECT * FROM t", version: int | None = None
    ) -> list[dict[str, Any]]:
        return self.told if table is RECEIPTS else []


def memory_lake(first: date, last: date) -> MemoryLake:
    # Only what is asked of a storage here is there.
    raw, processed = cast("Storage", MemoryStorage()), cast("Storage", MemoryStorage())
    return MemoryLake(raw, processed, first, last, frozenset(DATASETS))


class MemoryLedger:
    """The ledger's state, with facts taken in as they are recorded."""

    def __init__(self) -> None:
        self.state = State()

    def record(self, now: datetime, *facts: Fact) -> None:
        for fact in facts:
            seq = self.state.seq + 1
            self.state.take(replace(fact, run_id="r", seq=seq, recorded_at=now))


def absorb(
    lake: MemoryLake, ledger: MemoryLedger, now: datetime, dates: Sequence[date], dataset: str
) -> None:
    """What a run does to one dataset's bronze, as far as the ledger tells of it.

    Every file can be read and has no rows, so that no table ever holds any.
    """
    contract = DATASETS[dataset]
    found = [f for f in lake.raw_files() if isinstance(f, RawFile)]
    files = [f for f in found if f.path.dataset == dataset and f.path.batch_date in dates]
    stamps = {f.path: f.stored.stamp for f in files}
    for item in bronze_work(lake, ledger.state, contract, files, {}, dates).read:
        digest = item.digest or _digest(lake, item.source.path)
        past = ledger.state.at(item.path)
        if past.last is None or past.last.digest != digest:
            ledger.record(now, Fact(Landed("run", stamps.get(item.path, "")), item.path, digest))
        read = Admitted(rules=contract.rules_digest, reading=READING)
        ledger.record(now, Fact(read, item.path, digest))
    known = {(r.path, r.digest): r for r in receipts.current(lake)}
    for due in receipts.due_without_tables(lake, ledger.state, contract, dates):
        if known.get((due.path, due.digest)) != due:
            lake.told.append(
                {
                    "dataset": due.path.dataset,
                    "batch_date": due.path.batch_date,
                    "file": due.path.file,
                    "digest": due.digest,
                    "state": due.state,
                    **asdict(due.counts),
                    "error": due.error,
                }
            )


def _digest(lake: Lake, path: str) -> str:
    import hashlib

    return hashlib.sha256(lake.raw.read(path)).hexdigest()


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
