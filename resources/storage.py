"""Where bytes are: one folder tree, addressed by relative paths with forward slashes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from stat import S_ISREG
from typing import Any, NamedTuple, Protocol

from resources.aws import clear_errors, client


class StoredObject(NamedTuple):
    """A stored file: its path, size in bytes and stamp.

    Equal stamps mean unchanged bytes; the stamp is opaque. ``modified`` is seconds since the
    epoch, by the storage's clock. Not ``readable`` is what is no file, or another's to open.
    """

    path: str
    size: int
    stamp: str
    modified: float
    readable: bool = True


class Storage(Protocol):
    """A place for files. Implementations are plain data, so that they travel to workers."""

    @property
    def root(self) -> str:
        """URI or absolute path of the tree."""
        ...

    def uri(self, path: str) -> str:
        """What engines and other tools open."""
        ...

    def list(self, prefix: str, *, without: str | None = None) -> Iterator[StoredObject]:
        """Every file below a folder ("" for all), in no order; nothing where there is none.

        What lies below the folder's own folder ``without`` is not even looked at.
        """
        ...

    def find(self, path: str) -> StoredObject | None:
        """The file at a path; None where there is none."""
        ...

    def read(self, path: str, version: str | None = None) -> bytes:
        """Its bytes, or those of one of its versions. Raises FileNotFoundError."""
        ...

    def versions(self, path: str) -> Sequence[str]:
        """What is kept of a file, oldest first; a storage without versions keeps the last."""
        ...

    def remove(self, path: str, version: str) -> None:
        """Remove a version for good; what has come to the path since stays."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Put bytes at a path, whole or not at all, over what was there."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder; nothing where there is none."""
        ...

    def link(self, path: str, other: str) -> None:
        """Make a folder's files appear in another, too, without copying bytes where it can be."""
        ...

    def within(self, path: str) -> Storage:
        """The tree below a folder as a storage of its own."""
        ...


@dataclass(frozen=True)
class LocalStorage:
    """A folder on this machine."""

    root: str

    def uri(self, path: str) -> str:
        """Absolute path below the root."""
        return str(Path(self.root, path))

    def list(self, prefix: str, *, without: str | None = None) -> Iterator[StoredObject]:
        """Every file below a folder ("" for all), in no order; nothing where there is none."""
        top = self.uri(prefix)
        for folder, folders, files in os.walk(top):
            if folder == top and without in folders:
                folders.remove(without)
            for name in files:
                found = self.find(Path(folder, name).relative_to(self.root).as_posix())
                if found:  # it can go between the listing and the look
                    yield found

    def find(self, path: str) -> StoredObject | None:
        """The file at a path; None where there is none."""
        try:
            stat = Path(self.uri(path)).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        stamp = f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}"
        readable = S_ISREG(stat.st_mode) and os.access(self.uri(path), os.R_OK)
        modified = max(stat.st_mtime, stat.st_ctime)
        return StoredObject(path, stat.st_size, stamp, modified, readable)

    def read(self, path: str, version: str | None = None) -> bytes:
        """Its bytes. Raises FileNotFoundError, also where they are no longer that version."""
        data = Path(self.uri(path)).read_bytes()
        if version and [version] != self.versions(path):
            raise FileNotFoundError(self.uri(path))
        return data

    def versions(self, path: str) -> Sequence[str]:
        """The file as it is, known by its stamp."""
        found = self.find(path)
        return [found.stamp] if found else []

    def remove(self, path: str, version: str) -> None:
        """Remove the file, unless it is another by now."""
        if [version] == self.versions(path):
            Path(self.uri(path)).unlink(missing_ok=True)

    def write(self, path: str, data: bytes) -> None:
        """Put bytes at a path, whole or not at all, over what was there."""
        target = Path(self.uri(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        # The dot makes a half-written file one that is passed over.
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def delete(self, path: str) -> None:
        """Remove a file or a whole folder; nothing where there is none."""
        target = Path(self.uri(path))
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)
        else:
            target.unlink(missing_ok=True)

    def link(self, path: str, other: str) -> None:
        """Make a folder's files appear in another, too: as further names of the same bytes."""
        if Path(self.uri(path)).is_dir():
            shutil.copytree(self.uri(path), self.uri(other), copy_function=_link)

    def within(self, path: str) -> LocalStorage:
        """The tree below a folder as a storage of its own."""
        return LocalStorage(self.uri(path))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without further names
        shutil.copy2(source, target)


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
        if kms_key:  # delta-rs and Sail can be told in no other way
            os.environ |= {
                "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
                "AWS_SSE_KMS_KEY_ID": kms_key,
            }
        return S3Storage(root.rstrip("/"), owner, kms_key)
    return LocalStorage(str(Path(root).expanduser().absolute()))


def _stored(path: str, size: int, found: Any) -> StoredObject:
    # An ETag tells bytes apart: two uploads with the same one hold the same.
    return StoredObject(path, size, found["ETag"], found["LastModified"].timestamp())
