"""History: the versions that each key's row has had, by the batch date that each came with.

As much a function of the files in force as silver is: of the rows of a key that qualify, the newest
of each batch date says what is valid from then on; it begins a version where it says another thing
than the one before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lakehouse_assets.pipeline.resolve import PLACE_IN_FAMILY, newest_first
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_FROM: Final = PLACE_IN_FAMILY[0]
"""A repair is a version of the date of what it mends."""


def versions(work: Workspace, dataset: Dataset, resolved: DataFrame) -> DataFrame:
    """The versions of all keys among rows with their fates (`resolve`), with their validity."""
    key = ", ".join(f"`{part}`" for part in dataset.key_columns)
    names = [c.name for c in dataset.columns]
    rows = resolved.where("size(_rules) = 0 AND NOT _retired").select(*names, *PLACE_IN_FAMILY)
    order = newest_first(PLACE_IN_FAMILY)
    nth = f"row_number() OVER (PARTITION BY {key}, `{_FROM}` ORDER BY {order})"
    newest = select(rows, *names, _FROM, _nth=nth).where("_nth = 1")
    in_order = f"(PARTITION BY {key} ORDER BY `{_FROM}`)"
    said = [name for name in names if name not in dataset.key_columns]
    same = " AND ".join([f"`{c}` <=> lag(`{c}`) OVER {in_order}" for c in said] or ["true"])
    first = f"row_number() OVER {in_order} = 1"
    begun = select(newest, *names, _FROM, _begins=f"NOT ({same}) OR {first}").where("_begins")
    until = f"lead(`{_FROM}`) OVER {in_order}"
    return work.stage(select(begun, *names, valid_from=_FROM, valid_to=until))
