"""A sheet, and the CSV that Excel saves of it, end in the same fates.

`python -m tests.torture.sheets` draws thousands.
"""

from __future__ import annotations

from datetime import date, datetime

import pytest
from hypothesis import HealthCheck, given, seed, settings

from tests.support import oracle, sheet_and_csv
from tests.support.sheet_and_csv import Drawn, Formula


@seed(15)
@given(book=sheet_and_csv.books())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_sheet_ends_like_its_csv(book: list[Drawn]) -> None:
    assert sheet_and_csv.difference(book) is None


@pytest.mark.parametrize("other", ["1", "", "TRUE ", "x,y"])
def test_a_difference_is_seen(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    header: list[sheet_and_csv.CellValue] = [*oracle.COLUMNS["products"]]
    book = [Drawn("products", [header]), Drawn("products", [header, [1, 2, True, "x"]])]
    assert sheet_and_csv.difference(book) is None
    rightly = sheet_and_csv.shown
    monkeypatch.setattr(sheet_and_csv, "shown", lambda it: other if it is True else rightly(it))
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
