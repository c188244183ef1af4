"""Where the lakehouse is: what assets and other resources open it by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import Storage
from lakehouse_assets.tables.registry import DATASETS


@dataclass(frozen=True)
class Lakehouse:
    """The two zones and the earliest batch date. Plain data: nothing is opened by making it."""

    raw: Storage
    processed: Storage
    first_date: date

    def lake(self) -> Lake:
        """The lake as of now, with nothing opened yet: a code server may live for months."""
        # Tomorrow counts as well: somewhere it is that day already.
        last = datetime.now(UTC).date() + timedelta(days=1)
        return Lake(
            raw=self.raw,
            storage=self.processed,
            first_date=self.first_date,
            last_date=last,
            datasets=frozenset(DATASETS),
        )
