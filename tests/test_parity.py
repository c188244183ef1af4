"""The same code on both engines: values, types and reasons compared, not counts."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import PROJECT
from tests.support.commands import Lakehouse
from tests.support.machine import needs_java
from tests.support.nasty_texts import LOCAL_TEXTS, TEXTS, all_verdicts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, needs_java, pytest.mark.timeout(900)]


@pytest.mark.slow
def test_every_text_means_the_same(spark: SparkSession, tmp_path: Path) -> None:
    """Each nasty text, as each type, gives the same value and breaks the same rules."""
    told = tmp_path / "spark.json"
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from resources.engines import spark_session\n"
        "from tests.support.nasty_texts import all_verdicts\n"
        "Path(sys.argv[1]).write_text(json.dumps(all_verdicts(spark_session())))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(told)],
        cwd=PROJECT,
        # The Sail session of this process leaves its address in the environment.
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("SPARK")},
            "PYTHONPATH": str(PROJECT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(told.read_text())
    ours = json.loads(json.dumps(all_verdicts(spark)))
    assert len(ours) == len(theirs) > len(TEXTS) + len(LOCAL_TEXTS)
    for mine, other in zip(ours, theirs, strict=True):
        text = repr(LOCAL_TEXTS[mine["_row"]]) if "_row" in mine else "types or names"
        assert mine == other, text


@pytest.mark.long
def test_a_messy_shop_ends_the_same(tmp_path: Path) -> None:
    """The sample, with late rows, corrections, orphans, broken lines and repairs: equal tables."""
    sample = PROJECT / "data" / "sample"
    sail = Lakehouse(tmp_path / "sail")
    spark = Lakehouse(tmp_path / "spark", LAKEHOUSE_ENGINE="spark")
    for house in (sail, spark):
        for day in ("2025-04-15", "2025-04-16", "2025-04-17", "2025-04-18"):
            files = sorted(sample.glob(f"*/{day}/*"))
            house.ok("land", *map(str, files), "--date", day)
    sail.ok("run")
    sail.ok("rejected", "products", "--export", str(tmp_path / "rejected.csv"))
    mended = tmp_path / "products_mended.csv"
    with (tmp_path / "rejected.csv").open(newline="") as lines, mended.open("w") as file:
        rows = list(csv.DictReader(lines))
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        good = {"department_id": "1", "department": "Mended", "product_name": "Mended"}
        writer.writerows({**r, **good, "product_id": str(9000 + n)} for n, r in enumerate(rows))
    for house in (sail, spark):
        house.ok("land", str(mended), "--date", "2025-04-19")
        house.ok("run")
    assert sail.value("SELECT count(*) FROM silver.products WHERE department = 'Mended'") > 0
    assert sail.hashes() == spark.hashes()
    for dataset in ("products", "orders", "order_items"):
        for columns, layer in (
            ("* EXCLUDE (_extra), map_entries(_extra) AS extra", "rejected"),
            ("*", "superseded"),
            ("* EXCLUDE (_extra), map_entries(_extra) AS extra", "bronze"),
        ):
            order = "_content, _sheet_no, _row"
            sql = f"SELECT {columns} FROM {layer}.{dataset} ORDER BY {order}"
            assert sail.rows(sql) == spark.rows(sql), sql
    receipts = (
        "SELECT * EXCLUDE (seq, run_id, recorded_at) FROM ledger.receipts "
        "QUALIFY row_number() OVER (PARTITION BY dataset, batch_date, file ORDER BY seq DESC) = 1 "
        "ORDER BY dataset, batch_date, file"
    )
    assert sail.rows(receipts) == spark.rows(receipts)


_MAINTAIN = """
import json, sys
from datetime import date
from pathlib import Path
from lakehouse_assets.tables.contract import Column, Table
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.operations.maintenance import BySpark, by_delta_rs, maintain_table
from resources.engines import spark_session
from lakehouse_assets.store.storage import LocalStorage

spark = spark_session()
storage = LocalStorage(sys.argv[1])
lake = Lake(storage, storage, date(2025, 1, 1), date(2025, 1, 1), frozenset())
column = lambda name, kind: Column(name=name, type=kind, description=name)
told = {}
for name, rewrite in (("spark", BySpark(spark)), ("delta_rs", by_delta_rs)):
    for order in ((), ("user",)):
        table = Table(
            layer="silver",
            name=f"{name}_{len(order)}",
            description="A table of small files.",
            columns=(column("day", "DATE"), column("user", "BIGINT")),
            partition_by=("day",),
            zorder_by=order,
        )
        lake.create(table)
        for i in range(3):
            rows = spark.range(i * 10, i * 10 + 10).selectExpr(
                "if(id % 2 = 0, DATE '2025-04-01', null) AS day", "id AS user"
            )
            rows.write.format("delta").mode("append").save(lake.uri(table))
        before = len(lake.files(table, lake.version(table)))
        done = maintain_table(lake, table, None, rewrite=rewrite)
        after = lake.version(table)
        assert after > 3 and done.rewritten == before == done.before, done
        rows = lake.rows(table, "SELECT * FROM t ORDER BY user")
        again = maintain_table(lake, table, after, rewrite=rewrite)
        assert again.rewritten == 0 and lake.version(table) == after, again
        told[table.name] = [done.after, str(rows)]
Path(sys.argv[2]).write_text(json.dumps(told))
"""


@pytest.mark.slow
def test_maintenance_by_spark_does_what_delta_rs_does(tmp_path: Path) -> None:
    """Files per partition and rows, after small files were brought together, ordered or not."""
    told = tmp_path / "told.json"
    done = subprocess.run(
        [sys.executable, "-c", _MAINTAIN, str(tmp_path / "lake"), str(told)],
        cwd=PROJECT,
        env={k: v for k, v in os.environ.items() if not k.startswith("SPARK")}
        | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(told.read_text())
    assert len({str(v) for v in found.values()}) == 1, found
    assert found["spark_0"][0] == len(("2025-04-01", None))
