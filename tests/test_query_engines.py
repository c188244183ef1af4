"""Athena through its protocol: typed values, pages, and one clear line for what goes wrong."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lakehouse_assets.queries.engine import Answer, QueryError
from lakehouse_assets.queries.named import NamedQuery, named_queries
from resources.arrow_values import everything
from resources.athena_engine import AthenaQueries
from resources.aws import AwsError
from resources.duckdb_engine import DuckDBQueries
from resources.duckdb_engine import query as answered
from resources.query_engine import query_engine
from resources.settings import QueryEngineName, Settings, SettingsError
from tests.support.athena_service import PAGE, Service, serving
from tests.support.commands import Lakehouse

PREFIX = "shop_"
DAILY = named_queries()["daily_revenue"]


@pytest.fixture(scope="module")
def house(good_day: Path, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A small lake, raw to gold."""
    return Lakehouse.copied(good_day, tmp_path_factory.mktemp("engines"))


@pytest.fixture
def service(house: Lakehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Athena over that lake; this process's settings lead to it."""
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(house.root))
    lake = Settings.load().lake()

    def answer(sql: str, parameters: Sequence[str]) -> Answer:
        query = NamedQuery("asked", "asked", sql.replace(PREFIX, ""), {})
        return everything(
            DuckDBQueries(lake).stream_named(query, [*map(date.fromisoformat, parameters)])
        )

    with serving(answer) as service:
        for name, value in service.environment().items():
            monkeypatch.setenv(name, value)
        yield service


@pytest.mark.parametrize("prefix", ["", PREFIX])
@pytest.mark.parametrize("name", ["daily_revenue", "customers", "best_sellers", "files_in_trouble"])
def test_values_come_back_as_they_are(service: Service, name: str, prefix: str) -> None:
    """Numbers, days, text and nulls, over several pages or none, from databases with a prefix."""
    query = named_queries()[name]
    values = query.values({p: f"2025-04-{d:02}" for d, p in enumerate(query.parameters, start=1)})
    engine = AthenaQueries("analysts", "s3://lake/results/", prefix)
    here = DuckDBQueries(Settings.load().lake())
    assert everything(engine.stream_named(query, values)) == everything(
        here.stream_named(query, values)
    )
    [asked] = service.asked
    assert asked["ResultConfiguration"] == {"OutputLocation": "s3://lake/results/"}
    assert asked.get("ExecutionParameters", []) == [f"'{v}'" for v in values]
    assert (f"{PREFIX}gold." in asked["QueryString"]) == (bool(prefix) and "gold." in query.sql)


def test_athena_is_not_asked_to_change_anything(service: Service) -> None:
    """Who may query with the rights of a writer is not to write by a query."""
    with pytest.raises(QueryError, match="queries only read, and MERGE does not"):
        everything(query_engine(Settings.load()).stream("MERGE INTO silver.orders USING x ON true"))
    assert not service.asked


def test_what_a_person_types_goes_as_it_is(service: Service) -> None:
    """Athena's dialect and the catalog's own names; a long answer comes in pages."""
    engine = query_engine(Settings.load())
    sql = f"SELECT id, order_date FROM {PREFIX}silver.order_items ORDER BY id"
    names, rows = everything(engine.stream(sql))
    assert (names, [row[0] for row in rows]) == (["id", "order_date"], [100, 101, 102])
    assert len(rows) + 1 > PAGE
    assert service.asked[0]["QueryString"] == sql


def test_by_the_command_line(house: Lakehouse, service: Service) -> None:
    """The same command, the same answer; what cannot be is one line."""
    there = Lakehouse(house.root.parent, **service.environment())
    asked = ("query", "--name", "customers", "--param", "as_of=2025-04-30", "--format", "csv")
    assert there.ok(*asked) == house.ok(*asked)
    ended = there("query", "SELECT nothing FROM gold.daily_sales")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "failed: no column is named nothing" in ended.err
    ended = there("query", "SELECT 1", "--as-of", "2999-01-01")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert "leave --as-of out" in ended.err


