"""The benchmark's baseline: what a good data engineer writes by hand, with DuckDB and delta-rs.

    run(root, [date(2025, 4, 16)])                # raw → bronze → silver, rejected → gold
    table = read_table(root, "gold.daily_sales")

It takes the days' `root/raw/<dataset>/<YYYY-MM-DD>/*.csv` to Delta tables in `root/processed`, by
the design's values, rules, limit that holds a file, version order, foreign keys and gold. Days come
in any order, and again; after a crash the same call mends everything. It leaves to the product all
but plain CSV with a line per row (a ragged one stops it), files replaced or withdrawn, acceptances,
repairs, receipts, changes of the rules, every other engine.
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
import pyarrow as pa
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
    **dict.fromkeys(("total_amount", "days_since_prior_order"), ("min", ">= 0")),
    "add_to_cart_order": ("min", ">= 1"),
    "reordered": ("allowed", "IN (0, 1)"),
}
VERSION = "_batch_date, _file, _row"  # in the version order: text sorts by its UTF-8 bytes
VERSION_DDL = "_batch_date DATE, _file TEXT, _row BIGINT"
NEWER = "({0}._batch_date, {0}._file, {0}._row) > ({1}._batch_date, {1}._file, {1}._row)"
BLANK = r"[ \t\r\n\x{00a0}]"
DAY = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|18(?::?00)?))?"
TEXT_OF = {  # type → what of a text is cast to it
    "TIMESTAMPTZ": f"({DAY}[T ]{CLOCK}{ZONE})",
    **dict.fromkeys(("BIGINT", "INTEGER"), r"(-?[0-9]+)(?:\.0+)?"),
    **dict.fromkeys(("DECIMAL(12,2)", "DECIMAL(9,2)"), r"(-?[0-9]+(?:\.[0-9]{1,2})?)"),
}
# ratio: the exact quotient of whole numbers, none of them negative, rounded half up.
MACROS = f"""
CREATE MACRO trimmed(t) AS nullif(CASE WHEN regexp_matches(t, '^{BLANK}|{BLANK}$')
                                       THEN trim(t, ' \t\r\n\u00a0') ELSE t END, '');
