"""`python -m tests.bench.sensor`: one look of the sensor over a million keys.

The lister is made up, the ledger is a real one in a folder, and the plan and the decision are
the product's: once where no run has seen any of the keys, once where all of them are known and
unchanged. Each look runs in a process of its own; its peak memory is that process's.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import islice
from pathlib import Path

from deltalake.transaction import AddAction, RemoveAction

from lakehouse_assets.parse.model import READING
from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.run_requests import WaitTimes, decide
from lakehouse_assets.planning.settled_files import look
from lakehouse_assets.store.facts import FACTS, Admitted, Fact, Landed
from lakehouse_assets.store.lake import FilePath, Lake, content_id
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.storage import LocalStorage, StoredObject
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from tests.support import PROJECT

FIRST, DAYS = date(2025, 1, 1), 365
MODIFIED = datetime(2026, 1, 2, tzinfo=UTC)
CHUNK = 100_000


def main() -> None:
    """Prepare the two ledgers, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--look", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        _look(Path(options.look), options.keys)
        return
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        for name in ("none known", "all known"):
            lake = Path(folder, name)
            if name == "all known":
                _fill(lake, options.keys)
            program = [sys.executable, "-m", "tests.bench.sensor", "--keys", str(options.keys)]
            done = subprocess.run(
                [*program, "--look", lake], cwd=PROJECT, check=True, capture_output=True, text=True
            )
            print(f"{options.keys:,} keys, {name}: {done.stdout.strip()}")


@dataclass(frozen=True)
class Lister:
    """A raw zone of that many keys, listed as S3 would list it."""

    keys: int
    root: str = "s3://raw"

    def list(self, prefix: str, *, without: str | None = None) -> Iterator[StoredObject]:
        """Every key, in order."""
        modified, folder, place = MODIFIED.timestamp(), None, ""
        for path, etag in _keys(self.keys):
            if folder != path.batch_date:
                folder, place = path.batch_date, f"{path.dataset}/{path.batch_date}/"
            yield StoredObject(place + path.file, 1000, etag, modified)

    def find(self, path: str) -> StoredObject | None:
        """Nothing: no look asks for one."""
        raise AssertionError(path)

    read = find


def _keys(count: int) -> Iterator[tuple[FilePath, str]]:
    a_folder = -(-count // (DAYS * len(DATASETS)))
    for i in range(count):
        folder, number = divmod(i, a_folder)
        dataset = sorted(DATASETS)[folder // DAYS]
        day = FIRST + timedelta(days=folder % DAYS)
        yield FilePath(dataset, day, f"{dataset}_{number:05}.csv.gz"), f'"{i:032x}"'


def _lake(folder: Path, keys: int) -> Lake:
    return Lake(
        Lister(keys),  # type: ignore[arg-type]
        LocalStorage(str(folder)),
        FIRST,
        FIRST + timedelta(days=DAYS),
        frozenset(DATASETS),
    )


def _fill(folder: Path, keys: int) -> None:
    """A ledger and a bronze that know every key, as runs of so many files would leave them."""
    lake = _lake(folder, keys)
    known = _keys(keys)
    first = 1
    while some := list(islice(known, CHUNK)):
        facts: list[Fact] = []
        files: dict[str, list[AddAction | RemoveAction]] = {name: [] for name in DATASETS}
        for path, etag in some:
            digest = sha256(str(path).encode()).hexdigest()
            rules = DATASETS[path.dataset].rules_digest
            facts.append(Fact(Landed("run", etag), path, digest, "run"))
            facts.append(Fact(Admitted(read=1, rules=rules, reading=READING), path, digest, "run"))
            files[path.dataset].append(_bronze_file(path, digest))
        now = MODIFIED + timedelta(hours=1)
        rows = [replace(f, seq=first + i, recorded_at=now).to_row() for i, f in enumerate(facts)]
        assert lake.append(FACTS, rows, on=lake.create(FACTS))
        first += len(rows)
        for name, added in files.items():
            table = DATASETS[name].bronze
            lake.create(table)
            if added:
                found = lake.delta(table)
                assert found
                by = [*table.partition_by]
                found.create_write_transaction(added, "append", found.schema(), by)


def _bronze_file(path: FilePath, digest: str) -> AddAction:
    """A file of bronze in the log; its rows are of no interest here."""
    content = content_id(path, digest)
    place = f"_batch_date={path.batch_date}/_content={content}/part-0.parquet"
    values = {"_batch_date": str(path.batch_date), "_content": content}
    return AddAction(place, 1000, values, 0, True, '{"numRecords": 1}')


def _look(folder: Path, keys: int) -> None:
    began = time.process_time()
    ledger = Ledger(_lake(folder, keys))
    seen = look(ledger, DATASETS)
    looked = time.process_time()
    plan = pending_files.make(ledger.lake, seen, DATASETS, DERIVED)
    planned = time.process_time()
    now = MODIFIED + timedelta(hours=2)
    decision = decide(plan, DATASETS, lambda _: [], now, WaitTimes())
    decided = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{decided - began:.1f} CPU-seconds (look {looked - began:.1f}, "
        f"plan {planned - looked:.1f}, decision {decided - planned:.1f}), {peak:,.0f} MiB; "
        f"{len(plan.files):,} pending, {len(decision.starts)} runs to start"
    )


if __name__ == "__main__":
    main()
