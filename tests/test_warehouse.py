"""The marts in a warehouse: Redshift's statements by its Data API, carried out by PostgreSQL.

What PostgreSQL cannot show (how rows are distributed and sorted, COPY itself, external schemas) is
only read as Redshift's grammar here; tests.support.redshift_service says what stands for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
import sqlglot
from sqlglot import exp

from lakehouse_assets.defs.keys import partitions
from lakehouse_assets.defs.warehouse_assets import warehouse_assets
from lakehouse_assets.operations import load_warehouse
from lakehouse_assets.operations.load_warehouse import Load, WarehouseError
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.tables import redshift
from lakehouse_assets.tables.contract import Column, Mart
from lakehouse_assets.tables.redshift import Loaded
from lakehouse_assets.tables.spectrum import external_schemas
from resources.aws import AwsError
from resources.engines import SailEngine
from resources.lakehouse import Lakehouse
from resources.locks import Locks
from resources.redshift_data import RedshiftData
from resources.settings import Settings, SettingsError
from resources.warehouse import WarehouseLoader, loader, marts
from tests.support.contents import DAY, NEXT, ROWS, content
from tests.support.machine import needs_postgres
from tests.support.oracle import Land, Run, Withdraw
from tests.support.postgres import Postgres, programs
from tests.support.redshift_service import WORKGROUP, KilledError, Service, serving
from tests.support.steps import Lose, Maintain, Step
from tests.support.world import FIRST, World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOLD = {
    **ROWS,
    "order_items": [
        "1,1,7,,1,1,0,2025-04-01T10:00:00",
        "2,2,8,3.5,1,1,1,2025-04-01T11:00:00",
        "3,2,8,3.5,2,2,0,2025-04-01T11:00:00",
    ],
}
MARTS = {mart.name: mart for mart in marts()}
FACT = "mart.fact_order_items"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    folder = programs()
    assert folder, "demanded by needs_postgres"
    with Postgres(folder) as server:
        yield server


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> World:
    """A shop's first days; not to be changed."""
    with World(tmp_path_factory.mktemp("day"), spark) as world:
        world.apply(*(Land(d, DAY, f"{d}.csv", content(d, *rows)) for d, rows in SOLD.items()))
        world.apply(Land("products", NEXT, "more.csv", content("products", "4,2,Books,Atlas")))
        world.apply(Run())
        return world


@pytest.fixture(scope="module")
def later(day: World, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], World]:
    """The same lake after a happening; not to be changed."""

    @cache
    def happened(name: str) -> World:
        world = day.copied(tmp_path_factory.mktemp("later"))
        world.apply(*HAPPENINGS[name], Run())
        return world

    return happened


@dataclass
class Shop:
    """A lake, what becomes of it, and the warehouse that is loaded from it."""

    world: World
    later: Callable[[str], World]
    service: Service

    def happens(self, name: str) -> None:
        """Let something happen: the lake is the one that has been copied and gone on."""
        self.world = self.later(name)

    def loader(self, *, machine: str = "here", workgroup: str = WORKGROUP) -> WarehouseLoader:
        raw, processed = self.world.lake.raw, self.world.lake.storage
        return WarehouseLoader(
            engine=SailEngine(),
            lakehouse=Lakehouse(raw, processed, FIRST),
            locks=Locks(self.world.root / "locks" / machine, 60.0),
            warehouse=RedshiftData("warehouse", workgroup, poll_seconds=0.02),
            spectrum=None,
        )

    def load(self, *tables: str) -> dict[str, Load]:
        """Load these marts (all, unless named), as a run does."""
        loader = self.loader()
        loader.prepare()
        wanted = tables or [mart.table.id for mart in MARTS.values()]
        return {name: loader.load(name, "a run") for name in wanted}

    def there(self, name: str) -> list[tuple[Any, ...]]:
        """A mart's rows in the warehouse."""
        columns = ", ".join(f'"{c.name}"' for c in MARTS[name].columns)
        return sorted(self.service.rows(f"SELECT {columns} FROM mart.{name}"), key=str)

    def here(self, name: str) -> list[tuple[Any, ...]]:
        """The same rows in the lake; a timestamp's zone is UTC, and the warehouse's has none."""
        rows = self.world.rows(f"mart/{name}")
        columns = MARTS[name].table.names
        plain = [
            tuple(v.replace(tzinfo=None) if hasattr(v, "tzinfo") else v for v in values)
            for values in ([row[c] for c in columns] for row in rows)
        ]
        return sorted(plain, key=str)

    def check(self) -> None:
        """Every mart is in the warehouse what it is in the lake, and nothing is on its way."""
        for name, mart in MARTS.items():
            assert self.there(name) == self.here(name), name
            version = self.world.lake.versions([mart.table])[mart.table.id]
            assert self.service.rows(
                f"SELECT log_id, version, contract FROM staging.loads WHERE table_name = '{name}'"
            ) == [(version.log_id, version.version, mart.digest)]
            assert self.service.rows(f"SELECT * FROM staging.{name}") == []
        [(sold, lines)] = self.service.rows(
            "SELECT sum(allocated_revenue), count(product_name) FROM analytics.fact_order_items"
        )
        facts = self.world.rows("mart/fact_order_items")
        assert (sold or 0, lines) == (sum(f["allocated_revenue"] for f in facts), len(facts))
        assert not [*self.world.lake.storage.list("stage")]