CREATE MACRO in_years(t) AS CASE WHEN t >= '0001-01-01' AND t < '10000-01-01' THEN t END;
CREATE MACRO money(cents) AS CAST(cents::DECIMAL(18,0) * 0.01 AS DECIMAL(18,2));
CREATE MACRO ratio(n, d) AS CASE WHEN d > 0 THEN CAST(
    ((20000 * n::HUGEINT + d) // (2 * d::HUGEINT))::DECIMAL(18,0) * 0.0001 AS DECIMAL(18,4)) END;
CREATE MACRO mean(x) AS ratio(sum(x), count(x))"""
# shares: an order's cents, evenly over its lines; the first ones get one of those left over.
GOLD_INPUTS = """
CREATE TEMP TABLE sold AS
SELECT order_id, user_id, epoch_us(order_timestamp) AS us, order_date,
    (total_amount * 100)::BIGINT AS cents, order_date IN (SELECT order_date FROM touched) AS of_day,
    user_id IN (SELECT user_id FROM touched) AS of_user FROM {orders} WHERE of_day OR of_user;
CREATE TEMP TABLE catalogue AS FROM {products};
CREATE TEMP TABLE lines AS SELECT id, order_id, product_id, add_to_cart_order, reordered
FROM {order_items} WHERE order_id IN (SELECT order_id FROM sold);
CREATE TEMP TABLE baskets AS
SELECT sold.*, coalesce(n, 0) AS lines, coalesce(again, 0) AS reorders FROM sold LEFT JOIN (
    SELECT order_id, count(*) AS n, sum(reordered) AS again FROM lines GROUP BY 1) USING (order_id);
CREATE TEMP TABLE shares AS
SELECT b.order_date, order_id, b.user_id, l.product_id, l.add_to_cart_order, l.reordered,
       cents // lines + (row_number() OVER (PARTITION BY order_id ORDER BY add_to_cart_order, id)
                         <= cents % lines)::BIGINT AS cents
FROM lines l JOIN baskets b USING (order_id) WHERE of_day"""
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
       mean(reordered) AS reorder_rate, mean(add_to_cart_order) AS average_cart_position,
       money(sum(cents)) AS allocated_revenue
FROM shares JOIN catalogue USING (product_id) GROUP BY order_date, product_id""",
    "gold.department_analytics": """
WITH parts AS (SELECT order_date, department_id, department, order_id, user_id, reordered, cents
               FROM shares JOIN catalogue USING (product_id) UNION ALL
               SELECT order_date, NULL, 'unknown', order_id, user_id, NULL, cents
               FROM baskets WHERE of_day AND lines = 0)
SELECT order_date, department_id, department, count(reordered) AS units,
       count(DISTINCT order_id) AS orders, count(DISTINCT user_id) AS customers,
       money(sum(cents)) AS allocated_revenue,
       ratio(sum(cents), sum(sum(cents)) OVER (PARTITION BY order_date)) AS revenue_share,
       mean(reordered) AS reorder_rate
FROM parts GROUP BY order_date, department_id, department""",
}
# The deviation, sqrt(n / d) millionths of a day: where its double may err, whole numbers decide.
GOLD_BY_USER = """
WITH visits AS (
    SELECT *, us - lag(us) OVER (PARTITION BY user_id ORDER BY us) AS gap FROM baskets WHERE of_user
), customers AS (
    SELECT user_id, min(order_date) AS first_order_date, max(order_date) AS last_order_date,
           count(*) AS orders, sum(lines)::BIGINT AS items, sum(cents) AS cents,
           sum(reorders) AS reorders, count(gap) AS gaps, sum(gap) AS span,
           gaps * sum(gap::HUGEINT * gap) - span * span AS n,
           gaps * (gaps - 1) * 86400::HUGEINT * 86400 AS d,
           CASE WHEN gaps > 1 THEN round(sqrt(n::DOUBLE / d::DOUBLE))::HUGEINT END AS root
    FROM visits GROUP BY user_id), favourites AS (
    SELECT user_id, department AS favourite_department FROM lines JOIN baskets USING (order_id)
    JOIN catalogue USING (product_id) WHERE of_user GROUP BY user_id, department
    QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY count(*) DESC, department) = 1)
SELECT user_id, first_order_date, last_order_date, orders, items, money(cents) AS spend,
    ratio(cents, 100 * orders) AS average_order_value, ratio(items, orders) AS average_basket_size,
    ratio(span, 86400000000 * gaps) AS average_days_between_orders,
    (CASE WHEN d * (2 * root + 1) * (2 * root + 1) <= 4 * n THEN root + 1
          WHEN root > 0 AND d * (2 * root - 1) * (2 * root - 1) > 4 * n THEN root - 1
          ELSE root END::DECIMAL(18,0) * 0.000001)::DECIMAL(18,6) AS stddev_days_between_orders,
    ratio(reorders, items) AS reorder_rate, favourite_department
FROM customers LEFT JOIN favourites USING (user_id)"""


def run(root: Path, batch_dates: Sequence[date]) -> None:
    """Bring every table up to date with the raw files of these days."""
    with _connect() as con:
        batch = _Batch(con, root.resolve(), sorted(set(batch_dates)))
        for dataset in SILVER:
            batch.resolve(dataset)
        batch.find_touched()
        for dataset in SILVER:
            batch.publish(dataset)
        batch.make_gold()


def read_table(root: Path, table: str) -> pa.Table:
    """Read a whole table; `table` is `<layer>.<name>`."""
    with _connect() as con:
        return (batch := _Batch(con, root.resolve(), [])).rows(f"FROM {batch.scan(table)}")


def _connect() -> duckdb.DuckDBPyConnection:
    """Open DuckDB with its Delta extension, from the wheel that the installer has verified."""
    con = duckdb.connect(config={"threads": 2, "allow_unsigned_extensions": True})  # not hashed
    folder = files("duckdb_extension_delta") / "extensions" / f"v{duckdb.__version__}"
    con.load_extension(str(folder / "delta.duckdb_extension"))
    con.execute(f"SET TimeZone = 'UTC'; {MACROS}")
    return con


