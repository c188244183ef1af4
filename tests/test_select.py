"""Columns of any name, chosen without SQL where none is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.select import cast, none, select
from lakehouse_assets.tables.contract import Column

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAMES = ("refund amount", "order", "date", "ä", "a.b", "true")


def test_names_are_no_sql(spark: SparkSession) -> None:
    """Blanks, dots, letters and words of SQL: by name, under another name, and in a type."""
    rows = select(spark.range(2, 3), **dict.fromkeys(NAMES, "id"))
    assert rows.columns == [*NAMES]
    assert select(rows, *NAMES).collect() == select(rows, "*").collect()
    others = {f"other {name}": f"`{name}`" for name in NAMES}
    assert select(rows, **others).collect() == [(2,) * len(NAMES)]
    texts = [Column(name=name, type="STRING", description=name) for name in NAMES]
    assert cast(rows, texts).collect() == [("2",) * len(NAMES)]


def test_words_and_expressions_are_sql(spark: SparkSession) -> None:
    found = select(spark.range(3, 4), "id", yes="true", no="null", more="id + 1").collect()
    assert found == [(3, True, None, 4)]


def test_none_has_the_columns(spark: SparkSession) -> None:
    rows = none(select(spark.range(3), "id", more="id + 1"))
    assert (rows.columns, rows.collect()) == (["id", "more"], [])
