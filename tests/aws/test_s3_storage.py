"""S3 as a storage: what is asked of it, by which keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from resources.aws import AwsError, client
from resources.s3_storage import S3Storage
from tests.support.aws import Aws
from tests.support.object_store import BUCKET

pytestmark = pytest.mark.aws


@pytest.fixture
def lake(aws: Aws) -> S3Storage:
    storage = S3Storage(f"s3://{BUCKET}/lake")
    for path in ("stage/a", "stage/b/c", "stage-2/d", "stage.csv", "one"):
        storage.write(path, b"x")
    return storage


def there(lake: S3Storage) -> set[str]:
    return {found.path for found in lake.list("")}


def deleted(lake: S3Storage, path: str) -> list[str]:
    """The keys that S3 is asked to delete."""
    asked: list[str] = []
    s3 = client("s3")

    def seen(params: dict[str, Any], **_: Any) -> None:
        asked.extend(it["Key"] for it in params["Delete"]["Objects"])

    event = "provide-client-params.s3.DeleteObjects"
    s3.meta.events.register(event, seen)
    try:
        lake.delete(path)
    finally:
        s3.meta.events.unregister(event, seen)
    return asked


def test_of_a_folder_only_what_is_in_it_is_deleted(lake: S3Storage) -> None:
    """A job may delete stage/<table>/*, and is refused at stage/<table>."""
    assert sorted(deleted(lake, "stage")) == ["lake/stage/a", "lake/stage/b/c"]
    assert there(lake) == {"stage-2/d", "stage.csv", "one"}


def test_an_object_is_deleted(lake: S3Storage) -> None:
    assert deleted(lake, "one") == ["lake/one"]
    assert "one" not in there(lake)


def test_of_nothing_nothing_is_asked(lake: S3Storage) -> None:
    before = there(lake)
    assert deleted(lake, "stag") == []
    assert deleted(lake, "nowhere") == []
    assert there(lake) == before


def test_what_s3_refuses_in_an_answer_that_is_no_error_is_an_error(lake: S3Storage) -> None:
    s3 = client("s3")
    listed = {"Contents": [{"Key": "lake/one"}]}
    refused = {"Key": "lake/one", "Code": "AccessDenied", "Message": "Access Denied"}
    with Stubber(s3) as stub:
        stub.add_response("list_objects_v2", listed)
        stub.add_response("list_objects_v2", {})
        stub.add_response("delete_objects", {"Errors": [refused]})
        with pytest.raises(
            AwsError,
            match=rf"^s3://{BUCKET}/lake/one: DeleteObjects refused: AccessDenied: Access Denied; "
            "allow the role s3:DeleteObject on it$",
        ):
            lake.delete("one")


def test_a_listing_goes_on_behind_what_it_leaves_out(lake: S3Storage) -> None:
    """However much is in the archive: the page that comes to it is the only one of it."""

    def page(*keys: str, more: bool) -> dict[str, Any]:
        when = datetime(2025, 4, 15, tzinfo=UTC)
        found = [{"Key": f"lake/{k}", "Size": 1, "ETag": "x", "LastModified": when} for k in keys]
        return {"Contents": found, "IsTruncated": more}

    asked = {"Bucket": BUCKET, "Prefix": "lake/"}
    pages = [
        (None, page("a", "b", more=True)),
        ("lake/b", page("archive.txt", "archive/1", "archive/2", more=True)),
        ("lake/archive/\U0010ffff", page("archived", "orders/", "orders/c", more=False)),
    ]
    with Stubber(client("s3")) as stub:
        for after, answer in pages:
            stub.add_response(
                "list_objects_v2", answer, asked | ({"StartAfter": after} if after else {})
            )
        found = [it.path for it in lake.list("", without="archive")]
        stub.assert_no_pending_responses()
    assert found == ["a", "b", "archive.txt", "archived", "orders/c"]


def test_what_is_left_out_is_one_folder(lake: S3Storage) -> None:
    """Of a real answer: not what begins alike, nor a folder of that name further down."""
    for path in ("stage/ä", "stage/z/y", "a/stage/x"):
        lake.write(path, b"x")
    found = {it.path for it in lake.list("", without="stage")}
    assert found == {"a/stage/x", "one", "stage-2/d", "stage.csv"}
