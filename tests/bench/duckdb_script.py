"""The benchmark's baseline: what a good data engineer writes by hand, with DuckDB and delta-rs.

    run(root, [date(2025, 4, 16)])                # raw → bronze → silver, rejected → gold
    table = read_table(root, "gold.daily_sales")

It takes the days' `root/raw/<dataset>/<YYYY-MM-DD>/*.csv` to Delta tables in `root/processed`, by
the design's values, rules, limit that holds a file, version order, foreign keys and gold tables.
Days come in any order, and again. A run reads the days' files, the rejected rows, and what of
silver and gold these can change. After a crash the same call, repeated, mends everything.

It leaves to the product: anything but plain CSV (a line that cannot be split stops it), files that
are replaced or withdrawn, acceptances, repairs, receipts, changed rules, any other engine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
from deltalake import DeltaTable, write_deltalake

# Source columns and their silver types; parents come first.
DATASETS: dict[str, str] = {
    "products": "product_id BIGINT, department_id BIGINT, department TEXT, product_name TEXT",
    "orders": "order_num BIGINT, order_id BIGINT, user_id BIGINT, order_timestamp TIMESTAMPTZ, "
    "total_amount DECIMAL(12,2), date TEXT",
    "order_items": "id BIGINT, order_id BIGINT, user_id BIGINT, "
    "days_since_prior_order DECIMAL(9,2), product_id BIGINT, add_to_cart_order INTEGER, "
    "reordered INTEGER, order_timestamp TIMESTAMPTZ, date TEXT",
}
SOURCE = {
    dataset: dict(column.split(" ") for column in ddl.split(", "))
    for dataset, ddl in DATASETS.items()
}
KEY = {"products": "product_id", "orders": "order_id", "order_items": "id"}
PARENTS = {"order_items": {"order_id": "orders", "product_id": "products"}}
NULLABLE = {"order_num", "days_since_prior_order", "date"}
BOUNDS = {  # column → rule, what a value must be
    "total_amount": ("min", ">= 0"),
    "days_since_prior_order": ("min", ">= 0"),
    "add_to_cart_order": ("min", ">= 1"),
    "reordered": ("allowed", "IN (0, 1)"),
}
VERSION = "_batch_date, _file, _row"  # their order is the version order; text sorts by UTF-8 bytes
VERSION_DDL = "_batch_date DATE, _file TEXT, _row BIGINT"

TABLES = {  # table → columns, what it is partitioned by
    **{
        f"bronze.{d}": (f"{', '.join(f'{c} TEXT' for c in SOURCE[d])}, {VERSION_DDL}", "_batch_date")
        for d in DATASETS
    },
    **{
        f"rejected.{d}": (
            f"{', '.join(f'{c} TEXT' for c in SOURCE[d])}, {VERSION_DDL}, _category TEXT, "
            "_rules TEXT[]",
            None,
        )
        for d in DATASETS
    },
    "silver.products": (f"{DATASETS['products']}, {VERSION_DDL}", "department_id"),
    "silver.orders": (f"{DATASETS['orders']}, order_date DATE, {VERSION_DDL}", "order_date"),
    "silver.order_items": (
        f"{DATASETS['order_items']}, order_date DATE, {VERSION_DDL}",
        "order_date",
    ),
    "gold.daily_sales": (
        "order_date DATE, orders BIGINT, items BIGINT, customers BIGINT, revenue DECIMAL(18,2), "
        "average_order_value DECIMAL(18,4)",
        "order_date",
    ),
    "gold.product_performance": (
        "order_date DATE, product_id BIGINT, product_name TEXT, department_id BIGINT, "
        "department TEXT, units BIGINT, orders BIGINT, reorders BIGINT, "
        "reorder_rate DECIMAL(18,4), average_cart_position DECIMAL(18,4), "
        "allocated_revenue DECIMAL(18,2)",
        "order_date",
    ),
    "gold.department_analytics": (
        "order_date DATE, department_id BIGINT, department TEXT, units BIGINT, orders BIGINT, "
        "customers BIGINT, allocated_revenue DECIMAL(18,2), revenue_share DECIMAL(18,4), "
        "reorder_rate DECIMAL(18,4)",
        "order_date",
    ),
    "gold.customer_insights": (
        "user_id BIGINT, first_order_date DATE, last_order_date DATE, orders BIGINT, "
        "items BIGINT, spend DECIMAL(18,2), average_order_value DECIMAL(18,4), "
        "average_basket_size DECIMAL(18,4), average_days_between_orders DECIMAL(18,4), "
        "stddev_days_between_orders DECIMAL(18,6), reorder_rate DECIMAL(18,4), "
        "favourite_department TEXT",
        None,
    ),
}

# ---------------------------------------------------------------------------------------- values

BLANKS = r"[ \t\r\n\x{00a0}]*"
YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|18(?::?00)?))?"
TEXTS = {  # type → what is taken from the text, for the cast
    "BIGINT": r"(-?[0-9]+)(?:\.0+)?",
    "INTEGER": r"(-?[0-9]+)(?:\.0+)?",
    "DECIMAL(12,2)": r"(-?[0-9]+(?:\.[0-9]{1,2})?)",
    "DECIMAL(9,2)": r"(-?[0-9]+(?:\.[0-9]{1,2})?)",
    "TIMESTAMPTZ": f"({YEAR}-[0-9]{{2}}-[0-9]{{2}}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    rf"(?:\.[0-9]+)?{ZONE})",
}
MACROS = rf"""
CREATE MACRO trimmed(t) AS nullif(trim(t, E' \t\r\n\u00a0'), '');
CREATE MACRO stamp(t) AS CASE WHEN year(t) BETWEEN 1 AND 9999 THEN t END;
CREATE MACRO money(cents) AS CAST(cents::DECIMAL(18,0) * 0.01 AS DECIMAL(18,2));
-- The exact quotient of whole numbers, none of them negative, rounded half up.
CREATE MACRO ratio(n, d) AS CASE WHEN d > 0 THEN CAST(
    ((20000 * n::HUGEINT + d) // (2 * d::HUGEINT))::DECIMAL(18,0) * 0.0001 AS DECIMAL(18,4)) END;
-- The root of n / d (microseconds squared), in millionths of days. Being a double's, it may round a
-- tie, or next to one, the wrong way: whole numbers decide.
CREATE MACRO root(n, d) AS round(sqrt(n::DOUBLE / d::DOUBLE) / 86400)::HUGEINT;
CREATE MACRO reaches(n, d, half) AS d * half * half * 86400 * 86400 <= 4 * n;
CREATE MACRO deviation(n, d) AS CAST((
    root(n, d) + CASE WHEN reaches(n, d, 2 * root(n, d) + 1) THEN 1
                      WHEN root(n, d) > 0 AND NOT reaches(n, d, 2 * root(n, d) - 1) THEN -1
                      ELSE 0 END
)::DECIMAL(18,0) * 0.000001 AS DECIMAL(18,6));
"""


def typed(column: str, kind: str) -> str:
    """SQL: the value of a text column, null if it is missing or wrong."""
    if kind == "TEXT":
        return f"trimmed({column})"
    text = f"regexp_extract({column}, '^{BLANKS}{TEXTS[kind]}{BLANKS}$', 1)"
    cast = f"try_cast({text} AS {kind})"
    return f"stamp({cast})" if kind == "TIMESTAMPTZ" else cast


def judged(dataset: str) -> str:
    """SQL: the typed rows of `texts`, with the row rules that they break (mostly none: null)."""
    fine, rules = [], []
    for column, kind in SOURCE[dataset].items():
        text, value = f"trimmed({column}_text)", column
        fine.append(f"({value} IS NOT NULL OR {text} IS NULL)" if column in NULLABLE else f"{value} IS NOT NULL")
    return ""
