"""An S3 object read in ranges, so that its size does not matter, nor that a connection breaks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from resources.aws import clear_errors, client

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_RANGE: Final = 8 * 2**20
_ATTEMPTS: Final = 4
_GONE: Final = {"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"}


class S3Ranges(io.RawIOBase):
    """The bytes of one content of an object, from its beginning; `asked` names the object.

    Raises FileNotFoundError where there is none, also from reading: where it has been replaced or
    removed since the first range. Raises AwsError for all else that S3 refuses.
    """

    def __init__(self, uri: str, asked: dict[str, str]) -> None:
        self._uri, self._asked = uri, asked
        self._at, self._size, self._etag = 0, 0, ""
        self._data = self._range()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill the buffer with the next bytes, or some of it; returns how many they are."""
        if not self._data and self._at < self._size:
            self._data = self._range()
        view = memoryview(buffer).cast("B")
        part = self._data[: len(view)]
        view[: len(part)] = part
        self._data = self._data[len(part) :]
        return len(part)

    def _range(self) -> memoryview:
        """The next bytes of the object, with its size and ETag where they are the first."""
        from botocore.exceptions import (  # noqa: PLC0415 - as in `aws`
            ClientError,
            IncompleteReadError,
            ReadTimeoutError,
            ResponseStreamingError,
        )

        which = {"Range": f"bytes={self._at}-{self._at + _RANGE - 1}"}
        if self._etag:
            which["IfMatch"] = self._etag
        with clear_errors(self._uri):
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    found = client("s3").get_object(**self._asked, **which)
                    data: bytes = found["Body"].read()
                    break
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code == "InvalidRange" and not self._etag:
                        return memoryview(b"")  # An empty object has no range.
                    if code in _GONE:
                        raise FileNotFoundError(self._uri) from None
                    raise
                except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                    # The SDK tries requests again, but not answers that break off.
                    if attempt == _ATTEMPTS:
                        raise
        self._size = int(found["ContentRange"].rpartition("/")[2])
        self._etag = found["ETag"]
        self._at += len(data)
        return memoryview(data)
