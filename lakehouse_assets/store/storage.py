"""Where bytes are: one folder tree, addressed by relative paths with forward slashes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader, BytesIO
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from _typeshed import SupportsRead

_CHUNK: Final = 2**20


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

    @property
    def storage_options(self) -> dict[str, str]:
        """What delta-rs must be told to write here now; it may be something else later."""
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

    def read(self, path: str) -> bytes:
        """Its bytes, for what is small: a landed file may be larger than memory is.

        Raises FileNotFoundError.
        """
        ...

    def open(self, path: str, version: str | None = None) -> BufferedReader:
        """Its bytes, or those of one of its versions, as a stream, all of one content.

        Raises FileNotFoundError, also from reading: where they have been replaced since, and the
        rest of them cannot be had any more.
        """
        ...

    def versions(self, path: str) -> Sequence[str]:
        """What is kept of a file, oldest first; a storage without versions keeps the last."""
        ...

    def remove(self, path: str, version: str) -> None:
        """Remove a version for good; what has come to the path since stays."""
        ...

    def write(self, path: str, data: bytes | SupportsRead[bytes]) -> None:
        """Put bytes, or all that a stream has, at a path, over what was there.

        Whole or not at all: where reading the stream raises, nothing has been written. However
        long the stream is, only a part of it is in memory.
        """
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

    @property
    def storage_options(self) -> dict[str, str]:
        """Nothing: a folder is found by its path."""
        return {}

    def uri(self, path: str) -> str:
        """Absolute path below the root."""
        return f"{self._top}/{path}" if path else self._top

    @cached_property
    def _top(self) -> str:
        return str(Path(self.root))

    def list(self, prefix: str, *, without: str | None = None) -> Iterator[StoredObject]:
        """Every file below a folder ("" for all), in no order; nothing where there is none.

        Links to files and folders are followed, but not around in a circle; one that leads to
        nothing is a file that cannot be read.
        """
        top = self.uri(prefix)
        for folder, folders, files in os.walk(top, followlinks=True):
            if folder == top and without in folders:
                folders.remove(without)
            folders[:] = [name for name in folders if not _leads_up(Path(folder, name))]
            for name in files:
                path = Path(folder, name).relative_to(self.root).as_posix()
                if found := self.find(path):  # it can go between the listing and the look
                    yield found
                elif Path(folder, name).is_symlink():
                    yield _unreadable(path)

    def find(self, path: str) -> StoredObject | None:
        """The file at a path; None where there is none."""
        try:
            stat = Path(self.uri(path)).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:  # a link to itself, or in a folder that is closed to us
            return _unreadable(path)
        stamp = f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}:{stat.st_ino}"
        readable = S_ISREG(stat.st_mode) and os.access(self.uri(path), os.R_OK)
        modified = max(stat.st_mtime, stat.st_ctime)
        return StoredObject(path, stat.st_size, stamp, modified, readable)

    def read(self, path: str) -> bytes:
        """Its bytes. Raises FileNotFoundError."""
        return Path(self.uri(path)).read_bytes()

    def open(self, path: str, version: str | None = None) -> BufferedReader:
        """Its bytes as a stream. Raises FileNotFoundError, also where it is not that version.

        A file that takes its place meanwhile changes nothing about that.
        """
        stream = Path(self.uri(path)).open("rb")  # noqa: SIM115 - the caller's to close
        if version and [version] != self.versions(path):
            stream.close()
            raise FileNotFoundError(self.uri(path))
        return stream

    def versions(self, path: str) -> Sequence[str]:
        """The file as it is, known by its stamp."""
        found = self.find(path)
        return [found.stamp] if found else []

    def remove(self, path: str, version: str) -> None:
        """Remove the file, unless it is another by now."""
        if [version] == self.versions(path):
            Path(self.uri(path)).unlink(missing_ok=True)

    def write(self, path: str, data: bytes | SupportsRead[bytes]) -> None:
        """Put bytes, or all that a stream has, at a path, whole or not at all."""
        target = Path(self.uri(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        # The dot makes a half-written file one that is passed over.
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(BytesIO(data) if isinstance(data, bytes) else data, file, _CHUNK)
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


def _unreadable(path: str) -> StoredObject:
    return StoredObject(path, size=0, stamp="", modified=0.0, readable=False)


def _leads_up(folder: Path) -> bool:
    """Whether a link leads to a folder that it is in itself."""
    return folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without further names
        shutil.copy2(source, target)
