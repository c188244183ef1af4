"""The only writer: what it refuses, and what it leaves untouched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lakehouse_assets.pipeline.publish import AuditError, Replaced, replace_rows
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
        Column(name="day", type="BIGINT", description="Day."),
        Column(name="amount", type="BIGINT", description="Amount."),
    ),
    partition_by=("day",),
)
Row = tuple[int | None, ...]


@pytest.fixture
def work(tmp_path: Path, spark: SparkSession) -> Workspace:
    """An empty lake."""
    return workspace(tmp_path, spark, TABLE)


def publish(work: Workspace, rows: Sequence[Row], owned: str = "true") -> Replaced:
    """Put rows in the place of those that `owned` names."""
    present = work.read(TABLE, work.lake.version(TABLE))
    columns = ", ".join(f"{c.name} {c.type}" for c in TABLE.columns)
    return replace_rows(
        work,
        TABLE,
        owned=present.where(owned),
        others=present.where(f"NOT ({owned})"),
        rows=work.stage(work.spark.createDataFrame(list(rows), columns)),
        grain=("id",),
        required=("amount",),
    )


def stored(work: Workspace) -> list[tuple[Any, ...]]:
    """All rows."""
    return sorted(tuple(r.values()) for r in work.lake.rows(TABLE))


def test_only_partitions_that_differ_are_written(work: Workspace) -> None:
    """A moved row leaves its old place; days without a change keep their very files."""
    publish(work, [(1, 1, 10), (2, 2, 20), (3, 3, 30)])
    before = {f["day"]: f["path"] for f in work.lake.files(TABLE, work.lake.version(TABLE))}
    moved = publish(work, [(1, 1, 10), (2, 3, 20), (3, 3, 30)])
    assert (moved.removed, moved.added) == (1, 1)
    assert stored(work) == [(1, 1, 10), (2, 3, 20), (3, 3, 30)]
    after = {f["day"]: f["path"] for f in work.lake.files(TABLE, moved.version)}
    assert after.keys() == {1, 3}
    assert after[1] == before[1]


def test_equal_rows_commit_nothing(work: Workspace) -> None:
    """However often."""
    first = publish(work, [(1, 1, 10), (None, 2, 20)])
    again = publish(work, [(1, 1, 10), (None, 2, 20)])
    assert again == Replaced(first.version, again.totals)


def test_only_what_is_owned_is_replaced(work: Workspace) -> None:
    """Rows of other keys in the same partition stay."""
    publish(work, [(1, 1, 10), (2, 1, 20)])
    publish(work, [], owned="id = 1")
    assert stored(work) == [(2, 1, 20)]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([(1, 1, 10), (1, 2, 20)], "grain (`id`) repeats at id=1"),
        ([(None, 1, 10), (None, 2, 20)], "grain (`id`) repeats at id=None"),
        ([(1, 1, None), (2, 1, 5)], "null in required column amount (1)"),
    ],
)
def test_what_fails_the_audit_is_not_published(work: Workspace, rows: list[Row], says: str) -> None:
    """The table keeps its version and its rows."""
    good = publish(work, [(7, 7, 70)])
    with pytest.raises(AuditError) as refused:
        publish(work, rows)
    assert says in str(refused.value)
    assert work.lake.version(TABLE) == good.version
    assert stored(work) == [(7, 7, 70)]
