"""Another shop on the same code: raw to gold, in its own dialects, against the oracle."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables import registry
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from tests.second_shop.shop import RULES, SHOP, TABLES, in_dialect, rows
from tests.support.commands import Lakehouse
from tests.support.machine import needs_java
from tests.support.oracle import Land, Reinstate, Resume, Run, Withdraw
from tests.support.steps import Back, Crashing, Repair, Replay, RuleSet, Step
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D1, D2, D3 = DATES = (date(2025, 4, 1), date(2025, 4, 2), date(2025, 4, 3))
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "0"))
PLAIN = Dialect()


@pytest.fixture(autouse=True)
def _tables() -> Iterator[None]:
    """The second shop's tables, in this process."""
    registry.use(TABLES)
    yield
    registry.use(registry.OUR_OWN)


@pytest.fixture
def plain() -> None:
    """Its contracts without their dialects, which the oracle does not read."""
    for name, dataset in DATASETS.items():
        DATASETS[name] = replace(dataset, dialect=PLAIN)


def shop_at(folder: Path, spark: SparkSession, hold_rows: int = 100) -> World:
    return World(folder, spark, RuleSet(replace(RULES, hold_rows=hold_rows)), shop=SHOP)


def files(seed_: int, day: date, dialect: Dialect | None = None, count: int = 12) -> list[Land]:
    """A file of each dataset."""
    return [
        Land(
            name,
            day,
            f"olist_{name}_dataset.csv",
            in_dialect(rows(seed_, name, day, count), dataset, dialect),
        )
        for name, dataset in DATASETS.items()
    ]


def assert_gold_is_whole(world: World) -> None:
    """Each gold table is what its SELECT says over all of silver."""
    for name in DATASETS:
        view = world.spark.read.format("delta").load(world.lake.uri(DATASETS[name].silver))
        view.createOrReplaceTempView(name)
    for gold in DERIVED.values():
        wanted = [row.asDict() for row in world.spark.sql(gold.sql).collect()]
        found = world.rows(f"gold/{gold.name}")
        assert sorted(map(repr, found)) == sorted(map(repr, wanted)), gold.name


# ------------------------------------------------------------------------------- against the oracle


@pytest.mark.slow
@pytest.mark.usefixtures("plain")
def test_raw_to_gold(tmp_path: Path, spark: SparkSession) -> None:
    """Three days that overlap, the last one first; then a file goes, and comes again."""
    with shop_at(tmp_path, spark) as world:
        for day in (D3, D1, D2):
            world.apply(*files(1, day), Run())
            world.check()
        assert_gold_is_whole(world)
        assert {name for name in DATASETS if world.rows(f"rejected/{name}")}
        assert all(world.rows(name.replace(".", "/")) for name in DERIVED)
        customers = ("customers", D1, "olist_customers_dataset.csv")
        world.apply(Withdraw(*customers), Run())
        world.check()
        world.apply(Reinstate(*customers))
        world.settle()
        assert_gold_is_whole(world)
        world.run_again()


@pytest.mark.usefixtures("plain")
def test_keys_that_read_alike_are_kept_apart(tmp_path: Path, spark: SparkSession) -> None:
    """What stands between the parts of a key may stand in the parts."""
    reviews = DATASETS["order_reviews"]
    free = tuple(replace(c, pattern=None, references=None) for c in reviews.columns)
    reviews = DATASETS["order_reviews"] = replace(reviews, columns=free)
    [one] = rows(1, "order_reviews", D1, 1, faulty=0)
    one |= {"review_answer_timestamp": ""}
    ids = [("a|b", "c"), ("a", "b|c"), ("a%7Cb", "c"), ("a", "b%7Cc"), ("a%", "7Cb|c"), ("é", "'")]
    texts = [one | {"review_id": a, "order_id": b, "review_score": "4"} for a, b in ids]
    newer = [t | {"review_score": "5"} for t in texts[::2]]
    with World(tmp_path, spark, shop=SHOP) as world:
        world._apply(Land("order_reviews", D1, "a.csv", in_dialect(texts, reviews)))
        world.run()
        world._apply(Land("order_reviews", D2, "b.csv", in_dialect(newer, reviews)))
        world.run()
        found = {
            (r["review_id"], r["order_id"]): r["review_score"]
            for r in world.rows("silver/order_reviews")
        }
        assert found == {pair: 5 - i % 2 for i, pair in enumerate(ids)}
        world._apply(Withdraw("order_reviews", D2, "b.csv"))
        world.run()
        assert {r["review_score"] for r in world.rows("silver/order_reviews")} == {4}
        assert not world.rows("superseded/order_reviews")


PATHS = [(name, day, file) for name in SHOP for day in DATES[:2] for file in ("a.csv", "a (1).csv")]


_RUNS: st.SearchStrategy[Run | Crashing] = st.one_of(
    st.just(Run()),
    st.builds(Run, st.frozensets(st.sampled_from(DATES), min_size=1)),
    st.builds(Crashing, st.none(), st.integers(0, 40)),
)

