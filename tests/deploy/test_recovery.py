"""The disasters of docs/recovery.md, rehearsed with the very commands that stand there."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import boto3
import pytest

from lakehouse_assets.store.lake import Lake
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import queryable
from resources.settings import Settings
from tests.support import PROJECT, SAMPLE
from tests.support.commands import Lakehouse
from tests.support.object_store import Store

pytestmark = [pytest.mark.recovery, pytest.mark.aws, pytest.mark.timeout(1200)]

DAYS = ("2025-04-15", "2025-04-16")
BUCKETS = ("raw", "processed", "replica-raw", "replica-processed")
FIRST_SECOND = 1.1
"""S3's times are whole seconds."""


def commands(title: str) -> list[str]:
    """The blocks of commands below a title of the page."""
    page = (PROJECT / "docs" / "recovery.md").read_text()
    part = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", part, re.DOTALL)


@dataclass
class Account:
    """Four buckets, and a lake in two of them."""

    environment: dict[str, str]
    folder: Path
    names: dict[str, str]
    ran: int = 0

    def __post_init__(self) -> None:
        self.s3: Any = boto3.session.Session().client(
            "s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        for bucket in self.names.values():
            self.create(bucket)
        self.house = Lakehouse(
            self.folder,
            **self.environment,
            LAKEHOUSE_RAW=f"s3://{self.names['raw']}",
            LAKEHOUSE_PROCESSED=f"s3://{self.names['processed']}",
            LAKEHOUSE_HOME=str(self.folder / "home"),
            LAKEHOUSE_ARCHIVE="true",
            **{name.upper().replace("-", "_"): bucket for name, bucket in self.names.items()},
        )

    def create(self, bucket: str) -> None:
        """An empty bucket that keeps versions."""
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def land(self, day: str) -> None:
        """The sample's files of a day."""
        self.house.ok("land", *map(str, sorted(SAMPLE.glob(f"*/{day}/*"))), "--date", day)

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.names[bucket], Prefix=prefix)
        return [each["Key"] for page in found for each in page.get("Contents", ())]

    def copy(self, source: Account, bucket: str, to: str | None = None) -> None:
        """Fill a bucket as another account has it."""
        for key in source.keys(bucket):
            self.s3.copy(
                {"Bucket": source.names[bucket], "Key": key}, self.names[to or bucket], key
            )

    def delete(self, bucket: str, prefix: str = "") -> None:
        """Delete what a bucket shows below a prefix, as somebody would by mistake."""
        for key in self.keys(bucket, prefix):
            self.s3.delete_object(Bucket=self.names[bucket], Key=key)

    def destroy(self, bucket: str, prefix: str = "") -> None:
        """Delete every version."""
        pages = self.s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.names[bucket], Prefix=prefix):
            for each in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                self.s3.delete_object(
                    Bucket=self.names[bucket], Key=each["Key"], VersionId=each["VersionId"]
                )

    def lake(self) -> Lake:
        raw, processed = self.names["raw"], self.names["processed"]
        return Settings(raw=f"s3://{raw}", processed=f"s3://{processed}").lake()

    def rehearse(self, *blocks: str, **variables: str) -> str:
        """Run commands of the page as a person would, one block after the other."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**self.house.environment, **variables, "PATH": path}
        environment |= {"PYTHONPATH": str(PROJECT)}
        printed = ""
        for block in blocks:
            self.ran += len(block.strip().splitlines())
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert "Traceback" not in done.stderr, done.stderr
            assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
            printed += done.stdout + done.stderr
        return printed


def content(lake: Lake, *names: str) -> dict[str, list[str]]:
    """The rows of the tables (silver, gold and quarantine), by the contracts' columns."""
    return {
        name: _rows(lake, table)
        for name, table in queryable().items()
        if name in names or (not names and table.layer in {"silver", "gold", "rejected"})
    }


def _rows(lake: Lake, table: Table) -> list[str]:
    columns = ", ".join(f'"{c.name}"' for c in table.payload if not c.type.startswith("MAP"))
    return sorted(map(str, lake.rows(table, f"SELECT {columns} FROM t")))


