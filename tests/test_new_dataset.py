"""`lakehouse new dataset`: a contract out of samples, by which the samples are in force."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.operations.contract_source import source
from lakehouse_assets.operations.new_dataset import Draft, Parent, SampleError, draft, find_parents
from lakehouse_assets.parse import Dialect, Limits
from lakehouse_assets.tables import registry
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.registry import DATASETS
from tests.second_shop.shop import TABLES, Texts, identity, in_dialect, rows
from tests.support import PROJECT
from tests.support.commands import ORDERS, PRODUCTS, Lakehouse
from tests.support.oracle import Land
from tests.support.workbooks import workbook_of
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2025, 4, 1)


def drafted(spark: SparkSession, name: str, *files: Path, others: Sequence[Parent] = ()) -> Draft:
    """A contract that its own samples pass, and that its file states as it is."""
    found = draft(spark, name, files, others, Limits())
    assert [it.judgement.reason for it in found.checked] == [None] * len(files)
    text = source(found.dataset)
    stated: dict[str, Dataset] = {}
    exec(text, stated)
    assert stated["TABLE"] == found.dataset
    formatted = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", "contract.py", "-"],
        cwd=PROJECT,
        input=text,
        capture_output=True,
        text=True,
    )
    assert formatted.stdout == text
    assert "TODO" not in text
    return found


def put(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


# --------------------------------------------------------------------------------- a second shop


@pytest.fixture
def second_shop() -> Iterator[None]:
    registry.use(TABLES)
    yield
    registry.use(registry.OUR_OWN)


KEYS = {
    "customers": ("customer_id",),
    "geolocation": ("geolocation_lat",),
    "product_category_name_translation": ("product_category_name",),
    "products": ("product_id",),
    "sellers": ("seller_id",),
    "orders": ("order_id",),
    "order_items": ("order_id", "order_item_id"),
    "order_payments": ("order_id", "payment_sequential"),
    "order_reviews": ("review_id",),
}


def numbered(name: str, count: int = 120) -> list[Texts]:
    """Rows of different things, whose parents are among the rows of theirs."""
    found = rows(3, name, DAY, count, most=count, faulty=0)
    for at, texts in enumerate(found):
        own: dict[str, Texts] = {
            "customers": {"customer_id": identity("c", at)},
            "product_category_name_translation": {"product_category_name": f"category {at}"},
            "products": {"product_id": identity("p", at)},
            "sellers": {"seller_id": identity("s", at)},
            "orders": {"order_id": identity("o", at), "customer_id": identity("c", at // 2)},
            "order_items": {
                "order_id": identity("o", at // 3),
                "order_item_id": str(at % 3 + 1),
                "product_id": identity("p", at // 2),
                "seller_id": identity("s", at % 7),
            },
            "order_payments": {
                "order_id": identity("o", at // 2), "payment_sequential": str(at % 2 + 1),
            },
            "order_reviews": {"review_id": identity("r", at), "order_id": identity("o", at // 2)},
        }  # fmt: skip
        texts.update(own.get(name, {}))
    return found


@pytest.mark.usefixtures("second_shop")
@pytest.mark.parametrize("name", KEYS)
def test_the_second_shops_files(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """Its contract's key, types, dialect and foreign keys, as far as its files tell them."""
    wanted = DATASETS[name]
    file = put(tmp_path, f"{name}.csv", in_dialect(numbered(name), wanted))
    samples = {
        other: [put(tmp_path, f"{other}.csv", in_dialect(numbered(other), DATASETS[other]))]
        for other in {c.references for c in wanted.foreign_keys if c.references}
    }
    known = {other: DATASETS[other] for other in samples}
    of = list(find_parents(spark, World(tmp_path, spark).lake, known, samples, Limits()))
    found = drafted(spark, name, file, others=of)
    assert [it.faulty for it in found.checked] == [0]
    dataset = found.dataset
    assert dataset.headers == wanted.headers
    if name != "geolocation":  # it has none of its own
        assert dataset.key_columns == KEYS[name]
    for written in ("delimiter", "encoding", "decimal", "thousands"):
        assert getattr(dataset.dialect, written) == getattr(wanted.dialect, written)
    for column in dataset.sources:
        other = wanted.silver.column(column.name)
        kinds = {column.type, other.type}
        alike = len(kinds) == 1 or kinds == {"INT", "BIGINT"}
        assert alike or all(kind.startswith("DECIMAL") for kind in kinds), column
        assert column.references == other.references


