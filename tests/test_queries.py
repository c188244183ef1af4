"""Named queries: what they answer on the embedded engine, what the lint refuses, the commands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import sqlglot

from lakehouse_assets.queries.named import NamedQuery, NamedQueryError, named_queries, parse
from lakehouse_assets.queries.portability import lint
from lakehouse_assets.store.lake import Lake
from resources.arrow_values import everything
from resources.duckdb_engine import DuckDBQueries
from resources.settings import Settings
from tests.support import Once
from tests.support.commands import ITEMS as SOME_ITEMS
from tests.support.commands import Lakehouse, put

ITEMS_HEADER = SOME_ITEMS.splitlines()[0]
QUERIES = named_queries()
DAYS = {"as_of": "2025-04-30", "from_date": "2025-04-01", "to_date": "2025-04-30"}

PRODUCTS = """product_id,department_id,department,product_name
1,1,Books,Atlas
2,1,Books,Novel
3,2,Café,Crème brûlée
x,2,Café,no key
"""
# Customer 1: every ten days; 2: once, long ago; 3: once, lately; 4: twice in a day; 5: as 3.
ORDERS = """order_num,order_id,user_id,order_timestamp,total_amount,date
1,10,1,2025-04-01T23:59:59.999999,10.00,
1,11,1,2025-04-11T10:00:00,20.00,
1,12,1,2025-04-21T10:00:00,30.01,
1,13,2,2025-04-01T10:00:00,5.00,
1,14,3,2025-04-28T10:00:00,7.00,
1,15,4,2025-04-10T10:00:00,1.00,
1,16,4,2025-04-10T11:00:00,1.00,
1,17,5,2025-04-28T10:00:00,7.00,
1,18,9,2025-05-02T10:00:00,8.00,
1,19,9,2025-05-02T10:00:00,-8.00,
1,20,2,2025-05-03T10:00:00,9.00,
"""
ITEMS = f"""{ITEMS_HEADER}
100,10,1,,1,1,0,2025-04-01T10:00:00,
101,10,1,,2,2,0,2025-04-01T10:00:00,
102,11,1,10,1,1,1,2025-04-11T10:00:00,
103,11,1,10,2,2,1,2025-04-11T10:00:00,
104,12,1,10,3,1,0,2025-04-21T10:00:00,
105,13,2,,3,1,0,2025-04-01T10:00:00,
106,14,3,,2,1,0,2025-04-28T10:00:00,
107,15,4,,1,1,0,2025-04-10T10:00:00,
108,16,4,0,1,1,1,2025-04-10T11:00:00,
109,99,4,0,1,1,1,2025-04-10T11:00:00,
"""  # order 17 has no lines; 109's order is nowhere


@pytest.fixture(scope="module")
def house(once: Once, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """A few customers' orders, run raw to gold, with rows that do not get in."""

    def make(folder: Path) -> None:
        house = Lakehouse(folder)
        put(house, "products.csv", PRODUCTS)
        put(house, "orders.csv", ORDERS)
        put(house, "order_items.csv", ITEMS, "2025-04-16")
        put(house, "order_items.pdf", b"%PDF", "2025-04-16")
        assert house("run").code == 1  # the unreadable file

    return Lakehouse.copied(once("queries", make), tmp_path_factory.mktemp("queries"))


@pytest.fixture(scope="module")
def few(house: Lakehouse) -> Iterator[Lake]:
    """The same as a lake of this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_ROOT", str(house.root))
        yield Settings.load().lake()


def ask(lake: Lake, name: str, days: Mapping[str, str] = DAYS) -> list[dict[str, Any]]:
    """Rows of a named query."""
    query = QUERIES[name]
    given = {p: days[p] for p in query.parameters}
    names, rows = everything(DuckDBQueries(lake).stream_named(query, query.values(given)))
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("query", QUERIES.values(), ids=lambda q: q.name)
def test_every_query_passes_the_lint_and_answers_in_one_order(few: Lake, query: NamedQuery) -> None:
    """It has rows, and what it orders by tells its rows apart: no engine can order them anew."""
    assert lint(query.sql) == []
    rows = ask(few, query.name, {**DAYS, "as_of": "2025-05-15"})
    assert rows
    order = [o.this.name for o in sqlglot.parse_one(query.sql, read="trino").args["order"]]
    assert len({tuple(row[name] for name in order) for row in rows}) == len(rows)


def test_who_came_back_by_the_month_of_the_first_order(few: Lake) -> None:
    """Of April's five customers one ordered in May; the first month itself tells nothing."""
    [row] = ask(few, "cohorts", {"as_of": "2025-05-31"})
    assert {name: str(value) for name, value in row.items()} == {
        "cohort": "2025-04-01",
        "months_since": "1",
        "customers": "1",
        "cohort_size": "5",
        "retained_share": "0.2000",
    }