@pytest.fixture
def shop(
    day: World,
    later: Callable[[str], World],
    server: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    """The first days, and a warehouse that has nothing yet."""
    with serving(server) as service:
        for name, value in service.environment().items():
            monkeypatch.setenv(name, value)
        yield Shop(day, later, service)


# ------------------------------------------------------------------------------- what is loaded


@needs_postgres
def test_the_first_load_takes_everything(shop: Shop) -> None:
    done = shop.load()
    assert {load.reason for load in done.values()} == {"nothing was loaded yet"}
    assert done[FACT].rows_added == len(SOLD["order_items"])
    shop.check()
    again = shop.load()
    assert {load.reason for load in again.values()} == {"nothing has changed"}
    shop.check()


MORE_ORDERS = content("orders", "3,3,9,2025-04-02T09:00:00,7.77")
MORE_ITEMS = content("order_items", "7,3,9,,2,1,0,2025-04-02T09:00:00")
HAPPENINGS: dict[str, tuple[Step, ...]] = {
    "incremental": (
        Land("orders", NEXT, "o.csv", MORE_ORDERS),
        Land("order_items", NEXT, "i.csv", MORE_ITEMS),
    ),
    "late": (  # another day's, in the folder of a day that is done, with a year before all others
        Land("orders", DAY, "late.csv", content("orders", "1,4,7,2023-12-31T23:59:59,1.00")),
    ),
    "corrected": (  # another amount, another day, another name
        Land("orders", NEXT, "o.csv", content("orders", "1,1,7,2025-04-03T10:00:00,9.99")),
        Land("products", NEXT, "p.csv", content("products", "1,2,Games,Kite")),
    ),
    "withdrawn": (Withdraw("orders", DAY, "orders.csv"),),
    "compacted": (Maintain(),),
    "lost": (
        Lose("mart.fact_order_items"),
        Land("orders", NEXT, "o.csv", MORE_ORDERS),
        Land("order_items", NEXT, "i.csv", MORE_ITEMS),
    ),
}


@needs_postgres
@pytest.mark.parametrize(
    "happening",
    [
        "corrected",
        *(
            pytest.param(other, marks=pytest.mark.slow)
            for other in sorted(HAPPENINGS.keys() - {"corrected", "lost"})
        ),
    ],
)
def test_whatever_happens_only_changes_are_loaded(shop: Shop, happening: str) -> None:
    shop.load()
    shop.happens(happening)
    done = shop.load()
    assert {load.reason for load in done.values()} <= {None, "nothing has changed"}
    shop.check()
    if happening == "compacted":
        assert {load.rows_added + load.rows_removed for load in done.values()} == {0}
    if happening == "incremental":
        assert (done[FACT].rows_added, done[FACT].rows_removed) == (1, 0)
    if happening == "withdrawn":
        assert (done[FACT].rows_added, done[FACT].rows_removed) == (0, 3)
        assert shop.there("fact_orders") == []


@needs_postgres
def test_a_table_that_was_lost_is_loaded_anew(shop: Shop) -> None:
    shop.load()
    shop.happens("lost")
    assert "of a table that was lost" in str(shop.load()[FACT].reason)
    shop.check()


@needs_postgres
def test_a_table_that_someone_dropped_in_the_warehouse_is_loaded_anew(shop: Shop) -> None:
    shop.load()
    shop.service.do("DROP TABLE mart.fact_order_items CASCADE")
    shop.load()
    shop.check()


@needs_postgres
def test_a_column_more_comes_to_the_table_and_is_filled(shop: Shop) -> None:
    shop.load()
    mart = MARTS["dim_date"]
    more = Column(name="holiday", type="STRING", description="What is celebrated; a 'feast'.")
    wider = replace(mart, columns=(*mart.columns, more))
    others = [wider if m is mart else m for m in MARTS.values()]
    warehouse = RedshiftData("warehouse", WORKGROUP)
    assert load_warehouse.prepare(warehouse, others)
    assert not load_warehouse.prepare(warehouse, others)
    with Workspace(shop.world.spark, shop.world.lake, "a run", "warehouse.dim_date") as work:
        done = load_warehouse.load(work, wider, warehouse)
    assert done.reason == "its contract has changed"
    assert shop.there("dim_date") == shop.here("dim_date")
    assert shop.service.rows("SELECT DISTINCT holiday FROM mart.dim_date") == [(None,)]
    told = "SELECT col_description('mart.dim_date'::regclass, 12)"
    assert shop.service.rows(told) == [("What is celebrated; a 'feast'.",)]


# ------------------------------------------------------------------------------ what goes wrong


@pytest.mark.slow
@needs_postgres
@pytest.mark.parametrize("first", [True, False], ids=["first", "incremental"])
def test_killed_at_every_statement(shop: Shop, first: bool) -> None:
    """Nothing of it is there, and the next run brings all of it, once."""
    if not first:
        shop.load()
        shop.happens("corrected")
    shop.loader().prepare()
    before = shop.there("fact_order_items")
    number, killed = 0, 0

    def kill(at: int, sql: str) -> None:
        if at == number:
            raise KilledError("terminating connection due to administrator command")

    shop.service.before = kill
    while True:
        number += 1
        try:
            shop.loader().load(FACT, "a run")
        except WarehouseError as error:
            assert len(str(error).splitlines()) == 1
            assert f"statement {number} of " in str(error)
            assert shop.there("fact_order_items") == before
            killed += 1
        else:
            break
    assert killed == len(shop.service.batches[-1]) >= 9
    shop.service.before = lambda at, sql: None
    shop.load()
    shop.check()


@needs_postgres
def test_who_asked_dies_and_the_transaction_goes_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Redshift's do: the next run waits for it, and brings nothing twice."""
    shop.load()
    shop.happens("incremental")
    going_on = threading.Event()

    def dies(seconds: float) -> None:
        raise KeyboardInterrupt

    shop.service.before = lambda at, sql: "MERGE" in sql and going_on.wait(60)
    with monkeypatch.context() as patched:
        patched.setattr("resources.redshift_data.time.sleep", dies)
        with pytest.raises(KeyboardInterrupt):
            shop.loader().load(FACT, "a run")
    shop.service.before = lambda at, sql: None
    timer = threading.Timer(2.0, going_on.set)
    timer.start()
    shop.load()
    assert going_on.is_set()
    timer.join()
    shop.check()


@needs_postgres
def test_two_runs_at_once_load_once(shop: Shop) -> None:
    """On two machines, where no lock keeps them apart: both transactions have begun."""
    shop.load()
    shop.happens("corrected")
    both = threading.Barrier(2, timeout=60)
    shop.service.before = lambda at, sql: at == 1 and both.wait()
    done: list[Load] = []
    loaders = [
        threading.Thread(
            target=lambda machine=machine: done.append(
                shop.loader(machine=machine).load(FACT, machine)
            )
        )
        for machine in ("one", "other")
    ]
    for thread in loaders:
        thread.start()
    for thread in loaders:
        thread.join()
    assert [load.version for load in done] == [done[0].version] * 2
    shop.service.before = lambda at, sql: None
    shop.load()
    shop.check()


@needs_postgres
def test_who_was_overtaken_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    """A load of older rows comes to its turn when a newer one is done."""
    shop.load()
    shop.world = shop.later("incremental").copied(tmp_path)
    overtaken: list[str] = []

    def overtake(at: int, sql: str) -> None:
        if at == 1 and not overtaken:
            overtaken.append(sql)
            shop.world.apply(*HAPPENINGS["corrected"][1:], Run())
            shop.loader(machine="other").load(FACT, "another")

    shop.service.before = overtake
    shop.loader().load(FACT, "a run")
    assert overtaken
    shop.load()
    shop.check()


@needs_postgres
@pytest.mark.parametrize(
    ("trouble", "line"),
    [
        ("Disk Full\n  context: query 7", "make room in it, then run again"),
        ("permission denied for schema mart", "grant its role what it needs, then run again"),
        ("1023 Serializable isolation violation", "let what else writes there end"),
    ],
)
def test_a_warehouse_that_cannot_is_one_line(shop: Shop, trouble: str, line: str) -> None:
    shop.load()
    before = shop.there("fact_order_items")
    shop.happens("incremental")

    def fail(at: int, sql: str) -> None:
        if "MERGE" in sql:
            raise KilledError(trouble)

    shop.service.before = fail
    with pytest.raises(WarehouseError, match=line) as told:
        shop.load()
    assert len(str(told.value).splitlines()) == 1
    assert f"Redshift workgroup {WORKGROUP}: statement " in str(told.value)
    assert shop.there("fact_order_items") == before
    shop.service.before = lambda at, sql: None
    shop.load()
    shop.check()


@needs_postgres
def test_a_warehouse_that_is_away_is_one_line(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.load()
    shop.happens("incremental")
    with pytest.raises(AwsError, match=r"workgroup none: .*not found.*; check its name") as told:
        shop.loader(workgroup="none").prepare()
    assert len(str(told.value).splitlines()) == 1
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL_REDSHIFT_DATA", "http://127.0.0.1:9")
        away.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(AwsError, match="check the AWS credentials") as told:
            shop.load()
    assert len(str(told.value).splitlines()) == 1
    shop.load()
    shop.check()


@needs_postgres
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("UPDATE staging.warehouse SET schema_version = 2", "its schema is version 2, this"),
        (
            "ALTER TABLE mart.fact_orders ALTER COLUMN items TYPE TEXT",
            "mart.fact_orders.items is text, by contract BIGINT; drop or rename that table",
        ),
    ],
    ids=["another release's", "another type"],
)
def test_a_warehouse_of_another_schema_is_one_line(shop: Shop, change: str, line: str) -> None:
    shop.loader().prepare()
    shop.load("mart.dim_date")
    shop.service.do("DROP VIEW analytics.fact_orders", change)
    before, asked = shop.there("dim_date"), len(shop.service.batches)
    with pytest.raises(WarehouseError, match=line) as told:
        shop.load()
    assert len(str(told.value).splitlines()) == 1
    assert (shop.there("dim_date"), len(shop.service.batches)) == (before, asked)


