"""Which names and dates are files: what is passed over, guessed, refused or left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lakehouse_assets.operations import file_dataset
from lakehouse_assets.store.lake import FilePath, is_passed_over
from lakehouse_assets.tables.registry import DATASETS
from resources.settings import Settings
from tests.support.commands import Lakehouse

PRODUCTS = "product_id,product_name,department_id,department\n1,Tea,1,pantry\n"


@pytest.mark.parametrize(
    "name",
    [
        *(".hidden", "_SUCCESS", "~$orders.xlsx", "o.csv.tmp", "o.csv.part", "o.csv.FILEPART"),
        *("o.csv.partial", "o.csv.crdownload", "o.csv.crc", "o.csv.md5", "o.csv.SHA256", "o.csv~"),
        *("Thumbs.db", "desktop.ini", "DESKTOP.INI"),
    ],
)
def test_what_other_programs_lay_beside_files_is_passed_over(name: str) -> None:
    assert is_passed_over(name)


@pytest.mark.parametrize("name", ["orders.csv", "tmp.csv", "md5.csv", "~orders.csv", "o.json"])
def test_other_names_are_files(name: str) -> None:
    assert not is_passed_over(name)


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("orders_apr_2025.xlsx", "orders"),
        ("order_items.csv", "order_items"),
        ("shop-Order-Items (1).csv.gz", "order_items"),
        ("2025 product.csv", "products"),
        ("order_products__prior.csv", None),
        ("orders_and_products.csv", None),
        ("reorders.csv", None),
        ("export.csv", None),
    ],
)
def test_a_dataset_is_guessed_only_where_a_name_names_one(name: str, dataset: str | None) -> None:
    assert file_dataset.of_name(name, DATASETS) == dataset


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("2025-5-1", "'2025-5-1' is not a date"),
        ("20250501", "'20250501' is not a date"),
        ("2025-02-30", "'2025-02-30' is a day that does not exist"),
    ],
)
def test_a_folder_is_a_date_as_it_is_written_in_one_way(
    folder: str, says: str, tmp_path: Path
) -> None:
    lake = Settings(root=str(tmp_path)).lake()
    found = lake.placed(f"orders/{folder}/o.csv")
    assert not isinstance(found, FilePath)
    assert found is not None
    assert found.problem.startswith(says)


def test_land_takes_dates_in_the_same_one_way(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path)
    file = tmp_path / "products.csv"
    file.write_text(PRODUCTS)
    for text, says in (("2025-5-1", "is not a date"), ("2025-02-30", "does not exist")):
        done = lakehouse("land", str(file), "--date", text)
        assert done.code
        assert says in " ".join(done.err.replace("│", " ").split())


@pytest.mark.slow
def test_files_of_tomorrow_are_taken_in(tmp_path: Path) -> None:
    """It is that day already where the shop is."""
    lakehouse = Lakehouse(tmp_path)
    file = tmp_path / "products.csv"
    file.write_text(PRODUCTS)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert not lakehouse("land", str(file), "--date", str(tomorrow)).code
    done = lakehouse("run")
    assert done.code == 0, done.err
    assert "1" in lakehouse("query", "SELECT count(*) FROM silver.products", "--format", "csv").out


@pytest.mark.slow
def test_an_unreadable_file_that_is_gone_waits_for_nobody_and_a_late_first_date_harms_nothing(
    tmp_path: Path,
) -> None:
    lakehouse = Lakehouse(tmp_path)
    for day, text in (("2025-05-01", PRODUCTS), ("2025-06-01", PRODUCTS.replace("1,Tea", "2,Tea"))):
        folder = lakehouse.root / "raw" / "products" / day
        folder.mkdir(parents=True)
        (folder / "p.csv").write_text(text)
    bad = lakehouse.root / "raw" / "products" / "2025-06-01" / "manifest.json"
    bad.write_text("{}")
    done = lakehouse("run")
    assert done.code == 1
    assert "products/2025-06-01/manifest.json: " in done.err
    bad.unlink()
    done = lakehouse("run", "--date", "2025-06-01")
    assert done.code == 0, done.err
    assert "wait" not in done.err

    later = Lakehouse(tmp_path, LAKEHOUSE_FIRST_DATE="2025-05-15")
    done = later("replay", "--all")
    assert done.code == 0, done.err
    assert "1 date(s) before 2025-05-15 (LAKEHOUSE_FIRST_DATE) are left alone" in done.err
    count = later("query", "SELECT count(*) AS n FROM silver.products", "--format", "csv").out
    assert count.split() == ["n", "2"]


@pytest.mark.slow
def test_a_lake_in_a_folder_of_any_name_runs(tmp_path: Path) -> None:
    """As people name folders: each of these characters has a meaning in a URL."""
    lakehouse = Lakehouse(tmp_path / "My Projects #1 (ä) 100%")
    file = tmp_path / "products.csv"
    file.write_text(PRODUCTS)
    assert lakehouse("land", str(file), "--date", "2025-05-01").code == 0
    done = lakehouse("run")
    assert done.code == 0, done.err
    count = lakehouse("query", "SELECT count(*) AS n FROM silver.products", "--format", "csv").out
    assert count.split() == ["n", "1"]
    assert {p.name for p in tmp_path.iterdir()} == {file.name, lakehouse.root.parent.name}
