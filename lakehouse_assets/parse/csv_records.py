"""Where the records of a CSV text begin and end, and which lines cannot be split.

One definition, in operations on a whole window of the text. Reading RFC 4180 from the left, the
quotes take turns: the first of a stretch opens, the next closes, and a doubled quote inside a field
closes and opens again at once. So a byte is inside quotes exactly if the number of quotes before
it, counted from where reading (re)started, is odd; and reading fails exactly at the first quote
that opens where no field begins, quote that closes where no field ends, or lone CR outside. Where
it fails, reading starts anew with the next line, and with it the count: that changes only whether
odd or even is inside, and so everything is worked out for both beforehand.

A window ends where it may: the record that is unfinished there, and lines whose verdict depends on
what follows, are left to the next window, which begins with them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lakehouse_assets.parse.rows import Bools, Int64s

_LF, _CR, _QUOTE = b'\n\r"'
_LINES_OF_A_FIELD = 100
"""How many lines a field that was closed too early is looked for."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Split:
    """The splittable records of a window by number (from 0), and the lines that are none.

    Empty lines are no records here.
    """

    data: bytes
    line: int
    """The physical line that the window begins with, from 1."""
    starts: Int64s
    """Where each record begins in `data`."""
    stops: Int64s
    """Where each record ends, its line end not included."""
    ends: Int64s
    """Where each record ends, with its line end if it has one."""
    lines: Int64s
    """The first physical line of each record, from 1."""
    bad: list[tuple[int, int]]
    """The stretches of `data` that cannot be split, of whole lines."""
    rest: int
    """Where the next window begins."""
    rest_line: int
    """The physical line of that."""
    unfinished: int
    """Where the record begins that the next window goes on with; not before `rest`."""
    quotes: bool
    """Whether there is any quote among the records."""

    def raw(self, number: int) -> bytes:
        """The bytes of a record, without its line end."""
        return self.data[self.starts[number] : self.stops[number]]

    def unsplittable(self) -> Iterator[tuple[int, bytes]]:
        """(physical line, its text) of each line that belongs to no record."""
        passed, line = 0, self.line
        for start, stop in self.bad:
            line += self.data.count(b"\n", passed, start)
            passed = start
            while passed < stop:
                end = self.data.find(b"\n", passed, stop)
                if end < 0:  # The text's last line; a CR there is none of a line end.
                    yield line, self.data[passed:stop]
                    return
                yield line, self.data[passed:end].removesuffix(b"\r")
                passed, line = end + 1, line + 1

    def longest(self) -> tuple[int, int]:
        """The size of the longest record, or stretch that is none, in bytes, and its line."""
        sizes = self.stops - self.starts
        at = int(sizes.argmax()) if len(sizes) else 0
        found = (int(sizes[at]), int(self.lines[at])) if len(sizes) else (0, self.line)
        for start, stop in self.bad:
            if stop - start > found[0]:
                size = len(self.data[start:stop].removesuffix(b"\n").removesuffix(b"\r"))
                if size > found[0]:
                    found = size, self.line + self.data.count(b"\n", 0, start)
        return found

    def joined(self, kept: Bools) -> memoryview:
        """These records, one directly behind the other."""
        number = np.flatnonzero(kept)
        if not len(number):
            return memoryview(b"")
        first, last = int(self.starts[number[0]]), int(self.ends[number[-1]])
        if int((self.ends - self.starts)[kept].sum()) == last - first:
            return memoryview(self.data)[first:last]
        turn = np.zeros(last - first + 1, np.int8)
        turn[self.starts[kept] - first] += 1
        turn[self.ends[kept] - first] -= 1
        inside = np.cumsum(turn[:-1], dtype=np.int8).view(np.bool_)
        return memoryview(np.frombuffer(self.data, np.uint8)[first:last][inside].tobytes())


def split(data: bytes, line: int, delimiter: str, most: int, *, last: bool) -> Split:
    """Split a window into records, strictly; it begins where a record may, with physical `line`.

    `last` says that the text ends with it. The end of a field that was closed too early is not
    looked for beyond `most` bytes.
    """
    size = len(data) if last else data.rfind(b"\n") + 1
    at = np.frombuffer(data, np.uint8, size)
    feeds = np.flatnonzero(at == _LF)
    quotes = data.find(b'"', 0, size) >= 0
    returns = data.count(b"\r", 0, size)
    if quotes or (returns and returns != data.count(b"\r\n", 0, size)):
        found = _Walk(data, at, feeds, delimiter, most, last=last).found
    else:
        found = _Found([(0, size)] if size else [], [feeds] if size else [], [], size, size)
    starts: list[Int64s] = [np.empty(0, np.int64)]
    stops: list[Int64s] = [np.empty(0, np.int64)]
    for (start, stop), feed in zip(found.pieces, found.ends, strict=True):
        starts += [np.array([start]), feed + 1]
        stops.append(feed)
        if len(feed) and feed[-1] + 1 == stop:
            starts[-1] = starts[-1][:-1]
        else:  # Only the end of the text ends a record without a line end.
            stops.append(np.array([stop]))
    start_of, end_of = np.concatenate(starts), np.concatenate(stops)
    del starts, stops
    # An empty record has no byte before its line end: what stands there is the line before.
    stop_of = end_of - ((end_of < size) & (end_of > start_of) & (at[end_of - 1] == _CR))
    some = stop_of > start_of
    if not some.all():
        start_of, stop_of, end_of = start_of[some], stop_of[some], end_of[some]
    return Split(
        data=data,
        line=line,
        starts=start_of,
        stops=stop_of,
        ends=np.minimum(end_of + 1, size),
        lines=np.searchsorted(feeds, start_of) + line,
        bad=found.bad,
        rest=found.rest,
        rest_line=line + int(np.searchsorted(feeds, found.rest)),
        unfinished=found.unfinished,
        quotes=quotes,
    )


