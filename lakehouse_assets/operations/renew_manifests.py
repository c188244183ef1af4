"""Renew the manifests by which Redshift Spectrum reads Delta tables.

A manifest is replaced whole, so that a question reads a partition as one version or the next has
it. What has been written is noted last: who comes after one that died writes the same again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse_assets.tables import spectrum
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.spectrum import Partition

if TYPE_CHECKING:
    from lakehouse_assets.store.lake import Lake


@dataclass(frozen=True)
class Renewed:
    """What became of a table's manifests: how many partitions were written, and are no more."""

    table: str
    version: int
    written: int
    removed: int


def renew(lake: Lake, table: Table, register: Callable[[set[Partition]], object]) -> Renewed | None:
    """Make a table's manifests say which files its newest version has; None before its first.

    ``register`` is told the partitions that there are, when their manifests are written and before
    those of the others go: so the catalog never names one without a manifest.
    """
    now = lake.versions([table]).get(table.id)
    if now is None:
        return None
    noted = f"{spectrum.folder_of(table)}/_written.json"
    before = _noted(lake, noted)
    wanted = spectrum.manifests(table, lake.files(table, now.version), lake.uri(table))
    digests = {_key(p): hashlib.sha256(text.encode()).hexdigest() for p, text in wanted.items()}
    changed = [p for p in wanted if before.get(_key(p)) != digests[_key(p)]]
    for partition in changed:
        lake.storage.write(_manifest(table, partition), wanted[partition].encode())
    register({*wanted})
    gone = before.keys() - digests.keys()
    for key in gone:
        lake.storage.delete(_manifest(table, tuple(json.loads(key))))
    if changed or gone:
        lake.storage.write(noted, json.dumps(digests).encode())
    return Renewed(table.id, now.version, len(changed), len(gone))


def _manifest(table: Table, partition: Partition) -> str:
    return f"{spectrum.folder_of(table, partition)}/manifest"


def _noted(lake: Lake, path: str) -> dict[str, str]:
    """The manifests that have been written, by their partitions: a digest each."""
    try:
        found: dict[str, str] = json.loads(lake.storage.read(path))
    except FileNotFoundError:
        return {}
    return found


def _key(partition: Partition) -> str:
    return json.dumps(partition)
