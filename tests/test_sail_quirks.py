"""Each fault that pipeline/sail_quirks.py works around is still there; where not, it can go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder, Schema, write_deltalake
from pyspark.errors.exceptions.connect import SparkConnectGrpcException

from lakehouse_assets.pipeline import sail_quirks
from lakehouse_assets.store.delta import UnreachableError
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import LocalStorage
from resources import duckdb_engine
from tests.support import PROJECT
from tests.support.histories import D1, HEADER
from tests.support.machine import needs_java
from tests.support.oracle import Land
from tests.support.world import FIRST, LAST, World

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

HOME = "My Projects #1 (ä) 100% {x}"
PARTS = "part string, number int"
MAPS = "part string, words map<string, string>"


def _field(name: str, kind: object = "string", **metadata: str) -> dict[str, object]:
    return {"name": name, "type": kind, "nullable": True, "metadata": metadata}


def _create(uri: str, *fields: dict[str, object], **options: Any) -> str:
    schema = Schema.from_json(json.dumps({"type": "struct", "fields": fields}))
    DeltaTable.create(uri, schema=schema, **options)
    return uri


def _rows(uri: str) -> list[tuple[object, ...]]:
    found = QueryBuilder().register("t", DeltaTable(uri)).execute("SELECT part, number FROM t")
    return sorted(tuple(row.values()) for row in pa.table(found.read_all()).to_pylist())


@pytest.fixture
def parted(spark: SparkSession, tmp_path: Path) -> str:
    """A table of the partitions a and b, with a row in each."""
    uri = str(tmp_path / "parted")
    rows = spark.createDataFrame([("a", 1), ("b", 2)], PARTS)
    rows.write.format("delta").partitionBy("part").save(uri)
    return uri


def _overwrite(rows: DataFrame, uri: str, **options: str) -> None:
    writer = rows.write.format("delta").mode("overwrite").partitionBy("part")
    writer.options(**options).save(uri)


# ------------------------------------------------------------------------ used, with a way around


_GROWTH = """
import os
from pathlib import Path
from lakehouse_assets.pipeline.select import cast, select
from lakehouse_assets.tables.contract import Column
from resources.sail import sail_session

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

def grown(make):
    make().schema
    before = resident_mib()
    for _ in range(20):
        make().schema
    return resident_mib() - before