def test_customers_as_of_a_day(few: Lake) -> None:
    """Recency, quintiles, segment and churn risk, worked out by hand."""
    rows = {row["user_id"]: row for row in ask(few, "customers")}
    assert sorted(rows) == [1, 2, 3, 4, 5]  # the ninth's first order is later
    shown = ("recency_days", "orders", "recency", "frequency", "monetary", "segment")
    assert {u: tuple(str(row[c]) for c in shown) for u, row in rows.items()} == {
        1: ("9", "3", "3", "5", "5", "loyal"),
        2: ("29", "1", "1", "1", "2", "lost"),
        3: ("2", "1", "4", "1", "3", "new"),
        4: ("20", "2", "2", "4", "1", "at risk"),
        5: ("2", "1", "4", "1", "3", "new"),
    }
    # Everyone's 20 days in 3 gaps stand for who ordered once; a day is the shortest rhythm.
    assert {u: (str(row["usual_gap_days"]), row["churn_risk"]) for u, row in rows.items()} == {
        1: ("10.0000", "low"),
        2: ("6.6667", "high"),
        3: ("6.6667", "low"),
        4: ("1.0000", "high"),
        5: ("6.6667", "low"),
    }


def test_days(few: Lake) -> None:
    """New customers, and averages over days that were not all shop days."""
    assert [tuple(row.values()) for row in ask(few, "new_customers")] == [
        (date(2025, 4, 1), 2, 0, 2),
        (date(2025, 4, 10), 1, 0, 3),
        (date(2025, 4, 11), 0, 1, 3),
        (date(2025, 4, 21), 0, 1, 3),
        (date(2025, 4, 28), 2, 0, 5),
        (date(2025, 5, 2), 1, 0, 6),
        (date(2025, 5, 3), 0, 1, 6),
    ]
    daily = {r["order_date"].day: str(r["average_7_days"]) for r in ask(few, "daily_revenue")}
    assert daily == {
        1: "15.00",
        10: "0.29",
        11: "3.14",
        21: "4.29",
        28: "2.00",
        2: "3.14",
        3: "4.43",
    }
    weekdays = {r["name"]: (r["days"], r["orders"]) for r in ask(few, "weekday_pattern")}
    assert weekdays == {
        "Monday": (2, 3),
        "Tuesday": (1, 2),
        "Thursday": (1, 2),
        "Friday": (2, 2),
        "Saturday": (1, 1),
    }


def test_products_and_baskets(few: Lake) -> None:
    """Best sellers by units, pairs by orders, orders by lines (none among them)."""
    best = [(r["product_name"], r["units"], r["place"]) for r in ask(few, "best_sellers")]
    assert best == [("Atlas", 4, 1), ("Novel", 3, 2), ("Crème brûlée", 2, 3)]
    pairs = [
        (r["product_name"], r["other_product_name"], r["orders"])
        for r in ask(few, "bought_together")
    ]
    assert pairs == [("Atlas", "Novel", 2)]
    lines = ask(few, "department_lines")
    assert str(sum(r["revenue"] for r in lines)) == "81.01"  # all orders until then
    assert {r["department"]: r["units"] for r in lines if not r["units"]} == {"unknown": 0}
    steps = ask(few, "revenue_concentration")
    assert [(int(r["step"]), r["products"]) for r in steps] == [(33, 1), (67, 1), (100, 1)]
    baskets = [(r["lines"], r["orders"]) for r in ask(few, "basket_sizes")]
    assert baskets == [(0, 3), (1, 5), (2, 2)]


def test_quality(few: Lake) -> None:
    """What became of rows, which files are in trouble, why rows are rejected."""
    shown = ("dataset", "files_in_force", "files_in_trouble", "read", "rejected", "usable_share")
    history = [tuple(str(row[c]) for c in shown) for row in ask(few, "data_quality_history")]
    assert history == [
        ("order_items", "1", "1", "10", "1", "0.9000"),
        ("orders", "1", "0", "11", "1", "0.9091"),
        ("products", "1", "0", "4", "1", "0.7500"),
    ]
    assert [row["file"] for row in ask(few, "files_in_trouble")] == ["order_items.pdf"]
    reasons = {
        (r["dataset"], r["category"], r["rejected_rows"]) for r in ask(few, "rejected_by_reason")
    }
    assert reasons == {
        ("order_items", "referential_integrity", 1),
        ("orders", "data_quality", 1),
        ("products", "data_quality", 1),
    }