@pytest.mark.slow
@pytest.mark.usefixtures("second_shop")
@pytest.mark.parametrize("name", KEYS)
def test_samples_with_faults(spark: SparkSession, tmp_path: Path, name: str) -> None:
    """As shops send them: things that come several times, and cells that are wrong."""
    for count in (40, 400):
        texts = rows(5, name, DAY, count, faulty=0.03)
        drafted(spark, name, put(tmp_path, f"{count}.csv", in_dialect(texts, DATASETS[name])))


# -------------------------------------------------------------------------------------- dialects


def test_semicolons_and_decimal_commas(spark: SparkSession, tmp_path: Path) -> None:
    """As Excel writes in Germany, behind two lines of a title."""
    lines = [f"{at};Müller;{at},5{at};1.{at}00,25;0{at}.04.2025 10:30" for at in range(1, 9)]
    header = "Bestell-Nr.;Kunde;Größe;Betrag (€);Wann"
    text = "\n".join(["Bestellungen;;;;", "", header, *lines, ""])
    found = drafted(spark, "sales", put(tmp_path, "sales.csv", text.encode("cp1252")))
    dataset = found.dataset
    assert dataset.dialect == Dialect(
        delimiter=";",
        encoding="cp1252",
        decimal=",",
        thousands=".",
        timestamp_formats=("%d.%m.%Y %H:%M",),
        skip_rows=2,
    )
    assert [(c.name, c.header, c.type) for c in dataset.sources] == [
        ("bestell_nr", "bestell-nr.", "BIGINT"),
        ("kunde", "kunde", "STRING"),
        ("grosse", "größe", "DECIMAL(12,2)"),
        ("betrag", "betrag (€)", "DECIMAL(12,2)"),
        ("wann", "wann", "TIMESTAMP"),
    ]
    assert dataset.partition_by == ("wann_date",)
    said = "\n".join(found.doubts)
    for part in ("encoding cp1252", "behind 2 row(s)", "like 1.234,50", "stand before months"):
        assert part in said


@pytest.mark.parametrize(
    ("values", "type_", "dialect"),
    [
        (["1", "22", "-3", "7.0"], "BIGINT", {}),
        (["1", "2.5", "-3.25"], "DECIMAL(12,2)", {}),
        (["1.123456", "123456789012.5"], "DECIMAL(20,6)", {}),
        (["1,234.50", "12.25"], "DECIMAL(12,2)", {"thousands": ","}),
        (["01000", "12345"], "STRING", {}),
        (["2025-04-01", "2025-04-02"], "DATE", {}),
        (["2025-04-01T10:00:00Z", "2025-04-02 10:00:00"], "TIMESTAMP", {}),
        (["31/12/2025", "01/02/2025"], "DATE", {"timestamp_formats": ("%d/%m/%Y",)}),
        (["12/31/2025", "01/02/2025"], "DATE", {"timestamp_formats": ("%m/%d/%Y",)}),
        (
            ["12/31/2025 1:05 PM", "01/02/2025 11:00 AM"],
            "TIMESTAMP",
            {"timestamp_formats": ("%m/%d/%Y %I:%M %p",)},
        ),
        (["true", "FALSE"], "BOOLEAN", {}),
        (["12", "twelve"], "STRING", {}),
        (["123456789012345678901", "1"], "STRING", {}),
    ],
)
def test_types(
    spark: SparkSession, tmp_path: Path, values: list[str], type_: str, dialect: dict[str, str]
) -> None:
    """Told by what rules take; each value stands in quotes, and may be empty."""
    lines = [f'k{at},"{value}"' for at, value in enumerate([*values, ""])]
    file = put(tmp_path, "a.csv", "\n".join(["code,value", *lines, ""]))
    dataset = drafted(spark, "things", file).dataset
    value = dataset.silver.column("value")
    assert (value.type, value.required) == (type_, False)
    assert dataset.dialect == Dialect(**dialect)  # type: ignore[arg-type]


