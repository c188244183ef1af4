"""The command line, as a person uses it: what it prints, where, and how it ends."""

from __future__ import annotations

import gzip
import shutil
import socket
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from tests.support import PROJECT
from tests.support.commands import GOOD, ITEMS, ORDERS, PRODUCTS, Lakehouse, put

COMMANDS = (
    *("land", "run", "query", "status", "rejected", "doctor", "ui", "withdraw", "reinstate"),
    *("accept", "replay", "history", "restore", "resume", "maintain", "check", "new"),
    *("tables", "init"),
)


@pytest.fixture
def house(tmp_path: Path) -> Lakehouse:
    """An empty lakehouse."""
    return Lakehouse(tmp_path)


def test_help_teaches(house: Lakehouse) -> None:
    """--help names every command, and the commands say what they do."""
    text = house.ok("--help")
    for command in COMMANDS:
        assert command in text
    assert "a correction landed" in " ".join(house.ok("land", "--help").split())


def test_land_run_query(house: Lakehouse, tmp_path: Path) -> None:
    """The three commands of the first minute, and what they say."""
    for name, content in GOOD.items():
        (tmp_path / name).write_text(content)
    files = [str(tmp_path / name) for name in GOOD]
    assert house.ok("land", *files, "--date", "2025-04-15").count(": landed") == 3
    assert house.ok("land", *files, "--date", "2025-04-15").count("the same bytes") == 3
    assert "pending: orders/2025-04-15/orders.csv (new)" in house.ok("status")
    printed = house.ok("run")
    assert "silver.order_items" in printed
    assert house.rows("SELECT order_date, revenue, items FROM gold.daily_sales ORDER BY 1") == [
        {"order_date": "2025-04-01", "revenue": "20.00", "items": 2},
        {"order_date": "2025-04-02", "revenue": "5.01", "items": 1},
    ]
    csv = house.ok("query", "SELECT user_id, spend FROM gold.customer_insights ORDER BY 1",
                   "--format", "csv")  # fmt: skip
    assert csv == "user_id,spend\n7,20.00\n8,5.01\n"
    assert "Nothing is pending" in house.ok("status")
    assert "Atlas" in house.ok("query", "SELECT * FROM silver.products")


@pytest.mark.slow
def test_files_dropped_by_hand_count_just_the_same(house: Lakehouse) -> None:
    """No command is needed to land a file."""
    for name, content in GOOD.items():
        put(house, name, content)
    house.ok("run")
    assert house.value("SELECT count(*) FROM silver.order_items") == 3


