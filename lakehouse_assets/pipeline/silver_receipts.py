"""The receipts that silver owes: each content's rows counted by the table in which they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.resolve import Fate
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import Workspace, among, union
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import content_id
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.receipts import Counts, Receipt, receipts_due, said_in_tables
from lakehouse_assets.tables.contract import Dataset, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def in_tables(
    work: Workspace,
    state: State,
    dataset: Dataset,
    dates: Sequence[date],
    versions: Mapping[str, TableVersion],
) -> list[Receipt]:
    """The receipts due of contents whose rows came to the tables, moved in them or left them.

    In force is what bronze holds, whatever the ledger says of dates that no run has asked for
    since. Each fate is counted in its own table.
    """
    days = among("_batch_date", dates)

    def fates(table: Table, fate: str) -> DataFrame:
        rows = work.read(table, versions[table.id].version).where(days)
        return select(rows, "_content", fate=fate)

    hidden = f"CASE WHEN _duplicate THEN '{Fate.DUPLICATE}' ELSE '{Fate.SUPERSEDED}' END"
    each = [
        fates(dataset.silver, f"'{Fate.PUBLISHED}'"),
        fates(dataset.superseded, hidden),
        fates(dataset.rejected, f"'{Fate.REJECTED}'"),
    ]
    found: dict[str, dict[str, int]] = {}
    for row in union(each).groupBy("_content", "fate").count().collect():
        found.setdefault(row["_content"], {})[row["fate"]] = row["count"]

    def counts(content: str) -> Counts:
        fates = found.get(content, {})
        return Counts(
            published=fates.get(Fate.PUBLISHED, 0),
            superseded=fates.get(Fate.SUPERSEDED, 0),
            duplicates=fates.get(Fate.DUPLICATE, 0),
            rejected=fates.get(Fate.REJECTED, 0),
        )

    present = work.lake.contents(dataset.bronze, versions[dataset.bronze.id].version)
    left = said_in_tables(work.lake, dataset, dates)

    def standing(past: PathState, digest: str) -> str | None:
        if content_id(past.path, digest) in present:
            return "in_force"
        by_ledger = past.state(digest)
        return None if by_ledger == "in_force" else by_ledger

    return [
        r
        for r in receipts_due(state, dataset, dates, standing, counts)
        if content_id(r.path, r.digest) in present or (r.path, r.digest) in left
    ]