# --------------------------------------------------------------------------------- as an asset


@needs_postgres
def test_the_assets_load_the_marts(shop: Shop) -> None:
    days = partitions(FIRST)
    assets = warehouse_assets([*MARTS.values()], days)
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            assets,
            partition_key=DAY.isoformat(),
            resources={"loader": shop.loader()},
            instance=instance,
        )
    assert done.success
    [told] = [
        event.materialization.metadata
        for event in done.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["warehouse", "fact_order_items"])
    ]
    assert told["rows_added"].value == len(SOLD["order_items"])
    shop.check()


def test_a_fact_comes_after_its_dimensions() -> None:
    found = {
        d.key: d.asset_deps[d.key] for d in warehouse_assets([*MARTS.values()], partitions(FIRST))
    }
    assert {key.to_user_string() for key in found[dg.AssetKey(["warehouse", "fact_orders"])]} == {
        "mart/fact_orders",
        "warehouse/dim_customer",
        "warehouse/dim_date",
        "warehouse/schema",
    }


# --------------------------------------------------------------------------------- the settings


def test_without_a_warehouse_there_is_none() -> None:
    assert not Settings().has_warehouse
    assert Settings(warehouse_cluster="shop").has_warehouse
    with pytest.raises(SettingsError, match="unset one of them"):
        _ = Settings(warehouse_cluster="shop", warehouse_workgroup="shop").has_warehouse