def _text(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"


def _any_of(column: str, values: Sequence[Any]) -> str:
    """Write a condition for delta-rs and DuckDB (which prunes files by a range, not by a list)."""
    texts = [str(v) if isinstance(v, int) else _text(v) for v in sorted(values)]
    return f"{column} BETWEEN {texts[0]} AND {texts[-1]} AND {column} IN ({', '.join(texts)})"


def _value(column: str, kind: str) -> str:
    """Write the SQL of a text's value (null: missing or wrong), and of the text, `<column>_`."""
    text = f"regexp_extract(t.{column}, '^{BLANK}*{TEXT_OF.get(kind)}{BLANK}*$', 1)"
    cast = f"try_cast({text} AS {kind})"
    value = {"TEXT": f"trimmed(t.{column})", "TIMESTAMPTZ": f"in_years({cast})"}.get(kind, cast)
    return f"{value} AS {column}, t.{column} AS {column}_"


def _rule(column: str) -> str:
    """Write the SQL of the rule that a column breaks, or null."""
    rule, bound = BOUNDS.get(column, ("", "IS NOT NULL"))
    missing = "NULL" if column in NULLABLE else f"'{column}.required'"
    return f"""CASE WHEN {column} {bound} THEN NULL
        WHEN {column} IS NOT NULL THEN '{column}.{rule}'
        WHEN trimmed({column}_) IS NULL THEN {missing} ELSE '{column}.type' END"""


class _Batch:
    """The steps of a run. They hand on temporary tables, named `<what>_<dataset>`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, root: Path, dates: list[date]) -> None:
        self.con, self.root, self.dates = con, root, dates
        self.is_new = _any_of("_batch_date", dates) if dates else "false"
        self.raw: dict[str, pa.Table] = {}
        self.pending = root / "processed" / "_touched.parquet"  # what a crash leaves to be made

    def path(self, table: str) -> Path:
        return self.root / "processed" / table.replace(".", "/")

    def scan(self, table: str) -> str:
        return f"delta_scan({_text(self.path(table))})"

    def rows(self, query: str) -> pa.Table:
        return self.con.sql(query).to_arrow_table()

    def column(self, query: str) -> list[Any]:
        return [row[0] for row in self.con.execute(query).fetchall()]

    def near(self, column: str, query: str) -> str:
        """Write a condition by which Delta skips the files that have none of the query's values."""
        low, high = self.con.execute(f"SELECT min(v), max(v) FROM ({query}) q(v)").fetchall()[0]
        return "false" if low is None else f"{column} BETWEEN {low} AND {high}"

    def write(self, table: str, rows: pa.Table, where: str | None, partition: str | None) -> None:
        """Replace the rows that the condition names (None: all); create the table if need be."""
        path = self.path(table)
        where = where if DeltaTable.is_deltatable(str(path)) else None
        write_deltalake(path, rows, mode="overwrite", predicate=where, partition_by=partition)

    def create(self, table: str, columns: str, partition: str | None) -> None:
        if not DeltaTable.is_deltatable(str(self.path(table))):
            self.con.execute(f"CREATE OR REPLACE TEMP TABLE shape ({columns})")
            self.write(table, self.rows("FROM shape"), None, partition)

    def read_raw(self, dataset: str) -> pa.Table:
        """Read the days' files as text, strictly."""
        names = list(SOURCE[dataset])
        kinds = [pa.string()] * len(names) + [pa.date32(), pa.string(), pa.int64()]
        schema = pa.schema(list(zip([*names, *VERSION.split(", ")], kinds, strict=True)))
        parts = [schema.empty_table()]
        folders = [(day, self.root / "raw" / dataset / str(day)) for day in self.dates]
        for day, path in ((d, p) for d, f in folders for p in f.glob("[!._]*.[cC][sS][vV]")):
            with path.open(encoding="utf-8-sig") as handle:
                header = [name.strip().lower() for name in handle.readline().split(",")]
            text = self.rows(f"""
                SELECT {", ".join(names)} FROM read_csv({_text(path)}, auto_detect=false,
                    header=true, delim=',', quote='"', escape='"', strict_mode=true,
                    columns={{{", ".join(f"{_text(name)}: 'TEXT'" for name in header)}}})""")
            n = len(text)
            origin = [pa.repeat(day, n), pa.repeat(path.name, n), pa.array(np.arange(2, n + 2))]
            parts.append(pa.Table.from_arrays([*text.columns, *origin], schema=schema))
        return pa.concat_tables(parts)

    def texts(self, dataset: str) -> str:
        """Offer, to one query, the new rows and those rejected before."""
        self.con.register(f"raw_{dataset}", self.raw[dataset].to_reader())
        return f"""(FROM raw_{dataset} UNION ALL SELECT * EXCLUDE (_category, _rules)
            FROM {self.scan(f"rejected.{dataset}")} WHERE NOT ({self.is_new})) t"""

    def resolve(self, dataset: str) -> None:
        """Judge new and rejected rows; find those that win (`won`) and what they meet (`old`)."""
        con, key, source, judged = self.con, KEY[dataset], SOURCE[dataset], f"judged_{dataset}"
        names, is_new, rules = ", ".join(source), self.is_new, ", ".join(map(_rule, source))
        values = ", ".join(map(_value, source, source.values()))
        day = "order_timestamp::DATE AS order_date, " if "order_timestamp" in source else ""
        ddl = f"{SILVER[dataset]}, {'order_date DATE, ' if day else ''}{VERSION_DDL}"
        self.create(f"silver.{dataset}", ddl, PARTITION[dataset])
        ddl = " TEXT, ".join([*source, f"{VERSION_DDL}, _category TEXT, _rules TEXT[]"])
        self.create(f"rejected.{dataset}", ddl, None)
        self.raw[dataset] = self.read_raw(dataset)
        con.execute(f"""
            CREATE TEMP TABLE {judged} AS
            SELECT {names}, {day}{VERSION}, CASE WHEN coalesce({rules}) IS NOT NULL
                THEN list_filter([{rules}], lambda r: r IS NOT NULL) END AS _rules
            FROM (SELECT {values}, {VERSION} FROM {self.texts(dataset)})""")
        for batch, name in con.execute(f"""
            SELECT _batch_date, _file FROM {judged} WHERE {is_new}
            GROUP BY ALL HAVING count(*) >= 100 AND 20 * count(_rules) > count(*)""").fetchall():
            print(f"{dataset}/{batch}/{name}: held, too many faults; mend it", file=sys.stderr)
            is_held = f"_batch_date = '{batch}' AND _file = {_text(name)}"
            con.execute(f"DELETE FROM {judged} WHERE {is_held}")
            rest = f"FROM {self.texts(dataset)} WHERE {is_new} AND NOT ({is_held})"
            self.raw[dataset] = self.rows(rest)
        for column, parent in PARENTS.get(dataset, {}).items():
            absent = f"""SELECT {column} FROM {judged}
                WHERE {column} NOT IN (SELECT {column} FROM won_{parent})"""
            near, parents = self.near(column, absent), self.scan(f"silver.{parent}")
            con.execute(f"""
                UPDATE {judged} SET _rules = list_append(_rules, '{column}.foreign_key')
                WHERE {column} IN ({absent} EXCEPT SELECT {column} FROM {parents} WHERE {near})""")
        seen = f"SELECT {key} FROM {judged} WHERE {is_new} OR _rules IS NULL"
        con.execute(f"""
            CREATE TEMP TABLE old_{dataset} AS FROM {self.scan(f"silver.{dataset}")}
            WHERE {self.near(key, seen)} AND {key} IN ({seen});
            DELETE FROM {judged} j USING old_{dataset} o
            WHERE _rules IS NULL AND o.{key} = j.{key} AND {NEWER.format("o", "j")};
            DELETE FROM {judged} WHERE rowid IN (
                SELECT rowid FROM {judged} WHERE _rules IS NULL AND {key} IN (
                    SELECT {key} FROM {judged} WHERE _rules IS NULL GROUP BY 1 HAVING count(*) > 1)
                QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY ({VERSION}) DESC) > 1);
            CREATE TEMP VIEW won_{dataset} AS
            SELECT * EXCLUDE (_rules) FROM {judged} WHERE _rules IS NULL;
            CREATE TEMP TABLE changed_{dataset} AS
            SELECT w.{key}, w.{"order_id" if day else key} AS of
            FROM won_{dataset} w LEFT JOIN old_{dataset} o USING ({key})
            WHERE o.{key} IS NULL OR ({", ".join(f"w.{c}" for c in source)})
                IS DISTINCT FROM ({", ".join(f"o.{c}" for c in source)})""")

    def find_touched(self) -> None:
        """Find the days and customers that gold has to make anew, before silver changes."""
        known = "SELECT product_id FROM changed_products SEMI JOIN old_products USING (product_id)"
        self.con.execute(f"""
            CREATE TEMP TABLE hit AS
            SELECT of AS order_id FROM changed_orders UNION SELECT of FROM changed_order_items UNION
            SELECT o.order_id FROM old_order_items o SEMI JOIN changed_order_items USING (id) UNION
            SELECT order_id FROM {self.scan("silver.order_items")}
            WHERE {self.near("product_id", known)} AND product_id IN ({known})""")
        elsewhere = self.near("order_id", "FROM hit ANTI JOIN won_orders USING (order_id)")
        before = f"FROM read_parquet({_text(self.pending)}) UNION" if self.pending.exists() else ""
        self.con.execute(f"""
            CREATE TEMP TABLE touched AS {before} SELECT order_date, user_id FROM (
                FROM won_orders UNION ALL FROM old_orders UNION ALL
                FROM {self.scan("silver.orders")} WHERE {elsewhere}
            ) SEMI JOIN hit USING (order_id) GROUP BY ALL;
            COPY touched TO {_text(self.pending)} (USE_TMP_FILE true)""")

    def publish(self, dataset: str) -> None:
        """Write a dataset's bronze, silver and rejected rows."""
        key, silver, partition = KEY[dataset], f"silver.{dataset}", PARTITION[dataset]
        if len(raw := self.raw[dataset]):
            self.write(f"bronze.{dataset}", raw, self.is_new, "_batch_date")
        won, joined = f"FROM won_{dataset}", f"JOIN won_{dataset} USING ({key})"
        met = f"SELECT {partition} FROM old_{dataset} SEMI {joined}"
        if self.column(f"{met} LIMIT 1"):  # replace the partitions of the rows gone and come
            where = _any_of(partition, self.column(f"SELECT {partition} {won} UNION {met}"))
            rest = f"FROM {self.scan(silver)} ANTI {joined} WHERE {where}"
            self.write(silver, self.rows(f"{won} UNION ALL {rest}"), where, partition)
        elif self.column(f"SELECT 1 {won} LIMIT 1"):
            write_deltalake(self.path(silver), self.rows(won), mode="append")
        rejected, bad = f"rejected.{dataset}", f"FROM judged_{dataset} j WHERE _rules IS NOT NULL"
        if self.column(f"SELECT 1 {bad} UNION ALL SELECT 1 FROM {self.scan(rejected)} LIMIT 1"):
            rest = f"""SELECT {VERSION}, _rules {bad} AND NOT EXISTS (
                FROM (FROM won_{dataset} UNION ALL FROM old_{dataset}) s
                WHERE s.{key} = j.{key} AND {NEWER.format("s", "j")})"""
            rows = f"""SELECT t.*, CASE WHEN _rules[1] LIKE '%.foreign_key'
                    THEN 'referential_integrity' ELSE 'data_quality' END AS _category, _rules
                FROM {self.texts(dataset)} JOIN ({rest}) USING ({VERSION})"""
            self.write(rejected, self.rows(rows), None, None)

    def make_gold(self) -> None:
        """Make the touched days and customers anew, whole."""
        if days := self.column("SELECT DISTINCT order_date FROM touched"):
            self.con.execute(GOLD_INPUTS.format(**{d: self.scan(f"silver.{d}") for d in SILVER}))
            for table, query in GOLD_BY_DAY.items():
                self.write(table, self.rows(query), _any_of("order_date", days), "order_date")
            table, query = "gold.customer_insights", f"FROM ({GOLD_BY_USER})"
            if DeltaTable.is_deltatable(str(self.path(table))):
                query += f""" UNION ALL FROM {self.scan(table)}
                    WHERE user_id NOT IN (SELECT user_id FROM touched)"""
            self.write(table, self.rows(query), None, None)
        self.pending.unlink()
