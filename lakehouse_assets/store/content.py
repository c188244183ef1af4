"""Bytes as streams: digested on their way, and copied only where they are what they should be."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import SupportsRead

    from lakehouse_assets.store.storage import Storage

_CHUNK: Final = 2**20


class Digested:
    """A stream whose bytes are digested as they are read.

    With ``digest``, reading ends in FileNotFoundError where they are not those of that digest:
    whoever writes what comes out writes nothing, as a write is whole or not at all.
    """

    def __init__(self, stream: SupportsRead[bytes], digest: str | None = None) -> None:
        self.size = 0
        self._stream, self._expected, self._hash = stream, digest, hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, ``size`` at most, all for a negative one; none at the end."""
        data = self._stream.read(size)
        self._hash.update(data)
        self.size += len(data)
        if (size < 0 or (size and not data)) and self._expected not in (None, self.digest):
            raise FileNotFoundError(f"bytes with the digest {self._expected}")
        return data

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes read so far, in hex."""
        return self._hash.hexdigest()

    def to_the_end(self) -> str:
        """The digest of all bytes, those that nobody has read included."""
        while self.read(_CHUNK):
            pass
        return self.digest


def digest_of(storage: Storage, path: str, version: str | None = None) -> str:
    """The digest of a file, or of one of its versions. Raises FileNotFoundError."""
    with storage.open(path, version) as stream:
        return Digested(stream).to_the_end()


def copy(
    source: tuple[Storage, str],
    target: tuple[Storage, str],
    digest: str,
    version: str | None = None,
) -> None:
    """Copy a file, or one of its versions, to another place, over what was there.

    Raises FileNotFoundError, and copies nothing, where it has not (or no longer) this digest.
    """
    storage, path = source
    with storage.open(path, version) as stream:
        target[0].write(target[1], Digested(stream, digest))
