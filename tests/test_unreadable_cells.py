"""What the rules make of a row whose cells have no value of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.parse.model import unreadable_cells
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.tables import rules
from tests.support.nasty_texts import NASTY

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOOD = {
    "whole": "7",
    "small": "1",
    "money": "1.50",
    "moment": "2025-04-01T11:27:00",
    "day": "2025-04-01",
    "flag": "1",
    "words": "x",
}


@pytest.mark.parametrize(
    ("texts", "unreadable", "key", "broken"),
    [
        ({}, [], "=7", []),
        ({"money": "#N/A"}, ["money"], "=7", ["row.unreadable_cell"]),
        # It looks like a number, and is the neighbour's id.
        ({"whole": "9007199254740993"}, ["whole"], "?c", ["row.unreadable_cell"]),
        # Its text is not allowed, and below the least: of its own column no other rule is broken.
        ({"small": "9", "money": "-1"}, ["small", "money"], "=7", ["row.unreadable_cell"]),
        (
            {"money": "#REF!", "small": "9", "words": None, "day": "x"},
            ["money"],
            "=7",
            ["row.unreadable_cell", "small.allowed", "day.type", "words.required"],
        ),
    ],
)
def test_an_unreadable_cell_breaks_its_rule_and_no_other_of_its_column(
    spark: SparkSession,
    texts: dict[str, str | None],
    unreadable: list[str],
    key: str,
    broken: list[str],
) -> None:
    row = {**GOOD, **texts, "_batch_date": None, "_file": "f", "_sheet_no": 1, "_row": 2}
    row |= {
        "_content": "c",
        "_extra": None,
        "_fault": unreadable_cells(unreadable) if unreadable else None,
    }
    names = ", ".join(f"`{name}` string" for name in GOOD)
    schema = (
        f"{names}, _batch_date date, _file string, _sheet_no int, _row bigint, _content string, "
        "_extra map<string,string>, _fault string"
    )
    [found] = judged(spark.createDataFrame([tuple(row.values())], schema), NASTY).collect()
    assert found["_subject"] == key
    assert sorted(found["_own"]) == sorted(broken)
    [category] = (
        spark.createDataFrame([(broken,)], "r array<string>")
        .selectExpr(f"{rules.category(NASTY, 'r')} AS category")
        .collect()
    )
    assert category["category"] == ("schema" if broken else None)