def test_a_workbook_under_a_title(spark: SparkSession, tmp_path: Path) -> None:
    """The largest sheet counts; names become such as SQL can have."""
    head = ["Order", "Price (net)", "2nd price", "group", "when", "_hidden", "price net"]
    table = [
        [at, at + 0.25, 5, "a" if at % 2 else "b", datetime(2025, 4, at + 1, 10), 1, at]
        for at in range(20)
    ]
    content = workbook_of(
        [
            ("Notes", [["by", "whom"], ["me", "you"]]),
            ("Orders", [["All orders"], [None], head, *table]),
        ]
    )
    found = drafted(spark, "sales", put(tmp_path, "sales.xlsx", content))
    assert found.dataset.dialect == Dialect(skip_rows=2)
    assert [(c.name, c.source) for c in found.dataset.sources] == [
        ("order_", "order"),
        ("price_net", "price (net)"),
        ("column_2nd_price", "2nd price"),
        ("group_", "group"),
        ("when_", "when"),
        ("price_net_7", "price net"),
    ]
    assert found.dataset.silver.column("group_").allowed == ("a", "b")
    assert any(line.startswith("_hidden: ") for line in found.doubts)


def test_headers_that_a_contract_cannot_ask_for(spark: SparkSession, tmp_path: Path) -> None:
    """A name twice, and none, are left out; one that only looks so is not."""
    text = "id,name,name,,line_2\n1,x,y,z,5\n2,x,y,z,5\n"
    found = drafted(spark, "things", put(tmp_path, "a.csv", text))
    assert found.dataset.headers == ("id", "line_2")
    left_out = [line.split(":")[0] for line in found.doubts if "left out" in line]
    assert left_out == ["name", "name_2", "column_4"]


# ----------------------------------------------------------------------------------- several files


def test_what_is_not_in_all_samples(spark: SparkSession, tmp_path: Path) -> None:
    files = [
        put(tmp_path, "a.csv", "id,name,old\n1,x,1\n2,y,1\n"),
        put(tmp_path, "b.csv", "name,id,new\nz,3,1\n"),
    ]
    found = drafted(spark, "things", *files)
    assert found.dataset.headers == ("id", "name")
    assert {"old: is not in all samples, so it is left out"} < {*found.doubts}


def test_foreign_keys_by_the_lakes_tables(spark: SparkSession, lake: World, tmp_path: Path) -> None:
    """Only where all values are keys; where a name says so and a value does not, that is said."""
    lake._apply(Land("products", DAY, "products.csv", PRODUCTS.encode()))
    lake.run()
    known = list(find_parents(spark, lake.lake, DATASETS, {}, Limits()))
    for values, references in ((("1", "2"), "products"), (("1", "3"), None)):
        text = "\n".join(["id,product_id,order_id", f"5,{values[0]},1", f"6,{values[1]},2", ""])
        found = drafted(spark, "stocks", put(tmp_path, "s.csv", text), others=known)
        assert found.dataset.silver.column("product_id").references == references
        said = [line for line in found.doubts if line.startswith("product_id: looks like")]
        assert [line.endswith("1 value(s) are none") for line in said] == [True] * (not references)
        assert any(line.endswith("there are no rows to compare") for line in found.doubts)


def test_samples_that_cannot_be_read(spark: SparkSession, tmp_path: Path) -> None:
    """One line that names the file."""
    for name, content in {"a.csv": b"", "b.xlsx": b"x", "c.csv": b"id,name\n"}.items():
        with pytest.raises(SampleError, match=rf"{name}: .*; "):
            draft(spark, "things", [put(tmp_path, name, content)], (), Limits())


# --------------------------------------------------------------------------------- command line


@pytest.mark.slow
def test_a_new_shop_on_the_command_line(tmp_path: Path) -> None:
    """From an empty package to rows in silver."""
    for layer in ("silver", "gold"):
        (tmp_path / "shop" / layer).mkdir(parents=True)
    house = Lakehouse(tmp_path, LAKEHOUSE_TABLES="shop", PYTHONPATH=str(tmp_path))
    file = str(put(tmp_path, "orders.csv", ORDERS))
    ended = house("status")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith("with lakehouse new dataset NAME FILE\n")
    printed = house.ok("new", "dataset", "orders", file, "--print")
    target = tmp_path / "shop" / "silver" / "orders.py"
    assert not target.exists()
    ended = house("new", "dataset", "orders", file)
    assert (ended.code, ended.out.split(":")[0]) == (0, str(target))
    assert "key (order_id): unique in the 2 rows of the samples" in ended.err
    assert target.read_text() == printed
    ended = house("new", "dataset", "orders", file)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert house("new", "dataset", "Orders!", file).err.startswith("'Orders!' is no name")
    house.ok("check", file)
    house.ok("land", file, "--date", "2025-04-15")
    house.ok("run")
    assert house.value("SELECT sum(total_amount) FROM silver.orders") == "25.01"
