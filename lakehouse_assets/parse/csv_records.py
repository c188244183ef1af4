"""Where the records of a CSV text begin and end, and which lines cannot be split.

One definition, in whole-file operations. Reading RFC 4180 from the left, the quotes take turns: the
first of a stretch opens, the next closes, and a doubled quote inside a field closes and opens again
at once. So a byte is inside quotes exactly if the number of quotes before it, counted from where
reading (re)started, is odd; and reading fails exactly at the first quote that opens where no field
begins, quote that closes where no field ends, or lone CR outside. Where it fails, reading starts
anew with the next line, and with it the count: that changes only whether odd or even is inside, and
so everything is worked out for both beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lakehouse_assets.parse.model import BLANKS
from lakehouse_assets.parse.rows import Int64s

if TYPE_CHECKING:
    from collections.abc import Iterator

_LF, _CR, _QUOTE, _COMMA = b'\n\r",'


@dataclass(frozen=True)
class Split:
    """The splittable records of a text by number (from 0), and the lines that are none."""

    data: bytes
    begin: int
    """Where the text begins in `data` (behind a byte order mark)."""
    starts: Int64s
    """Where each record begins in `data`."""
    stops: Int64s
    """Where each record ends, its line end not included."""
    ends: Int64s
    """Where each record ends, with its line end if it has one."""
    lines: Int64s
    """The first physical line of each record, from 1."""
    pieces: list[tuple[int, int]]
    """The stretches of `data` that hold whole splittable records and nothing else."""
    unsplittable: list[tuple[int, str]]
    """(physical line, its text) of each line that belongs to no record; blank and commas-only
    lines do not count."""
    quotes: bool
    """Whether there is any quote in the text."""

    def raw(self, number: int) -> bytes:
        """The bytes of a record, without its line end."""
        return self.data[self.starts[number] : self.stops[number]]

    def longest(self) -> int:
        """The size of the longest record, or line that belongs to none, in bytes."""
        lines = max((len(text.encode()) for _, text in self.unsplittable), default=0)
        return max(lines, int((self.stops - self.starts).max(initial=0)))

    def behind(self, number: int) -> bytes | memoryview:
        """All records behind this one, one directly behind the other."""
        begin = int(self.ends[number])
        view = memoryview(self.data)
        parts = [view[max(start, begin) : stop] for start, stop in self.pieces if stop > begin]
        return parts[0] if len(parts) == 1 else b"".join(parts)


def split(data: bytes, begin: int) -> Split:
    """Split the text that begins at `begin` of `data` into records, strictly."""
    size = len(data)
    at = np.frombuffer(data, np.uint8)
    feeds = np.flatnonzero(at == _LF)
    quotes = b'"' in data
    pieces = [(begin, size)]
    ends = [feeds]
    bad: list[tuple[int, int]] = []
    if quotes or data.count(b"\r") != data.count(b"\r\n"):
        pieces, ends, bad = _walk(at, feeds, begin)
    starts: list[Int64s] = [np.empty(0, np.int64)]
    stops: list[Int64s] = [np.empty(0, np.int64)]
    for (start, stop), feed in zip(pieces, ends, strict=True):
        starts += [np.array([start]), feed + 1]
        stops.append(feed)
        if len(feed) and feed[-1] + 1 == stop:
            starts[-1] = starts[-1][:-1]
        else:  # Only the end of the text ends a record without a line end.
            stops.append(np.array([stop]))
    start_of, stop_of = np.concatenate(starts), np.concatenate(stops)
    # An empty record has no byte before its line end: what stands there is the line before.
    crlf = (stop_of < size) & (stop_of > start_of) & (at[stop_of - 1] == _CR)
    return Split(
        data=data,
        begin=begin,
        starts=start_of,
        stops=stop_of - crlf,
        ends=np.minimum(stop_of + 1, size),
        lines=np.searchsorted(feeds, start_of) + 1,
        pieces=pieces,
        unsplittable=[line for start, stop in bad for line in _lines(data, feeds, start, stop)],
        quotes=quotes,
    )


def _lines(data: bytes, feeds: Int64s, start: int, stop: int) -> Iterator[tuple[int, str]]:
    """The physical lines that count from `start` to `stop`, with their numbers."""
    first = int(np.searchsorted(feeds, start)) + 1
    *ended, last = data[start:stop].split(b"\n")
    for line, raw in enumerate([*(raw.removesuffix(b"\r") for raw in ended), last], first):
        text = raw.decode()
        if text.strip(BLANKS + ","):
            yield line, text


def _walk(
    at: npt.NDArray[np.uint8], feeds: Int64s, begin: int
) -> tuple[list[tuple[int, int]], list[Int64s], list[tuple[int, int]]]:
    """Read from the left: stretches of whole records, their line ends, unsplittable stretches.

    A stretch that cannot be split reaches from the first line of its record to the end of the line
    where reading fails: for an open quote, the last of the text.
    """
    size = len(at)
    quote, failures, record_ends = _structure(at, feeds, begin)
    pieces: list[tuple[int, int]] = []
    ends: list[Int64s] = []
    bad: list[tuple[int, int]] = []
    start = begin
    while start < size:
        read = int(np.searchsorted(quote, start))  # Quotes before here count no more.
        fail, end = failures[read % 2], record_ends[read % 2]
        first_end = int(np.searchsorted(end, start))
        next_fail = int(np.searchsorted(fail, start))
        if next_fail < len(fail):
            failed = int(fail[next_fail])
        elif (len(quote) - read) % 2:
            failed = int(quote[-1])  # Opened and never closed.
        else:
            failed = size
        last_end = int(np.searchsorted(end, failed))
        if failed == size:
            record = stop = size
        else:
            record = int(end[last_end - 1]) + 1 if last_end > first_end else start
            unread = next_fail == len(fail)
            feed = int(np.searchsorted(feeds, failed))
            stop = size if unread or feed == len(feeds) else int(feeds[feed]) + 1
            bad.append((record, stop))
        if record > start:
            pieces.append((start, record))
            ends.append(end[first_end:last_end])
        start = stop
    return pieces, ends, bad


def _structure(
    at: npt.NDArray[np.uint8], feeds: Int64s, begin: int
) -> tuple[Int64s, tuple[Int64s, Int64s], tuple[Int64s, Int64s]]:
    """The quotes, and for reading that starts at an even or odd one: failures and record ends.

    Only those behind the start of reading count. A quote that opens right behind one that closes
    is the second of a doubled quote.
    """
    size = len(at)
    quote = np.flatnonzero(at == _QUOTE)
    before = np.where(quote == begin, _LF, at[quote - 1])
    after = np.where(quote + 1 == size, _LF, at[np.minimum(quote + 1, size - 1)])
    opens = np.isin(before, (_LF, _COMMA, _QUOTE))
    closes = np.isin(after, (_LF, _CR, _COMMA, _QUOTE))  # A lone CR fails by itself.
    turn = np.arange(len(quote)) % 2
    cr = np.flatnonzero(at == _CR)
    lone = cr[at[np.minimum(cr + 1, size - 1)] != _LF]
    lone_turn = np.searchsorted(quote, lone) % 2
    feed_turn = np.searchsorted(quote, feeds) % 2

    def failures(first: int) -> Int64s:
        mistaken = np.where(turn == first, ~opens, ~closes)
        return np.sort(np.concatenate([quote[mistaken], lone[lone_turn == first]]))

    return (
        quote,
        (failures(0), failures(1)),
        (feeds[feed_turn == 0], feeds[feed_turn == 1]),
    )
