"""The product against the oracle: generated shops, random histories, idempotence, late rows.

Explore with more and other histories: `HYPOTHESIS_EXAMPLES=300 pytest tests/test_against_oracle.py`
(a failure prints what reproduces it). Without it the same few histories run every time.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from data.generate import Fate, LandedFile, Shop, Size
from lakehouse_assets.operations.maintenance import maintain_tables_of
from lakehouse_assets.pipeline import bronze_reading, derived
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import table_ids
from tests.support import oracle
from tests.support.histories import D1, D2, D3, HEADER, NORMAL, STRICT, histories, play
from tests.support.nasty_texts import TEXTS, verdicts
from tests.support.oracle import Accept, Drop, Land, Remove, Resume, Run, Withdraw
from tests.support.steps import Back, Crashing, Repair, SomeTables, Step
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "0"))

# ------------------------------------------------------------------------------- generated shops

FIRST_DAY = date(2025, 4, 1)
SMALL = Size(products=20, users=12, orders_per_day=6, items_per_order=3, days=1)


def _shop() -> tuple[list[LandedFile], list[Fate]]:
    """Clean seed files, messy days (a file or two of each kind a day), and broken files."""
    shop = Shop(seed=11, size=SMALL)
    files = shop.seed_files(FIRST_DAY)
    for day in (3, 4):
        files += shop.day(date(2025, 4, day), orders=25, mess=0.04)
    return files + shop.broken_files(date(2025, 4, 4)), shop.truth


def _at_once(files: Sequence[LandedFile]) -> list[list[LandedFile]]:
    return [list(files)]


def _backwards(files: Sequence[LandedFile]) -> list[list[LandedFile]]:
    """The last day first, a run after each."""
    days = sorted({f.batch_date for f in files}, reverse=True)
    return [[f for f in files[::-1] if f.batch_date == day] for day in days]


def _children_first(files: Sequence[LandedFile]) -> list[list[LandedFile]]:
    """All items, their orders a run later, products last."""
    return [[f for f in files if f.dataset == d] for d in ("order_items", "orders", "products")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_shops_files_in_any_order_are_the_same_tables(
    tmp_path: Path, spark: SparkSession
) -> None:
    """At once, backwards, children first: the oracle's tables, the generator's truth."""
    files, truth = _shop()
    fates = {
        d: {(t.batch_date, t.file, t.sheet_no, t.row): t for t in truth if t.dataset == d}
        for d in oracle.COLUMNS
    }
    hashes = {}
    for arrangement in (_at_once, _backwards, _children_first):
        with World(tmp_path / arrangement.__name__, spark) as world:
            for some in arrangement(files):
                world.apply(*(Land(f.dataset, f.batch_date, f.name, f.content) for f in some))
                world.apply(Run())
            world.settle()
            world.run_again()
            for dataset, rows in fates.items():
                for place, fate in world.fates(dataset).items():
                    wanted = rows.pop(place) if arrangement is _at_once else None
                    if wanted:
                        assert fate.fate == wanted.fate, (dataset, place)
                        assert fate.fate != "rejected" or fate.rules == wanted.rules
            receipts = world.receipts()
            for file in files:
                digest = hashlib.sha256(file.content).hexdigest()
                receipt = receipts[file.dataset, file.batch_date, file.name, digest]
                assert receipt.state == file.state, file.path
            hashes[arrangement.__name__] = world.content_hash()
    assert {t.fate for rows in fates.values() for t in rows.values()} == {"held"}
    assert len(set(hashes.values())) == 1, hashes


def test_large_files_beside_small_ones(lake: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of each get the identity of their own file, also where two have the same bytes."""
    monkeypatch.setattr(bronze_reading, "_LARGE_ROWS", 2)  # files of 100,000 rows would say no more
    large = _text("products", *(f"{n},1,Toys,Kite {n}" for n in (1, 2, 3)))
    lake.apply(
        Land("products", D1, "large.csv", large),
        Land("products", D1, "small.csv", _text("products", "3,1,Toys,Ball")),
        Land("products", D1, "unreadable.csv", b"\xff" + large),
        Land("products", D2, "the same.csv", large),
        Land("products", D3, "another.csv", _text("products", "1,2,Books,Map", "4,2,Books,Globe")),
    )
    lake.settle()
    lake.apply(Land("products", D1, "large.csv", _text("products", "5,1,Toys,Drum")))
    lake.settle()
    lake.run_again()


# -------------------------------------------------------------------- what a run leaves untouched


def _text(dataset: str, *rows: str) -> bytes:
    return "\n".join([HEADER[dataset], *rows, ""]).encode()


