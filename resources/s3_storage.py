"""The same tree on S3, and which of the two a root names."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from lakehouse_assets.store.storage import LocalStorage, Storage, StoredObject
from resources.aws import clear_errors, client
from resources.s3_ranges import S3Ranges


@dataclass(frozen=True)
class S3Storage:
    """A prefix of an S3 bucket: ``s3://<bucket>[/<prefix>]``.

    Credentials, region and endpoint come from where every AWS tool looks for them; Sail and
    delta-rs look there too (``AWS_*``). With an ``owner`` (an account), every request is refused
    where the bucket is someone else's; with a ``kms_key`` what is written is encrypted by it.
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
        """What delta-rs must be told: how to encrypt. The rest it finds as every AWS tool does."""
        if self.kms_key is None:
            return {}
        return {"aws_server_side_encryption": "aws:kms", "aws_sse_kms_key_id": self.kms_key}

    def uri(self, path: str) -> str:
        """What engines and other tools open."""
        return f"s3://{self._bucket}/{self._key(path)}"

    def list(self, prefix: str, *, without: str | None = None) -> Iterator[StoredObject]:
        """Every object below a prefix ("" for all), in no order; nothing where there is none."""
        skipped = len(self._key(""))
        folder = f"{prefix}/" if prefix else ""
        split = {"Delimiter": "/"} if without else {}
        with self._asked(prefix) as s3:
            pages = s3.get_paginator("list_objects_v2")
            for page in pages.paginate(**self._bucket_of_ours, Prefix=self._key(folder), **split):
                for found in page.get("Contents", ()):
                    if not found["Key"].endswith("/"):  # what consoles make of folders
                        yield _stored(found["Key"][skipped:], found["Size"], found)
                for deeper in page.get("CommonPrefixes", ()):
                    inside = deeper["Prefix"][skipped:].rstrip("/")
                    if inside != f"{folder}{without}":
                        yield from self.list(inside)

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

    def read(self, path: str, version: str | None = None) -> bytes:
        """Its bytes, or those of one of its versions. Raises FileNotFoundError."""
        which = {"VersionId": version} if version else {}
        with self._asked(path) as s3:
            try:
                found = s3.get_object(**self._bucket_of_ours, **which, Key=self._key(path))
                data: bytes = found["Body"].read()
            except s3.exceptions.ClientError as error:
                if error.response["Error"]["Code"] in {"NoSuchKey", "NoSuchVersion"}:
                    raise FileNotFoundError(self.uri(path)) from None
                raise
        return data

    def open(self, path: str) -> io.BufferedReader:
        """Its bytes as a stream, read in ranges. Raises FileNotFoundError, also from reading."""
        return io.BufferedReader(
            S3Ranges(self.uri(path), {**self._bucket_of_ours, "Key": self._key(path)})
        )

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

    def write(self, path: str, data: bytes) -> None:
        """Put bytes at a path, whole or not at all, over what was there."""
        with self._asked(path) as s3:
            s3.put_object(**self._bucket_of_ours, **self._encrypted, Key=self._key(path), Body=data)

    def delete(self, path: str) -> None:
        """Remove an object or all below a prefix; nothing where there is none."""
        left = iter([self._key(path), *(self._key(found.path) for found in self.list(path))])
        with self._asked(path) as s3:
            while some := [{"Key": key} for key in islice(left, 1000)]:
                s3.delete_objects(**self._bucket_of_ours, Delete={"Objects": some})

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