_BETWEEN: st.SearchStrategy[Step] = st.sampled_from([Back(0), Resume(), Replay(frozenset(DATES))])


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Files that come, change and go, with runs between, some of which die."""
    steps: list[Step] = []
    used: list[tuple[str, date, str]] = []
    for _ in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(4, 12))):
            name, day, file = path = draw(st.sampled_from(used[:2] + PATHS))
            match draw(st.sampled_from(["land"] * 7 + ["withdraw", "repair"])):
                case "withdraw":
                    steps.append(Withdraw(*path))
                case "repair":
                    [texts] = rows(draw(st.integers(0, 9)), name, day, 1)
                    mended = tuple(texts[c] for c in SHOP[name].columns)
                    steps.append(Repair(name, day, f"mended {file}", (mended, None)))
                case _:
                    used.append(path)
                    texts_ = rows(draw(st.integers(0, 99)), name, day, 6, most=2)
                    steps.append(Land(*path, in_dialect(texts_, DATASETS[name], PLAIN)))
        steps.append(draw(_RUNS))
        if draw(st.integers(0, 3)) == 3:
            steps.append(draw(_BETWEEN))
    return steps


def play(spark: SparkSession, history: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, shop_at(Path(folder), spark, 4) as world:
        for step in history:
            world.apply(step)
            if isinstance(step, Run):
                world.check(asked=step.dates)
        if world.restored:
            world.apply(Resume())
        world.settle()
        assert_gold_is_whole(world)
        world.run_again()


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("group", range(1 if EXAMPLES else 2))
def test_any_history_ends_where_the_oracle_does(spark: SparkSession, group: int) -> None:
    """With keys of one column and of several, and a table that no one refers to."""

    @seed(group)
    @given(history=histories())
    @settings(
        max_examples=EXAMPLES or 2,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
    )
    def check(history: list[Step]) -> None:
        play(spark, history)

    check()


# --------------------------------------------------------------------------------------- dialects


def tables(world: World) -> dict[str, list[str]]:
    """Silver and gold by their contracts' columns, whatever their order."""
    ids = [f"silver/{d}" for d in DATASETS] + [name.replace(".", "/") for name in DERIVED]
    return {
        name: sorted(
            repr({c: v for c, v in row.items() if not c.startswith("_")})
            for row in world.rows(name)
        )
        for name in ids
    }


@pytest.mark.slow
def test_a_dialect_says_the_same_in_other_words(tmp_path: Path, spark: SparkSession) -> None:
    """Semicolons, decimal commas, thousands marks, local times, days before months."""
    own = dict(DATASETS)
    found = []
    for dialect in (None, PLAIN):
        for name, dataset in own.items():
            DATASETS[name] = replace(dataset, dialect=dialect or dataset.dialect)
        world = World(tmp_path / str(dialect), spark, shop=SHOP)
        for file in files(7, D1, dialect, count=40):
            world._apply(file)
        world.run()
        found.append(tables(world))
        assert all(found[-1].values())
    assert found[0] == found[1]


# -------------------------------------------------------------------- as its users run it, engines


def brought(lakehouse: Lakehouse, folder: Path) -> dict[str, list[str]]:
    """Land a day's files by their own names, run, and ask for every table."""
    for file in files(3, D1, count=40):
        (folder / file.file).write_bytes(file.content)
    paths = sorted(map(str, folder.glob("olist_*.csv")))
    assert lakehouse.ok("land", *paths, "--date", str(D1)).count(": landed") == len(SHOP)
    lakehouse.ok("run")
    assert "Nothing is pending" in lakehouse.ok("status")
    found = {}
    for table in [*(d.silver for d in DATASETS.values()), *(t.table for t in DERIVED.values())]:
        columns = ", ".join(c.name for c in table.payload)
        found[table.id] = sorted(map(repr, lakehouse.rows(f"SELECT {columns} FROM {table.id}")))
    assert all(found.values())
    return found


@pytest.mark.slow
def test_the_command_line_runs_it(tmp_path: Path) -> None:
    """By one setting; and every day's revenue is that of its lines."""
    lakehouse = Lakehouse(tmp_path, LAKEHOUSE_TABLES=TABLES)
    brought(lakehouse, tmp_path)
    sums = "CAST(sum(price) AS VARCHAR) AS revenue, CAST(sum(freight_value) AS VARCHAR) AS freight"
    wanted = lakehouse.rows(f"SELECT {sums} FROM silver.order_items")
    sums = "CAST(sum(revenue) AS VARCHAR) AS revenue, CAST(sum(freight) AS VARCHAR) AS freight"
    assert lakehouse.rows(f"SELECT {sums} FROM gold.daily_revenue") == wanted
    [breaks] = lakehouse.rows(
        "SELECT count(*) AS n FROM silver.order_reviews "
        "WHERE contains(review_comment_message, chr(10))"
    )
    assert breaks["n"] > 0


@pytest.mark.long
@pytest.mark.spark
@needs_java
@pytest.mark.timeout(1800)
def test_spark_makes_the_same_of_it(tmp_path: Path) -> None:
    found = []
    for engine in ("sail", "spark"):
        folder = tmp_path / engine
        folder.mkdir()
        lakehouse = Lakehouse(folder, LAKEHOUSE_TABLES=TABLES, LAKEHOUSE_ENGINE=engine)
        found.append(brought(lakehouse, folder))
    assert found[0] == found[1]
