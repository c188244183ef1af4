"""Keys: what encloses them, and whether a table can have rows of them, by statistics alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse_assets.pipeline import keys
from lakehouse_assets.pipeline.keys import distinct, parted
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.tables.contract import Column, Table
from tests.support.workspaces import workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLE = Table(
    layer="gold",
    name="sales",
    description="Sales by day.",
    columns=(
        Column(name="id", type="BIGINT", description="Key."),
        Column(name="name", type="STRING", description="Another key."),
        Column(name="day", type="DATE", description="Day."),
    ),
    partition_by=("day",),
)
FIRST, SECOND, THIRD = (date(2025, 4, day) for day in (1, 2, 3))
ROWS = [(1, "a", FIRST), (9, "b", FIRST), (20, None, THIRD)]


@pytest.fixture
def work(tmp_path: Path, spark: SparkSession) -> Workspace:
    """A lake with a table of two days."""
    work = workspace(tmp_path, spark, TABLE)
    work.lake.create(TABLE)
    rows = spark.createDataFrame(ROWS, "id bigint, name string, day date")
    rows.write.format("delta").mode("append").partitionBy("day").save(work.uri(TABLE))
    return work


@pytest.mark.parametrize("most", [2**20, 0], ids=["by footers", "by a query"])
@pytest.mark.parametrize(
    ("type_", "values", "count", "ends"),
    [
        ("bigint", [7, -3, 7, 12], 3, (-3, 12)),
        ("bigint", [5, None], 2, (5, 5)),
        ("bigint", [None], 1, (None, None)),
        ("bigint", [], 0, (None, None)),
        ("date", [SECOND, FIRST, THIRD], 3, (FIRST, THIRD)),
        ("string", ["é", "b", "a"], 3, ("a", "é")),
    ],
)
def test_what_encloses_keys(
    work: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    type_: str,
    values: Sequence[Any],
    count: int,
    ends: tuple[Any, Any],
) -> None:
    """The same whether the stage's footers are read or the engine is asked."""
    monkeypatch.setattr(keys, "_FOOTER_READ", most)
    rows = work.spark.createDataFrame([(v,) for v in values], f"k {type_}").repartition(3)
    found = distinct(work, rows, ["k"])
    assert (found.count, found.ends) == (count, (ends,))
    assert {row["k"] for row in found.rows.collect()} == {*values}


def test_long_texts_are_enclosed(work: Workspace) -> None:
    """Statistics have the beginning of a long text only, at either end of it."""
    texts = ["a" * 500, "z" * 500, "\U0010ffff" * 200]
    rows = work.spark.createDataFrame([(text,) for text in texts], "k string")
    [(least, greatest)] = distinct(work, rows, ["k"]).ends
    assert least.encode() <= min(texts).encode()
    assert greatest.encode() >= max(texts).encode()


@pytest.mark.parametrize(
    ("columns", "rows", "owned"),
    [
        (["id"], [(9,), (10,)], [9]),
        (["id"], [(10,), (19,)], None),
        (["id"], [(21,), (90,)], None),
        (["id"], [(0,), (90,)], []),
        (["day"], [(THIRD,)], [20]),
        (["day"], [(SECOND,)], None),
        (["id", "day"], [(20, FIRST)], None),
        (["name"], [("zz",)], []),
        (["id"], [], None),
    ],
)
def test_a_table_is_parted_by_keys(
    work: Workspace, columns: list[str], rows: list[tuple[Any, ...]], owned: list[int] | None
) -> None:
    """None where its log shows that it has no row of them; never where it may have one."""
    types = {"id": "bigint", "day": "date", "name": "string"}
    schema = ", ".join(f"{column} {types[column]}" for column in columns)
    asked = distinct(work, work.spark.createDataFrame(rows, schema), columns)
    mine, others = parted(work, TABLE, columns, asked)
    found = None if mine is None else sorted(row["id"] for row in mine.collect())
    assert found == owned
    assert sorted(row["id"] for row in others.collect()) == sorted({1, 9, 20} - {*(owned or [])})


def test_all_rows_belong_to_any_key(work: Workspace) -> None:
    """Where the keys are not known, none stays."""
    mine, others = parted(work, TABLE, ["id"], None)
    assert mine is not None
    assert (mine.count(), others.count()) == (3, 0)


def test_files_without_statistics_may_have_any_key(work: Workspace) -> None:
    """As tables have whose properties say that no column is indexed."""
    work.lake.create(TABLE)
    log = work.lake.delta(TABLE)
    assert log is not None
    log.alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "0"})
    rows = work.spark.createDataFrame([(50, "x", FIRST)], "id bigint, name string, day date")
    import deltalake

    deltalake.write_deltalake(log, rows.toArrow(), mode="append")
    assert work.lake.may_hold(TABLE, work.lake.version(TABLE), {"id": (60, 70)})
    assert not work.lake.may_hold(TABLE, work.lake.version(TABLE), {"day": (SECOND, SECOND)})
