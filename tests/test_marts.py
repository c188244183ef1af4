"""The marts as analysts meet them: what was sold as what, keys that stay, checks that can fail.

That they hold what the oracle says, after any history, is in `test_against_oracle`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lakehouse_assets.errors import ContractError
from lakehouse_assets.pipeline.result import Check
from lakehouse_assets.pipeline.run_table import run_table
from lakehouse_assets.tables import contract_checks
from lakehouse_assets.tables.contract import Column, Dataset, Mart, sources_of
from tests.support.histories import D1, D2, D3, HEADER, NORMAL
from tests.support.oracle import Land, Run, Withdraw
from tests.support.steps import Repair
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture
def lake(tmp_path: Path, spark: SparkSession) -> Iterator[World]:
    with World(tmp_path, spark, NORMAL) as world:
        yield world


def text(dataset: str, *rows: str) -> bytes:
    return "\n".join([HEADER[dataset], *rows, ""]).encode()


def sold_on(world: World, *days: date) -> None:
    """An order of one line of product 1 on each day; all of them land on the first."""
    orders = [f"1,{n},7,{day}T10:00:00,10.00," for n, day in enumerate(days, 1)]
    items = [f"{n},{n},7,,1,1,0,{day}T10:00:00," for n, day in enumerate(days, 1)]
    world.apply(
        Land("orders", D1, "o.csv", text("orders", *orders)),
        Land("order_items", D1, "i.csv", text("order_items", *items)),
    )


def product(day: date, said: str, file: str = "p.csv") -> Land:
    return Land("products", day, file, text("products", said))


def sold_as(world: World) -> dict[date, tuple[str, str]]:
    """Of each day what its line was sold as, and what that is called now."""
    names = {r["product_key"]: r["product_name"] for r in world.rows("mart/dim_product")}
    return {
        r["order_date"]: (names[r["product_key"]], names[r["current_product_key"]])
        for r in world.rows("mart/fact_order_items")
    }


@pytest.mark.slow
def test_a_line_keeps_the_name_that_it_was_sold_under(lake: World) -> None:
    before = date(2025, 3, 1)
    lake.apply(product(D1, "1,1,Toys,Kite"))
    sold_on(lake, before, D1, D2, D3)
    lake.settle()
    lake.apply(product(D2, "1,1,Toys,Kite"))  # says nothing new: no version
    lake.apply(product(D3, "1,2,Sports,Stunt kite"))
    lake.settle()
    now = "Stunt kite"
    assert sold_as(lake) == {
        before: ("Kite", now), D1: ("Kite", now), D2: ("Kite", now), D3: (now, now),
    }  # fmt: skip
    keys = {(r["product_id"], r["valid_from"]): r["product_key"] for r in versions(lake)}
    lake.apply(Withdraw("products", D3, "p.csv"))
    lake.settle()
    assert set(sold_as(lake).values()) == {("Kite", "Kite")}
    lake.apply(product(D3, "1,2,Sports,Stunt kite", "again.csv"))
    lake.settle()
    assert {(r["product_id"], r["valid_from"]): r["product_key"] for r in versions(lake)} == keys


def versions(world: World) -> list[dict[str, object]]:
    return world.rows("mart/dim_product")


def test_a_repair_is_a_version_of_what_it_mends(lake: World) -> None:
    lake.apply(product(D1, "x,1,Toys,Kite"), product(D2, "1,1,Toys,Stunt kite"), Run())
    lake.apply(Repair("products", D3, "mended.csv", (("1", "1", "Toys", "Kite"),)))
    lake.settle()
    told = [(r["product_name"], r["valid_from"], r["valid_to"]) for r in versions(lake)]
    assert sorted(told, key=repr) == [("Kite", D1, D2), ("Stunt kite", D2, None)]


def test_what_a_good_repair_has_retired_is_no_version(lake: World) -> None:
    """Of two repairs of a row, each good and of a key of its own, the later one alone counts."""
    lake.apply(product(D1, "x,1,Toys,Kite"), Run())
    for file, key in (("first.csv", "2"), ("second.csv", "1")):
        lake.apply(Repair("products", D3, file, ((key, "1", "Toys", "Kite"),)))
    lake.settle()
    assert [r["product_id"] for r in versions(lake)] == [1]


def test_a_fact_that_misses_its_dimension_is_said(lake: World) -> None:
    """Customers are taken out of the dimension by hand, which no run has heard of."""
    lake.apply(product(D1, "1,1,Toys,Kite"))
    sold_on(lake, D1, D2)
    lake.settle()

    def again(table: str) -> list[Check]:
        run_id = uuid.uuid4().hex
        return run_table(lake.spark, lake.lake, table, [D1], run_id, replay=True).checks

    def outcome() -> Check:
        return next(c for c in again("mart.fact_orders") if c.name == "dimension_customer_key")

    assert outcome().passed
    customers = lake.table("mart/dim_customer")
    assert customers is not None
    customers.delete()
    lake.reopen()
    found = outcome()
    assert not found.passed
    assert found.description.startswith("not in mart.dim_customer: ")
    again("mart.dim_customer")
    assert outcome().passed
    lake.settle()


def test_what_a_mart_cannot_say_is_one_line() -> None:
    key = Column(name="k", type="BIGINT", description="A key.")

    def mart(name: str, *columns: Column) -> Mart:
        return Mart(name=name, description="It.", grain=("k",), columns=columns, sql="SELECT 1")

    def refusal(fact: Mart, *others: Mart) -> str:
        known = {m.table.id: m for m in (fact, *others)}
        with pytest.raises(ContractError) as told:
            contract_checks.check_derived(fact, sources_of([]), known)
        return str(told.value)

    to_dim = Column(name="d", type="BIGINT", description="Of it.", references="dim")
    fact = mart("fact", key, to_dim)
    assert refusal(fact).startswith("column 'd': references 'dim', which is no mart of one key;")
    narrow = mart("dim", Column(name="k", type="INT", description="A key."))
    assert refusal(fact, narrow) == (
        "column 'd': is BIGINT, and the key of dim is INT; give both the same type"
    )
    with pytest.raises(ContractError, match="'valid_to': is history's own"):
        contract_checks.check_dataset(
            Dataset(
                name="d",
                description="It.",
                key="k",
                keep_history=True,
                columns=(
                    Column(name="k", type="BIGINT", required=True, description="A key."),
                    Column(name="valid_to", type="DATE", description="An end."),
                ),
            )
        )
