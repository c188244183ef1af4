"""What Redshift Spectrum reads by: followed here as it follows it, through the catalog to files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from lakehouse_assets.operations.renew_manifests import Renewed
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import queryable
from lakehouse_assets.tables.spectrum import is_read
from resources.glue_spectrum import SpectrumCatalog
from tests.support.aws import Aws
from tests.support.contents import DAY, NEXT, ROWS, content
from tests.support.oracle import Land, Run, Withdraw
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.aws

PREFIX = "Shop_"
READ = [table for table in queryable().values() if is_read(table)]


@pytest.fixture
def shop(tmp_path: Path, spark: SparkSession, aws: Aws) -> Iterator[World]:
    with World(tmp_path, spark) as world:
        files = {d: rows for d, rows in ROWS.items() if d != "order_items"}
        world.apply(*(Land(d, DAY, f"{d}.csv", content(d, *rows)) for d, rows in files.items()))
        yield world


def renewed(shop: World) -> dict[str, Renewed]:
    return {done.table: done for done in SpectrumCatalog(PREFIX).renew(shop.lake.fresh())}


def read(aws: Aws, layer: str, name: str) -> list[dict[str, Any]]:
    """A table's rows, found as Spectrum finds them: entry, partitions, manifests, files."""
    glue, database = aws.client("glue"), f"shop_spectrum_{layer}"
    table = glue.get_table(DatabaseName=database, Name=name)["Table"]
    keys = [key["Name"] for key in table["PartitionKeys"]]
    places = [((), table["StorageDescriptor"])]
    if keys:
        pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=name)
        found = [p for page in pages for p in page["Partitions"]]
        places = [(p["Values"], p["StorageDescriptor"]) for p in found]
    rows = []
    for values, place in places:
        assert place["InputFormat"].endswith("SymlinkTextInputFormat")
        manifest = Path(place["Location"], "manifest").read_text().splitlines()
        for file in manifest:
            assert file.startswith("/"), "an address of its own"
            found = pq.ParquetFile(file).read().to_pylist()
            rows += [row | dict(zip(keys, values, strict=True)) for row in found]
    return rows


def alike(table: Table, rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Rows as texts in an order of their own; a partition's value is text in the catalog, too."""
    plain = [[row[name] for name in table.names] for row in rows]
    return sorted(
        tuple(str(v.replace(tzinfo=None) if isinstance(v, datetime) else v) for v in row)
        for row in plain
    )


def check(aws: Aws, shop: World) -> None:
    for table in READ:
        theirs = read(aws, table.layer, table.name.lower())
        ours = shop.rows(f"{table.layer}/{table.name}")
        assert alike(table, theirs) == alike(table, ours), table.id


def test_spectrum_finds_every_row_by_the_catalog(shop: World, aws: Aws) -> None:
    assert renewed(shop) == {}  # before the first run there is nothing to read
    shop.apply(Run())
    first = renewed(shop)
    assert {*first} == {table.id for table in READ}
    check(aws, shop)
    assert {(d.written, d.removed) for d in renewed(shop).values()} == {(0, 0)}


@pytest.mark.slow
def test_only_what_has_changed_is_written_and_what_is_gone_goes(shop: World, aws: Aws) -> None:
    shop.apply(Run())
    renewed(shop)
    later = content("orders", "3,3,9,2025-04-02T09:00:00,7.77")
    shop.apply(Land("orders", NEXT, "o.csv", later), Run())
    done = renewed(shop)["silver.orders"]
    assert (done.written, done.removed) == (1, 0)
    check(aws, shop)
    shop.apply(Withdraw("orders", NEXT, "o.csv"), Run())
    done = renewed(shop)["silver.orders"]
    assert (done.written, done.removed) == (0, 1)
    check(aws, shop)
    folder = shop.lake.storage.list("spectrum/silver/orders")
    assert [f.path for f in folder if "04-02" in f.path] == []


@pytest.mark.slow
@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_one_that_dies_is_done_again(
    shop: World, aws: Aws, write: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether before a manifest, or before it is noted that there is one."""
    shop.apply(Run())
    left = [write]
    whole = LocalStorage.write

    def dying(self: LocalStorage, path: str, data: bytes) -> None:
        left[0] -= 1
        if not left[0]:
            raise OSError("killed")
        whole(self, path, data)

    with monkeypatch.context() as patched:
        patched.setattr(LocalStorage, "write", dying)
        with pytest.raises(OSError, match="killed"):
            renewed(shop)
    renewed(shop)
    check(aws, shop)


def test_a_column_more_is_in_every_partition(shop: World, aws: Aws) -> None:
    shop.apply(Run())
    renewed(shop)
    glue, named = aws.client("glue"), {"DatabaseName": "shop_spectrum_silver"}
    table = glue.get_table(**named, Name="orders")["Table"]
    [partition] = glue.get_partitions(**named, TableName="orders")["Partitions"]
    fewer = table["StorageDescriptor"] | {"Columns": table["StorageDescriptor"]["Columns"][:-1]}
    kept = ("Name", "Description", "TableType", "Parameters", "PartitionKeys")
    glue.update_table(
        **named, TableInput={k: table[k] for k in kept} | {"StorageDescriptor": fewer}
    )
    glue.update_partition(
        **named,
        TableName="orders",
        PartitionValueList=partition["Values"],
        PartitionInput={
            "Values": partition["Values"],
            "StorageDescriptor": partition["StorageDescriptor"] | {"Columns": fewer["Columns"]},
        },
    )
    renewed(shop)
    [partition] = glue.get_partitions(**named, TableName="orders")["Partitions"]
    assert partition["StorageDescriptor"]["Columns"] == table["StorageDescriptor"]["Columns"]
    check(aws, shop)
