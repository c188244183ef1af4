"""Landing: putting a file into the raw zone, and saying so in the ledger at once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import NamedTuple

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.planning.file_order import counting_as_older
from lakehouse_assets.store.content import Digested, copy, digest_of
from lakehouse_assets.store.facts import Fact, Landed
from lakehouse_assets.store.lake import PASSED_OVER, FilePath, Lake, Misplaced
from lakehouse_assets.store.ledger import Ledger, State


class LandingError(LakehouseError):
    """A file that cannot land as asked."""


class Landing(NamedTuple):
    """Where a file landed.

    ``news`` says whether anything did: the bytes landed last there are none. ``older`` is a line
    where it counts as older than a file of its folder that landed before it.
    """

    path: FilePath
    news: bool
    older: str | None


def land(ledger: Ledger, file: Path, dataset: str, day: date) -> Landing:
    """Put a file into the raw zone, in the place of one of the same name.

    The file may be larger than memory. Raises LandingError for a name that is passed over or not
    UTF-8, a date outside the lake's, or a file that cannot be opened, read or written.
    """
    lake = ledger.lake
    path = lake.placed(f"{dataset}/{day}/{file.name}")
    if path is None:
        raise LandingError(f"{file.name}: {PASSED_OVER}; rename the file")
    if isinstance(path, Misplaced):
        raise LandingError(str(path))
    try:
        opened = file.open("rb")
    except OSError as error:
        raise LandingError(f"{file}: {error.strerror}; name a file that can be read") from None
    with opened as stream:
        past = ledger.state().at(path)
        if past.unjudged:  # landed, and no run has read it yet: it is not to be lost
            keep_bytes(lake, path, past.unjudged)
        landing = Digested(stream)
        try:
            lake.raw.write(str(path), landing)
        except OSError as error:
            raise LandingError(
                f"{path}: not landed: {error.strerror}; mend that, then land it again"
            ) from None
    digest = landing.digest
    stored = lake.raw.find(str(path))
    detail = Landed("land", stored.stamp if stored else "", landing.size)

    def landed(state: State) -> list[Fact]:
        now = state.at(path)
        same = now.last is not None and now.last.digest == digest and bool(now.open)
        return [] if same else [Fact(detail, path, digest)]

    news = bool(ledger.transact(landed))
    older = counting_as_older(ledger.state(), [path]) if news else ()
    return Landing(path, news, next(iter(older), None))


def keep_bytes(lake: Lake, path: FilePath, digests: Collection[str]) -> bool:
    """Keep the bytes at a path beside it, if they are one of these; returns whether they are."""
    try:
        digest = digest_of(lake.raw, str(path))
        if digest in digests:
            copy((lake.raw, str(path)), (lake.storage, lake.aside(path, digest)), digest)
    except FileNotFoundError:  # gone, or changed since the first look
        return False
    return digest in digests
