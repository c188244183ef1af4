"""The same tree on S3, and which of the two a root names."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.store.storage import LocalStorage, Storage, StoredObject
from resources.aws import AwsError, access_to_s3, clear_errors, client
from resources.s3_ranges import S3Ranges

if TYPE_CHECKING:
    from _typeshed import SupportsRead

_LAST_CHARACTER: Final = "\U0010ffff"
"""No key's text comes after it in S3's order, which is that of UTF-8's bytes."""


@dataclass(frozen=True)
class S3Storage:
    """A prefix of an S3 bucket: ``s3://<bucket>[/<prefix>]``.

    Credentials, region and endpoint come from where every AWS tool looks for them; Sail looks
    there too (``AWS_*``), and delta-rs is told. With an ``owner`` (an account), every request is
    refused where the bucket is someone else's; with a ``kms_key`` what is written is encrypted by
    it.
    """

    root: str
    owner: str | None = None
    kms_key: str | None = None

    @property
    def _bucket(self) -> str:
        return self.root.removeprefix("s3://").partition("/")[0]

    def _key(self, path: str) -> str:
        prefix = self.root.removeprefix("s3://").partition("/")[2].strip("/")
        return f"{prefix}/{path}" if prefix else path

    @property
    def storage_options(self) -> dict[str, str]:
        """What delta-rs must be told: who asks, in which region, and how to encrypt.

        The credentials are those of now: other ones once the SDK has renewed them. Left to itself
        delta-rs finds no profile's region, and in a Glue job no credentials: it asks for them by
        the second version of the instances' metadata service alone, and Glue's answers the first.
        https://github.com/delta-io/delta-rs/issues/3188
        https://docs.aws.amazon.com/sdk-for-rust/latest/dg/credproviders.html
        """
        now = access_to_s3()
        told = {
            "aws_access_key_id": now.key_id,
            "aws_secret_access_key": now.secret,
            "aws_region": now.region,
        }
        if now.token:
            told["aws_session_token"] = now.token
        if self.kms_key:
            told["aws_server_side_encryption"] = "aws:kms"
            told["aws_sse_kms_key_id"] = self.kms_key
        return told

    def uri(self, path: str) -> str:
        """What engines and other tools open."""
        return f"s3://{self._bucket}/{self._key(path)}"

    def list(self, prefix: str, *, without: str | None = None) -> Iterator[StoredObject]:
        """Every object below a prefix ("" for all), in no order; nothing where there is none.

        One listing, a request for each thousand keys: S3 has them in order, so that it goes on
        behind the folder ``without`` as soon as it has come there.
        """
        skipped = len(self._key(""))
        folder = f"{prefix}/" if prefix else ""
        asked = {**self._bucket_of_ours, "Prefix": self._key(folder)}
        passed = self._key(f"{folder}{without}/") if without else None
        with self._asked(prefix) as s3:
            while True:
                page = s3.list_objects_v2(**asked)
                last = ""
                for found in page.get("Contents", ()):
                    last = found["Key"]
                    if passed and last.startswith(passed):
                        last = f"{passed}{_LAST_CHARACTER}"
                    elif not last.endswith("/"):  # what consoles make of folders
                        yield _stored(last[skipped:], found["Size"], found)
                if not page.get("IsTruncated"):
                    return
                asked["StartAfter"] = last

    def find(self, path: str) -> StoredObject | None:
        """The object at a path; None where there is none."""
        with self._asked(path) as s3:
            try:
                found = s3.head_object(**self._bucket_of_ours, Key=self._key(path))
            except s3.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                    return None
                raise
        return _stored(path, found["ContentLength"], found)

    def read(self, path: str) -> bytes:
        """Its bytes, for what is small. Raises FileNotFoundError."""
        with self.open(path) as stream:
            return stream.read()

    def open(self, path: str, version: str | None = None) -> io.BufferedReader:
        """Its bytes, or those of one of its versions, as a stream, read in ranges.

        Raises FileNotFoundError, also from reading.
        """
        asked = {**self._bucket_of_ours, "Key": self._key(path)}
        which = {"VersionId": version} if version else {}
        return io.BufferedReader(S3Ranges(self.uri(path), {**asked, **which}))

    def versions(self, path: str) -> Sequence[str]:
        """What the bucket keeps of an object, oldest first."""
        with self._asked(path) as s3:
            pages = s3.get_paginator("list_object_versions")
            newest_first = [
                version["VersionId"]
                for page in pages.paginate(**self._bucket_of_ours, Prefix=self._key(path))
                for version in page.get("Versions", ())
                if version["Key"] == self._key(path)
            ]
        return newest_first[::-1]

    def remove(self, path: str, version: str) -> None:
        """Remove a version for good; what has come to the key since stays."""
        with self._asked(path) as s3:
            s3.delete_object(**self._bucket_of_ours, Key=self._key(path), VersionId=version)

    def write(self, path: str, data: bytes | SupportsRead[bytes]) -> None:
        """Put bytes, or all that a stream has, at a path, whole or not at all.

        A long stream goes in parts, ten of which are in memory; an upload that breaks off is
        called off, and what its parts take is let go by the bucket's rule where that fails, too.
        """
        where = {**self._bucket_of_ours, "Key": self._key(path)}
        with self._asked(path) as s3:
            if isinstance(data, bytes):
                s3.put_object(**where, **self._encrypted, Body=data)
                return
            bucket, key = where.pop("Bucket"), where.pop("Key")
            s3.upload_fileobj(data, bucket, key, ExtraArgs={**where, **self._encrypted})

    def delete(self, path: str) -> None:
        """Remove an object or all below a prefix; nothing where there is none.

        Of a folder its own key is never asked for: a role has rights below it alone. Raises
        AwsError where S3 refuses one of them, though it answers the request as done.
        """
        with self._asked(path) as s3:
            # The first key that begins so is the object's own, if there is one.
            first = s3.list_objects_v2(**self._bucket_of_ours, Prefix=self._key(path), MaxKeys=1)
            keys = [found["Key"] for found in first.get("Contents", ())]
            itself = [key for key in keys if key == self._key(path)]
            below = (self._key(found.path) for found in self.list(path)) if keys else ()
            left = chain(itself, below)
            while some := [{"Key": key} for key in islice(left, 1000)]:
                asked = {"Objects": some, "Quiet": True}
                done = s3.delete_objects(**self._bucket_of_ours, Delete=asked)
                for refused in done.get("Errors", ()):
                    raise AwsError(
                        f"s3://{self._bucket}/{refused['Key']}: DeleteObjects refused: "
                        f"{refused['Code']}: {refused.get('Message', 'no reason given')}; "
                        "allow the role s3:DeleteObject on it"
                    )

    def link(self, path: str, other: str) -> None:
        """Make a prefix's objects appear under another, too: copied by S3 itself."""
        for found in self.list(path):
            target = f"{other}{found.path.removeprefix(path)}"
            with self._asked(target) as s3:
                s3.copy(
                    {"Bucket": self._bucket, "Key": self._key(found.path)},
                    self._bucket,
                    self._key(target),
                    ExtraArgs=self._encrypted,
                )

    def within(self, path: str) -> S3Storage:
        """The tree below a prefix as a storage of its own."""
        return replace(self, root=self.uri(path))

    @contextmanager
    def _asked(self, path: str) -> Iterator[Any]:
        """S3's client; what it refuses is one clear line about this path. Raises AwsError."""
        with clear_errors(self.uri(path)):
            yield client("s3")

    @property
    def _bucket_of_ours(self) -> dict[str, str]:
        owner = {"ExpectedBucketOwner": self.owner} if self.owner else {}
        return {"Bucket": self._bucket, **owner}

    @property
    def _encrypted(self) -> dict[str, str]:
        if self.kms_key is None:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key}


def storage(root: str, owner: str | None = None, kms_key: str | None = None) -> Storage:
    """The storage that a root names: a folder, or an S3 URL of that account and with that key."""
    if root.startswith("s3://"):
        return S3Storage(root.rstrip("/"), owner, kms_key)
    return LocalStorage(str(Path(root).expanduser().absolute()))


def _stored(path: str, size: int, found: Any) -> StoredObject:
    # An ETag tells bytes apart: two uploads with the same one hold the same.
    return StoredObject(path, size, found["ETag"], found["LastModified"].timestamp())
