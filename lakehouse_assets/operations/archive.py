"""The archive: where a file goes once its rows are in the tables, so that raw holds what is new.

Only what a run has read leaves the raw zone: the very version of it that was read, and what that
version hid. What came to the same place since stays, and so do held and unreadable files, for
whoever mends them. A file in the archive is as much in force as before.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.planning.pending_files import missing
from lakehouse_assets.planning.settled_files import contents
from lakehouse_assets.store.content import copy, digest_of
from lakehouse_assets.store.facts import Archived, Fact
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Lake, RawFile
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Dataset


class ArchiveError(LakehouseError):
    """A file whose copy in the archive is not what it should be."""


def archive(ledger: Ledger, datasets: Mapping[str, Dataset], run_id: str) -> list[FilePath]:
    """Move every processed file into the archive; returns where they were.

    Nothing while a restore stands. Killed at any moment, the next call goes on where it stopped:
    the copy is there before the fact, and the fact before anything is removed. Raises
    ArchiveError where a copy does not read as it was written.
    """
    state, lake = ledger.followed(), ledger.lake
    if state.frozen:
        return []
    present = {c for dataset in datasets.values() for c in contents(lake, dataset)}
    leaving: dict[FilePath, list[str]] = {}
    facts = []
    for raw in lake.raw_files():
        past = state.at(raw.path) if isinstance(raw, RawFile) else None
        if past and _is_processed(past) and not missing(past, present):
            assert past.last  # it has been read
            assert past.last.digest
            try:
                digests = _read_so_far(lake, past.path, past.last.digest)
                for version, digest in digests.items():
                    place = _copy(lake, past.path, version, digest)
            except FileNotFoundError:
                continue  # somebody has taken it away since the listing
            if digests and place != past.archived.get(past.last.digest):
                facts.append(Fact(Archived(place), past.path, past.last.digest, run_id))
            leaving[past.path] = list(digests)
    ledger.append(facts)
    for path, versions in leaving.items():
        # The oldest first: were the newest to go first, the one below would come to light.
        for version in versions:
            lake.raw.remove(str(path), version)
    return [path for path, versions in leaving.items() if versions]


def _is_processed(past: PathState) -> bool:
    """Whether what landed last has been read, and leaves nothing for a person to mend."""
    last = past.last
    if last is None or last.digest is None or past.unjudged:
        return False
    if past.open and past.open[-1].seq == last.seq:
        return past.standing is not None and not past.standing.bad
    return True  # withdrawn; its bytes must be there if it is reinstated


def _read_so_far(lake: Lake, path: FilePath, digest: str) -> dict[str, str]:
    """The versions at a path up to the newest with that content, oldest first, and their digests.

    None without it.
    """
    versions = list(lake.raw.versions(str(path)))
    while versions and digest_of(lake.raw, str(path), versions[-1]) != digest:
        versions.pop()
    older = {version: digest_of(lake.raw, str(path), version) for version in versions[:-1]}
    return older | dict.fromkeys(versions[-1:], digest)


def _copy(lake: Lake, path: FilePath, version: str, digest: str) -> str:
    """Copy a version's bytes to where their content belongs, and read them back."""
    place = lake.archived(path, digest)
    if lake.raw.find(place) is None:
        copy((lake.raw, str(path)), (lake.raw, place), digest, version)
    if digest_of(lake.raw, place) != digest:
        raise ArchiveError(
            f"{path}: its copy {place} is not what was written; remove the copy, then run again"
        )
    return place