def rows(found: dict[str, list[str]]) -> int:
    return sum(map(len, found.values()))


@pytest.fixture(scope="module")
def before(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Two days, each taken in by a run; and copies of the buckets as replication makes them."""
    environment = store.environment(failing=False)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        folder = tmp_path_factory.mktemp("before")
        account = Account(environment, folder, {b: f"shop-{b}" for b in BUCKETS})
        for day in DAYS:
            account.land(day)
            for key in account.keys("raw"):  # copied before it is archived, and kept
                if not key.startswith("archive/"):
                    account.s3.copy(
                        {"Bucket": account.names["raw"], "Key": key},
                        account.names["replica-raw"],
                        key,
                    )
            account.house.ok("run")
        account.copy(account, "processed", "replica-processed")
        archived = account.keys("raw", "archive/")
        assert archived
        for key in archived:
            account.s3.copy(
                {"Bucket": account.names["raw"], "Key": key}, account.names["replica-raw"], key
            )
        yield account


@pytest.fixture
def shop(before: Account, tmp_path: Path, request: pytest.FixtureRequest) -> Account:
    """The same in buckets of its own."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[-40:].strip("-")
    names = {b: f"{name}-{b}" for b in BUCKETS}
    account = Account(before.environment, tmp_path, names)
    for bucket in BUCKETS:
        account.copy(before, bucket)
    return account


@dataclass
class Rehearsal:
    """Counts rows before, while and after; the same content must come back."""

    shop: Account
    counted: Callable[[str], None]
    title: str

    def __enter__(self) -> Self:
        self.wanted = content(self.shop.lake())
        return self

    def strike(self) -> None:
        """What is left when the disaster has struck; the clock runs from here."""
        self.left = _same(self.shop.lake(), self.wanted)
        self.began = time.monotonic()

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            found = content(self.shop.lake())
            seconds = time.monotonic() - self.began
            before, after = rows(self.wanted), rows(found)
            destroyed = before - self.left
            assert found == self.wanted
            self.counted(
                f"{self.title:38} {self.shop.ran:2} commands; rows: {before:6,} before, "
                f"{destroyed:6,} destroyed, {after:6,} after; {seconds:3.0f} s"
            )


def _same(lake: Lake, wanted: dict[str, list[str]]) -> int:
    """How many of these rows can still be read."""
    count = 0
    for name, before in wanted.items():
        try:
            there = Counter(content(lake, name)[name])
        except Exception:  # noqa: BLE001 - however it cannot be read
            continue
        count += (Counter(before) & there).total()
    return count


def test_bad_data_was_published(
    shop: Account, tmp_path: Path, counted: Callable[[str], None]
) -> None:
    runs = json.loads(shop.house.ok("history", "--format", "json"))
    good = next(run["run"] for run in runs if run["files read"])
    with Rehearsal(shop, counted, "bad data was published") as rehearsal:
        bad = tmp_path / "orders_corrected.csv"
        with (SAMPLE / "orders/2025-04-16/orders_17h.csv").open(newline="") as good_rows:
            rows_of_file = list(csv.DictReader(good_rows))
        with bad.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows_of_file[0])
            writer.writeheader()
            writer.writerows({**row, "total_amount": "1.23"} for row in rows_of_file)
        shop.house.ok("land", str(bad), "--dataset", "orders", "--date", "2025-04-17")
        shop.house.ok("run")
        assert content(shop.lake()) != rehearsal.wanted
        rehearsal.strike()
        name = "orders/2025-04-17/orders_corrected.csv"
        shop.rehearse(*commands("Bad data was published"), GOOD_RUN=good, BAD_FILE=name)


@pytest.mark.parametrize("kept", [True, False], ids=["versions kept", "versions gone"])
def test_a_table_was_destroyed(shop: Account, kept: bool, counted: Callable[[str], None]) -> None:
    undelete, heal = commands("A table was destroyed")
    with Rehearsal(
        shop, counted, f"a table was destroyed{'' if kept else ', versions too'}"
    ) as rehearsal:
        time.sleep(FIRST_SECOND)
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        (shop.delete if kept else shop.destroy)("processed", "silver/orders/")
        rehearsal.strike()
        shop.rehearse(undelete if kept else heal, LOST_AT=since)