@dataclass
class _Found:
    """A window read from the left."""

    pieces: list[tuple[int, int]]
    """The stretches that hold whole splittable records and nothing else."""
    ends: list[Int64s]
    """Where the records of each piece end: at an LF, but for the text's last."""
    bad: list[tuple[int, int]]
    """The stretches that cannot be split: from the first line of a record to the end of the line
    where reading fails; for an open quote, the last of the text."""
    rest: int
    unfinished: int


class _ClosedEarly(NamedTuple):
    """A stretch that failed behind a closing quote: where, and how much was found before it."""

    record: int
    line: int
    pieces: int
    bad: int


class _Walk:
    """Reading a window from the left; lines are counted from 0 here."""

    def __init__(
        self, data: bytes, at: Bytes, feeds: Int64s, delimiter: str, most: int, *, last: bool
    ) -> None:
        self._data, self._feeds, self._most, self._size = data, feeds, most, len(at)
        self._field_end = re.compile(rb'"(?:"")*(?:%b|\r?\n|\Z)' % re.escape(delimiter.encode()))
        self._quote = quote = np.flatnonzero(at == _QUOTE)
        comma, end = ord(delimiter), self._size - 1
        before = np.where(quote == 0, _LF, at[quote - 1])
        after = np.where(quote == end, _LF, at[np.minimum(quote + 1, end)])
        opens = _among(before, _LF, comma, _QUOTE)
        closes = _among(after, _LF, _CR, comma, _QUOTE)  # A lone CR fails by itself.
        cr = np.flatnonzero(at == _CR)
        lone = cr[at[np.minimum(cr + 1, end)] != _LF]
        lone_odd, feed_odd = self._is_odd(lone), self._is_odd(feeds)

        def failures(first: int) -> Int64s:
            opening, closing = slice(first, None, 2), slice(1 - first, None, 2)
            mistaken = [quote[opening][~opens[opening]], quote[closing][~closes[closing]]]
            return np.sort(np.concatenate([*mistaken, lone[lone_odd == first]]))

        # For reading that starts at an even or odd quote; only those behind the start count. A
        # quote that opens right behind one that closes is the second of a doubled quote.
        self._failures = failures(0), failures(1)
        self._record_ends = feeds[~feed_odd], feeds[feed_odd]
        self._early: deque[_ClosedEarly] = deque()
        self.found = _Found([], [], [], self._size, self._size)
        self._read(last=last)
        if not last and (early := self._undecided(len(feeds), self._size)):
            self._take_back(early)
            self.found.rest = early.record

    def _is_odd(self, places: Int64s) -> Bools:
        return (np.searchsorted(self._quote, places) % 2).astype(np.bool_)

    def _read(self, *, last: bool) -> None:
        found, start = self.found, 0
        while start < self._size:
            read = int(np.searchsorted(self._quote, start))  # Quotes before here count no more.
            fail, end = self._failures[read % 2], self._record_ends[read % 2]
            first_end = int(np.searchsorted(end, start))
            next_fail = int(np.searchsorted(fail, start))
            fails = next_fail < len(fail)
            unclosed = not fails and (len(self._quote) - read) % 2 == 1
            failed = int(fail[next_fail]) if fails else self._size
            last_end = int(np.searchsorted(end, failed))
            record = self._size
            if fails or unclosed:
                record = int(end[last_end - 1]) + 1 if last_end > first_end else start
            if record > start:
                found.pieces.append((start, record))
                found.ends.append(end[first_end:last_end])
            if unclosed and not last:
                found.rest = found.unfinished = record
                return
            start = self._size
            if fails:
                line = int(np.searchsorted(self._feeds, failed))
                start = int(self._feeds[line]) + 1 if line < len(self._feeds) else self._size
                record = self._beginning(record, failed, read, line, start)
            if fails or unclosed:
                found.bad.append((record, start))

    def _beginning(self, record: int, failed: int, read: int, line: int, stop: int) -> int:
        """Where the stretch begins that fails in this line, which ends at `stop`.

        At its record; or, at the end of a field that was closed too early, with that field's.
        `read` is the number of quotes before the start of reading.
        """
        early = self._undecided(line, stop)
        number = int(np.searchsorted(self._quote, failed))
        if number == len(self._quote) or self._quote[number] != failed:
            return record  # a lone CR
        if (number - read) % 2:
            found = self.found
            self._early.append(_ClosedEarly(record, line, len(found.pieces), len(found.bad)))
        elif early and self._field_end.match(self._data, failed, self._size):
            self._take_back(early)
            return early.record
        return record

    def _undecided(self, line: int, stop: int) -> _ClosedEarly | None:
        """The first field closed too early whose end may be in this line, which ends at `stop`."""
        while self._early:
            first = self._early[0]
            if line <= first.line + _LINES_OF_A_FIELD and stop <= first.record + self._most:
                return first
            self._early.popleft()
        return None

    def _take_back(self, early: _ClosedEarly) -> None:
        """Forget what was found from this stretch on."""
        self._early.clear()
        del self.found.pieces[early.pieces :], self.found.ends[early.pieces :]
        del self.found.bad[early.bad :]


def _among(values: Bytes, *wanted: int) -> Bools:
    table = np.zeros(256, np.bool_)
    table[list(wanted)] = True
    return table[values]