def test_long_answers_come_as_pages(house: Lakehouse, service: Service, tmp_path: Path) -> None:
    """A table shows its first rows, and how many there are; files and limits are as everywhere."""
    there = Lakehouse(house.root.parent, **service.environment())
    sql = "SELECT i, CAST(1.5 AS DECIMAL(9, 2)) AS d FROM range(50) t(i)"
    service.answer = lambda _sql, _parameters: answered(Settings.load().lake(), sql)
    ended = there.here("query", "SELECT 1")
    assert "… 20 of 50 rows" in ended.err
    assert "│ 19 │" in ended.out
    assert "│ 20 │" not in ended.out
    file = tmp_path / "a.parquet"
    assert there.here("query", "SELECT 1", "--output", str(file)).out == f"{file}: 50 rows\n"
    rows = pq.read_table(file).to_pylist()
    assert (len(rows), str(rows[7]["d"])) == (50, "1.50")


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.shop_gold.daily_sale' does not exist",
         "no table is named shop_gold.daily_sale; near: shop_gold.daily_sales;"),
        ("SCHEMA_NOT_FOUND: line 1:15: Schema 'shop_gld' does not exist",
         "no table is named shop_gld.daily_sales; near: shop_gold.daily_sales;"),
        ("COLUMN_NOT_FOUND: line 1:15: Column 'revenu' cannot be resolved or requester is not ...",
         "no column is named revenu; near: revenue;"),
    ],
)  # fmt: skip
def test_near_names_at_athena(service: Service, reason: str, says: str) -> None:
    """What Athena says of a name becomes the same line as here, with the place that it names."""

    def refuse(_sql: str, _parameters: Sequence[str]) -> Answer:
        raise ValueError(reason)

    service.answer = refuse
    engine = AthenaQueries("analysts", "s3://lake/results/", PREFIX)
    asked = "SELECT revenu FROM shop_gld.daily_sales, shop_gold.daily_sales"
    with pytest.raises(QueryError) as raised:
        everything(engine.stream(asked))
    line, text, caret = str(raised.value).splitlines()
    assert f"failed: {says}" in line
    assert (text, caret.index("^")) == (f"LINE 1: {asked}", len("LINE 1: ") + 14)


def test_ctrl_c_stops_the_query(house: Lakehouse, service: Service) -> None:
    """Nothing goes on at Athena that nobody waits for."""
    service.never_ends = True
    there = Lakehouse(house.root.parent, **service.environment())
    waiting = there.start("query", "SELECT 1 AS x")
    for _ in range(1200):
        if service.asked and "seen" in service.asked[0]:
            break
        time.sleep(0.1)
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(timeout=120) != 0
    assert service.stopped == ["0"]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"LAKEHOUSE_ATHENA_WORKGROUP": "nobody"}, "WorkGroup nobody is not found"),
        ({"AWS_ENDPOINT_URL_ATHENA": "http://127.0.0.1:9"}, "Could not connect"),
        ({"AWS_REGION": None, "AWS_DEFAULT_REGION": None, "AWS_CONFIG_FILE": "/none"}, "region"),
    ],
)
def test_one_clear_line(
    service: Service, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str | None], says: str
) -> None:
    """What is wrong at Athena, and what to check."""
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    with pytest.raises(AwsError, match=says) as raised:
        everything(query_engine(Settings.load()).stream_named(DAILY))
    assert str(raised.value).startswith(f"Athena workgroup {Settings.load().athena_workgroup}, ")
    assert "; check " in str(raised.value)
    assert "\n" not in str(raised.value)


def test_results_need_a_place_on_s3(tmp_path: Path) -> None:
    """By default below the lakehouse's root; a folder of this machine is none."""
    athena = QueryEngineName.ATHENA
    assert Settings(root="s3://lake/shop", query_engine=athena).athena_results() == (
        "s3://lake/shop/processed/athena_queries/"
    )
    with pytest.raises(SettingsError, match="LAKEHOUSE_ATHENA_OUTPUT"):
        query_engine(Settings(root=str(tmp_path), query_engine=athena))


@pytest.mark.slow
def test_views_for_the_catalog(house: Lakehouse, service: Service) -> None:
    """Every query without parameters, over tables named as the catalog does."""
    service.answer = lambda _sql, _parameters: ([], [])
    environment = {**service.environment(), "LAKEHOUSE_CATALOG_PREFIX": PREFIX}
    there = Lakehouse(house.root.parent, **environment)
    assert "views.daily_revenue" in there.ok("query", "--create-views")
    schema, *statements = [asked["QueryString"] for asked in service.asked]
    assert schema == f"CREATE SCHEMA IF NOT EXISTS {PREFIX}views"
    assert len(statements) == sum(not q.parameters for q in named_queries().values())
    assert all(s.startswith(f"CREATE OR REPLACE VIEW {PREFIX}views.") for s in statements)
    assert all(f"{PREFIX}{layer}." in "".join(statements) for layer in ("gold", "ledger"))
