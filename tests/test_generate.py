"""The generator: its files are what they claim to be, and its truth is one."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from data import generate
from data.files import (
    COLUMNS,
    DIALECTS,
    KEY,
    NOTES,
    RAGGED,
    UNSPLITTABLE,
    Dialect,
    Mangle,
    Row,
    csv_file,
    open_quote,
    value_rules,
)
from data.generate import MAX_MESS, Fate, LandedFile, Shop, Size
from tests.support import SAMPLE, oracle

SMALL = Size(products=40, users=60, orders_per_day=20, items_per_order=5, days=3)
FIRST = date(2025, 4, 1)
LINE_RULES = {"row.ragged", "row.unsplittable"}
EVERY_RULE = {
    "products": {*value_rules("products"), *LINE_RULES},
    "orders": {*value_rules("orders"), *LINE_RULES},
    "order_items": {
        *value_rules("order_items"),
        *LINE_RULES,
        *("order_id.foreign_key", "product_id.foreign_key"),
    },
}


@pytest.fixture(scope="module")
def shop() -> tuple[Shop, list[LandedFile]]:
    """Seed files, four messy days and a day's broken files."""
    it = Shop(3, SMALL)
    files = it.seed_files(FIRST)
    for n in range(4, 8):
        files += it.day(FIRST.replace(day=n), orders=90, mess=MAX_MESS)
    return it, files + it.broken_files(FIRST.replace(day=8))


def text_of(file: LandedFile) -> str:
    """A CSV file's text, decompressed, without BOM."""
    packed = file.name.lower().endswith(".gz")
    return (gzip.decompress(file.content) if packed else file.content).decode("utf-8-sig")


def by_file(truth: Iterable[Fate]) -> dict[str, list[Fate]]:
    """Fates by `LandedFile.path`."""
    files: dict[str, list[Fate]] = defaultdict(list)
    for fate in truth:
        files[f"{fate.dataset}/{fate.batch_date}/{fate.file}"].append(fate)
    return files


def unpacked(path: Path) -> object:
    """What is in a file, without what depends on the builds of zlib and xlsxwriter."""
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path)
        return [(sheet.title, [[repr(v) for v in row] for row in sheet.values]) for sheet in book]
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def test_the_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    generate.main(tmp_path / "again")
    again = {p.relative_to(tmp_path / "again"): p for p in (tmp_path / "again").rglob("*.*")}
    committed = {p.relative_to(SAMPLE): p for p in SAMPLE.rglob("*.*")}
    assert sorted(again) == sorted(committed), "data/README.md says how to write the sample anew"
    for name, path in committed.items():
        assert unpacked(path) == unpacked(again[name]), name
    assert sum(path.stat().st_size for path in committed.values()) <= 600_000


