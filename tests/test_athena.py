"""Named queries on Trino, Athena's engine: the same answers as the embedded engine's, by value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import boto3
import pytest
import sqlglot

from lakehouse_assets.queries.engine import Answer
from lakehouse_assets.queries.named import NamedQuery, named_queries, parse, tables, views
from lakehouse_assets.queries.portability import ALLOWED, lint
from lakehouse_assets.store.lake import Lake
from resources.arrow_values import everything
from resources.athena_engine import view_statements
from resources.duckdb_engine import DuckDBQueries
from resources.duckdb_engine import query as answered
from resources.glue_catalog import GlueCatalog
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.commands import ITEMS as SOME_ITEMS
from tests.support.commands import Lakehouse, put
from tests.support.object_store import BUCKET, Store
from tests.support.trino_server import Trino, running

pytestmark = [pytest.mark.athena, pytest.mark.timeout(1800)]

ITEMS_HEADER = SOME_ITEMS.splitlines()[0]
PREFIX = "shop_"
DAYS = [
    {"as_of": "2025-04-30", "from_date": "2025-04-01", "to_date": "2025-04-30"},
    {"as_of": "2025-04-17", "from_date": "2025-04-16", "to_date": "2025-04-17"},
    {"as_of": "2001-01-01", "from_date": "2001-01-01", "to_date": "2001-01-01"},
]
CASES = [
    pytest.param(query, given, id=f"{query.name} {' '.join(given.values())}".strip())
    for query in named_queries().values()
    for given in (
        {p: days[p] for p in query.parameters} for days in DAYS[: 3 if query.parameters else 1]
    )
]
"""Every query, those with parameters for several days."""


def quotient(above: str, below: str, places: int) -> str:
    """A quotient as queries must write it."""
    return (
        f"CAST(CAST(CAST({above} AS DOUBLE) / NULLIF(CAST({below} AS DOUBLE), 0) "
        f"AS DECIMAL(38, {places + 4})) AS DECIMAL(18, {places}))"
    )


_DAILY = "FROM gold.daily_sales AS d ORDER BY order_date"
FORMS = {
    "sums and counts": """
        SELECT count(*) AS a, count(DISTINCT user_id) AS b, count(order_num) AS c,
            sum(total_amount) AS d, sum(order_num) AS e, sum(-total_amount) AS f,
            sum(total_amount * 2) AS g, sum(total_amount * 1.25) AS h, sum(order_num * 3) AS i
        FROM silver.orders ORDER BY a""",
    "least and greatest": """
        SELECT min(date) AS a, max(date) AS b, min(order_date) AS c, max(order_date) AS d,
            min(total_amount) AS e, max(order_num) AS f
        FROM silver.orders ORDER BY a""",
    "text by its bytes": """
        SELECT product_name, product_name < 'z' AS a, product_name > 'É' AS b,
            product_name = 'É' AS c, rank() OVER (ORDER BY product_name) AS d
        FROM silver.products WHERE product_name <> 'e' OR product_id >= 5
        ORDER BY product_name DESC, d, a""",
    "nulls come last, both ways": """
        SELECT DISTINCT order_num, date FROM silver.orders WHERE total_amount <= 9
        ORDER BY order_num DESC, date""",
    "nulls in conditions": """
        SELECT order_id, order_num = 1 AS a, order_num IS NULL AS b, NOT order_num = 1 AS c,
            order_num IN (1, 2) AS d, order_num BETWEEN 1 AND 50 AS e, date IS NOT NULL AS f,
            NULLIF(order_num, 1) AS g, COALESCE(order_num, -1) AS h,
            CASE WHEN order_num = 1 THEN 'one' WHEN date = 'x' THEN 'x' END AS i,
            order_num = 1 AND date = 'x' AS j, order_num = 1 OR TRUE AS k
        FROM silver.orders ORDER BY order_id""",
    "decimals": f"""
        SELECT order_date, revenue + 1 AS a, revenue - 0.005 AS b, revenue * 3 AS c,
            revenue * 1.125 AS d, revenue % 7 AS e, revenue + average_order_value AS f,
            CAST(revenue AS DECIMAL(20, 4)) AS g, CAST(average_order_value AS DECIMAL(18, 2)) AS h,
            CAST(-average_order_value AS DECIMAL(18, 1)) AS i, CAST(orders AS DECIMAL(18, 2)) AS j,
            revenue > 1.5 * orders AS k {_DAILY}""",
    "quotients": f"""
        SELECT order_date,
            {quotient("revenue", "orders", 4)} AS a,
            {quotient("orders", "revenue", 4)} AS b,
            {quotient("orders", "32", 4)} AS c,
            {quotient("-orders", "32", 4)} AS d,
            {quotient("revenue", "3", 2)} AS e {_DAILY}""",
    "every half is rounded alike": f"""
        SELECT order_id,
            {quotient("order_id % 4096", "32", 4)} AS a,
            {quotient("order_id % 4096", "200", 2)} AS b,
            {quotient("order_id % 4096", "2000", 2)} AS c,
            {quotient("total_amount", "8", 4)} AS d
        FROM silver.orders WHERE total_amount < 90000000 ORDER BY order_id""",
    "whole numbers": """
        SELECT id, (order_id + 1) * 2 - product_id AS a, order_id % 7 AS b,
            (add_to_cart_order - 5) % 3 AS c, -product_id AS d, reordered + 1 AS e
        FROM silver.order_items ORDER BY id""",
    "days": f"""
        SELECT order_date, date_diff('day', order_date, DATE '2024-02-29') AS a,
            date_diff('day', DATE '1999-12-31', order_date) AS b,
            CAST(date_trunc('month', order_date) AS DATE) AS c,
            CAST(date_trunc('quarter', order_date) AS DATE) AS d,
            CAST(date_trunc('year', order_date) AS DATE) AS e {_DAILY}""",
    "windows": f"""
        SELECT order_date, row_number() OVER (ORDER BY orders DESC, order_date) AS a,
            rank() OVER (ORDER BY customers) AS b, ntile(3) OVER (ORDER BY order_date) AS c,
            lag(revenue) OVER (ORDER BY order_date) AS d,
            lag(orders, 2, 0) OVER (ORDER BY order_date) AS e,
            sum(orders) OVER (ORDER BY order_date ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS f,
            sum(revenue) OVER (
                ORDER BY order_date RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND CURRENT ROW
            ) AS g,
            max(revenue) OVER () AS h, count(*) OVER (PARTITION BY items) AS i {_DAILY}""",
    "joins and sets": """
        WITH some AS (SELECT order_id FROM silver.orders WHERE NOT order_id > 900000001
                      UNION SELECT order_id FROM silver.order_items
                      UNION ALL SELECT CAST(NULL AS DECIMAL(18, 0)) AS order_id)
        SELECT s.order_id, o.user_id, t.rule, count(*) AS lines
        FROM some AS s
        LEFT JOIN silver.orders AS o ON o.order_id = s.order_id
        LEFT JOIN (SELECT _row FROM rejected.orders) AS r ON r._row = s.order_id
        CROSS JOIN (
            SELECT DISTINCT rule FROM rejected.orders CROSS JOIN UNNEST(_rules) AS u (rule)
        ) AS t
        GROUP BY s.order_id, o.user_id, t.rule HAVING count(*) > 0
        ORDER BY order_id, user_id, rule LIMIT 5000""",
}
"""What the lint lets through, in one query or another."""

# Equal amounts, times at a day's edges, an order without lines, letters of all kinds, gaps.
ORDERS = """order_num,order_id,user_id,order_timestamp,total_amount,date
,900000001,900001,2025-04-18T23:59:59.999999,10.00,
,900000002,900001,2025-04-18T00:00:00,10.00,
1,900000003,900002,2025-04-18T12:00:00+14:00,0.00,x
1,900000004,900003,2025-03-31T12:00:00,0.01,
1,900000005,900004,1999-12-31T23:59:59,9999999999.99,
1,900000006,900005,2025-04-18T12:00:00,3.33,é
1,900000007,900006,2025-04-18T12:00:00,3.33,
1,900000008,900006,2025-04-18T12:00:00,-1,
1,900000009,900003,2025-04-12T12:00:00,0.02,
"""
PRODUCTS = """product_id,department_id,department,product_name
900001,9001,Ünïcode,"Ünï, 'quoted' ""twice"" 日本 😀"
900002,9001,Ünïcode,É
900003,9001,Ünïcode,e
"""
ITEMS = f"""{ITEMS_HEADER}
900000001,900000001,900001,,900001,1,1,2025-04-18T12:00:00,
900000002,900000001,900001,,900002,2,0,2025-04-18T12:00:00,
900000003,900000001,900001,,900002,3,0,2025-04-18T12:00:00,
900000004,900000003,900002,0.5,900003,1,0,2025-04-18T12:00:00,
900000005,900000005,900004,,900003,1,0,2025-04-18T12:00:00,
900000006,900000006,900005,,900001,1,0,2025-04-18T12:00:00,
900000007,900000007,900006,,900001,1,0,2025-04-18T12:00:00,
900000008,990000000,900006,,900001,1,0,2025-04-18T12:00:00,
900000009,900000007,900006,,990001,2,7,2025-04-18T12:00:00,
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """The sample and awkward rows, raw to gold on the embedded engine."""
    house = Lakehouse(tmp_path_factory.mktemp("athena"))
    for file in sorted((PROJECT / "data" / "sample").glob("*/*/*")):
        put(house, file.name, file.read_bytes(), file.parent.name)
    for name, text in {"products": PRODUCTS, "orders": ORDERS, "order_items": ITEMS}.items():
        put(house, f"{name}_awkward.csv", text, "2025-04-19")
    put(house, "orders_broken.csv", b"\xff", "2025-04-19")
    assert house("run").code == 1  # the broken file
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_ROOT", str(house.root))
        yield Settings.load().lake()


@pytest.fixture(scope="module")
def trino(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trino]:
    """Trino over a catalog of the same tables."""
    with Store() as store, pytest.MonkeyPatch.context() as patch:
        environment = store.environment(failing=False) | {"LAKEHOUSE_ROOT": f"s3://{BUCKET}"}
        for name, value in environment.items():
            patch.setenv(name, value)
        register(lake)
        with running(tmp_path_factory.mktemp("trino"), environment, BUCKET, PREFIX) as found:
            for statement in view_statements(PREFIX):
                found.answer(statement)
            yield found


def register(lake: Lake) -> None:
    """Put the lake's tables into S3, and into Glue as the project does."""
    s3 = boto3.client("s3")
    for table in tables().values():
        for stored in lake.storage.list(lake.path(table)):
            data = lake.storage.read(stored.path)
            s3.put_object(Bucket=BUCKET, Key=f"processed/{stored.path}", Body=data)
    GlueCatalog(lakehouse=Settings.load().lakehouse, prefix=PREFIX).register()


def told(answer: Answer) -> tuple[list[str], list[tuple[str, ...]]]:
    """An answer to be compared: types and a decimal's scale count, too."""
    names, rows = answer
    return names, [tuple(f"{type(v).__name__} {v}" for v in row) for row in rows]


@pytest.mark.parametrize(("query", "given"), CASES)
def test_named_query(lake: Lake, trino: Trino, query: NamedQuery, given: dict[str, str]) -> None:
    """Names, values, types and order are the same."""
    values = query.values(given)
    here = told(everything(DuckDBQueries(lake).stream_named(query, values)))
    assert told(trino.answer_named(query, values)) == here
    assert here[1] or values == [date(2001, 1, 1)] * len(values)


@pytest.mark.parametrize("name", FORMS)
def test_form(lake: Lake, trino: Trino, name: str) -> None:
    """What the lint lets through is answered alike."""
    query = parse(name, f"-- {name}.\n{FORMS[name]}")
    assert lint(query.sql) == []
    assert told(trino.answer_named(query)) == told(
        everything(DuckDBQueries(lake).stream_named(query))
    )


def test_every_form_that_the_lint_lets_through_is_compared() -> None:
    """Nothing is allowed on trust."""
    texts = [*FORMS.values(), *(query.sql for query in named_queries().values())]
    trees = [sqlglot.parse_one(text, read="trino") for text in texts]
    compared = {type(node) for tree in trees for node in tree.walk()}
    assert {kind.__name__ for kind in ALLOWED - compared} == set()


@pytest.mark.parametrize("name", views())
def test_view(lake: Lake, trino: Trino, name: str) -> None:
    """Each is there, with the rows that the embedded engine's has."""
    order = views()[name].sql.rsplit("ORDER BY", 1)[1].split("LIMIT")[0]
    there = trino.answer(f"SELECT * FROM {PREFIX}{name} ORDER BY {order}")
    assert told(there) == told(answered(lake, f"SELECT * FROM {name} ORDER BY {order}"))
