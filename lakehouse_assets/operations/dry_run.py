"""What a run would do: the run itself, on a copy of the tables that is thrown away.

The copy shares the data files, which never change, with the lake; so it costs what the run
costs, and says exactly what the run would say.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.run_table import run_table
from lakehouse_assets.store import receipts
from lakehouse_assets.store.facts import FACTS
from lakehouse_assets.store.lake import ASIDE, DRY_RUNS, FilePath, Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import RECEIPTS, Receipt
from lakehouse_assets.tables.registry import queryable, table_ids

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse_assets.parse import Limits


class DryRunError(LakehouseError):
    """A table whose SQL the engine refuses."""


@dataclass(frozen=True)
class DryRun:
    """Each table's result, and the rows that would be read of each file.

    ``receipts`` are then those of all files of the dates, ``waiting`` the files that would wait for
    a person.
    """

    results: list[Result]
    rows: dict[FilePath, int]
    receipts: list[Receipt]
    waiting: list[FilePath]


def dry_run(
    spark: SparkSession,
    lake: Lake,
    dates: Sequence[date],
    limits: Limits | None = None,
    tell: Callable[[str, Result | None], object] = lambda _table, _result: None,
) -> DryRun:
    """Do a run of these dates on a copy of the lake; nothing of it stays.

    ``tell`` hears of each table as its work begins, without a result, and as it ends.
    """
    folder = f"{DRY_RUNS}/{uuid.uuid4().hex}"
    try:
        for part in (*map(lake.path, (*queryable().values(), RECEIPTS, FACTS)), ASIDE):
            lake.storage.link(part, f"{folder}/{part}")
        copy = replace(lake, storage=lake.storage.within(folder))
        before = Ledger(copy).state()
        results = []
        for table in table_ids():
            tell(table, None)
            try:
                results.append(run_table(spark, copy, table, dates, "dry run", limits))
            except PySparkException as error:
                raise DryRunError(f"{table}: {' '.join(str(error).split())}") from None
            tell(table, results[-1])
        after = Ledger(copy).state()
        books = receipts.current(copy.fresh(), dates=dates)
        waiting = [path for path, _ in after.waiting(lake.raw)]
    finally:
        lake.storage.delete(folder)
    rows = {}
    for path, state in after.paths.items():
        newest = state.last.digest if state.last else None
        judged = state.judgements.get(newest or "")
        if judged and state.read_at != before.at(path).read_at:
            rows[path] = judged.read
    return DryRun(results, rows, books, waiting)