def test_on_the_command_line(house: Lakehouse) -> None:
    """By name, with a parameter, as a view; the list says what there is."""
    csv = house.ok("query", "--name", "customers", "--param", "as_of=2025-04-02", "--format", "csv")
    assert csv.splitlines()[1:] == [
        "1,2025-04-01,2025-04-01,1,1,10.00,1,1,2,lost,,unknown",
        "2,2025-04-01,2025-04-01,1,1,5.00,1,1,1,lost,,unknown",
    ]
    assert house.value("SELECT sum(revenue) FROM views.daily_revenue") == "98.01"
    listed = house.ok("query", "--list")
    assert all(name in listed and query.purpose in listed for name, query in QUERIES.items())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--name", "customer"), "no query is named 'customer'"),
        (("--name", "customers"), "needs as_of"),
        (("--name", "customers", "--param", "as_of=may"), "is not a date; write it as YYYY-MM-DD"),
        (("--name", "customers", "--param", "as_of"), "has no value"),
        (("--name", "daily_revenue", "--param", "day=2025-04-01"), "no parameter 'day'"),
        (("--name", "daily_revenue", "--list"), "give one of"),
        ((), "give one of"),
    ],
)
def test_one_clear_line(house: Lakehouse, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be asked is one line, and non-zero."""
    ended = house("query", *arguments)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert says in ended.err


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("format('%d', orders)", "FORMAT"),
        ("orders / 2", "CAST(a AS DOUBLE)"),
        ("revenue / orders", "CAST(a AS DOUBLE)"),
        ("CAST(revenue AS DOUBLE) / CAST(orders AS DOUBLE)", "AS DECIMAL(18, 4)"),
        ("CAST(revenue / orders AS DECIMAL(18, 4))", "CAST(a AS DOUBLE)"),
        ("CAST(CAST(orders AS DOUBLE) / CAST(8 AS DOUBLE) AS DECIMAL(18, 4))", "DECIMAL(38, 8)"),
        ("try(CAST(CAST(orders AS DOUBLE) / CAST(items AS DOUBLE) AS DECIMAL(18, 4)))", "TRY("),
        ("try_cast(orders AS DATE)", "TRY_CAST"),
        ("avg(revenue)", "a sum divided by a count"),
        ("CAST(revenue AS DOUBLE)", "only to be divided"),
        ("CAST(revenue AS VARCHAR)", "texts of such values differ"),
        ("CAST(orders + 1 AS VARCHAR)", "cast to DATE"),
        ("CAST(revenue AS DECIMAL)", "cast to DATE"),
        ("order_date AT TIME ZONE 'UTC'", "UTC already"),
        ("extract(dow FROM order_date)", "% 7"),
        ("day_of_week(order_date)", "% 7"),
        ("date_diff('hour', order_date, order_date)", "use days"),
        ("date_diff('week', order_date, order_date)", "use days"),
        ("date_trunc('month', order_date)", "AS DATE"),
        ("CAST(date_trunc('week', order_date) AS DATE)", "month"),
        ("greatest(orders, items)", "CASE"),
        ("current_date", "CURRENT_DATE"),
        ("approx_distinct(orders)", "not known"),
        ("recorded_at", "milliseconds"),
        ("date_diff('day', recorded_at, max(recorded_at))", "milliseconds"),
        ("order_date + INTERVAL '1' MONTH", "date_diff"),
        ("?", "CAST(? AS DATE)"),
    ],
)
def test_the_lint_refuses_what_engines_answer_differently(expression: str, says: str) -> None:
    """Each form, by a line that says what to write instead."""
    [line, *_] = lint(f"SELECT {expression} AS x FROM gold.daily_sales ORDER BY x")
    assert says in line


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DELETE FROM silver.orders", "only reads"),
        ("CREATE TABLE t AS SELECT 1 AS x", "only reads"),
        ("SELECT 1 AS x ORDER BY x; SELECT 2 AS x ORDER BY x", "only reads"),
        ("SELEC", "only reads"),
        ("SELECT (", "cannot be parsed"),
        (
            "SELECT orders AS x FROM gold.daily_sales FOR VERSION AS OF 3 ORDER BY x",
            "no other version",
        ),
        ("SELECT orders AS x FROM gold.daily_sale ORDER BY x", "no such table"),
        ("SELECT orders AS x FROM daily_sales ORDER BY x", "no such table"),
        ("SELECT orders FROM gold.daily_sales", "no ORDER BY"),
        ("SELECT orders FROM gold.daily_sales ORDER BY revenue", "does not show"),
        ("SELECT * FROM gold.daily_sales ORDER BY 1", "name those"),
        (
            "SELECT x FROM (SELECT orders AS x FROM gold.daily_sales LIMIT 5) ORDER BY x",
            "add an ORDER",
        ),
    ],
)
def test_the_lint_refuses_what_is_no_query(sql: str, says: str) -> None:
    """Nothing but one SELECT over tables that there are, in an order of its own."""
    assert any(says in line for line in lint(sql))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT 1 AS x ORDER BY x", "no purpose"),
        ("", "no purpose"),
        ("-- Why.\nSELECT CAST(? AS DATE) AS x ORDER BY x", "for each"),
    ],
)
def test_a_file_says_what_it_is_for(text: str, says: str) -> None:
    """A purpose, and each parameter's meaning."""
    with pytest.raises(NamedQueryError, match=says):
        parse("q", text)
