"""The raw files as external assets: people and other systems bring them, runs observe them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Final

import dagster as dg

from lakehouse_assets.defs import metadata
from lakehouse_assets.defs.keys import OWNERS, asset_key
from lakehouse_assets.store.lake import content_id
from lakehouse_assets.tables.registry import DATASETS

if TYPE_CHECKING:
    from lakehouse_assets.store.ledger import State
    from lakehouse_assets.tables.contract import Dataset

# Dagster reads a data version from this tag of an event, and does not export its name.
_DATA_VERSION_TAG: Final = "dagster/data_version"


def raw_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetSpec]:
    """The raw files of each dataset, by batch date."""
    return [
        dg.AssetSpec(
            key=asset_key(f"raw.{d.name}"),
            description=(
                f"Files of {d.name}: .csv, .csv.gz or .xlsx in raw/{d.name}/, in a folder for each "
                "batch date. The types are what the values must be readable as."
            ),
            group_name="raw",
            kinds={"csv", "excel"},
            owners=OWNERS,
            partitions_def=days,
            metadata={"dagster/column_schema": metadata.schema(d.headers, d.sources)},
        )
        for d in DATASETS.values()
    ]


def observations(
    dataset: Dataset, dates: Iterable[date], state: State
) -> Iterator[dg.AssetObservation]:
    """What a run that has read the ledger so far found of these dates' files.

    The data version is a digest over the paths and contents in force: equal versions mean equal
    rows in bronze. A date where nothing ever landed has no observation.
    """
    for day in dates:
        paths = state.of(dataset.name, [day])
        in_force = sorted(content_id(p.path, p.in_force) for p in paths if p.in_force)
        if paths:
            version = hashlib.sha256(" ".join(in_force).encode()).hexdigest()
            yield dg.AssetObservation(
                asset_key(f"raw.{dataset.name}"),
                partition=day.isoformat(),
                description="The batch date's files, as a run has read them.",
                metadata={
                    "files": sum(p.standing is not None for p in paths),
                    "files_in_force": len(in_force),
                },
                tags={_DATA_VERSION_TAG: version},
            )