def test_the_sample_has_a_bit_of_everything_and_ends_green() -> None:
    with (SAMPLE / "truth.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert {row["fate"] for row in rows} == {"published", "superseded", "duplicate", "rejected"}
    for dataset, rules in EVERY_RULE.items():
        assert {r for x in rows if x["dataset"] == dataset for r in x["rules"].split()} == rules


def test_the_seed_is_clean_and_shaped_like_the_real_files() -> None:
    shop = Shop(1, SMALL)
    products, orders, items = shop.seed_files(FIRST)
    assert [f.path for f in (products, orders, items)] == [
        "products/2025-04-03/products.csv",
        "orders/2025-04-03/orders_apr_2025.xlsx",
        "order_items/2025-04-03/order_items_apr_2025.xlsx",
    ]
    assert Counter(fate.dataset for fate in shop.truth) == {
        "products": 40,
        "orders": 60,
        "order_items": 300,
    }
    assert {(fate.fate, fate.rules) for fate in shop.truth} == {("published", frozenset())}
    kinds: dict[str, set[type]] = defaultdict(set)
    pairs: dict[tuple[int, int], set[int]] = defaultdict(set)
    for file in (orders, items):
        book = openpyxl.load_workbook(io.BytesIO(file.content))
        assert book.sheetnames == ["2025-04-01", "2025-04-02", "2025-04-03"]
        for sheet in book:
            header, *rows = sheet.iter_rows(values_only=True)
            assert header == COLUMNS[file.dataset]
            for cells in rows:
                named = dict(zip(header, cells, strict=True))
                for column, value in named.items():
                    kinds[column].add(type(value))
                if file is items:
                    pairs[named["order_id"], named["product_id"]].add(named["reordered"])
    assert kinds.pop("total_amount") <= {int, float}
    assert {c for c, k in kinds.items() if k == {str}} == {"order_timestamp", "date"}
    assert all(k in ({str}, {int}) for k in kinds.values())
    assert {0, 1} in pairs.values(), "a product twice in an order, reordered and not"
    names = [row["department"] for row in csv.DictReader(io.StringIO(text_of(products)))]
    assert set(names) == {"Books", "Sports", "Toys", "Home", "Clothing", "Electronics"}


def test_a_clean_day_has_the_asked_number_of_rows_and_brings_its_catalogue() -> None:
    shop = Shop(1)
    files = shop.day(FIRST, orders=2000, items_per_order=10, mess=0)
    assert [text_of(f).count("\n") - 1 for f in files] == [1000, 2000, 20_000]
    assert {fate.fate for fate in shop.truth} == {"published"}
    assert len(shop.truth) == 23_000


def test_a_seed_gives_the_same_files_and_another_seed_others() -> None:
    one, same, other = (
        [f.content for f in (*s.seed_files(FIRST), *s.day(FIRST.replace(day=9), orders=30))]
        for s in (Shop(1, SMALL), Shop(1, SMALL), Shop(2, SMALL))
    )
    assert one == same
    assert one != other


def test_every_row_of_the_truth_is_where_it_says(shop: tuple[Shop, list[LandedFile]]) -> None:
    """Well-formed records start on their line, and hold the key that only one row publishes."""
    truth = by_file(shop[0].truth)
    published: Counter[tuple[str, int]] = Counter()
    for file in shop[1]:
        if file.name.endswith(".xlsx") or file.state == "unreadable":
            continue
        lines = text_of(file).replace("\r\n", "\n").split("\n")
        header = [name.strip().lower() for name in lines[0].split(",")]
        assert len({fate.row for fate in truth[file.path]}) == len(truth[file.path])
        for fate in truth[file.path]:
            assert lines[fate.row - 1].strip(",")
            if fate.rules & LINE_RULES:
                continue
            record = next(csv.reader(f"{line}\n" for line in lines[fate.row - 1 :]))
            assert len(record) == len(header)
            if fate.fate == "published":
                text = dict(zip(header, record, strict=True))[KEY[file.dataset]]
                published[file.dataset, int(float(text))] += 1
    assert set(published.values()) == {1}
    assert len(published) > 1000


def test_fates_and_rules_agree(shop: tuple[Shop, list[LandedFile]]) -> None:
    for fate in shop[0].truth:
        if fate.fate in {"published", "duplicate"}:
            assert not fate.rules
        if fate.fate == "rejected":
            assert fate.rules
        assert fate.rules <= EVERY_RULE[fate.dataset]
        assert not fate.rules & LINE_RULES or len(fate.rules) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("orders", [1, 20, 104, 230])
def test_no_daily_file_is_held(seed: int, orders: int) -> None:
    shop = Shop(seed, SMALL)
    for n in range(1, 4):
        shop.day(FIRST.replace(day=n), orders=orders, mess=MAX_MESS)
    for path, fates in by_file(shop.truth).items():
        faulty = sum(any("foreign_key" not in r for r in fate.rules) for fate in fates)
        assert len(fates) < 100 or faulty / len(fates) < 0.05, path


def test_broken_files_are_unreadable_held_or_full_of_orphans(
    shop: tuple[Shop, list[LandedFile]],
) -> None:
    truth = by_file(shop[0].truth)
    last = [file for file in shop[1] if file.batch_date == FIRST.replace(day=8)]
    assert Counter(file.state for file in last) == {"unreadable": 11, "held": 1, "in_force": 1}
    for file in last:
        fates = truth[file.path]
        assert {fate.fate for fate in fates} == {
            "unreadable": set(),
            "held": {"held"},
            "in_force": {"rejected"},
        }[file.state]
        if file.state == "held":
            assert sum(bool(fate.rules) for fate in fates) > 0.05 * len(fates)
        if file.state == "in_force":
            assert {fate.rules for fate in fates} == {frozenset({"order_id.foreign_key"})}


@pytest.mark.parametrize("orders", [3, 150])
def test_the_truth_is_the_oracles_too(orders: int) -> None:
    """The generator knows by construction what the oracle finds out by reading the bytes."""
    shop = Shop(orders, SMALL)
    files = shop.seed_files(FIRST)
    for n in range(4, 9):
        files += shop.day(FIRST.replace(day=n), orders=orders, mess=0 if n == 6 else MAX_MESS)
    files += shop.broken_files(FIRST.replace(day=8))
    world = oracle.evaluate(
        [oracle.Land(f.dataset, f.batch_date, f.name, f.content) for f in files]
    )
    assert {f.path: f.state for f in files} == {
        f"{dataset}/{day}/{name}": receipt.state
        for (dataset, day, name, _), receipt in world.receipts.items()
    }
    found = {
        (dataset, *place): (fate.fate, fate.rules)
        for dataset, fates in world.fates.items()
        for place, fate in fates.items()
    }
    assert (
        found
        == {  # the oracle gives the rules of rejected rows only
            fate[:5]: (fate.fate, fate.rules if fate.fate == "rejected" else frozenset())
            for fate in shop.truth
            if fate.fate != "held"
        }
    )


@pytest.mark.parametrize("mangle", [*RAGGED, *UNSPLITTABLE])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_broken_line_never_takes_its_neighbours_with_it(mangle: Mangle, dialect: Dialect) -> None:
    """Wherever it stands, beside whatever note: only its own lines are broken."""
    good = Row(("1", "2", "Toys", "Little Kite"), 1)
    bad = Row(good.cells, 0, mangle=mangle)
    for before in range(len(NOTES)):
        rows = [good] * before + [bad] + [good] * (0 if mangle is open_quote else 3)
        content, places = csv_file("products", rows, dialect)
        own = places[before] if mangle in UNSPLITTABLE else places[before][:1]
        read = oracle.read(oracle.SHOP["products"], f"x{dialect.ending}", content).lines
        rule = "row.unsplittable" if mangle in UNSPLITTABLE else "row.ragged"
        assert {line.row: set(line.broken) for line in read} == {
            **{place[0]: set() for place in places},
            **{line: {rule} for line in own},
        }


def test_later_batches_change_the_fates_of_earlier_rows() -> None:
    shop = Shop(5, SMALL)
    shop.day(FIRST, orders=100, mess=MAX_MESS)
    before = {fate[:5]: fate.fate for fate in shop.truth}
    shop.day(FIRST.replace(day=2), orders=100, mess=MAX_MESS)
    changes = {(before[f[:5]], f.fate) for f in shop.truth if f[:5] in before}
    assert ("rejected", "published") in changes, "an orphan's parent came"
    assert ("rejected", "superseded") in changes, "a broken row was repaired"
    assert ("published", "superseded") in changes, "a row was corrected"
    assert ("published", "duplicate") in changes, "a row was repeated"


def test_a_file_is_never_written_twice(tmp_path: Path) -> None:
    shop = Shop(1, SMALL)
    shop.day(FIRST, orders=5, mess=0)
    with pytest.raises(ValueError, match="already"):
        shop.day(FIRST, orders=5, mess=0)
    with pytest.raises(ValueError, match="share from 0"):
        shop.day(FIRST.replace(day=2), mess=0.5)
    (tmp_path / "stale.csv").touch()
    with pytest.raises(Exception, match="not an empty folder"):
        generate.main(tmp_path)