def test_a_bucket_was_destroyed(shop: Account, counted: Callable[[str], None]) -> None:
    """From a copy that is not whole: files of a table and of the ledger have not come yet."""
    bucket = shop.names["replica-processed"]
    for folder in ("silver/orders", "ledger"):
        data = [k for k in shop.keys("replica-processed", f"{folder}/") if k.endswith(".parquet")]
        newest = max(
            (k for k in data if "_delta_log" not in k),
            key=lambda k: shop.s3.head_object(Bucket=bucket, Key=k)["LastModified"],
        )
        shop.s3.delete_object(Bucket=bucket, Key=newest)
    log = shop.keys("replica-processed", "gold/daily_sales/_delta_log/")
    shop.s3.delete_object(Bucket=bucket, Key=max(k for k in log if k.endswith(".json")))
    with Rehearsal(shop, counted, "a bucket was destroyed") as rehearsal:
        shop.destroy("processed")
        shop.s3.delete_bucket(Bucket=shop.names["processed"])
        shop.create(shop.names["processed"])
        rehearsal.strike()
        processed, _ = commands("A bucket was destroyed")
        shop.rehearse(processed)


def test_the_raw_bucket_was_destroyed(shop: Account, counted: Callable[[str], None]) -> None:
    """What was archived comes back with it, also where it once landed; that is no news."""
    with Rehearsal(shop, counted, "the raw bucket was destroyed") as rehearsal:
        shop.destroy("raw")
        shop.s3.delete_bucket(Bucket=shop.names["raw"])
        shop.create(shop.names["raw"])
        rehearsal.strike()
        _, raw = commands("A bucket was destroyed")
        shop.rehearse(raw)
    assert shop.keys("raw", "archive/")


def test_the_region_is_lost(shop: Account, counted: Callable[[str], None]) -> None:
    """An environment elsewhere has empty buckets; filled, it takes in the next day."""
    with Rehearsal(shop, counted, "the region is lost") as rehearsal:
        for bucket in ("raw", "processed"):
            shop.destroy(bucket)
        rehearsal.strike()
        shop.rehearse(*commands("The region is lost"))
    shop.land("2025-04-17")
    shop.house.ok("run")
    assert rows(content(shop.lake())) > rows(rehearsal.wanted)


def test_a_wrong_deployment(shop: Account, tmp_path: Path, counted: Callable[[str], None]) -> None:
    """A release with a rule that no order passes; then the one before runs again."""
    release = tmp_path / "release"
    for name in ("lakehouse_assets", "resources", "definitions.py", "deploy"):
        source = PROJECT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, release / name)
    contract = release / "lakehouse_assets/tables/silver/orders.py"
    text = contract.read_text()
    assert "minimum=0" in text
    contract.write_text(text.replace("minimum=0", "minimum=100_000"))
    with Rehearsal(shop, counted, "a wrong deployment") as rehearsal:
        done = subprocess.run(
            [sys.executable, "-m", "lakehouse_assets.cli", "run"],
            cwd=release,
            env={**shop.house.environment, "PYTHONPATH": str(release)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert not content(shop.lake(), "silver.orders")["silver.orders"]
        rehearsal.strike()
        shop.rehearse(*commands("A wrong deployment"))


def test_the_ledger_is_lost(shop: Account, counted: Callable[[str], None]) -> None:
    with Rehearsal(shop, counted, "the ledger is lost") as rehearsal:
        shop.destroy("processed")
        rehearsal.strike()
        shop.rehearse(*commands("The ledger is lost"))


def test_every_disaster_of_the_page_is_rehearsed() -> None:
    page = (PROJECT / "docs" / "recovery.md").read_text()
    titles = [t for t in re.findall(r"\n## (.*)\n", page) if commands(t)]
    tests = Path(__file__).read_text()
    assert titles
    assert [t for t in titles if f'commands("{t}")' not in tests] == []
