"""The benchmark's baseline: what a good data engineer writes by hand, with DuckDB and delta-rs.

    run(root, [date(2025, 4, 16)])                # raw → bronze → silver, rejected → gold
    table = read_table(root, "gold.daily_sales")

It takes the days' `root/raw/<dataset>/<YYYY-MM-DD>/*.csv` to Delta tables in `root/processed`, by
the design's values, rules, limit that holds a file, version order, foreign keys and gold tables.
Days come in any order, and again. A run reads the days' files, the rejected rows, and what of
silver and gold these can change. After a crash the same call mends everything.

It leaves to the product: anything but plain CSV with a line per row (one that cannot be split stops
it), files that are replaced or withdrawn, acceptances, repairs, receipts, changes of the rules,
every other engine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from deltalake import DeltaTable, write_deltalake

SILVER = {  # the source's columns; parents come first
    "products": "product_id BIGINT, department_id BIGINT, department TEXT, product_name TEXT",
    "orders": "order_num BIGINT, order_id BIGINT, user_id BIGINT, order_timestamp TIMESTAMPTZ, "
    "total_amount DECIMAL(12,2), date TEXT",
    "order_items": "id BIGINT, order_id BIGINT, user_id BIGINT, "
    "days_since_prior_order DECIMAL(9,2), product_id BIGINT, add_to_cart_order INTEGER, "
    "reordered INTEGER, order_timestamp TIMESTAMPTZ, date TEXT",
}
SOURCE = {d: dict(c.split(" ") for c in ddl.split(", ")) for d, ddl in SILVER.items()}
KEY = {"products": "product_id", "orders": "order_id", "order_items": "id"}
PARENTS = {"order_items": {"order_id": "orders", "product_id": "products"}}
PARTITION = {"products": "department_id", "orders": "order_date", "order_items": "order_date"}
NULLABLE = {"order_num", "days_since_prior_order", "date"}
BOUNDS = {  # column → its rule, and what a value must be
    "total_amount": ("min", ">= 0"),
    "days_since_prior_order": ("min", ">= 0"),
    "add_to_cart_order": ("min", ">= 1"),
    "reordered": ("allowed", "IN (0, 1)"),
}
VERSION = "_batch_date, _file, _row"  # in the version order: text sorts by its UTF-8 bytes
NEWER = "({0}._batch_date, {0}._file, {0}._row) > ({1}._batch_date, {1}._file, {1}._row)"

BLANK = r"[ \t\r\n\x{00a0}]"
WHOLE, DECIMAL = r"(-?[0-9]+)(?:\.0+)?", r"(-?[0-9]+(?:\.[0-9]{1,2})?)"
YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|18(?::?00)?))?"
TEXT_OF = {  # type → what of a text is cast to it
    "BIGINT": WHOLE,
    "INTEGER": WHOLE,
    "DECIMAL(12,2)": DECIMAL,
    "DECIMAL(9,2)": DECIMAL,
    "TIMESTAMPTZ": f"({YEAR}-[0-9]{{2}}-[0-9]{{2}}[T ]{CLOCK}{ZONE})",
}
MACROS = f"""
CREATE MACRO trimmed(t) AS nullif(CASE WHEN regexp_matches(t, '^{BLANK}|{BLANK}$')
                                       THEN trim(t, ' \t\r\n\u00a0') ELSE t END, '');
CREATE MACRO in_years(t) AS CASE WHEN t >= '0001-01-01' AND t < '10000-01-01' THEN t END;
CREATE MACRO money(cents) AS CAST(cents::DECIMAL(18,0) * 0.01 AS DECIMAL(18,2));
-- The exact quotient of whole numbers, none of them negative, rounded half up.
CREATE MACRO ratio(n, d) AS CASE WHEN d > 0 THEN CAST(
    ((20000 * n::HUGEINT + d) // (2 * d::HUGEINT))::DECIMAL(18,0) * 0.0001 AS DECIMAL(18,4)) END;
"""

GOLD_INPUTS = """
CREATE TEMP TABLE sold AS
SELECT order_id, user_id, order_timestamp, order_date, (total_amount * 100)::BIGINT AS cents,
       order_date IN (SELECT order_date FROM touched) AS of_day,
       user_id IN (SELECT user_id FROM touched) AS of_user
FROM {orders} WHERE of_day OR of_user;
CREATE TEMP TABLE lines AS
SELECT id, order_id, product_id, add_to_cart_order, reordered
FROM {order_items} WHERE order_id IN (SELECT order_id FROM sold);
CREATE TEMP TABLE catalogue AS
SELECT product_id, product_name, department_id, department FROM {products};
CREATE TEMP TABLE baskets AS
SELECT s.*, coalesce(b.lines, 0) AS lines, coalesce(b.reorders, 0) AS reorders
FROM sold s LEFT JOIN (
    SELECT order_id, count(*) AS lines, sum(reordered) AS reorders FROM lines GROUP BY order_id
) b USING (order_id);
-- An order's cents, evenly over its lines; the first ones get one of those left over.
CREATE TEMP TABLE shares AS
SELECT b.order_date, l.order_id, b.user_id, l.product_id, l.add_to_cart_order, l.reordered,
       b.cents // b.lines + (row_number() OVER (
           PARTITION BY l.order_id ORDER BY l.add_to_cart_order, l.id
       ) <= b.cents % b.lines)::BIGINT AS cents
