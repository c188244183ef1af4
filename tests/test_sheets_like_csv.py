"""A sheet, and the CSV that Excel saves of it, end in the same fates.

`python -m tests.torture.sheets` draws thousands.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from lakehouse_assets.operations.check_files import staged_files
from lakehouse_assets.parse import Dialect
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.tables.registry import DATASETS
from tests.support import oracle, sheet_and_csv
from tests.support.sheet_and_csv import COMMA, POINT, Drawn, Formula

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ORDERS = DATASETS["orders"]
DIALECTS = st.sampled_from([POINT, COMMA])


@seed(15)
@given(book=sheet_and_csv.books(), dialect=DIALECTS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_sheet_ends_like_its_csv(book: list[Drawn], dialect: Dialect) -> None:
    assert sheet_and_csv.difference(book, dialect) is None


@pytest.mark.parametrize("dialect", [POINT, COMMA], ids=["point", "comma"])
def test_they_end_in_the_same_fates(spark: SparkSession, tmp_path: Path, dialect: Dialect) -> None:
    """A number of a sheet has no marks of its own: 1.234 is never 1234."""
    dataset = replace(
        ORDERS, dialect=replace(dialect, timestamp_formats=("%d.%m.%Y %H:%M", "%d.%m.%Y"))
    )
    day, local = date(2025, 4, 1), "1.4.2025 7:05"
    amounts: list[sheet_and_csv.CellValue] = [
        1.234,
        1234.5,
        1234567.89,
        0.1 + 0.2,
        7,
        1e14,
        "1.234",
        "1.234,50",
        "1,234.50",
        True,
    ]
    rows: list[list[sheet_and_csv.CellValue]] = [
        [n, n, 1, local if n % 2 else day, amount, amount] for n, amount in enumerate(amounts, 1)
    ]
    sheet = Drawn("orders", [[*oracle.COLUMNS["orders"]], *rows])
    (tmp_path / "f.xlsx").write_bytes(sheet_and_csv.workbook([sheet]))
    (tmp_path / "f.csv").write_bytes(sheet_and_csv.csv(sheet, dialect))
    with staged_files(spark, dataset, [tmp_path / "f.xlsx", tmp_path / "f.csv"]) as staged:
        found = judged(staged.rows, dataset).orderBy("_file", "order_id").collect()
    names = ["order_id", "order_timestamp", "total_amount", "date", "_own"]
    as_csv, as_sheet = (
        [[row[name] for name in names] for row in found if row["_file"] == file]
        for file in ("f.csv", "f.xlsx")
    )
    assert as_sheet == as_csv
    assert [row[1] for row in as_sheet[:2]] == [datetime(2025, 4, 1, 7, 5), datetime(2025, 4, 1)]
    cents = [None if row[2] is None else str(row[2]) for row in as_sheet]
    by_text = ["1234.00", "1234.50", None] if dialect is COMMA else [None] * 3
    assert cents == [None, "1234.50", "1234567.89", "0.30", "7.00", None, *by_text, None]


@pytest.mark.parametrize("other", ["1", "", "TRUE ", "x,y"])
def test_a_difference_is_seen(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    header: list[sheet_and_csv.CellValue] = [*oracle.COLUMNS["products"]]
    book = [Drawn("products", [header]), Drawn("products", [header, [1, 2, True, "x"]])]
    assert sheet_and_csv.difference(book) is None
    rightly = sheet_and_csv.shown
    monkeypatch.setattr(
        sheet_and_csv, "shown", lambda it, how: other if it is True else rightly(it, how)
    )
    assert "sheet 2" in (sheet_and_csv.difference(book) or "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (90.949999999999989, "90.95"),
        (1e14, "100000000000000"),
        (-2.5e-10, "-0.00000000025"),
        (7.0, "7"),
        (0, "0"),
        (True, "TRUE"),
        (Formula(False), "FALSE"),
        (date(2025, 4, 1), "2025-04-01T00:00:00"),
        (datetime(2025, 4, 1, 9, 30), "2025-04-01T09:30:00"),
        (None, ""),
    ],
)
def test_what_excel_saves(value: sheet_and_csv.CellValue, text: str) -> None:
    assert sheet_and_csv.shown(value) == text


@given(sheet=sheet_and_csv.books(1).map(lambda book: book[0]))
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_to_the_oracle_they_end_alike(sheet: Drawn) -> None:
    """The definitions keep their own measure."""
    contract = oracle.SHOP[sheet.dataset]
    as_sheet, as_csv = (
        oracle.read.__wrapped__(contract, name, data)
        for name, data in (
            ("f.xlsx", sheet_and_csv.workbook([sheet])),
            ("f.csv", sheet_and_csv.csv(sheet)),
        )
    )
    assert (as_sheet.error is None) == (as_csv.error is None), (as_sheet.error, as_csv.error)
    assert [(line.texts, line.extra, line.broken) for line in as_sheet.lines] == [
        (line.texts, line.extra, line.broken) for line in as_csv.lines
    ]
