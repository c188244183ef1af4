"""The lake: its two zones, and which file lies at which path."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from deltalake import DeltaTable

from lakehouse_assets.store.delta import DeltaTables, OpenKey
from lakehouse_assets.store.storage import Storage, StoredObject

ARCHIVE: Final = "archive"
"""Folder of the raw zone that holds what has been processed; no run looks for news there."""
ASIDE: Final = "aside"
DRY_RUNS: Final = "dry_run"
"""Folder of dry runs' copies; one that a dead process has left goes with the next maintenance."""

_HIDDEN: Final = (".", "_", "~$")
_HALF_WRITTEN: Final = (".tmp", ".part", ".filepart", ".partial", ".crdownload")
_BESIDE: Final = (".crc", ".md5", ".sha256", "~")
_OF_WINDOWS: Final = ("thumbs.db", "desktop.ini")

PASSED_OVER: Final = (
    f"names that begin with {', '.join(_HIDDEN)} or end in "
    f"{', '.join((*_HALF_WRITTEN, *_BESIDE))}, Thumbs.db and desktop.ini are passed over"
)
"""Which names no run reads, in words."""


class FilePath(NamedTuple):
    """Where a file landed: ``<dataset>/<batch date>/<file>`` names it in every message."""

    dataset: str
    batch_date: date
    file: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.batch_date}/{self.file}"


class Zone(StrEnum):
    """The two places for bytes: what came from outside, and what was made of it."""

    RAW = "raw"
    PROCESSED = "processed"


class Source(NamedTuple):
    """Where bytes are: a zone, and the path in it."""

    zone: Zone
    path: str


class RawFile(NamedTuple):
    """A file in the raw zone."""

    path: FilePath
    stored: StoredObject


@dataclass(frozen=True)
class Misplaced:
    """Something in the raw zone that is no file of any dataset and date."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def content_id(path: FilePath, digest: str) -> str:
    """Identity of one content at one path: bronze's partition, safe in every file name."""
    return hashlib.sha256(f"{path}\0{digest}".encode()).hexdigest()[:16]


def is_passed_over(name: str) -> bool:
    """Whether a name says that the file is not meant to be read.

    It is hidden, half-written, or what another program lays beside files.
    """
    lower = name.lower()
    return (
        lower.startswith(_HIDDEN)
        or lower.endswith((*_HALF_WRITTEN, *_BESIDE))
        or lower in _OF_WINDOWS
    )


@dataclass(frozen=True)
class Lake(DeltaTables):
    """One lakehouse: the raw zone, and the Delta tables with the ledger.

    ``raw`` holds ``<dataset>/<batch date>/<file>`` and the archive; ``storage``, the processed
    zone, everything else. ``first_date`` is the earliest batch date; ``last_date`` the latest
    that a run may ask for.
    """

    raw: Storage
    storage: Storage
    first_date: date
    last_date: date
    datasets: frozenset[str]
    _open: dict[OpenKey, DeltaTable] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def fresh(self) -> Lake:
        """The same lake, with nothing known of its tables yet: what every job starts with."""
        return replace(self)

    # ------------------------------------------------------------------------------ raw zone

    def raw_files(self, dates: Sequence[date] | None = None) -> Iterator[RawFile | Misplaced]:
        """What lies in the raw zone: files, and what is out of place there.

        With ``dates``, only what lies in those dates' folders.
        """
        if dates is None:
            yield from self.what_are(self.raw.list("", without=ARCHIVE))
            return
        for dataset in sorted(self.datasets):
            for day in dates:
                yield from self.what_are(self.raw.list(f"{dataset}/{day}"))

    def what_are(self, objects: Iterable[StoredObject]) -> Iterator[RawFile | Misplaced]:
        """What objects of the raw zone are: files, or out of place; the rest is passed over."""
        for stored in objects:
            found = self.placed(stored.path)
            if not isinstance(found, FilePath):
                if found:
                    yield found
            elif stored.readable:
                yield RawFile(found, stored)
            else:
                yield Misplaced(str(found), "cannot be opened; make it a file that can be")

    def placed(self, path: str) -> FilePath | Misplaced | None:
        """Which file lies at a path of the raw zone; None for a name that is passed over."""
        parts = path.split("/")
        if is_passed_over(parts[-1]):
            return None
        # How Python holds a name that is not UTF-8; no table and no message could.
        shown = path if path.isascii() else path.encode(errors="backslashreplace").decode()
        problem = None
        if len(parts) > 1 and parts[0] not in self.datasets:
            known = ", ".join(sorted(self.datasets))
            problem = f"no dataset is named {parts[0]!r}; move it to one of {known}"
        elif len(parts) != len(("dataset", "date", "file")):
            problem = "not directly in a date folder; move it to <dataset>/<YYYY-MM-DD>/"
        elif shown != path:
            problem = "its name is not UTF-8; rename the file"
        else:
            try:
                day = iso_date(parts[1])
                problem = self.outside(day)
            except ValueError as error:
                problem = f"{parts[1]!r} {error}; move it to <dataset>/<YYYY-MM-DD>/"
        return Misplaced(shown, problem) if problem else FilePath(parts[0], day, parts[2])

    def outside(self, day: date) -> str | None:
        """Why a day is no batch date of this lake; None where it is one."""
        if self.first_date <= day <= self.last_date:
            return None
        remedy = ", or set LAKEHOUSE_FIRST_DATE" if day < self.first_date else ""
        return (
            f"{day} is outside the batch dates {self.first_date} to {self.last_date}; "
            f"use another date{remedy}"
        )

    def aside(self, path: FilePath, digest: str) -> str:
        """Where bytes are kept that may leave their path before a run has read them."""
        return f"{ASIDE}/{path}/{digest}"

    def archived(self, path: FilePath, digest: str) -> str:
        """Where in the raw zone's archive a content belongs, under its own name."""
        return f"{ARCHIVE}/{path.dataset}/{path.batch_date}/{digest}/{path.file}"

    def bytes_of(self, path: FilePath, digest: str) -> Source | None:
        """Where the bytes of a content are kept beside its path; None where they are not."""
        aside, archived = self.aside(path, digest), self.archived(path, digest)
        if self.storage.find(aside):
            return Source(Zone.PROCESSED, aside)
        return Source(Zone.RAW, archived) if self.raw.find(archived) else None

    @property
    def zones(self) -> dict[str, Storage]:
        """The storage of each zone by its name; plain data, for workers."""
        return {Zone.RAW: self.raw, Zone.PROCESSED: self.storage}


@lru_cache(10_000)  # a million keys lie in a thousand folders
def iso_date(text: str) -> date:
    """A date as folders of the raw zone are named. Raises ValueError, saying what is wrong."""
    # date.fromisoformat also takes 20250401 and week dates; a folder is one thing.
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("is not a date")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("is a day that does not exist") from None
