"""Files that came and of which rows change nothing, as an earlier file's count as newer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.resolve import Fate
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import among
from lakehouse_assets.store.lake import content_id
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.receipts import Receipt
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def without_effect(
    state: State,
    dataset: Dataset,
    added: Collection[str],
    receipts: Iterable[Receipt],
    resolved: DataFrame,
) -> Iterator[str]:
    """A line for each upload ``added`` and each earlier file whose rows stand in place of its own.

    Rows that say the same as those are no news, and do not count. ``receipts`` are new.
    """
    superseded = (r for r in receipts if r.counts.superseded)
    lost = {content for r in superseded if (content := content_id(r.path, r.digest)) in added}
    if not lost:
        return
    key = dataset.key_columns
    losers = resolved.where(f"_fate = '{Fate.SUPERSEDED}' AND {among('_content', lost)}")
    winners = resolved.where(f"_fate = '{Fate.PUBLISHED}'")
    pairs = select(losers, *key, _lost="_content").join(
        select(winners, *key, _won="_content"), list(key)
    )
    landed = state.landed(dataset.name)
    for row in sorted(pairs.groupBy("_lost", "_won").count().collect()):
        loser, winner = landed.get(row["_lost"]), landed.get(row["_won"])
        if loser and winner and winner.seq < loser.seq:  # no more than a line: it stops no run
            change = "1 row of it changes"
            if row["count"] > 1:
                change = f"{row['count']:,} rows of it change"
            yield (
                f"{loser.path}: {change} nothing, as {winner.path} counts as newer; "
                "a correction needs a later batch date or file name"
            )