def test_redshift_reads_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"LAKEHOUSE_WAREHOUSE: Redshift cannot read /"):
        loader(Settings(root=str(tmp_path), warehouse_workgroup="shop"))
    found = loader(Settings(root="s3://shop", warehouse_cluster="shop", warehouse_secret="arn"))
    assert found.warehouse == RedshiftData("lakehouse", None, "shop", "arn")


# ----------------------------------------------------------------------- the grammar of Redshift


def every_statement() -> Iterator[Sequence[str]]:
    """Every transaction of a warehouse's life."""
    yield from redshift.setup([*MARTS.values()], {})
    yield from ([sql] for sql in external_schemas("shop_", None))
    yield redshift.settled("x")
    old, new = Loaded("a", 1, "x"), Loaded("a", 2, "x")
    for mart in MARTS.values():
        for before in (None, old):
            for staged in (None, "s3://shop/stage/it's/manifest.json"):
                yield redshift.load(mart, before, new, staged, whole=not before, run_id="a run")
        by = "arn:aws:iam::123456789012:role/reads"
        yield redshift.load(mart, None, new, "s3://shop/m", whole=True, run_id="a run", role=by)


def test_every_statement_is_redshifts() -> None:
    copies = []
    for transaction in every_statement():
        assert 0 < len(transaction) <= redshift.MOST_STATEMENTS
        for sql in transaction:
            tree = sqlglot.parse_one(sql, read="redshift")
            if isinstance(tree, exp.Command):
                assert sql.startswith(("LOCK staging.loads", "CREATE EXTERNAL SCHEMA "))
            if isinstance(tree, exp.Copy):
                copies.append(tree.sql("redshift"))
    assert len(copies) == 3 * len(MARTS)
    assert copies[0].endswith("IAM_ROLE DEFAULT FORMAT PARQUET MANIFEST")
    assert "IAM_ROLE 'arn:aws:iam::123456789012:role/reads' FORMAT" in copies[2]