rows = select(sail_session().range(1), **{f"c{i}": "id" for i in range(100)})
names = rows.columns
texts = [f"CAST(`{name}` AS STRING)" for name in names]
columns = [Column(name=name, type="STRING", description=name) for name in names]
print(grown(lambda: cast(rows, columns)), grown(lambda: rows.selectExpr(*texts)))
"""


def test_a_parser_of_each_expression_stays() -> None:
    """`pipeline.select`: twenty analyses of the same columns, without text and with it."""
    program = [sys.executable, "-c", _GROWTH]
    told = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    without, by_text = map(float, told.split())
    assert without < 15
    assert by_text > 30


def test_versions_before_a_checkpoint(spark: SparkSession, tmp_path: Path) -> None:
    """`let_read_version`: test_maintain.py shows that it helps."""
    every = {"delta.checkpointInterval": "3"}
    uri = _create(str(tmp_path / "t"), _field("number", "integer"), configuration=every)
    for number in range(4):
        rows = spark.createDataFrame([(number,)], "number int")
        rows.write.format("delta").mode("append").save(uri)
    old = spark.read.format("delta").option("versionAsOf", 2).load(uri)
    with pytest.raises(Exception, match="Missing commit file"):
        old.collect()
    (tmp_path / "t/_delta_log/_last_checkpoint").unlink()
    assert spark.read.format("delta").option("versionAsOf", 2).load(uri).count() == 2


def test_maps_of_parquet_and_delta(spark: SparkSession, tmp_path: Path) -> None:
    """`stage_with_maps`."""
    kind = {"type": "map", "keyType": "string", "valueType": "string", "valueContainsNull": True}
    table = _create(
        str(tmp_path / "t"), _field("part"), _field("words", kind), partition_by=["part"]
    )
    for part in "ab":
        rows = spark.createDataFrame([(part, {"x": "y"})], MAPS)
        rows.write.format("delta").mode("append").partitionBy("part").save(table)
    new = spark.createDataFrame([("a", {"x": "z"})], MAPS)
    as_parquet = str(tmp_path / "parquet")
    new.write.parquet(as_parquet)
    staged = spark.read.schema(new.schema).parquet(as_parquet)
    with pytest.raises(Exception, match="same data type per column"):
        _overwrite(staged, table, replaceWhere="part = 'a'")
    staged = sail_quirks.stage_with_maps(spark, new, str(tmp_path / "delta"))
    _overwrite(staged, table, replaceWhere="part = 'a'")
    found = spark.read.format("delta").load(table).collect()
    assert {row["part"]: row["words"] for row in found} == {"a": {"x": "z"}, "b": {"x": "y"}}


def test_unions_of_columns_with_and_without_comments(spark: SparkSession, tmp_path: Path) -> None:
    """`tables.contract._comment`."""

    def table(name: str, **metadata: str) -> DataFrame:
        uri = _create(str(tmp_path / name), _field("part", **metadata))
        rows = spark.createDataFrame([("a",)], "part string")
        rows.write.format("delta").mode("append").save(uri)
        return spark.read.format("delta").load(uri)

    without = table("without")
    united = without.unionByName(without).unionByName(table("with", comment="a").where("false"))
    with pytest.raises(Exception, match="Physical input schema should be the same"):
        united.distinct().collect()
    same = without.unionByName(without).unionByName(without.where("false"))
    assert same.distinct().count() == 1


@pytest.mark.parametrize("name", ["a b", "a#b", "100%", "ä", "a{b}", "a?b"])
def test_paths_that_a_url_would_write_otherwise(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    """`plain_uri`."""
    storage = LocalStorage(str(tmp_path / name))
    raw = _create(storage.uri("t"), _field("part"), _field("number", "integer"))
    rows = spark.createDataFrame([("a", 1)], PARTS)
    try:
        rows.write.format("delta").mode("append").save(raw)
        mended = _rows(raw) == [("a", 1)]
    except Exception:  # noqa: BLE001 - either way it is Sail's fault
        mended = False
    assert not mended, "Sail finds such paths now: plain_uri can go"
    uri = sail_quirks.plain_uri(storage, "t")
    rows.write.format("delta").mode("append").save(uri)
    assert _rows(raw) == [("a", 1)]
    assert spark.read.format("delta").load(uri).count() == 1


def test_plain_paths_stay_as_they_are(tmp_path: Path) -> None:
    """No link where none is needed."""
    assert sail_quirks.plain_uri(LocalStorage(str(tmp_path)), "t") == str(tmp_path / "t")


@pytest.mark.parametrize("name", ["[x", "x]", "a%20b", "a^b", "a|b", "a\\b"])
def test_names_under_which_delta_rs_keeps_no_table(tmp_path: Path, name: str) -> None:
    """`store.table_schema.unusable`: refused with a line, because a table there fails."""
    storage = LocalStorage(str(tmp_path / name))
    with pytest.raises(UnreachableError, match="rename the folder, or set LAKEHOUSE_ROOT"):
        Lake(storage, storage, FIRST, LAST, frozenset())
    with pytest.raises(BaseException, match=r"object store url|not found|Failed to fetch"):
        write_deltalake(storage.uri("t"), pa.table({"number": [1]}))


def small_run(home: Path, spark: SparkSession) -> None:
    """Raw to gold, read back by delta-rs and DuckDB, and nothing written elsewhere."""
    home.mkdir()
    files = {
        "products": "1,Apples,1,produce,3,fruit,2.50",
        "orders": "1,7,2025-05-01T10:00:00,5.00,1",
        "order_items": "1,1,7,1,1,0,2025-05-01T10:00:00,2025-05-01",
    }
    with World(home, spark) as world:
        for dataset, row in files.items():
            content = f"{HEADER[dataset]}\n{row}\n".encode()
            world.apply(Land(dataset, D1, f"{dataset}.csv", content))
        world.settle()
        world.run_again()
        _, rows = duckdb_engine.query(world.lake, "SELECT count(*) FROM bronze.orders")
        assert [*map(tuple, rows)] == [(1,)]
    assert [path.name for path in home.parent.iterdir()] == [home.name]


def test_a_lake_under_such_a_path(tmp_path: Path, spark: SparkSession) -> None:
    """On Sail."""
    small_run(tmp_path / HOME, spark)


@pytest.mark.spark
@needs_java
@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_lake_under_such_a_path_on_spark(tmp_path: Path) -> None:
    """The same on Spark, which needs a process of its own."""
    code = (
        "import sys; from pathlib import Path\n"
        "from resources.engines import spark_session\n"
        "from tests.test_sail_quirks import small_run\n"
        "small_run(Path(sys.argv[1]), spark_session())\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / HOME)]
    # The Sail session of this process leaves its address in the environment.
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPARK")}
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=env | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


# -------------------------------------------------------------------------------- used nowhere


def test_dynamic_partition_overwrite_removes_the_other_partitions(
    spark: SparkSession, parted: str
) -> None:
    """Spark keeps b."""
    rows = spark.createDataFrame([("a", 9)], PARTS)
    _overwrite(rows, parted, partitionOverwriteMode="dynamic")
    assert _rows(parted) == [("a", 9)], "dynamic partition overwrite works now"


def test_replace_where_takes_rows_outside_of_it(spark: SparkSession, parted: str) -> None:
    """Spark refuses them."""
    rows = spark.createDataFrame([("b", 9)], PARTS)
    _overwrite(rows, parted, replaceWhere="part = 'a'")
    assert _rows(parted) == [("b", 2), ("b", 9)], "replaceWhere checks its rows now"


def test_merge_schema_with_replace_where_adds_no_column(spark: SparkSession, parted: str) -> None:
    """Spark adds it."""
    rows = spark.createDataFrame([("a", 9, 5)], f"{PARTS}, new int")
    with pytest.raises(Exception, match="schema evolution not yet implemented"):
        _overwrite(rows, parted, replaceWhere="part = 'a'", mergeSchema="true")
    assert {field.name for field in DeltaTable(parted).schema().fields} == {"part", "number"}


def test_a_transaction_number_does_not_count(spark: SparkSession, parted: str) -> None:
    """Spark writes the second time nothing."""
    writer = spark.createDataFrame([("c", 9)], PARTS).write.format("delta").mode("append")
    for _ in range(2):
        writer.options(txnAppId="a test", txnVersion="1").partitionBy("part").save(parted)
    assert _rows(parted).count(("c", 9)) == 2, "txnAppId and txnVersion work now"


def test_cached_rows_are_computed_again(spark: SparkSession, tmp_path: Path) -> None:
    """Spark computes them once."""
    calls = tmp_path / "calls"
    rows = spark.createDataFrame([("a", 1)], PARTS).mapInArrow(_counting(calls), PARTS).cache()
    assert rows.count() == len(rows.collect())
    assert calls.read_text() == "xx", "cache() works now"


def test_the_weekday_of_a_sunday_and_a_hash_of_what_is_constant(
    spark: SparkSession, tmp_path: Path
) -> None:
    """What `tables.mart.dim_date` and `tables.sql.surrogate_key` go around."""
    [[sunday]] = spark.sql("SELECT weekday(DATE '2025-04-06')").collect()
    assert sunday == -1, "Spark says 6"
    uri = str(tmp_path / "constant")
    spark.sql("SELECT * FROM VALUES (1), (1) t(n)").write.format("delta").save(uri)
    rows = spark.read.format("delta").load(uri).selectExpr("xxhash64(n) AS hash")
    with pytest.raises(SparkConnectGrpcException, match="out of bounds"):
        rows.collect()
    # A panic never passes for a write that is done.
    with pytest.raises(SparkConnectGrpcException, match="out of bounds"):
        rows.write.parquet(str(tmp_path / "written"))


def _counting(calls: Path) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def compute(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with calls.open("a") as file:
            file.write("x")
        yield from batches

    return compute
