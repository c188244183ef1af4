"""Rejected rows, written for people to mend.

Each row carries where it came from. Mended and landed under any name and date, it takes its
origin's place in the version order, once, however often it lands.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import date
from typing import Final, TextIO

from lakehouse_assets.parse.model import ORIGIN
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset

_FORMULA: Final = tuple("=+-@'\t\r")
_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]+([.][0-9]+)?")


def export(
    lake: Lake, state: State, dataset: Dataset, file: TextIO, day: date | None = None
) -> int:
    """Write the rows that are rejected now (of a batch date) as CSV; returns how many.

    It is written as the dataset's files are, so that it can land as one of them.

    Its columns: the four of the origin, the source's, ``_raw`` (the text of a line that has no
    columns, to be filled into them) and ``_rules`` (what each row breaks).
    """
    file.write("\r\n" * dataset.dialect.skip_rows)
    writer = csv.writer(file, delimiter=dataset.dialect.delimiter, lineterminator="\r\n")
    writer.writerow([*ORIGIN, *dataset.headers, "_raw", "_rules"])
    count = 0
    for row in exported(lake, state, dataset, day):
        writer.writerow([escaped(value) for value in row])
        count += 1
    return count


def escaped(value: str | None) -> str:
    """A cell's text, made safe for a spreadsheet, which would run it as a formula."""
    text = value or ""
    risky = text.startswith(_FORMULA) and not _PLAIN_NUMBER.fullmatch(text)
    return f"'{text}" if risky else text


def exported(
    lake: Lake, state: State, dataset: Dataset, day: date | None = None
) -> Iterator[list[str | None]]:
    """The rows that are rejected now (of a batch date), as the columns of an export have them."""
    landed = state.landed(dataset.name)
    of = f"WHERE _batch_date = DATE '{day}'" if day else ""
    order = "ORDER BY _batch_date, _file, _sheet_no, _row"
    for row in lake.rows(dataset.rejected, f"SELECT * FROM t {of} {order}"):
        extra = dict(row["_extra"] or ())
        # A repair hands its first origin on, and the line that it was made from.
        origin = [extra.get(name) for name in ORIGIN]
        if not any(origin):
            upload = landed[row["_content"]]
            origin = [str(upload.path), upload.digest, str(row["_sheet_no"]), str(row["_row"])]
        values = [row[header] for header in dataset.headers]
        raw = row["_raw"] or extra.get("_raw")
        yield [*origin, *values, raw, ", ".join(row["_rules"])]
