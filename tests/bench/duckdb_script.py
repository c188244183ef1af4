"""The benchmark's baseline: what a good data engineer writes by hand, with DuckDB and delta-rs.

    run(root, [date(2025, 4, 16)])                # raw → bronze → silver, rejected → gold
    table = read_table(root, "gold.daily_sales")

It takes the days' `root/raw/<dataset>/<YYYY-MM-DD>/*.csv` to Delta tables in `root/processed`, by
the design's values, rules, limit that holds a file, version order, foreign keys and gold tables.
Days come in any order, and again. A run reads the days' files, the rejected rows, and what of
silver and gold these can change. After a crash the same call mends everything.

It leaves to the product: anything but plain CSV (a line that cannot be split stops it), files that
are replaced or withdrawn, acceptances, repairs, receipts, changed rules, every other engine.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa  # type: ignore[import-untyped]
from deltalake import DeltaTable, write_deltalake

SILVER = {  # parents come first
    "products": "product_id BIGINT, department_id BIGINT, department TEXT, product_name TEXT",
    "orders": "order_num BIGINT, order_id BIGINT, user_id BIGINT, order_timestamp TIMESTAMPTZ, "
    "total_amount DECIMAL(12,2), date TEXT",
    "order_items": "id BIGINT, order_id BIGINT, user_id BIGINT, "
    "days_since_prior_order DECIMAL(9,2), product_id BIGINT, add_to_cart_order INTEGER, "
    "reordered INTEGER, order_timestamp TIMESTAMPTZ, date TEXT",
}
GOLD = {
    "daily_sales": "order_date DATE, orders BIGINT, items BIGINT, customers BIGINT, "
    "revenue DECIMAL(18,2), average_order_value DECIMAL(18,4)",
    "product_performance": "order_date DATE, product_id BIGINT, product_name TEXT, "
    "department_id BIGINT, department TEXT, units BIGINT, orders BIGINT, reorders BIGINT, "
    "reorder_rate DECIMAL(18,4), average_cart_position DECIMAL(18,4), "
    "allocated_revenue DECIMAL(18,2)",
    "department_analytics": "order_date DATE, department_id BIGINT, department TEXT, "
    "units BIGINT, orders BIGINT, customers BIGINT, allocated_revenue DECIMAL(18,2), "
    "revenue_share DECIMAL(18,4), reorder_rate DECIMAL(18,4)",
    "customer_insights": "user_id BIGINT, first_order_date DATE, last_order_date DATE, "
    "orders BIGINT, items BIGINT, spend DECIMAL(18,2), average_order_value DECIMAL(18,4), "
    "average_basket_size DECIMAL(18,4), average_days_between_orders DECIMAL(18,4), "
    "stddev_days_between_orders DECIMAL(18,6), reorder_rate DECIMAL(18,4), "
    "favourite_department TEXT",
}
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
SOURCE = {d: dict(c.split(" ") for c in ddl.split(", ")) for d, ddl in SILVER.items()}
VERSION = "_batch_date, _file, _row"  # in the version order: text sorts by its UTF-8 bytes
NEWER = "({0}._batch_date, {0}._file, {0}._row) > ({1}._batch_date, {1}._file, {1}._row)"

BLANKS = r"[ \t\r\n\x{00a0}]"
WHOLE, DECIMAL = r"(-?[0-9]+)(?:\.0+)?", r"(-?[0-9]+(?:\.[0-9]{1,2})?)"
YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|18(?::?00)?))?"
TEXT_OF = {  # what of a text is cast
    "BIGINT": WHOLE,
    "INTEGER": WHOLE,
    "DECIMAL(12,2)": DECIMAL,
    "DECIMAL(9,2)": DECIMAL,
    "TIMESTAMPTZ": f"({YEAR}-[0-9]{{2}}-[0-9]{{2}}[T ]{CLOCK}{ZONE})",
}
MACROS = f"""
CREATE MACRO trimmed(t) AS nullif(CASE WHEN regexp_matches(t, '^{BLANKS}|{BLANKS}$')
                                       THEN trim(t, ' \t\r\n\u00a0') ELSE t END, '');
