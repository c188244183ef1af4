"""The figures of a run, per table; docs/data_quality.md says what each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lakehouse_assets.defs.keys import WAREHOUSE
from lakehouse_assets.ports import Measure
from lakehouse_assets.tables.contract import Layer

if TYPE_CHECKING:
    from lakehouse_assets.defs.run_report import RunReport, TableReport


def of_run(report: RunReport) -> list[Measure]:
    """The figures of every table that the run brought up to date."""
    return [
        Measure(name, table, value, unit)
        for table, part in report.tables.items()
        for name, value, unit in _of_table(table.split(".")[0], part)
    ]


def _of_table(layer: str, table: TableReport) -> Iterator[tuple[str, float, str]]:
    yield "ProcessingTime", table.seconds, "Seconds"
    read, held, rejected = (table.total(n) for n in ("read", "held", "rejected"))
    if layer in (Layer.GOLD, Layer.MART, WAREHOUSE):
        yield "RecordsProcessed", table.rows_added or 0, "Count"
    elif layer == "bronze":  # where `read` is what is in force
        yield "RecordsProcessed", read + held, "Count"
        if read + held:
            yield "ErrorRate", held / (read + held), "None"
    else:
        yield "RecordsProcessed", read, "Count"
        if read - held:
            yield "ErrorRate", rejected / (read - held), "None"
        if read:
            good = sum(table.total(n) for n in ("published", "superseded", "duplicates"))
            yield "DataQualityScore", good / read, "None"
