"""Places for files: what is listed, what links lead to, and that bytes come whole or not at all."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from datetime import date
from io import BytesIO
from pathlib import Path
from random import Random

import boto3
import pytest

from lakehouse_assets.operations.archive import archive
from lakehouse_assets.operations.land import LandingError, land
from lakehouse_assets.store.content import Digested, copy, digest_of
from lakehouse_assets.store.storage import LocalStorage, Storage
from lakehouse_assets.tables.registry import DATASETS
from resources.s3_storage import S3Storage
from tests.support.object_store import BUCKET
from tests.support.oracle import COLUMNS, Run
from tests.support.world import World

DAY = date(2025, 4, 1)
MB = 2**20
LONG = Random(0).randbytes(20 * MB)
"""Longer than the parts in which S3 takes a stream."""


def listed(root: Path, prefix: str = "") -> dict[str, bool]:
    return {found.path: found.readable for found in LocalStorage(str(root)).list(prefix)}


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "raw"
    for folder in (elsewhere, root / "orders"):
        folder.mkdir(parents=True)
    (elsewhere / "o.csv").write_text("order_id\n1\n")
    (root / "orders" / "2025-05-01").symlink_to(elsewhere)
    (root / "orders" / "one.csv").symlink_to(elsewhere / "o.csv")
    assert listed(root) == {"orders/2025-05-01/o.csv": True, "orders/one.csv": True}


def test_links_that_lead_nowhere_or_around_end(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f.csv").write_text("x\n")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "a" / "gone").symlink_to(tmp_path / "nowhere")
    assert listed(tmp_path) == {"a/b/f.csv": True, "a/self": False, "a/gone": False}


# --------------------------------------------------------------------------------------- streams


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage of each kind."""
    if request.param == "local":
        return LocalStorage(str(tmp_path))
    request.getfixturevalue("s3")
    return S3Storage(f"s3://{BUCKET}/{tmp_path.name}")


class Breaking:
    """A stream that ends in an error after a while."""

    def __init__(self, size: int) -> None:
        self._stream = BytesIO(LONG[:size])

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes. Raises OSError at the end."""
        data = self._stream.read(size)
        if not data:
            raise OSError(5, "Input/output error")
        return data


def test_a_stream_takes_the_place_of_what_was_there(storage: Storage) -> None:
    for data in (b"short", LONG, LONG[: 8 * MB], b""):
        storage.write("a/f.csv", BytesIO(data))
        assert storage.read("a/f.csv") == data
        assert digest_of(storage, "a/f.csv") == hashlib.sha256(data).hexdigest()
        assert [(f.path, f.size) for f in storage.list("")] == [("a/f.csv", len(data))]


@pytest.mark.parametrize("size", [0, 5 * MB, 20 * MB])
def test_a_stream_that_breaks_off_leaves_what_was_there(storage: Storage, size: int) -> None:
    storage.write("a/f.csv", b"before")
    with pytest.raises(OSError, match="Input/output error"):
        storage.write("a/f.csv", Breaking(size))
    assert storage.read("a/f.csv") == b"before"
    assert [f.path for f in storage.list("")] == ["a/f.csv"]
    if isinstance(storage, S3Storage):
        pending = boto3.client("s3").list_multipart_uploads(Bucket=BUCKET)
        assert not pending.get("Uploads")


@pytest.mark.parametrize("data", [b"short", LONG])
def test_a_copy_is_of_the_content_that_was_meant(storage: Storage, data: bytes) -> None:
    storage.write("f", data)
    digest = hashlib.sha256(data).hexdigest()
    copy((storage, "f"), (storage, "same"), digest)
    assert storage.read("same") == data
    storage.write("f", data[:-1] + b"?")
    with pytest.raises(FileNotFoundError):
        copy((storage, "f"), (storage, "other"), digest)
    with pytest.raises(FileNotFoundError):
        copy((storage, "none"), (storage, "other"), digest)
    assert {f.path for f in storage.list("")} == {"f", "same"}


def test_a_version_is_what_was_there_then_or_nothing(storage: Storage) -> None:
    if isinstance(storage, S3Storage):
        versioned = {"Status": "Enabled"}
        boto3.client("s3").put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=versioned)
    storage.write("f", b"one")
    [first] = storage.versions("f")
    storage.write("f", b"another")
    if isinstance(storage, S3Storage):
        assert storage.open("f", first).read() == b"one"
        storage.remove("f", first)
    with pytest.raises(FileNotFoundError):
        storage.open("f", first)
    with storage.open("f", storage.versions("f")[-1]) as stream:
        assert stream.read() == b"another"


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize("data", [b"short", LONG])
def test_on_s3_streams_are_encrypted_as_all_is(data: bytes) -> None:
    encrypted = S3Storage(f"s3://{BUCKET}/encrypted", owner="123456789012", kms_key="a-key")
    encrypted.write("f", BytesIO(data))
    found = boto3.client("s3").head_object(Bucket=BUCKET, Key="encrypted/f")
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "a-key")


def test_a_digest_is_of_what_was_read(storage: Storage) -> None:
    storage.write("f", LONG)
    with storage.open("f") as stream:
        digested = Digested(stream)
        assert digested.read(0) == b""
        assert digested.read(3) == LONG[:3]
        assert (digested.size, digested.digest) == (3, hashlib.sha256(LONG[:3]).hexdigest())
        assert digested.to_the_end() == hashlib.sha256(LONG).hexdigest()


# ------------------------------------------------------------------------------ files beyond memory


def peak(what: Callable[..., object], *arguments: object) -> int:
    """The most memory that Python holds at a time for a call, in bytes."""
    tracemalloc.start()
    try:
        assert what(*arguments)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_lands_and_is_archived_may_be_larger_than_memory(lake: World, tmp_path: Path) -> None:
    """It goes through in pieces, also where it is kept aside before a run has read it."""
    file = tmp_path / "products.csv"
    with file.open("w") as written:
        written.write(f"{','.join(COLUMNS['products'])}\n1,1,Toys,Kite\n")
        written.writelines(f"{' ' * MB}\n" for _ in range(32))
    size = file.stat().st_size

    assert peak(land, lake.ledger, file, "products", DAY) < size / 4
    with file.open("a") as written:
        written.write("2,1,Toys,Ball\n")
    assert peak(land, lake.ledger, file, "products", DAY) < size / 4
    [aside] = lake.lake.storage.list("aside")
    assert aside.size == size
    lake.apply(Run())
    assert len(lake.rows("silver/products")) == 2
    assert peak(archive, lake.ledger, DATASETS, "a test") < size / 4


def test_what_cannot_be_read_to_its_end_does_not_land(
    lake: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "products.csv"
    file.write_bytes(LONG[:MB])
    monkeypatch.setattr(Digested, "read", lambda _, size: Breaking(0).read(size))
    with pytest.raises(LandingError, match=r"^products/2025-04-01/products.csv: not landed: Inp"):
        land(lake.ledger, file, "products", DAY)
    assert not list(lake.lake.raw.list(""))
    assert not lake.ledger.state().paths