FROM lines l JOIN baskets b USING (order_id) WHERE b.of_day
"""
GOLD_BY_DAY = {
    "gold.daily_sales": """
SELECT order_date, count(*) AS orders, sum(lines)::BIGINT AS items,
       count(DISTINCT user_id) AS customers, money(sum(cents)) AS revenue,
       ratio(sum(cents), 100 * count(*)) AS average_order_value
FROM baskets WHERE of_day GROUP BY order_date""",
    "gold.product_performance": """
SELECT order_date, product_id, any_value(product_name) AS product_name,
       any_value(department_id) AS department_id, any_value(department) AS department,
       count(*) AS units, count(DISTINCT order_id) AS orders, sum(reordered)::BIGINT AS reorders,
       ratio(sum(reordered), count(*)) AS reorder_rate,
       ratio(sum(add_to_cart_order), count(*)) AS average_cart_position,
       money(sum(cents)) AS allocated_revenue
FROM shares JOIN catalogue USING (product_id) GROUP BY order_date, product_id""",
    "gold.department_analytics": """
WITH parts AS (
    SELECT order_date, department_id, department, order_id, user_id, reordered, cents
    FROM shares JOIN catalogue USING (product_id)
    UNION ALL
    SELECT order_date, NULL, 'unknown', order_id, user_id, NULL, cents
    FROM baskets WHERE of_day AND lines = 0
), days AS (SELECT order_date, sum(cents) AS cents FROM baskets WHERE of_day GROUP BY order_date)
SELECT order_date, department_id, department, count(reordered) AS units,
       count(DISTINCT order_id) AS orders, count(DISTINCT user_id) AS customers,
       money(sum(parts.cents)) AS allocated_revenue,
       ratio(sum(parts.cents), any_value(days.cents)) AS revenue_share,
       ratio(sum(reordered), count(reordered)) AS reorder_rate
FROM parts JOIN days USING (order_date) GROUP BY order_date, department_id, department""",
}
# The deviation is sqrt(n / d) / 86400 millionths of a day. Whole numbers check the double's
# rounding, which can be one off at a tie: its square must lie within (root ± 1/2) squared.
GOLD_BY_USER = """
WITH gaps AS (
    SELECT *, epoch_us(order_timestamp) - lag(epoch_us(order_timestamp)) OVER (
        PARTITION BY user_id ORDER BY order_timestamp) AS gap
    FROM baskets WHERE of_user
), customers AS (
    SELECT user_id, min(order_date) AS first_order_date, max(order_date) AS last_order_date,
           count(*) AS orders, sum(lines)::BIGINT AS items, sum(cents) AS cents,
           sum(reorders) AS reorders, count(gap) AS gaps, sum(gap) AS days,
           gaps * sum(gap::HUGEINT * gap) - days * days AS n,
           (gaps * (gaps - 1)) * 86400::HUGEINT * 86400 AS d,
           CASE WHEN gaps > 1 THEN round(sqrt(n::DOUBLE / d::DOUBLE))::HUGEINT END AS root
    FROM gaps GROUP BY user_id
), bought AS (
    SELECT user_id, department, count(*) AS lines
    FROM lines JOIN baskets USING (order_id) JOIN catalogue USING (product_id)
    WHERE of_user GROUP BY user_id, department
), favourites AS (
    SELECT user_id, department AS favourite_department FROM bought
    QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY lines DESC, department) = 1
)
SELECT user_id, first_order_date, last_order_date, orders, items, money(cents) AS spend,
       ratio(cents, 100 * orders) AS average_order_value,
       ratio(items, orders) AS average_basket_size,
       ratio(days, 86400000000 * gaps) AS average_days_between_orders,
       CAST(CASE WHEN d * (2 * root + 1) * (2 * root + 1) <= 4 * n THEN root + 1
                 WHEN root > 0 AND d * (2 * root - 1) * (2 * root - 1) > 4 * n THEN root - 1
                 ELSE root END::DECIMAL(18,0) * 0.000001 AS DECIMAL(18,6))
           AS stddev_days_between_orders,
       ratio(reorders, items) AS reorder_rate, favourite_department