@pytest.mark.slow
def test_broken_files_beside_good_ones(house: Lakehouse) -> None:
    """Each broken file is named in one line, the run ends non-zero, every good row is there."""
    for name, content in GOOD.items():
        put(house, name, content)
    truncated = gzip.compress(ORDERS.encode() * 50)[:-20]
    with_faults = "\n".join(
        [ORDERS.splitlines()[0]]
        + [f"1,{5000 + i},7,2025-04-01T10:00:00,{'x' if i < 20 else '1.00'},d" for i in range(200)]
    )
    broken: dict[str, str | bytes] = {
        "orders_empty.csv": b"",
        "orders_semicolon.csv": ORDERS.replace(",", ";"),
        "orders_latin.csv": ORDERS.encode() + b"3,12,9,2025-04-02T10:00:00,1.00,caf\xe9\n",
        "orders_utf16.csv": ORDERS.encode("utf-16"),
        "orders_no_user.csv": ORDERS.replace("user_id", "customer"),
        "orders_truncated.csv.gz": truncated,
        "orders_plain.csv.gz": ORDERS,
        "orders_zip.xlsx": b"PK\x03\x04 this is no workbook",
        "orders_locked.xlsx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
        "orders_old.xls": b"\xd0\xcf\x11\xe0",
        "orders.pdf": b"%PDF",
        "orders_twice.csv": ORDERS.replace("date\n", "order_id\n", 1),
        "orders_nul.csv": ORDERS.replace("20.00", "20.\x0000"),
        "orders_held.csv": with_faults,
    }
    for name, data in broken.items():
        put(house, name, data)
    put(house, "orders_cut.csv", ORDERS.splitlines()[0] + "\n" + ORDERS.splitlines()[1])
    ended = house("run")
    assert ended.code == 1
    lines = ended.err.splitlines()
    # A file that cannot be read hides no warning about those that came with it.
    warned = [line for line in lines if line.startswith("warning: orders/")]
    assert [line.partition(" has no line end")[0] for line in warned] == [
        "warning: orders/2025-04-15/orders_cut.csv: the last line (2)",
        "warning: orders/2025-04-15/orders_held.csv: the last line (201)",
    ]
    for name in broken:
        mine = [line for line in lines if line.startswith(f"orders/2025-04-15/{name}: ")]
        assert len(mine) == 1, (name, lines)
        assert "; " in mine[0], mine
    # They are the last that is said, so that they do not scroll away.
    *last, waits = lines[-len(broken) - 1 :]
    assert waits == f"{len(broken)} file(s) wait for you: lakehouse status names them."
    assert {line.partition(": ")[0].rpartition("/")[2] for line in last} == {*broken}
    assert house.value("SELECT count(*) FROM silver.orders") == 2
    assert house.value("SELECT count(*) FROM silver.order_items") == 3
    assert house.value("SELECT sum(revenue) FROM gold.daily_sales") == "25.01"
    states = house.rows("SELECT state, count(*) n FROM ledger.receipts GROUP BY 1 ORDER BY 1")
    assert states == [
        {"state": "held", "n": 1},
        {"state": "in_force", "n": 4},
        {"state": "unreadable", "n": len(broken) - 1},
    ]
    # Nothing new ends well, and still says how many files wait; their date ends badly again.
    again = house("run")
    assert again.code == 0
    assert f"{len(broken)} file(s) wait" in again.err
    assert house("run", "--date", "2025-04-15").code == 1
    assert f"Nothing is pending; {len(broken)} files wait for you." in house.ok("status")
    refused = house("accept", "orders/2025-04-15/orders_zip.xlsx", "--why", "x")
    assert (refused.code, refused.err) == (
        1,
        (
            "orders/2025-04-15/orders_zip.xlsx: what landed last cannot be read, so there is "
            "nothing to let in; land it mended, or withdraw it\n"
        ),
    )


@pytest.mark.slow
def test_ragged_and_unsplittable_lines_keep_their_text(house: Lakehouse) -> None:
    """A line that has no columns is a rejected row with its text; its neighbours are published."""
    put(house, "products.csv", PRODUCTS + '3,1,Books\n4,1,Bo"oks,Bad\n5,1,Books,Good\n')
    told = house("run").err.splitlines()
    assert told[-1].startswith("Rejected rows: 2; ")
    assert told[-1].endswith(": lakehouse rejected products")
    assert not [line for line in told if "valid_rows" in line]  # it would be said twice
    rows = house.rows("SELECT _row, _raw, _rules FROM rejected.products ORDER BY _row")
    assert [(r["_row"], r["_raw"]) for r in rows] == [(4, "3,1,Books"), (5, '4,1,Bo"oks,Bad')]
    assert house.value("SELECT count(*) FROM silver.products") == 3
    shown = house.ok("rejected", "products", "--format", "csv")
    assert "row.ragged" in shown
    assert "row.unsplittable" in shown