def layout(mart: Mart) -> tuple[str, str | None, list[str]]:
    """How a mart is distributed, by which column, and sorted by which."""
    [made] = [
        tree
        for transaction in redshift.setup([*MARTS.values()], {})
        for tree in (sqlglot.parse_one(sql, read="redshift") for sql in transaction)
        if isinstance(tree, exp.Create)
        and (table := tree.find(exp.Table))
        and (table.db, table.name) == (redshift.MARTS, mart.name)
    ]
    found = {type(p): p for p in made.args["properties"].expressions}
    by = found.get(exp.DistKeyProperty)
    keys = found[exp.SortKeyProperty]
    assert keys.args["compound"]
    return (
        found[exp.DistStyleProperty].name,
        by.this.name if by else None,
        [key.name for key in keys.this],
    )


def test_dimensions_are_everywhere_and_facts_are_spread_by_order() -> None:
    assert {name: layout(mart) for name, mart in MARTS.items()} == {
        "dim_customer": ("ALL", None, ["user_id"]),
        "dim_date": ("ALL", None, ["date_key"]),
        "dim_department": ("ALL", None, ["department_key"]),
        "dim_product": ("ALL", None, ["product_id"]),
        "fact_orders": ("KEY", "order_id", ["order_date", "order_id"]),
        "fact_order_items": ("KEY", "order_id", ["order_date", "order_id"]),
    }


def test_keys_tell_redshift_how_tables_meet() -> None:
    [sql] = [
        s
        for t in redshift.setup([*MARTS.values()], {})
        for s in t
        if 'CREATE TABLE "mart"."fact_order_items"' in s
    ]
    tree = sqlglot.parse_one(sql, read="redshift")
    refers = {
        key.expressions[0].name: key.find(exp.Table).name  # type: ignore[union-attr]
        for key in tree.find_all(exp.ForeignKey)
    }
    assert refers == {c.name: c.references for c in MARTS["fact_order_items"].dimensions}
    [primary] = tree.find_all(exp.PrimaryKey)
    assert [key.name for key in primary.expressions] == ["id"]
