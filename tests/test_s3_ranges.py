"""An object of S3 as a stream: of one content, in ranges, whatever breaks off or comes between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from random import Random

import pytest

from lakehouse_assets.parse import ByteStream, Expected, Limits, Reading, parse
from lakehouse_assets.pipeline import bronze_reading
from lakehouse_assets.store.lake import FilePath, Source, Zone
from resources import s3_ranges
from resources.aws import AwsError
from resources.s3_storage import S3Storage
from tests.support.object_store import BUCKET, Store

RANGE = 1_000
DATA = Random(0).randbytes(10 * RANGE + 1)
DAY = date(2025, 4, 1)


@pytest.fixture
def storage(s3: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Storage]:
    """A storage with one object, read through the proxy in small ranges."""
    monkeypatch.setattr(s3_ranges, "_RANGE", RANGE)
    for name, value in s3.environment(failing=True).items():
        monkeypatch.setenv(name, value)
    found = S3Storage(f"s3://{BUCKET}/ranges")
    found.write("f", DATA)
    yield found
    s3.break_off(0)


def test_ranges_are_all_of_it(storage: S3Storage, s3: Store) -> None:
    before = s3.requests
    with storage.open("f") as stream:
        assert stream.read() == DATA
    assert s3.requests - before == 11
    with storage.open("f") as stream:
        assert b"".join(iter(lambda: stream.read(7), b"")) == DATA


@pytest.mark.parametrize("size", [0, 1, RANGE - 1, RANGE, RANGE + 1])
def test_the_last_range_ends_where_the_object_does(storage: S3Storage, size: int) -> None:
    storage.write("small", DATA[:size])
    assert storage.read("small") == DATA[:size]


def test_what_is_not_there_is_not_found(storage: S3Storage) -> None:
    with pytest.raises(FileNotFoundError, match="s3://lake/ranges/none"):
        storage.open("none")


@pytest.mark.parametrize("other", [b"another", DATA[::-1]], ids=["shorter", "as long"])
def test_what_is_overwritten_in_between_is_gone(storage: S3Storage, other: bytes) -> None:
    """Never the one's beginning with the other's end; opened again it is the other."""
    with storage.open("f") as stream:
        assert stream.read(3) == DATA[:3]
        storage.write("f", other)
        with pytest.raises(FileNotFoundError, match="s3://lake/ranges/f"):
            stream.read()
    assert storage.read("f") == other


def test_the_same_bytes_again_are_the_same_content(storage: S3Storage) -> None:
    with storage.open("f") as stream:
        begin = stream.read(3)
        storage.write("f", DATA)
        assert begin + stream.read() == DATA


def test_what_is_removed_in_between_is_gone(storage: S3Storage) -> None:
    with storage.open("f") as stream:
        stream.read(3)
        storage.delete("f")
        with pytest.raises(FileNotFoundError):
            stream.read()


def test_an_answer_that_breaks_off_is_asked_for_again(storage: S3Storage, s3: Store) -> None:
    with storage.open("f") as stream:
        begin = stream.read(3)
        s3.break_off(3)
        assert begin + stream.read() == DATA


def test_one_that_always_breaks_off_is_one_clear_line(storage: S3Storage, s3: Store) -> None:
    s3.break_off(1_000)
    with pytest.raises(AwsError, match=r"^s3://lake/ranges/f: .*; check the AWS") as caught:
        storage.open("f")
    assert "\n" not in str(caught.value)


def test_a_file_overwritten_while_a_run_reads_it_never_landed(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no summary: the next run reads what is there then."""
    storage.write("f.csv", b"a\n" + b"1\n" * RANGE)
    path, source = FilePath("d", DAY, "f.csv"), Source(Zone.RAW, "f.csv")
    names = ("a", "_batch_date", "_file", "_sheet", "_sheet_no", "_row", "_extra", "_raw", "_fault")

    def summaries() -> list[str]:
        batches = bronze_reading._read_file(
            storage, path, source, Expected(["a"]), (*names, "_content"), Limits()
        )
        rows = [row for batch in batches for row in batch.to_pylist()]
        return [row["_summary"] for row in rows if row["_summary"]]

    def overwriting(
        name: str, stream: ByteStream, expected: Expected, limits: Limits | None
    ) -> Reading:
        assert stream.read(2) == b"a\n"
        storage.write("f.csv", b"a\n2\n")
        return parse(name, stream, expected, limits)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(bronze_reading, "parse", overwriting)
        assert not summaries()
    [summary] = summaries()
    assert '"read": 1,' in summary