def test_late_rows_change_only_the_gold_days_that_they_touch(lake: World) -> None:
    """Other days keep their very files, and the customers that did not order their rows."""
    orders = [f"1,{n},{n},2025-04-0{n}T10:00:00,10.00," for n in (1, 2, 3)]
    items = [f"{n},{n},{n},,1,1,0,2025-04-0{n}T10:00:00," for n in (1, 2, 3)]
    lake.apply(
        Land("products", D3, "p.csv", _text("products", "1,1,Toys,Kite")),
        Land("orders", D3, "o.csv", _text("orders", *orders)),
        Land("order_items", D3, "i.csv", _text("order_items", *items)),
    )
    lake.settle()
    daily = [f"gold/{t}" for t in oracle.GOLD if t != "customer_insights"]
    before = {t: _files_by_day(lake, t) for t in daily}
    customers = {r["user_id"]: r for r in lake.rows("gold/customer_insights")}
    late = date(2025, 4, 4)  # one more order of the second day, with its line
    lake.apply(
        Land("orders", late, "o.csv", _text("orders", "1,9,2,2025-04-02T11:00:00,5,")),
        Land(
            "order_items", late, "i.csv", _text("order_items", "9,9,2,,1,1,1,2025-04-02T11:00:00,")
        ),
    )
    lake.settle()
    for table in daily:
        after = _files_by_day(lake, table)
        assert after.keys() == before[table].keys()
        assert {d for d in after if after[d] != before[table][d]} == {str(D2)}, table
    now = {r["user_id"]: r for r in lake.rows("gold/customer_insights")}
    assert {u for u in now if now[u] != customers[u]} == {2}


def _files_by_day(lake: World, table: str) -> dict[str, set[str]]:
    found = lake.table(table)
    assert found is not None
    days: dict[str, set[str]] = {}
    for action in pa.table(found.get_add_actions(flatten=True)).to_pylist():
        days.setdefault(str(action["partition.order_date"]), set()).add(action["path"])
    return days


def test_an_accepted_workbook_waits_for_nobody(tmp_path: Path, spark: SparkSession) -> None:
    """Accepting takes away what it is held for, and that a sheet cannot be read."""
    book = openpyxl.Workbook()
    good, bad = book.active, book.create_sheet("broken")
    assert good is not None
    good.append(HEADER["products"].split(","))
    for n in range(3):
        good.append([n, "x", "Toys", "Kite"])
    bad.append(HEADER["products"].split(",")[:2])
    out = io.BytesIO()
    book.save(out)
    with World(tmp_path, spark, NORMAL) as world:
        world.apply(Land("products", D1, "p.xlsx", out.getvalue()), Run())
        world.check()
        world.apply(Accept("products", D1, "p.xlsx"))
        world.settle()
        assert [r.has_error for r in world.receipts().values()] == [False]


def test_an_accepted_sheet_is_no_error_of_a_file_in_the_tables(lake: World) -> None:
    """Too few rows to be held: they stay where they are, and what is said of the file changes."""
    book = openpyxl.Workbook()
    good, bad = book.active, book.create_sheet("broken")
    assert good is not None
    good.append(HEADER["products"].split(","))
    good.append([1, 2, "Toys", "Kite"])
    bad.append(HEADER["products"].split(",")[:2])
    out = io.BytesIO()
    book.save(out)
    lake.apply(Land("products", D1, "p.xlsx", out.getvalue()), Run())
    lake.check()
    assert [r.has_error for r in lake.receipts().values()] == [True]
    lake.apply(Accept("products", D1, "p.xlsx"))
    lake.settle()
    assert [(r.has_error, r.published) for r in lake.receipts().values()] == [(False, 1)]


def test_the_withdrawal_of_a_file_without_rows_is_pending(lake: World) -> None:
    """No table holds a row of it, and yet its receipt has to say so."""
    lake.apply(Land("orders", D1, "o.csv", b"nothing like it"), Run())
    lake.check()
    lake.apply(Withdraw("orders", D1, "o.csv"))
    lake.settle()


def test_a_withdrawal_covers_what_landed_before_it_and_no_more(lake: World) -> None:
    """Neither the file of before, nor what comes to its path later, is the other's."""
    path = ("products", D1, "p.csv")
    first, second = (_text("products", f"1,1,Toys,{n}") for n in ("Kite", "Ball"))
    lake.apply(Land(*path, first), Run(), Withdraw(*path), Land(*path, second), Run())
    lake.check()
    [published] = lake.rows("silver/products")
    assert published["product_name"] == "Ball"
    lake.apply(Withdraw(*path), Run())
    lake.settle()
    assert not lake.rows("silver/products")


def test_a_table_may_run_before_those_that_it_refers_to(lake: World) -> None:
    """On a lake where they are not even made yet."""
    items = Land(
        "order_items", D1, "i.csv", _text("order_items", "1,1,7,,1,1,0,2025-04-01T10:00:00,")
    )
    lake.apply(items, SomeTables(frozenset({D1}), ("silver.order_items",)))
    assert [row["_category"] for row in lake.rows("rejected/order_items")] == [
        "referential_integrity"
    ]
    lake.settle()