FROM customers LEFT JOIN favourites USING (user_id)"""


def run(root: Path, batch_dates: Sequence[date]) -> None:
    """Bring every table up to date with the raw files of these days."""
    with _connect() as con:
        batch = _Batch(con, root.resolve(), sorted(set(batch_dates)))
        for dataset in SILVER:
            batch.create(dataset)
            batch.resolve(dataset)
        batch.find_touched()
        for dataset in SILVER:
            batch.publish(dataset)
        batch.make_gold()


def read_table(root: Path, table: str) -> pa.Table:
    """Read a whole table; `table` is `<layer>.<name>`."""
    with _connect() as con:
        return con.sql(f"FROM {_Batch(con, root.resolve(), []).scan(table)}").to_arrow_table()


def _connect() -> duckdb.DuckDBPyConnection:
    """Open DuckDB with its Delta extension, from the wheel that the installer has verified."""
    config = {"threads": 2, "allow_unsigned_extensions": True}  # no hashing of its 80 MB each time
    con = duckdb.connect(config=config)
    folder = files("duckdb_extension_delta") / "extensions" / f"v{duckdb.__version__}"
    con.load_extension(str(folder / "delta.duckdb_extension"))
    con.execute(f"SET TimeZone = 'UTC'; {MACROS}")
    return con


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _any_of(column: str, values: Sequence[Any]) -> str:
    """A condition for DuckDB (which prunes files by a range, not by a list) and delta-rs."""
    texts = [str(v) if isinstance(v, int) else _text(v) for v in sorted(values)]
    return f"{column} BETWEEN {texts[0]} AND {texts[-1]} AND {column} IN ({', '.join(texts)})"


def _value(column: str, kind: str) -> str:
    """SQL: the value of a text; null if it is missing or wrong."""
    if kind == "TEXT":
        return f"trimmed({column})"
    text = f"regexp_extract({column}, '^{BLANK}*{TEXT_OF[kind]}{BLANK}*$', 1)"
    value = f"try_cast({text} AS {kind})"
    return f"in_years({value})" if kind == "TIMESTAMPTZ" else value


def _fine(column: str) -> str:
    """SQL: whether a column certainly breaks no rule; `<column>_` is its text."""
    fine = f"{column} {BOUNDS.get(column, ('', 'IS NOT NULL'))[1]}"
    return f"({fine} OR {column}_ IS NULL)" if column in NULLABLE else fine


def _rule(column: str) -> str:
    """SQL: the rule that a column breaks, or null."""
    rule, bound = BOUNDS.get(column, ("", "IS NOT NULL"))
    missing = "NULL" if column in NULLABLE else f"'{column}.required'"
    return f"""CASE WHEN {column} {bound} THEN NULL
        WHEN {column} IS NOT NULL THEN '{column}.{rule}'
        WHEN trimmed({column}_) IS NULL THEN {missing} ELSE '{column}.type' END"""


class _Batch:
    """The steps of a run. They hand on temporary tables, named `<what>_<dataset>`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, root: Path, dates: list[date]) -> None:
        self.con, self.root, self.dates = con, root, dates
        self.raw: dict[str, pa.Table] = {}
        self.pending = root / "processed" / "_touched.parquet"  # what a crash leaves to be made

    def path(self, table: str) -> Path:
        return self.root / "processed" / table.replace(".", "/")

    def scan(self, table: str) -> str:
        return f"delta_scan({_text(self.path(table))})"

    def column(self, query: str) -> list[Any]:
        return [row[0] for row in self.con.execute(query).fetchall()]

    def near(self, column: str, query: str) -> str:
        """A condition by which Delta skips the files that have none of the query's values."""
        low, high = self.con.execute(f"SELECT min(v), max(v) FROM ({query}) q(v)").fetchall()[0]
        return "false" if low is None else f"{column} BETWEEN {low} AND {high}"