CREATE MACRO in_years(t) AS CASE WHEN t >= '0001-01-01' AND t < '10000-01-01' THEN t END;
CREATE MACRO money(cents) AS CAST(cents::DECIMAL(18,0) * 0.01 AS DECIMAL(18,2));
-- The exact quotient of whole numbers, none of them negative, rounded half up.
CREATE MACRO ratio(n, d) AS CASE WHEN d > 0 THEN CAST(
    ((20000 * n::HUGEINT + d) // (2 * d::HUGEINT))::DECIMAL(18,0) * 0.0001 AS DECIMAL(18,4)) END;
-- sqrt(n / d) microseconds in millionths of a day, rounded half up. At a tie a double may be one
-- off, so whole numbers decide; reaches: the exact root is half / 2 or more.
CREATE MACRO root(n, d) AS round(sqrt(n::DOUBLE / d::DOUBLE) / 86400)::HUGEINT;
CREATE MACRO reaches(n, d, half) AS half < 0 OR d * half * half * 86400 * 86400 <= 4 * n;
CREATE MACRO deviation(n, d) AS CAST((
    CASE WHEN reaches(n, d, 2 * root(n, d) + 1) THEN root(n, d) + 1
         WHEN reaches(n, d, 2 * root(n, d) - 1) THEN root(n, d)
         ELSE root(n, d) - 1 END)::DECIMAL(18,0) * 0.000001 AS DECIMAL(18,6));
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
FROM lines l JOIN baskets b USING (order_id) WHERE b.of_day;
"""
GOLD_SQL = {
    "daily_sales": """
SELECT order_date, count(*) AS orders, sum(lines)::BIGINT AS items,
       count(DISTINCT user_id) AS customers, money(sum(cents)) AS revenue,
       ratio(sum(cents), 100 * count(*)) AS average_order_value
FROM baskets WHERE of_day GROUP BY order_date""",
    "product_performance": """
SELECT order_date, product_id, any_value(product_name) AS product_name,
       any_value(department_id) AS department_id, any_value(department) AS department,
       count(*) AS units, count(DISTINCT order_id) AS orders, sum(reordered)::BIGINT AS reorders,
       ratio(sum(reordered), count(*)) AS reorder_rate,
       ratio(sum(add_to_cart_order), count(*)) AS average_cart_position,
       money(sum(cents)) AS allocated_revenue
FROM shares JOIN catalogue USING (product_id) GROUP BY order_date, product_id""",
    "department_analytics": """
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
    "customer_insights": """
WITH gaps AS (
    SELECT *, epoch_us(order_timestamp) - lag(epoch_us(order_timestamp)) OVER (
        PARTITION BY user_id ORDER BY order_timestamp) AS gap
    FROM baskets WHERE of_user
), customers AS (
    SELECT user_id, min(order_date) AS first_order_date, max(order_date) AS last_order_date,
           count(*) AS orders, sum(lines)::BIGINT AS items, sum(cents) AS cents,
           sum(reorders) AS reorders, count(gap) AS n, sum(gap) AS total,
           sum(gap::HUGEINT * gap) AS squares
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
       ratio(total, 86400000000 * n) AS average_days_between_orders,
       CASE WHEN n > 1 THEN deviation(n * squares - total * total, n * (n - 1)) END
           AS stddev_days_between_orders,
       ratio(reorders, items) AS reorder_rate, favourite_department
FROM customers LEFT JOIN favourites USING (user_id)""",
}


def run(root: Path, batch_dates: Sequence[date]) -> None:
    """Bring every table up to date with the raw files of these days."""
    with _connect() as con:
        batch = _Batch(con, root.resolve(), sorted({str(day) for day in batch_dates}))
        batch.create_tables()
        for dataset in SILVER:
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


def _any_of(column: str, values: Iterable[object]) -> str:
    """A condition in the SQL of both DuckDB and delta-rs."""
    listed = (str(v) if isinstance(v, int) else _text(v) for v in values)
    return f"{column} IN ({', '.join(listed)})"


def _value(column: str, kind: str) -> str:
    """SQL: the value of a text; null if it is missing or wrong."""
    if kind == "TEXT":
        return f"trimmed({column})"
    text = f"regexp_extract({column}, '^{BLANKS}*{TEXT_OF[kind]}{BLANKS}*$', 1)"
    value = f"try_cast({text} AS {kind})"
    return f"in_years({value})" if kind == "TIMESTAMPTZ" else value


def _rule(column: str) -> str:
    """SQL: the rule that a column breaks, or null; `<column>_` is its text."""
    missing = "NULL" if column in NULLABLE else f"'{column}.required'"
    rule, bound = BOUNDS.get(column, ("", "IS NOT NULL"))
    return f"""CASE WHEN {column} {bound} THEN NULL
        WHEN {column} IS NOT NULL THEN '{column}.{rule}'
        WHEN trimmed({column}_) IS NULL THEN {missing} ELSE '{column}.type' END"""


class _Batch:
    """The steps of a run. They hand on temporary tables, named `<what>_<dataset>`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, root: Path, dates: list[str]) -> None:
        self.con, self.root, self.dates = con, root, dates
        self.is_new = _any_of("_batch_date", dates)
        self.pending = root / "processed" / "_touched.parquet"  # what a crash leaves to be made

    def scan(self, table: str) -> str:
        return f"delta_scan({_text(self.path(table))})"

    def path(self, table: str) -> Path:
        return self.root / "processed" / table.replace(".", "/")

    def column(self, query: str) -> list[Any]:
        return [row[0] for row in self.con.execute(query).fetchall()]

    def near(self, column: str, query: str) -> str:
        """A condition by which Delta skips the files that have none of the query's values."""
        low, high = self.con.execute(f"SELECT min(v), max(v) FROM ({query}) q(v)").fetchall()[0]
        return "false" if low is None else f"{column} BETWEEN {low} AND {high}"

    def write(self, table: str, rows: str, where: str | None) -> None:
        """Replace the rows that the condition names (None: all)."""
        data = self.con.sql(rows).to_arrow_table()
        write_deltalake(self.path(table), data, mode="overwrite", predicate=where)

    def create_tables(self) -> None:
        """Create those that are missing."""
        tables = {f"gold.{t}": (ddl, "order_date" if ddl.startswith("order_date") else None) for t, ddl in GOLD.items()}
        version = "_batch_date DATE, _file TEXT, _row BIGINT"
        for dataset, ddl in SILVER.items():
            texts = " TEXT, ".join(SOURCE[dataset]) + f" TEXT, {version}"
            day = ", order_date DATE" if "order_timestamp" in SOURCE[dataset] else ""
            tables[f"bronze.{dataset}"] = (texts, "_batch_date")
            tables[f"silver.{dataset}"] = (f"{ddl}{day}, {version}", PARTITION[dataset])
            tables[f"rejected.{dataset}"] = (f"{texts}, _category TEXT, _rules TEXT[]", None)
        for table, (ddl, partition) in tables.items():
            if not (self.path(table) / "_delta_log").is_dir():
                self.con.execute(f"CREATE OR REPLACE TEMP TABLE shape ({ddl})")
                schema = self.con.sql("FROM shape").to_arrow_table().schema
                DeltaTable.create(self.path(table), schema, partition_by=partition)

    def read_raw(self, dataset: str) -> pa.Table:
        """Read the days' files as text, strictly."""
        parts = []
        for day in self.dates:
            folder = self.root / "raw" / dataset / day
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.suffix.lower() != ".csv" or path.name[0] in "._":
                    continue
                with path.open(encoding="utf-8-sig") as handle:
                    names = [name.strip().lower() for name in handle.readline().split(",")]
                columns = ", ".join(f"{_text(name)}: 'TEXT'" for name in names)
                parts.append(f"""
                    SELECT {", ".join(SOURCE[dataset])}, DATE '{day}' AS _batch_date,
                           {_text(path.name)} AS _file, 1 + row_number() OVER () AS _row
                    FROM read_csv({_text(path)}, auto_detect=false, header=true, delim=',',
                        quote='"', escape='"', strict_mode=true, columns={{{columns}}})""")
        nothing = f"FROM {self.scan(f'bronze.{dataset}')} WHERE false"
        return self.con.sql(" UNION ALL ".join(parts) or nothing).to_arrow_table()

    def resolve(self, dataset: str) -> None:
        """Judge the new and the rejected rows; find which of them win, and what they replace."""
        con, key, source = self.con, KEY[dataset], SOURCE[dataset]
        texts, rules = ", ".join(source), ", ".join(map(_rule, source))
        values = ", ".join(f"{_value(f't.{c}', kind)} AS {c}, t.{c} AS {c}_" for c, kind in source.items())
        day = "order_timestamp::DATE AS order_date, " if "order_timestamp" in source else ""
        con.register(f"raw_{dataset}", self.read_raw(dataset))
        con.execute(f"""
            CREATE TEMP TABLE carried_{dataset} AS SELECT {texts}, {VERSION}
            FROM {self.scan(f"rejected.{dataset}")} WHERE NOT {self.is_new};
            CREATE TEMP TABLE judged_{dataset} AS
            SELECT {texts}, {day}{VERSION}, CASE WHEN coalesce({rules}) IS NOT NULL
                THEN list_filter([{rules}], lambda rule: rule IS NOT NULL) END AS _rules
            FROM (SELECT {values}, {VERSION}
                  FROM (FROM raw_{dataset} UNION ALL FROM carried_{dataset}) t);
            CREATE TEMP TABLE held AS
            SELECT _batch_date, _file FROM judged_{dataset} WHERE {self.is_new}
            GROUP BY ALL HAVING count(*) >= 100 AND 20 * count(_rules) > count(*)""")
        if held := con.execute("FROM held").fetchall():
            for date_, name in held:
                print(f"{dataset}/{date_}/{name}: held, too many faults; mend it", file=sys.stderr)
            good = con.sql(f"FROM raw_{dataset} ANTI JOIN held USING (_batch_date, _file)")
            con.register(f"raw_{dataset}", good.to_arrow_table())
            con.execute(f"DELETE FROM judged_{dataset} WHERE (_batch_date, _file) IN (FROM held)")
        con.execute("DROP TABLE held")
        for column, parent in PARENTS.get(dataset, {}).items():
            self.judge_parents(dataset, column, parent)
        some = f"SELECT {key} FROM judged_{dataset} WHERE {self.is_new} OR _rules IS NULL"
        con.execute(f"""
            CREATE TEMP TABLE old_{dataset} AS FROM {self.scan(f"silver.{dataset}")}
            WHERE {self.near(key, some)} AND {key} IN ({some});
            CREATE TEMP TABLE won_{dataset} AS
            SELECT * EXCLUDE (_rules) FROM judged_{dataset} WHERE _rules IS NULL
            QUALIFY row_number() OVER (
                PARTITION BY {key} ORDER BY _batch_date DESC, _file DESC, _row DESC) = 1;
            DELETE FROM won_{dataset} w USING old_{dataset} o
            WHERE o.{key} = w.{key} AND {NEWER.format("o", "w")};
            CREATE TEMP TABLE changed_{dataset} AS
            SELECT w.* FROM won_{dataset} w LEFT JOIN old_{dataset} o USING ({key})
            WHERE o.{key} IS NULL OR ({", ".join(f"w.{c}" for c in source)})
                IS DISTINCT FROM ({", ".join(f"o.{c}" for c in source)})""")

    def judge_parents(self, dataset: str, column: str, parent: str) -> None:
        """Add the foreign key's rule to the rows whose parent is not published."""
        key = KEY[parent]
        self.con.execute(f"""
            CREATE OR REPLACE TEMP TABLE missing AS SELECT DISTINCT {column} AS {key}
            FROM judged_{dataset} WHERE {column} NOT IN (SELECT {key} FROM won_{parent})""")
        near = self.near(key, "FROM missing")
        self.con.execute(f"""
            DELETE FROM missing WHERE {key} IN (
                SELECT {key} FROM {self.scan(f"silver.{parent}")} WHERE {near})""")
        if self.column("SELECT 1 FROM missing LIMIT 1"):
            self.con.execute(f"""
                UPDATE judged_{dataset} SET _rules = list_append(_rules, '{column}.foreign_key')
                WHERE {column} IN (FROM missing)""")

    def find_touched(self) -> None:
        """Find the days and customers that gold has to make anew, before silver changes."""
        known = "SELECT p.product_id FROM changed_products p JOIN old_products USING (product_id)"
        before = f"FROM read_parquet({_text(self.pending)})"
        self.con.execute(f"""
            CREATE TEMP TABLE hit AS
            SELECT order_id FROM changed_orders UNION
            SELECT order_id FROM changed_order_items UNION
            SELECT o.order_id FROM old_order_items o JOIN changed_order_items USING (id) UNION
            SELECT order_id FROM {self.scan("silver.order_items")}
            WHERE {self.near("product_id", known)} AND product_id IN ({known})""")
        near = self.near("order_id", "FROM hit ANTI JOIN won_orders USING (order_id)")
        self.con.execute(f"""
            CREATE TEMP TABLE touched AS
            {before + " UNION" if self.pending.exists() else ""}
            SELECT order_date, user_id FROM won_orders SEMI JOIN hit USING (order_id) UNION
            SELECT order_date, user_id FROM old_orders SEMI JOIN hit USING (order_id) UNION
            SELECT order_date, user_id FROM {self.scan("silver.orders")} SEMI JOIN hit USING (order_id)
            WHERE {near};
            COPY touched TO {_text(self.pending)}""")

    def publish(self, dataset: str) -> None:
        """Write a dataset's bronze, silver and rejected rows."""
        con, key, silver = self.con, KEY[dataset], f"silver.{dataset}"
        self.write(f"bronze.{dataset}", f"FROM raw_{dataset}", self.is_new)
        won, partition = f"FROM won_{dataset}", PARTITION[dataset]
        replaced = f"SELECT o.{partition} FROM old_{dataset} o SEMI JOIN won_{dataset} USING ({key})"
        if self.column(f"{replaced} LIMIT 1"):
            parts = self.column(f"SELECT {partition} {won} UNION {replaced}")
            where = _any_of(partition, parts)
            rest = f"FROM {self.scan(silver)} ANTI JOIN won_{dataset} USING ({key}) WHERE {where}"
            self.write(silver, f"{won} UNION ALL BY NAME {rest}", where)
        elif self.column(f"SELECT 1 {won} LIMIT 1"):
            write_deltalake(self.path(silver), con.sql(won).to_arrow_table(), mode="append")
        con.execute(f"""
            CREATE TEMP TABLE rejected_{dataset} AS
            SELECT t.*, CASE WHEN list_bool_and([r LIKE '%.foreign_key' FOR r IN _rules])
                THEN 'referential_integrity' ELSE 'data_quality' END AS _category, _rules
            FROM (FROM raw_{dataset} UNION ALL FROM carried_{dataset}) t JOIN (
                FROM judged_{dataset} j WHERE _rules IS NOT NULL AND NOT EXISTS (
                    FROM (FROM won_{dataset} UNION ALL FROM old_{dataset}) s
                    WHERE s.{key} = j.{key} AND {NEWER.format("s", "j")})
            ) USING ({VERSION})""")
        before = f"SELECT 1 FROM {self.scan(f'rejected.{dataset}')} LIMIT 1"
        if self.column(f"SELECT 1 FROM rejected_{dataset} LIMIT 1") or self.column(before):
            self.write(f"rejected.{dataset}", f"FROM rejected_{dataset}", None)

    def make_gold(self) -> None:
        """Make the touched days and customers anew, whole."""
        if days := self.column("SELECT DISTINCT order_date FROM touched"):
            self.con.execute(GOLD_INPUTS.format(**{d: self.scan(f"silver.{d}") for d in SILVER}))
            for table, rows in GOLD_SQL.items():
                if table != "customer_insights":
                    self.write(f"gold.{table}", rows, _any_of("order_date", days))
            table = "gold.customer_insights"
            rest = f"FROM {self.scan(table)} WHERE user_id NOT IN (SELECT user_id FROM touched)"
            self.write(table, f"FROM ({GOLD_SQL['customer_insights']}) UNION ALL BY NAME {rest}", None)
        self.pending.unlink()