@pytest.mark.slow
def test_out_of_place_files_are_told_and_fail_nothing(
    house: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No date, no dataset, beside the folders, a name that is no text, not to be opened: a line."""
    for name, content in GOOD.items():
        put(house, name, content)
    (house.root / "raw" / "orders" / "april").mkdir()
    (house.root / "raw" / "orders" / "april" / "o.csv").write_text(ORDERS)
    (house.root / "raw" / "refunds" / "2025-04-15").mkdir(parents=True)
    (house.root / "raw" / "refunds" / "2025-04-15" / "r.csv").write_text("a\n")
    (house.root / "raw" / "loose.csv").write_text("a\n")
    put(house, "orders.csv", ORDERS, "1999-01-01")
    put(house, "orders.csv.tmp", "half")
    put(house, "orders_caf\udce9.csv", ORDERS)  # Latin-1, as some zips hold names
    monkeypatch.chdir(house.root / "raw" / "orders" / "2025-04-15")  # its name must be short
    with socket.socket(socket.AF_UNIX) as closed:  # like a file that only others may open
        closed.bind("orders_s.csv")
    ended = house("run")
    assert ended.code == 0, ended.err
    assert house.value("SELECT count(*) FROM silver.orders") == 2
    for start in ("orders/april/o.csv: ", "refunds/2025-04-15/r.csv: ", "loose.csv: ",
                  "orders/1999-01-01/orders.csv: ", "orders/2025-04-15/orders_s.csv: ",
                  r"orders/2025-04-15/orders_caf\udce9.csv: its name is not UTF-8"):  # fmt: skip
        assert sum(line.startswith(start) for line in ended.err.splitlines()) == 1, ended.err
    assert "tmp" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("land", "no_such_orders.csv", "--date", "2025-04-15"), "No such file"),
        (("land", "{mystery}", "--date", "2025-04-15"), "--dataset"),
        (("land", "{orders}", "--date", "1999-01-01"), "outside the batch dates"),
        (("land", "{hidden}", "--date", "2025-04-15"), "passed over"),
        (("land", "{latin}", "--date", "2025-04-15"), "not UTF-8"),
        (("land", "{orders}", "--date", "2025-04-15", "--dataset", "refunds"), "no dataset"),
        (("run", "--from", "2025-04-15"), "give both"),
        (("run", "--from", "2025-04-15", "--to", "2025-04-01"), "swap"),
        (("run", "--date", "1999-01-01"), "outside the batch dates"),
        (("run", "--date", "2025-04-15", "--tables", "gold.nothing"), "no table is named"),
        (("query", "SELECT * FROM gold.daily_sales"), "lakehouse run"),
        (("rejected", "refunds"), "no dataset"),
    ],
)
def test_mistakes_end_in_one_clear_line(
    house: Lakehouse, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """What a user did wrong is one line that says what to do, on standard error."""
    named = {"{mystery}": "mystery.csv", "{orders}": "orders.csv", "{hidden}": "_orders.csv",
             "{latin}": "orders_caf\udce9.csv"}  # fmt: skip
    for name in named.values():
        (tmp_path / name).write_text(ORDERS)
    (tmp_path / "mystery.csv").write_text("who,what\n1,2\n")
    ended = house(*(str(tmp_path / named[a]) if a in named else a for a in arguments))
    assert ended.code != 0
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1, ended.err


def test_a_wrong_setting_is_one_clear_line(tmp_path: Path) -> None:
    """The variable is named, with what is wrong."""
    ended = Lakehouse(tmp_path, LAKEHOUSE_ENGINE="flink")("status")
    assert ended.code == 1
    assert ended.err.startswith("LAKEHOUSE_ENGINE: ")


@pytest.mark.parametrize("command", [["status"], ["doctor"], ["query", "SELECT 1"], ["ui"]])
def test_a_misspelt_setting_is_one_clear_line(tmp_path: Path, command: list[str]) -> None:
    """Set and without effect, it would let a person believe what is not so."""
    ended = Lakehouse(tmp_path, LAKEHOUSE_RUNER="glue")(*command)
    line = "LAKEHOUSE_RUNER: no setting has this name; did you mean LAKEHOUSE_RUNNER?\n"
    assert (ended.code, ended.err) == (1, line)


def test_only_some_tables(house: Lakehouse) -> None:
    """--tables runs those and no others."""
    for name, content in GOOD.items():
        put(house, name, content)
    house.ok("run", "--tables", "bronze.products,silver.products")
    assert set(house.versions()) == {
        "processed/bronze/products",
        "processed/history/products",
        "processed/ledger",
        "processed/receipts",
        "processed/rejected/products",
        "processed/silver/products",
        "processed/superseded/products",
    }


@pytest.mark.slow
def test_late_correction_orphan_and_duplicate(house: Lakehouse) -> None:
    """A later batch wins, an orphan gets in with its parent, only touched days change."""
    header = ITEMS.splitlines()[0]
    put(house, "products.csv", PRODUCTS)
    put(house, "orders.csv", ORDERS)
    orphan = "103,12,9,,1,1,0,2025-04-03T10:00:00,2025-04-03"
    put(house, "order_items.csv", ITEMS + orphan + "\n")
    house.ok("run")
    [row] = house.rows("SELECT id, _category, _rules FROM rejected.order_items")
    assert row == {
        "id": "103",
        "_category": "referential_integrity",
        "_rules": ["order_id.foreign_key"],
    }
    day_one = house.rows("SELECT * FROM gold.daily_sales WHERE order_date = DATE '2025-04-01'")
    put(
        house,
        "orders_2.csv",
        ORDERS.splitlines()[0] + "\n"
        "2,11,8,2025-04-02T10:00:00,9.00,2025-04-02\n"  # corrected
        "1,10,7,2025-04-01T10:00:00,20.00,2025-04-01\n"  # said again
        "3,12,9,2025-04-03T10:00:00,1.00,2025-04-03\n",  # the orphan's parent
        "2025-04-16",
    )
    told = house.ok("run")
    # Also of the date whose rows the run has moved, though it was asked for the other.
    assert "All files of batch date 2025-04-15 to 2025-04-16" in told
    assert house.value("SELECT count(*) FROM rejected.order_items") == 0
    assert house.value("SELECT total_amount FROM silver.orders WHERE order_id = 11") == "9.00"
    receipts = house.rows(
        "SELECT file, published, superseded, duplicates FROM ledger.receipts "
        "WHERE dataset = 'orders' QUALIFY row_number() OVER "
        "(PARTITION BY file, digest ORDER BY seq DESC) = 1 ORDER BY file"
    )
    assert receipts == [
        {"file": "orders.csv", "published": 0, "superseded": 1, "duplicates": 1},
        {"file": "orders_2.csv", "published": 3, "superseded": 0, "duplicates": 0},
    ]
    now = house.rows("SELECT * FROM gold.daily_sales WHERE order_date = DATE '2025-04-01'")
    assert now == day_one
    assert header.startswith("id,")


def test_scattered_dates_are_a_run_for_each_stretch() -> None:
    """Days on which nothing is pending are no part of a run."""
    from lakehouse_assets.planning.run_requests import stretches

    days = [date(2025, 4, d) for d in (30, 2, 1, 15, 2)]
    assert stretches([*days, date(2025, 5, 1)]) == [
        [date(2025, 4, 1), date(2025, 4, 2)],
        [date(2025, 4, 15)],
        [date(2025, 4, 30), date(2025, 5, 1)],
    ]


def test_nothing_pending_is_quick_and_light(good_day: Path, tmp_path: Path) -> None:
    """With nothing to do, neither dagster nor pyspark is imported, and nothing is committed."""
    house = Lakehouse.copied(good_day, tmp_path)
    before = house.versions()
    code = (
        "import sys; sys.argv = ['lakehouse', 'run']\n"
        "from lakehouse_assets.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'dagster', 'pyspark', 'pysail'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=house.environment, cwd=PROJECT, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Nothing is pending" in done.stdout
    assert house.versions() == before


def test_doctor_names_what_is_missing(house: Lakehouse, tmp_path: Path) -> None:
    """Without Java the spark engine is named with how to get it, and the rest is fine."""
    empty = tmp_path / "bin"
    empty.mkdir()
    house.environment["PATH"] = str(empty)
    house.environment.pop("JAVA_HOME", None)
    text = house.ok("doctor")
    assert "openjdk-17" in text
    assert "can run" in text


@pytest.mark.slow
def test_demo_lands_the_sample(tmp_path: Path) -> None:
    """What `make demo` runs ends well and shows real numbers."""
    house = Lakehouse(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "data.demo"], env=house.environment, cwd=PROJECT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Revenue of the last five days" in done.stdout
    assert shutil.which("make")
