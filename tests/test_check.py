"""`lakehouse check`: what would become of files, said beforehand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.operations.check_files import cannot_be_read, check
from lakehouse_assets.operations.mended import repair
from lakehouse_assets.store.facts import Judgement, Kind
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.tables.registry import DATASETS
from tests.support import PROJECT
from tests.support.commands import GOOD, ORDERS, Lakehouse, put
from tests.support.oracle import Land
from tests.support.workbooks import workbook_of
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2025, 4, 15)
HEADER, FIRST, SECOND = ORDERS.splitlines()
NAMES = HEADER.split(",")


def orders(count: int, faulty: int) -> bytes:
    """So many orders, each of another key; the amounts of the first are too exact."""
    lines = [
        f"1,{at},7,2025-04-01T10:00:00,{'3.30003' if at < faulty else '1.00'},2025-04-01"
        for at in range(count)
    ]
    return "\n".join([HEADER, *lines, ""]).encode()


FILES = {
    "orders_good.csv": ORDERS.encode(),
    "orders_faulty.csv": orders(40, 30),
    "orders_few_faulty.csv": orders(200, 9),
    "orders_held.csv": orders(200, 55),
    "orders_cut.csv": ORDERS.encode().rstrip(),
    "orders_more_columns.csv": f"{HEADER},shop\n{FIRST},North\n".encode(),
    "orders_semicolons.csv": ORDERS.replace(",", ";").encode(),
    "orders_empty.csv": b"",
    "orders_ragged.csv": f"{HEADER}\n{FIRST},1\n{SECOND}\n".encode(),
    "orders.xlsx": workbook_of(
        [
            ("Read me", [["Hello"]]),
            ("April", [NAMES, FIRST.split(",")]),
            ("May", [NAMES[:5], SECOND.split(",")[:5]]),
        ],
        lambda book: book.get_worksheet_by_name("April").hide(),
    ),
    "orders.json": b"{}",
    "orders_ids.xlsx": workbook_of(
        [("Ids", [NAMES, ["1", 1234567890123456, "7", "2025-04-01T10:00:00", "1.00"]])]
    ),
    # Of a column that has no rule.
    "orders_days.xlsx": workbook_of(
        [("Days", [NAMES, ["1", "2", "7", "2025-04-01T10:00:00", "1.00", 1234567890123456]])]
    ),
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "my files #1 (ä)"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in FILES]


def test_it_says_what_a_run_will_do(lake: World, spark: SparkSession, files: list[Path]) -> None:
    """The same judgement for each file; the faulty rows are those that are rejected then."""
    found = {it.file.name: it for it in check(spark, DATASETS["orders"], files)}
    for name, content in FILES.items():
        lake._apply(Land("orders", DAY, name, content))
    lake.run()
    state = lake.ledger.state()
    for name in FILES:
        past = state.at(FilePath("orders", DAY, name))
        assert past.last
        judged = past.judgements[past.last.digest or ""]
        assert found[name].judgement == judged, name
    kinds = {name: it.judgement.kind for name, it in found.items()}
    assert {name for name, kind in kinds.items() if kind is Kind.HELD} == {"orders_held.csv"}
    unreadable = {name for name, kind in kinds.items() if kind is Kind.UNREADABLE}
    assert unreadable == {"orders_semicolons.csv", "orders_empty.csv", "orders.json"}
    workbook = found["orders.xlsx"].judgement
    assert [sheet for sheet, _ in workbook.sheets] == ["May"]
    assert len(workbook.warnings) == len(workbook.notes) == 1


def test_faulty_rows_and_where_they_begin(spark: SparkSession, files: list[Path]) -> None:
    """Also of files too small to be held."""
    found = {it.file.name: it for it in check(spark, DATASETS["orders"], files)}
    told = {
        name: (it.faulty, [str(rule) for rule in it.broken])
        for name, it in found.items()
        if it.faulty
    }
    assert told == {
        "orders_faulty.csv": (30, ["total_amount.type 30 (line 2: 3.30003)"]),
        "orders_few_faulty.csv": (9, ["total_amount.type 9 (line 2: 3.30003)"]),
        "orders_held.csv": (55, ["total_amount.type 55 (line 2: 3.30003)"]),
        "orders_ragged.csv": (1, [f"row.ragged 1 (line 2: {FIRST + ',1':.40})"]),
        "orders_ids.xlsx": (1, ["row.unreadable_cell 1 ([Ids] row 2: 1234567890123456)"]),
        "orders_days.xlsx": (1, ["row.unreadable_cell 1 ([Days] row 2: 1234567890123456)"]),
    }
    held = found["orders_held.csv"].judgement.error
    assert held
    assert "total_amount.type 55 (line 2: 3.30003)" in held


@pytest.mark.slow
def test_a_repair_is_known_as_one(spark: SparkSession, tmp_path: Path) -> None:
    """Whose rows it mends; against a lakehouse, also those that nobody has mended."""
    house = Lakehouse(tmp_path)
    put(house, "orders.csv", f"{HEADER}\n{FIRST.replace('20.00', '=1')}\n{SECOND},1\n")
    put(house, "products.csv", GOOD["products.csv"])
    house.ok("run", "--tables", "bronze.orders,silver.orders")
    file, all_of_it = tmp_path / "mend.csv", tmp_path / "all.csv"
    for to in (file, all_of_it):
        assert "2 rejected rows" in house.here("rejected", "orders", "--export", str(to)).out
    file.write_text(file.read_text().replace("'=1", "20.00"))
    mends = "mends rejected rows: 2 of orders/2025-04-15/orders.csv"
    kept = "1 of its 2 rows are as they were exported: they break the same rules"
    told = house.ok("check", str(file))
    assert f"{file}: {mends}\n" in told
    assert f"{file}: {kept}" in told
    [alone] = check(spark, DATASETS["orders"], [file])
    assert alone.repair
    assert [*alone.repair.lines()] == [mends]
    ended = house.here("land", str(file), "--date", "2025-04-16")
    assert ended.err.startswith(f"orders/2025-04-16/mend.csv: {kept}")
    assert house.here("land", str(all_of_it)).err.count("2 of its 2 rows are as they were") == 1
    house.ok("run")
    # By the definitions: a rejected repair is a rejected row, and so is what it comes from.
    assert house.value("SELECT count(*) FROM rejected.orders WHERE _file = 'orders.csv'") == 1
    assert house.value("SELECT count(*) FROM rejected.orders") == 4
    house.here("withdraw", "orders/2025-04-15/orders.csv")
    told = house.ok("check", str(file))
    assert f"{file}: 2 of its 2 rows come from what is not in force here" in told


@pytest.mark.slow
def test_rows_that_are_mended_already_are_told(tmp_path: Path) -> None:
    """An export is kept, and lands again after its rows were mended by another file."""
    house = Lakehouse(tmp_path)
    put(house, "orders.csv", f"{HEADER}\n{FIRST.replace('20.00', 'x')}\n{SECOND}\n")
    some = ("run", "--tables", "bronze.orders,silver.orders")
    house.ok(*some)
    kept, mended = tmp_path / "kept.csv", tmp_path / "mended.csv"
    house.here("rejected", "orders", "--export", str(kept))
    mended.write_text(kept.read_text().replace(",x,", ",20.00,"))
    assert "come from rows" not in house.ok("check", str(mended))
    house.ok("land", str(mended), "--date", "2025-04-16")
    house.ok(*some)
    assert house.value("SELECT count(*) FROM rejected.orders") == 0
    said = f"{kept}: 1 of its 1 rows come from rows that are not rejected any more"
    assert said in house.ok("check", str(kept))
    in_vain = "the next run rejects it (origin)"
    again = tmp_path / "orders.csv"
    again.write_text(f"{HEADER}\n{SECOND}\n")
    landed = house.here("land", str(again), "--date", "2025-04-15").err
    mends = "1 row of orders/2025-04-16/mended.csv mended what this takes the place of"
    assert f"orders/2025-04-15/orders.csv: {mends}; {in_vain}" in landed
    house.here("withdraw", "orders/2025-04-16/mended.csv")
    assert in_vain not in house.here("withdraw", "orders/2025-04-15/orders.csv").err


def test_a_repair_without_a_column_of_its_origin_is_told(tmp_path: Path) -> None:
    file = tmp_path / "mend.csv"
    file.write_text(f"_origin_file,_origin_sheet,_origin_row,{HEADER}\nx/y/z.csv,0,2,{FIRST}\n")
    told = [*repair(file, DATASETS["orders"], None).warnings()]
    assert len(told) == 1
    assert told[0].startswith("none of its rows has _origin_digest, without which")


def test_files_of_one_name_are_told_apart(spark: SparkSession, tmp_path: Path) -> None:
    both = [tmp_path / "a" / "orders.csv", tmp_path / "b" / "orders.csv"]
    for count, file in enumerate(both, start=1):
        file.parent.mkdir()
        file.write_bytes(orders(count, 0))
    found: list[tuple[Path, Judgement]] = [
        (it.file, it.judgement) for it in check(spark, DATASETS["orders"], both[::-1])
    ]
    assert [(file, judged.read) for file, judged in found] == [(both[1], 2), (both[0], 1)]


def test_what_a_run_would_not_open(tmp_path: Path) -> None:
    assert cannot_be_read(tmp_path / "~$orders.xlsx")
    no_text = Path(os.fsdecode(bytes(tmp_path / "orders_") + b"\xff.csv"))
    assert str(cannot_be_read(no_text)).endswith("its name is not UTF-8; rename the file")
    assert str(cannot_be_read(tmp_path)).endswith("name a file that can be read")
    assert "No such file" in str(cannot_be_read(tmp_path / "orders.csv"))
    (tmp_path / "orders.csv").touch()
    assert cannot_be_read(tmp_path / "orders.csv") is None


def test_on_the_command_line(tmp_path: Path, files: list[Path]) -> None:
    """Without a lake, and with an end that a script understands."""
    house = Lakehouse(tmp_path)
    for name, content in GOOD.items():
        (tmp_path / name).write_text(content)
    good = [str(tmp_path / name) for name in GOOD]
    told = house.ok("check", *good)
    assert "order_items: foreign keys are not judged here: order_id (orders)" in told
    ended = house("check", *map(str, files), str(tmp_path / "nothing.csv"), "--format", "json")
    assert ended.code == 1
    found = {Path(it["file"]).name: it for it in json.loads(ended.out)}
    assert found["orders_held.csv"]["would_be"] == "held"
    assert found["orders_held.csv"]["rules"][0]["rows"] == 55
    assert found["orders_more_columns.csv"]["unexpected_columns"] == ["shop"]
    assert f"{files[3]}: held: 55 of 200 rows" in ended.err
    assert f"{files[9]} [May]: missing column(s) date" in ended.err
    assert f"warning: {files[4]}: the last line" in ended.err
    assert "nothing.csv: No such file or directory; name a file that can be read" in ended.err
    assert not [*house.root.iterdir()]


def test_a_name_that_tells_nothing(tmp_path: Path) -> None:
    stuff, more = tmp_path / "stuff.csv", tmp_path / "more.csv"
    stuff.write_text(ORDERS)
    # What has other columns, too, may well be no file of orders.
    more.write_text("".join(f"{line},returned\n" for line in ORDERS.splitlines()))
    house = Lakehouse(tmp_path)
    house.ok("check", str(stuff))
    ended = house.here("check", str(more))
    assert ended.code == 1
    assert ended.err == (
        f"{more}: neither its name nor its columns tell its dataset; give --dataset "
        "orders|products|order_items\n"
    )
    assert "orders/2025-04-01/stuff.csv: landed" in house.ok(
        "land", str(stuff), "--date", "2025-04-01"
    )
    (tmp_path / "README.md").write_text(ORDERS)
    ended = house("check", str(tmp_path / "README.md"))
    assert ended.err.startswith(f"{tmp_path}/README.md: not a .csv, .csv.gz or .xlsx file; ")


def test_a_misspelt_rule_is_one_line(tmp_path: Path) -> None:
    """Its SQL is read before any file is."""
    shutil.copytree(PROJECT / "tests" / "second_shop" / "tables", tmp_path / "own_tables")
    contract = tmp_path / "own_tables" / "silver" / "order_reviews.py"
    text = contract.read_text().replace('sql="', 'sql="amont > 0 AND ')
    contract.write_text(text)
    (tmp_path / "orders.csv").write_text(ORDERS)
    house = Lakehouse(tmp_path, LAKEHOUSE_TABLES="own_tables", PYTHONPATH=f"{tmp_path}:{PROJECT}")
    ended = house("check", str(tmp_path / "orders.csv"))
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "no column is named 'amont'" in ended.err


def test_it_needs_no_dagster(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(ORDERS)
    code = (
        "import sys; from lakehouse_assets.cli import main\n"
        "try: main()\nfinally: assert 'dagster' not in sys.modules"
    )
    command = [sys.executable, "-c", code, "check", str(tmp_path / "orders.csv")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SPARK")}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
