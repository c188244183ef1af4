"""The text of a CSV file as UTF-8, some at a time: unpacked, decoded and checked."""

from __future__ import annotations

import codecs
import gzip
import zlib
from typing import TYPE_CHECKING

import numpy as np

from lakehouse_assets.parse.model import Limits, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lakehouse_assets.parse import ByteStream

CHUNK = 4 * 2**20
"""Bytes that are read at a time."""
_LF = ord("\n")
_BOM = codecs.BOM_UTF8
_MARKS = {  # the longer ones first: one begins as another does
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_OTHER_KINDS = {
    b"\x1f\x8b": "compressed with gzip twice",
    b"PK\x03\x04": "a zip or a workbook",
    b"\xd0\xcf\x11\xe0": "an old .xls workbook or another old Office file",
    b"%PDF-": "a PDF document",
    b"PAR1": "a Parquet file",
}
"""What begins so and is no text."""
_SEEN = 8


class Unpacked:
    """The text of a `.csv.gz`, of one member or several.

    Reading raises `Unreadable` for what is cut short or damaged, or unpacks to too much.
    """

    def __init__(self, stream: ByteStream, limits: Limits) -> None:
        self._text = gzip.GzipFile(fileobj=stream)  # type: ignore[call-overload] # it only reads
        self._most, self._size = limits.max_text_bytes, 0

    def read(self, size: int, /) -> bytes:
        """The next bytes, `size` of them but for the last."""
        try:
            text: bytes = self._text.read(size)
        except EOFError:
            raise Unreadable("gzip data is cut short; land the whole file again") from None
        except (gzip.BadGzipFile, zlib.error):
            raise Unreadable("gzip data is damaged; compress and land the file again") from None
        self._size += len(text)
        if self._size > self._most:
            raise Unreadable(
                f"unpacks to more than max_text_bytes ({self._most:,}) allows; "
                "split the file or raise max_text_bytes"
            )
        return text


def chunks(stream: ByteStream, encoding: str) -> Iterator[bytes]:
    """The text of a stream in UTF-8, without byte order marks at its start.

    Raises `Unreadable` for what is not in this encoding, and for a NUL byte.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    name = codecs.lookup(encoding).name
    data = stream.read(CHUNK)
    place = _Place(name, data[:_SEEN])
    _check_marks(data, name)
    start: bytes | None = b""
    while True:
        if name == "utf-8":
            if not data.isascii() or decoder.getstate()[0]:
                place.decode(decoder, data)
            text = data
        else:
            text = place.decode(decoder, data)
        place.check_no_nul(text)
        place.pass_by(data, text)
        if start is not None:
            text = _without_marks(start + text)
            # What may go on as another mark waits for the next bytes.
            start = text if data and _BOM.startswith(text) else None
        if start is None:
            yield text
        if not data:
            return
        data = stream.read(CHUNK)


def _without_marks(text: bytes) -> bytes:
    end = 0
    while text.startswith(_BOM, end):
        end += len(_BOM)
    return text[end:]


def _check_marks(start: bytes, encoding: str) -> None:
    """A byte order mark proves an encoding."""
    found = next((name for mark, name in _MARKS.items() if start.startswith(mark)), encoding)
    if encoding.startswith(found) or found.startswith(encoding):  # as utf-8-sig, and utf-16
        return
    if encoding == "utf-8":
        raise Unreadable("encoded in UTF-16 or UTF-32; save it as UTF-8")
    raise Unreadable(
        f"encoded in {found.upper()}, where the contract declares {encoding}; "
        f"save it as {encoding}, or change the contract's dialect"
    )


class _Place:
    """How far a text has been read, to say where something is."""

    def __init__(self, encoding: str, start: bytes) -> None:
        self._encoding, self._start, self._bytes, self._line = encoding, start, 0, 1

    def pass_by(self, data: bytes, text: bytes) -> None:
        """Go on behind these bytes of the file, and the text that they are."""
        self._bytes += len(data)
        self._line += int(np.count_nonzero(np.frombuffer(text, np.uint8) == _LF))

    def decode(self, decoder: codecs.IncrementalDecoder, data: bytes) -> bytes:
        """The next bytes as text in UTF-8; none are the end."""
        encoding = self._encoding.upper()
        try:
            return decoder.decode(data, final=not data).encode()
        except UnicodeDecodeError as error:
            # Its object begins with what the bytes before left over.
            at = self._bytes + len(data) - len(error.object) + error.start
            good = error.object[: error.start].decode(self._encoding, "ignore")
            byte = error.object[error.start]
        except UnicodeError:  # UTF-16 or UTF-32 that does not say its order of bytes, for one
            raise self._likelier() or Unreadable(
                f"not {encoding} from line {self._line:,} on, or without the byte order mark that "
                f"it begins with; save it as {encoding}, or change the contract's dialect"
            ) from None
        raise self._likelier() or Unreadable(
            f"not {encoding}: byte 0x{byte:02x} in line {self._line + good.count(chr(10)):,} "
            f"(byte {at + 1:,} of the file); save it as {encoding}"
        )

    def check_no_nul(self, text: bytes) -> None:
        if (at := text.find(b"\0")) >= 0:
            line = self._line + text.count(b"\n", 0, at)
            raise self._likelier() or Unreadable(
                f"a NUL byte in line {line:,}: it was damaged on its way, or is no plain text; "
                "land it again, saved as CSV UTF-8"
            )

    def _likelier(self) -> Unreadable | None:
        """A likelier reason than one bad byte: the file is of another kind."""
        for start, kind in _OTHER_KINDS.items():
            if self._start.startswith(start):
                return Unreadable(f"{kind}, not the text of a CSV file; save the table as CSV")
        wide = self._encoding.startswith(("utf-16", "utf-32"))
        if not wide and self._start.count(0) in range(_SEEN // 3, _SEEN):
            return Unreadable(f"encoded in UTF-16 or UTF-32; save it as {self._encoding.upper()}")
        return None