def test_every_text_means_what_the_oracle_says(spark: SparkSession) -> None:
    """Each nasty text, as each type."""
    epoch = datetime(1970, 1, 1)
    for row in verdicts(spark)[1:]:
        text = (TEXTS[row["_row"]] or "").strip(" \t\r\n\u00a0")
        found = {
            "bigint": row["whole"] and int(row["whole"]),
            "int": row["small"] and int(row["small"]),
            "decimal(12,2)": row["money"] and Decimal(row["money"]),
            "timestamp": row["moment"] and epoch + timedelta(microseconds=int(row["moment"])),
        }
        assert found == {kind: oracle.TYPES[kind](text) for kind in found}, text


# ------------------------------------------------------------------------ runs that die halfway

_ITEMS = ("1,1,7,,1,1,0,2025-04-01T10:00:00,", "2,2,8,,1,1,0,2025-04-03T10:00:00,")
_EARLY = (
    Land("products", D1, "p.csv", _text("products", "1,1,Toys,Kite")),
    Land("orders", D1, "o.csv", _text("orders", "1,1,7,2025-04-01T10:00:00,10,")),
    Land("order_items", D1, "i.csv", _text("order_items", *_ITEMS)),
    Run(),
)


@pytest.fixture(scope="module")
def early_run(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> World:
    """A shop in which a run has been; not to be changed."""
    with World(tmp_path_factory.mktemp("early"), spark) as lake:
        lake.apply(*_EARLY)
        return lake


@pytest.fixture
def early(early_run: World, tmp_path: Path) -> Iterator[World]:
    """The same shop, to do anything with."""
    with early_run.copied(tmp_path) as world:
        yield world


_LATE = Land("orders", D2, "o.csv", _text("orders", "1,2,8,2025-04-03T10:00:00,10,"))


def test_an_item_is_not_lost_between_quarantine_and_silver(early: World) -> None:
    """Its order has come, quarantine has let it go, and the run dies before it is published."""
    early.apply(_LATE, Crashing(None, "silver.order_items"))
    early.settle()


def test_what_a_dead_run_has_read_is_not_lost(early: World) -> None:
    """It dies before its rows are in bronze, and a broken file takes the place of what it read."""
    path = ("orders", D2, "o.csv")
    early.apply(_LATE, Crashing(None, "bronze.orders", (Land(*path, b"broken"),)))
    early.settle()


@pytest.mark.parametrize("table", ["silver.orders", "gold.daily_sales"])
def test_what_a_dead_run_published_goes_when_its_file_does(early: World, table: str) -> None:
    """The table was written, the ledger does not say so, and then the file is withdrawn."""
    withdrawal = Withdraw(_LATE.dataset, _LATE.batch_date, _LATE.file)
    early.apply(_LATE, Crashing(None, f"absorbed {table}", (withdrawal,)))
    early.settle()


def test_rows_that_a_dead_run_has_only_taken_away_leave_silver_too(early: World) -> None:
    """Bronze has let a withdrawn file's rows go, and the ledger does not say so."""
    withdrawal = Withdraw(_LATE.dataset, _LATE.batch_date, _LATE.file)
    early.apply(_LATE, Run(), withdrawal, Crashing(None, f"absorbed bronze.{_LATE.dataset}"))
    early.settle()


def test_of_two_files_the_one_of_the_later_date_is_newer(lake: World) -> None:
    """Whatever they are called, and whichever came first."""
    later = Land("products", D2, "a.csv", _text("products", "1,1,Toys,Ball"))
    earlier = Land("products", D1, "z.csv", _text("products", "1,1,Toys,Kite"))
    lake.apply(later, Run(), earlier, Run())
    lake.settle()


def test_silver_takes_in_no_more_of_bronze_than_the_ledger_tells(lake: World) -> None:
    """A file's rows are in bronze and nothing is known of them yet, when another run comes."""
    path = ("products", D1, "p.csv")
    first, second = (_text("products", f"1,1,Toys,{n}") for n in ("Kite", "Ball"))
    dies = Crashing(None, "absorbed bronze.products", others=("silver.products",))
    lake.apply(Land(*path, first), Run(), Land(*path, second), dies)
    lake.settle()


def test_a_changed_product_reaches_the_days_on_which_it_was_sold(early: World) -> None:
    early.apply(Land("products", D2, "p.csv", _text("products", "1,1,Toys,Dragon")), Run())
    early.settle()


def test_inputs_that_are_long_to_look_through_give_the_same(
    early: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What belongs to the units at hand is written down, where an input has many files."""
    monkeypatch.setattr(derived, "_MANY_FILES", 1)
    early.apply(_LATE, Run())
    early.settle()


_FAULTY = Land("products", D1, "a.csv", _text("products", "1,1,,Kite"))


def test_a_repair_takes_the_place_of_the_row_that_it_mends(lake: World) -> None:
    """A file between the two of them is newer than the repair."""
    repair = Repair("products", D2, "r.csv", (("1", "1", "Toys", "Kite"),))
    between = Land("products", D1, "b.csv", _text("products", "1,1,Toys,Ball"))
    lake.apply(_FAULTY, Run(), repair, Run(), between, Run())
    lake.settle()


def test_a_mended_row_is_retired_whatever_its_key(lake: World) -> None:
    """And its repair goes back to quarantine when the file of the mended row goes."""
    lake.apply(
        _FAULTY, Run(), Repair("products", D2, "r.csv", (("2", "1", "Toys", "Kite"),)), Run()
    )
    lake.settle()
    lake.apply(Withdraw("products", D1, "a.csv"), Run())
    lake.settle()


@pytest.mark.slow
def test_other_rules_judge_every_row_anew(lake: World) -> None:
    """And the old ones once more."""
    cheap = Land("orders", D1, "o.csv", _text("orders", "1,1,7,2025-04-01T10:00:00,5,"))
    lake.apply(cheap, Run(), STRICT, Run())
    lake.settle()
    lake.apply(NORMAL, Run())
    lake.settle()


@pytest.mark.slow
def test_a_restore_holds_until_its_end(early: World) -> None:
    """What landed since waits; then it is taken in, and nothing else is done again."""
    early.apply(_LATE, Run(), Back(1))
    early.check(listings=False)
    early.apply(Land("products", D2, "p.csv", _text("products", "1,1,Toys,Dragon")), Run())
    early.check(listings=False)
    early.apply(Resume())
    early.check(listings=False)
    early.apply(Run())
    early.settle()


def test_there_and_back_again_leaves_nothing_to_do(early: World) -> None:
    """The tables have new versions, and have taken in what they had."""
    early.apply(_LATE, Run(), Back(1), Resume())
    assert not early.plan()
    early.settle()


def test_maintenance_is_no_change(early: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table gets a new version with the same rows, and nothing is pending for that."""

    def rewrite(lake: Lake, table: Table, *_: object) -> int:
        found = lake.delta(table)
        assert found
        found.alter.set_table_description("the same")
        return 0

    early.apply(_LATE, Run())
    monkeypatch.setattr("lakehouse_assets.operations.maintenance._worth_it", lambda *_: [None])
    for job in table_ids():
        maintain_tables_of(early.lake, job, "a test", rewrite)
    assert not early.plan()
    early.settle()


def test_bytes_put_back_by_hand_are_read_once(lake: World) -> None:
    """They landed before, and were overwritten before a run came."""
    path = ("products", D1, "p.csv")
    first, second = (_text("products", f"1,1,Toys,{n}") for n in ("Kite", "Ball"))
    lake.apply(Land(*path, first), Drop(*path, second), Run(), Drop(*path, first))
    lake.settle()


def test_what_lands_again_counts_once_a_run_has_read_it_again(lake: World) -> None:
    """Its bytes go before a run comes: what stood before it stays in force."""
    path = ("products", D1, "p.csv")
    first, second = (_text("products", f"1,1,Toys,{n}") for n in ("Kite", "Ball"))
    lake.apply(Land(*path, first), Run(), Land(*path, second), Run(), Land(*path, first))
    lake.apply(Remove(*path, archived=False), Run())
    # The oracle has no receipt of what landed and was not read; the table keeps its older one.
    lake.check(listings=False)


# ------------------------------------------------------------- last, for they take longest

FEW, MANY = 2, 5


@pytest.mark.timeout(0)
@pytest.mark.parametrize("group", range(1 if EXAMPLES else 2))
def test_any_history_ends_where_the_oracle_does(spark: SparkSession, group: int) -> None:
    """Whatever happened to the files, and whenever something ran, or died."""
    _play_histories(spark, group, EXAMPLES or FEW)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("group", range(2, 9))
def test_more_histories_end_there(spark: SparkSession, group: int) -> None:
    """Others than the few of every day."""
    _play_histories(spark, group, MANY)


def _play_histories(spark: SparkSession, group: int, count: int) -> None:
    deaths: list[int] = []
    # The first one begins with a run that dies at once: what else dies is up to chance.
    kite = Land("products", D1, "first.csv", _text("products", "1,1,Toys,Kite"))
    dying: list[Step] = [kite, Crashing(None, 0)]

    @seed(group)
    @given(history=histories())
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
    )
    def check(history: list[Step]) -> None:
        deaths.append(play(spark, history if deaths else [*dying, *history]))

    check()
    assert deaths[0], "no run died"
