"""The archive as Dagster's assets see it: on or off."""

# No `from __future__ import annotations` here: Dagster reads the annotations of resources.
import dagster as dg

from lakehouse_assets.operations.archive import archive
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS
from resources.lakehouse import Lakehouse


class Archiver(dg.ConfigurableResource["Archiver"]):
    """Moves processed files into the archive, if it is ``on``; else leaves them in place."""

    lakehouse: dg.ResourceDependency[Lakehouse]
    on: bool

    def archive(self, run_id: str) -> list[FilePath]:
        """Move every processed file; returns where they were. Raises ArchiveError."""
        if not self.on:
            return []
        return archive(Ledger(self.lakehouse.lake()), DATASETS, run_id)
