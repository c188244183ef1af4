"""The rows in which two sets differ, counted as bags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.select import select

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lakehouse_assets.pipeline.workspace import Workspace


def difference(
    work: Workspace, old: DataFrame, new: DataFrame, columns: Sequence[str]
) -> DataFrame:
    """Each row that one of two sets has more often, staged.

    ``columns`` are those of both sets, and can be grouped by (no maps). The result has ``_removed``
    and ``_added`` besides, of which one is 0: how often more the older or the newer set has the
    row.

    By one grouping and not by `exceptAll` both ways: on Sail 0.7.2 that costs a fifteenth for
    20,000 rows and a twentieth for 3,000,000.
    """
    both = select(old, "*", _more="-1").unionByName(select(new, "*", _more="1"))
    more = both.groupBy(*columns).agg({"_more": "sum"}).where("`sum(_more)` <> 0")
    removed, added = "greatest(-`sum(_more)`, 0)", "greatest(`sum(_more)`, 0)"
    return work.stage(select(more, *columns, _removed=removed, _added=added))
