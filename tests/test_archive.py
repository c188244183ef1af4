"""What is processed leaves the raw zone, whole, and nothing else does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.operations.archive import ArchiveError, archive
from lakehouse_assets.store.facts import Kind
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.registry import DATASETS
from resources.s3_storage import S3Storage
from tests.support.object_store import BUCKET
from tests.support.oracle import COLUMNS, Accept, Drop, Land, Reinstate, Run, Withdraw
from tests.support.steps import Archive
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2025, 4, 1)
PATH = ("products", DAY, "p.csv")
HELD = ("products", DAY, "held.csv")
BROKEN = ("products", DAY, "broken.csv")


def products(*rows: str) -> bytes:
    return "\n".join([",".join(COLUMNS["products"]), *rows, ""]).encode()


ONE, TWO, THREE = (products(f"1,1,Toys,{name}") for name in ("Kite", "Ball", "Drum"))
FAULTY = products(*(f"{n},1,Toys,{'' if n % 2 else 'Kite'}" for n in range(100, 200)))


def raw(world: World) -> set[str]:
    return {f.path for f in world.lake.raw.list("", without="archive")}


def archived(world: World) -> dict[str, bytes]:
    found = (f.path for f in world.lake.raw.list("archive"))
    return {path: world.lake.raw.read(path) for path in found}


@pytest.mark.slow
def test_only_what_is_in_the_tables_leaves(lake: World) -> None:
    """Held and unreadable files stay where a person finds them; what leaves stays in force."""
    lake.apply(Land(*PATH, ONE), Land(*HELD, FAULTY), Land(*BROKEN, b"a,b\n"), Run(), Archive())
    assert raw(lake) == {"products/2025-04-01/held.csv", "products/2025-04-01/broken.csv"}
    digest = hashlib.sha256(ONE).hexdigest()
    assert archived(lake) == {f"archive/products/2025-04-01/{digest}/p.csv": ONE}
    lake.settle()
    assert not lake.plan()
    lake.apply(Accept(*HELD), Run(), Archive())
    assert raw(lake) == {"products/2025-04-01/broken.csv"}
    lake.settle()


@pytest.mark.slow
def test_what_is_archived_can_be_withdrawn_replaced_and_brought_back(lake: World) -> None:
    lake.apply(Land(*PATH, ONE), Run(), Archive(), Withdraw(*PATH), Run())
    assert not lake.rows("silver/products")
    lake.apply(Reinstate(*PATH), Run(), Archive(), Land(*PATH, TWO), Run(), Archive())
    lake.settle()
    assert sorted(archived(lake).values()) == sorted([ONE, TWO])


def test_what_came_after_the_run_stays(lake: World) -> None:
    lake.apply(Drop(*PATH, ONE), Run(), Drop(*PATH, TWO), Archive())
    assert raw(lake) == {"products/2025-04-01/p.csv"}
    assert not archived(lake)
    lake.settle()
    [row] = lake.rows("silver/products")
    assert row["product_name"] == "Ball"


class DiesError(Exception):
    """The process dies here."""


FOUR = {f"p{n}.csv": products(f"{n},1,Toys,Kite") for n in range(4)}


@pytest.fixture(scope="module")
def four_files(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> World:
    """Four files that have run; not to be changed."""
    with World(tmp_path_factory.mktemp("four"), spark) as lake:
        lake.apply(*(Land("products", DAY, name, content) for name, content in FOUR.items()), Run())
        return lake


@pytest.fixture
def four(four_files: World, tmp_path: Path) -> Iterator[World]:
    """The same four files, to do anything with."""
    with four_files.copied(tmp_path) as world:
        yield world


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("method", ["write", "remove"])
def test_killed_anywhere_it_goes_on(
    four: World, monkeypatch: pytest.MonkeyPatch, method: str, at: int
) -> None:
    """The n-th write or removal is the last: nothing is lost, and the next call ends it."""
    whole, calls = getattr(LocalStorage, method), 0

    def dying(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls > at:
            raise DiesError
        whole(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, method, dying)
        with pytest.raises(DiesError):
            archive(four.ledger, DATASETS, "dies")
    there = {path.split("/")[-1] for path in raw(four) | archived(four).keys()}
    assert there == set(FOUR)
    four.apply(Archive())
    assert not raw(four)
    assert sorted(archived(four).values()) == sorted(FOUR.values())
    facts = [f for f in four.ledger.facts() if f.kind is Kind.ARCHIVED]
    assert len(facts) == len(FOUR)  # each said once
    four.settle()


def test_a_copy_that_is_not_what_was_written_keeps_the_file(lake: World) -> None:
    lake.apply(Land(*PATH, ONE), Run())
    digest = hashlib.sha256(ONE).hexdigest()
    lake.lake.raw.write(f"archive/products/2025-04-01/{digest}/p.csv", b"something else")
    with pytest.raises(ArchiveError, match=r"^products/2025-04-01/p.csv: its copy .*; remove the"):
        archive(lake.ledger, DATASETS, "a test")
    assert raw(lake) == {"products/2025-04-01/p.csv"}


@pytest.mark.slow
@pytest.mark.usefixtures("s3")
def test_on_s3_the_very_versions_that_were_read_leave(tmp_path: Path, spark: SparkSession) -> None:
    """Versions below the one that was read do not come to light; one that came since stays."""
    import boto3

    client = boto3.client("s3")
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    with World(tmp_path, spark, storage=S3Storage(f"s3://{BUCKET}")) as world:
        world.apply(Drop(*PATH, ONE), Run(), Drop(*PATH, TWO), Drop(*PATH, THREE), Run())
        fourth = products("2,1,Toys,Lute")
        # It comes between the archive's look at what is there and its removals.
        removed = S3Storage.remove

        def late(self: S3Storage, path: str, version: str) -> None:
            if not world.lake.raw.find("products/2025-04-01/late.csv"):
                world.lake.raw.write("products/2025-04-01/late.csv", b"x")
                world.lake.raw.write("products/2025-04-01/p.csv", fourth)
            removed(self, path, version)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(S3Storage, "remove", late)
            assert [str(p) for p in archive(world.ledger, DATASETS, "a test")] == [
                "products/2025-04-01/p.csv"
            ]
        assert sorted(archived(world).values()) == sorted([ONE, TWO, THREE])
        assert len(world.lake.raw.versions("products/2025-04-01/p.csv")) == 1
        assert world.lake.raw.read("products/2025-04-01/p.csv") == fourth


def test_a_file_that_goes_meanwhile_keeps_no_other(
    lake: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.apply(Land(*PATH, ONE), Land("products", DAY, "q.csv", TWO), Run())
    opened = LocalStorage.open

    def taken_away(self: LocalStorage, path: str, version: str | None = None) -> BufferedReader:
        if path.endswith("/p.csv"):
            Path(self.uri(path)).unlink(missing_ok=True)
        return opened(self, path, version)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "open", taken_away)
        moved = archive(lake.ledger, DATASETS, "a test")
    assert [path.file for path in moved] == ["q.csv"]
    assert [*archived(lake).values()] == [TWO]


def test_a_file_that_changes_while_it_is_copied_stays(
    lake: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its digest and the copy: nothing of it is in the archive."""
    lake.apply(Land(*PATH, ONE), Run())
    opened, looks = LocalStorage.open, 0

    def changing(self: LocalStorage, path: str, version: str | None = None) -> BufferedReader:
        nonlocal looks
        looks += path.endswith("/p.csv")
        if looks > 1:
            Path(self.uri(path)).write_bytes(TWO)
            version = None  # as if it had changed after this look, too
        return opened(self, path, version)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "open", changing)
        assert not archive(lake.ledger, DATASETS, "a test")
    assert raw(lake) == {"products/2025-04-01/p.csv"}
    assert not archived(lake)
