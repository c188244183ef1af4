"""The benchmark's peer on Spark: what a good data engineer writes by hand, with PySpark and Delta.

    run(root, [date(2025, 4, 16)], session)       # raw → bronze → silver, rejected → gold

It does the work of `duckdb_script`, by the same definitions, with the same tables, and leaves out
the same: plain CSV with a line per row only (a ragged one stops it), no files replaced or
withdrawn, no acceptances, repairs, receipts or changes of the rules. Days come in any order, and
again; after a crash the same call mends everything.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 - as PySpark's own pages name it

SILVER = {  # the source's columns; parents come first
    "products": "product_id BIGINT, department_id BIGINT, department STRING, product_name STRING",
    "orders": "order_num BIGINT, order_id BIGINT, user_id BIGINT, order_timestamp TIMESTAMP, "
    "total_amount DECIMAL(12,2), date STRING",
    "order_items": "id BIGINT, order_id BIGINT, user_id BIGINT, "
    "days_since_prior_order DECIMAL(9,2), product_id BIGINT, add_to_cart_order INT, "
    "reordered INT, order_timestamp TIMESTAMP, date STRING",
}
SOURCE = {d: dict(c.split(" ") for c in ddl.split(", ")) for d, ddl in SILVER.items()}
KEY = {"products": "product_id", "orders": "order_id", "order_items": "id"}
PARENTS = {"order_items": {"order_id": "orders", "product_id": "products"}}
PARTITION = {"products": "department_id", "orders": "order_date", "order_items": "order_date"}
NULLABLE = {"order_num", "days_since_prior_order", "date"}
VERSION = ("_batch_date", "_file", "_row")  # in the version order: text sorts by its UTF-8 bytes
VERSION_DDL = "_batch_date DATE, _file STRING, _row BIGINT"
BLANKS = " \t\r\n\u00a0"
DAY = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"
CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|18(?::?00)?))?"
TEXT_OF = {  # type → what of a text is cast to it
    "TIMESTAMP": f"({DAY}[T ]{CLOCK}{ZONE})",
    **dict.fromkeys(("BIGINT", "INT"), r"(-?[0-9]+)(?:\.0+)?"),
    **dict.fromkeys(("DECIMAL(12,2)", "DECIMAL(9,2)"), r"(-?[0-9]+(?:\.[0-9]{1,2})?)"),
}


def run(root: Path, batch_dates: Sequence[date], session: SparkSession) -> None:
    """Bring every table up to date with the raw files of these days."""
    batch = _Batch(session, root.resolve(), sorted(set(batch_dates)))
    for dataset in SOURCE:
        batch.resolve(dataset)
    batch.note_touched()
    for dataset in SOURCE:
        batch.publish(dataset)
    batch.make_gold()


def _any_of(column: str, days: Sequence[date]) -> str:
    """Write a condition for Delta, which prunes partitions by it."""
    return f"{column} IN (" + ", ".join(f"DATE '{day}'" for day in days) + ")"


def _ratio(n: str, d: str) -> str:
    """Write the exact quotient of whole numbers, none of them negative, rounded half up."""
    quotient = f"(20000 * CAST({n} AS DECIMAL(28,0)) + {d}) DIV nullif(2 * {d}, 0)"
    return f"CAST(({quotient}) * 0.0001BD AS DECIMAL(18,4))"


def _mean(x: str) -> str:
    return _ratio(f"sum({x})", f"count({x})")


def _money(cents: str) -> str:
    return f"CAST({cents} * 0.01BD AS DECIMAL(18,2))"


# The lines of the orders in question, each with its share of the order's cents: evenly, and the
# first ones get one of those left over. An order without lines is one row, with its line null.
PARTS = """
WITH wanted AS (
    SELECT o.order_id, o.user_id, o.order_date, unix_micros(o.order_timestamp) AS us,
           CAST(o.total_amount * 100 AS BIGINT) AS cents, of_day,
           u.user_id IS NOT NULL AS of_user
    FROM {orders} o LEFT JOIN {users} u ON u.user_id = o.user_id
), sold AS (SELECT * FROM wanted WHERE of_day OR of_user),
found AS (
    SELECT /*+ BROADCAST(sold) */ i.id, i.order_id, i.product_id, i.add_to_cart_order, i.reordered
    FROM {order_items} i LEFT SEMI JOIN sold ON sold.order_id = i.order_id
), placed AS (
    SELECT s.*, f.id, f.product_id, f.add_to_cart_order, f.reordered,
           count(f.id) OVER (PARTITION BY s.order_id) AS lines,
           sum(f.reordered) OVER (PARTITION BY s.order_id) AS reorders,
           row_number() OVER (PARTITION BY s.order_id ORDER BY f.add_to_cart_order, f.id) AS place
    FROM sold s LEFT JOIN found f ON f.order_id = s.order_id)
SELECT /*+ BROADCAST(c) */ l.*, c.product_name, c.department_id,
       coalesce(c.department, 'unknown') AS department,
       CASE WHEN lines = 0 THEN cents
            ELSE cents DIV lines + IF(place <= cents % lines, 1, 0) END AS share
FROM placed l LEFT JOIN {products} c ON c.product_id = l.product_id"""
GOLD_BY_DAY = {
    "gold.daily_sales": f"""
SELECT order_date, count_if(place = 1) AS orders, count(id) AS items,
       count(DISTINCT user_id) AS customers, {_money("sum(share)")} AS revenue,
       {_ratio("sum(share)", "(100 * count_if(place = 1))")} AS average_order_value
FROM {{parts}} WHERE of_day GROUP BY order_date""",
    "gold.product_performance": f"""
SELECT order_date, product_id, first(product_name) AS product_name,
       first(department_id) AS department_id, first(department) AS department,
       count(*) AS units, count(DISTINCT order_id) AS orders, sum(reordered) AS reorders,
       {_mean("reordered")} AS reorder_rate, {_mean("add_to_cart_order")} AS average_cart_position,
       {_money("sum(share)")} AS allocated_revenue
FROM {{parts}} WHERE of_day AND id IS NOT NULL GROUP BY order_date, product_id""",
    "gold.department_analytics": f"""
WITH sums AS (
    SELECT order_date, department_id, department, count(id) AS units,
           count(DISTINCT order_id) AS orders, count(DISTINCT user_id) AS customers,
           sum(share) AS cents, {_mean("reordered")} AS reorder_rate
    FROM {{parts}} WHERE of_day GROUP BY order_date, department_id, department
), shares AS (SELECT *, sum(cents) OVER (PARTITION BY order_date) AS of_all FROM sums)
SELECT order_date, department_id, department, units, orders, customers,
       {_money("cents")} AS allocated_revenue, {_ratio("cents", "of_all")} AS revenue_share,
       reorder_rate
FROM shares""",
}
GOLD_BY_USER = f"""
WITH visits AS (
    SELECT *, us - lag(us) OVER (PARTITION BY user_id ORDER BY us) AS gap
    FROM {{parts}} WHERE of_user AND place = 1
), customers AS (
    SELECT user_id, min(order_date) AS first_order_date, max(order_date) AS last_order_date,
           count(*) AS orders, sum(lines) AS items, sum(cents) AS cents,
           coalesce(sum(reorders), 0) AS reorders, count(gap) AS gaps, sum(gap) AS span,
           stddev_samp(gap / 86400000000D) AS deviation
    FROM visits GROUP BY user_id
), favourites AS (
    SELECT user_id, min(struct(-n, department)).department AS favourite_department
    FROM (SELECT user_id, department, count(*) AS n FROM {{parts}}
          WHERE of_user AND id IS NOT NULL GROUP BY user_id, department) GROUP BY user_id)
SELECT user_id, first_order_date, last_order_date, orders, items, {_money("cents")} AS spend,
       {_ratio("cents", "(100 * orders)")} AS average_order_value,
       {_ratio("items", "orders")} AS average_basket_size,
       {_ratio("span", "(86400000000 * gaps)")} AS average_days_between_orders,
       CAST(deviation AS DECIMAL(18,6)) AS stddev_days_between_orders,
       {_ratio("reorders", "items")} AS reorder_rate, favourite_department
FROM customers LEFT JOIN favourites USING (user_id)"""


def _trimmed(text: Column) -> Column:
    return F.nullif(F.btrim(text, F.lit(BLANKS)), F.lit(""))


def _value(column: str, kind: str) -> Column:
    """Take a text's value; null: missing or wrong."""
    if kind == "STRING":
        return _trimmed(F.col(column))
    pattern = rf"^[{BLANKS}]*{TEXT_OF[kind]}[{BLANKS}]*\z"
    value = F.regexp_extract(column, pattern, 1).try_cast(kind)
    return F.when(F.year(value).between(1, 9999), value) if kind == "TIMESTAMP" else value


def _rule(column: str) -> Column:
    """Name the rule that a column breaks, or null."""
    value, text = F.col(column), F.col("_text").getField(column)
    bounds = {
        **dict.fromkeys(("total_amount", "days_since_prior_order"), (value < 0, "min")),
        "add_to_cart_order": (value < 1, "min"),
        "reordered": (~value.isin(0, 1), "allowed"),
    }
    outside, rule = bounds.get(column, (F.lit(False), ""))
    missing = F.lit(None if column in NULLABLE else f"{column}.required")
    wrong = F.when(_trimmed(text).isNull(), missing).otherwise(f"{column}.type")
    return F.when(value.isNull(), wrong).when(outside, f"{column}.{rule}")


class _Batch:
    """The steps of a run. `fates` has, for each dataset, the new and the waiting rows, judged."""

    def __init__(self, session: SparkSession, root: Path, dates: list[date]) -> None:
        self.session, self.root, self.dates = session, root, dates
        self.fates: dict[str, DataFrame] = {}
        self.pending = root / "processed" / "_touched"  # what a crash leaves to be made

    def path(self, table: str) -> str:
        return str(self.root / "processed" / table.replace(".", "/"))

    def table(self, table: str) -> DataFrame:
        return self.session.read.format("delta").load(self.path(table))

    def near(self, table: str, column: str, ends: Iterable[Any]) -> DataFrame:
        """Read a table's rows from the least to the greatest of the ends: Delta skips files."""
        values = sorted(end for end in ends if end is not None) or [None]
        return self.table(table).where(F.col(column).between(values[0], values[-1]))

    def write(self, table: str, rows: DataFrame, partition: str | None, where: str = "") -> None:
        """Replace the rows that the condition names (none: all)."""
        writer = rows.write.format("delta").mode("overwrite")
        writer = writer.option("replaceWhere", where) if where else writer
        writer.save(self.path(table), partitionBy=partition)

    def create(self, table: str, ddl: str, partition: str | None) -> None:
        if not DeltaTable.isDeltaTable(self.session, self.path(table)):
            self.write(table, self.session.createDataFrame([], ddl), partition)

    def read_raw(self, dataset: str) -> list[DataFrame]:
        """Read the days' files as text, strictly: a frame for those of each header."""
        alike: dict[str, list[str]] = {}
        folders = [self.root / "raw" / dataset / str(day) for day in self.dates]
        for path in (p for f in folders for p in f.glob("[!._]*.[cC][sS][vV]")):
            with path.open(encoding="utf-8-sig") as handle:
                names = [name.strip().lower() for name in handle.readline().split(",")]
            escaped = re.sub(r"([\\*?{}\[\]])", r"\\\1", str(path))  # Spark takes it for a pattern
            alike.setdefault(", ".join(f"`{n}` STRING" for n in names), []).append(escaped)
        reader = self.session.read.options(header=True, mode="FAILFAST", escape='"')
        folder, name = (F.element_at(F.split("_metadata.file_path", "/"), i) for i in (-2, -1))
        origin = {
            "_batch_date": folder.cast("date"),
            "_file": F.url_decode(F.replace(name, F.lit("+"), F.lit("%2B"))),
            "_line": F.struct("_metadata.file_block_start", F.monotonically_increasing_id()),
        }
        by_file = Window.partitionBy("_batch_date", "_file").orderBy("_line")
        row = (F.row_number().over(by_file) + 1).cast("bigint")
        texts = (reader.schema(ddl).csv(paths).withColumns(origin) for ddl, paths in alike.items())
        return [t.withColumn("_row", row).select(*SOURCE[dataset], *VERSION) for t in texts]

    def resolve(self, dataset: str) -> None:
        """Judge the new and the waiting rows, and find which of them win."""
        key, source, parents = KEY[dataset], SOURCE[dataset], PARENTS.get(dataset, {})
        day = {"order_date": F.to_date("order_timestamp")} if "order_timestamp" in source else {}
        ddl = ", ".join([SILVER[dataset], *(f"{c} DATE" for c in day), VERSION_DDL])
        self.create(f"silver.{dataset}", ddl, PARTITION[dataset])
        ddl = " STRING, ".join([*source, f"{VERSION_DDL}, _category STRING, _rules ARRAY<STRING>"])
        self.create(f"rejected.{dataset}", ddl, None)
        is_new = F.col("_batch_date").isin(self.dates)
        waiting = self.table(f"rejected.{dataset}").where(~is_new).drop("_category", "_rules")
        raw = self.read_raw(dataset)
        texts: DataFrame = reduce(DataFrame.union, raw, waiting)
        is_idle = not raw and waiting.isEmpty()
        values = [_value(column, kind).alias(column) for column, kind in source.items()]
        rules = F.array_compact(F.array(*map(_rule, source)))
        judged = texts.select(
            F.struct(*source).alias("_text"), *values, *VERSION, is_new.alias("_new")
        ).withColumns({"_rules": rules, **day})
        judged = judged if is_idle else judged.localCheckpoint(eager=False)
        ends = [F.struct(F.min(c), F.max(c)).alias(c) for c in (key, *parents)]
        bad = F.count_if(F.size("_rules") > 0).alias("bad")
        per_file = judged.groupBy("_new", *VERSION[:2]).agg(F.count("*").alias("n"), bad, *ends)
        files = [] if is_idle else per_file.collect()
        for f in [f for f in files if f["_new"] and f["n"] >= 100 and 20 * f["bad"] > f["n"]]:
            name = f"{dataset}/{f['_batch_date']}/{f['_file']}"
            print(f"{name}: held, too many faults; mend it", file=sys.stderr)
            is_held = (F.col("_batch_date") == f["_batch_date"]) & (F.col("_file") == f["_file"])
            judged = judged.where(~is_held)
            files.remove(f)
        found = {c: [end for f in files for end in f[c]] for c in (key, *parents)}
        for column, parent in parents.items():
            known = self.near(f"silver.{parent}", column, found[column]).select(column)
            known = known.union(self.fates[parent].where("_won").select(column)).distinct()
            is_orphan = F.col(column).isNotNull() & F.col("_known").isNull()
            orphaned = F.array(F.when(is_orphan, f"{column}.foreign_key"))
            judged = judged.join(known.withColumn("_known", F.lit(True)), column, "left")
            judged = judged.withColumn("_rules", F.array_compact(F.concat("_rules", orphaned)))
            judged = judged.drop("_known")
        version, is_good = F.struct(*VERSION), F.size("_rules") == 0
        old = self.near(f"silver.{dataset}", key, found[key])
        old = old.select(key, F.struct("*").alias("_old"), version.alias("_had"))
        best = F.greatest(F.max(F.when(is_good, version)).over(Window.partitionBy(key)), "_had")
        is_same = F.struct(*source).eqNullSafe(F.struct(*(f"_old.{c}" for c in source)))
        fates = (
            judged.join(old, key, "left")
            .withColumn("_best", best)
            .withColumn("_won", is_good & (version == F.col("_best")))
            .withColumn("_changed", F.col("_won") & (F.col("_old").isNull() | ~is_same))
            .withColumn("_lost", ~is_good & F.coalesce(F.col("_best") <= version, F.lit(True)))
        )
        # Now, before any table changes; what has no rows costs nothing further.
        self.fates[dataset] = fates.localCheckpoint() if files else fates.limit(0)

    def note_touched(self) -> None:
        """Note the days and customers that gold has to make anew, before silver changes."""
        items, orders, products = (self.fates[d].where("_changed") for d in reversed(SOURCE))
        hit = orders.select("order_id").union(items.select("order_id"))
        hit = hit.union(items.where("_old IS NOT NULL").select("_old.order_id"))
        products = products.where("_old IS NOT NULL").select("product_id")
        if not products.isEmpty():
            lines = self.table("silver.order_items")
            lines = lines.join(F.broadcast(products), "product_id", "left_semi")
            hit = hit.union(lines.select("order_id"))
        hit = hit.distinct().localCheckpoint(eager=False)
        [ends] = hit.agg(F.min("order_id"), F.max("order_id")).collect()
        if ends[0] is not None:
            won, columns = self.fates["orders"].where("_won"), ("order_id", "order_date", "user_id")
            before = self.near("silver.orders", "order_id", ends).select(*columns)
            touched = before.union(won.select(*columns)).join(hit, "order_id", "left_semi")
            touched = touched.drop("order_id").distinct()
            touched.write.mode("append").parquet(str(self.pending))

    def publish(self, dataset: str) -> None:
        """Write a dataset's bronze, silver and rejected rows."""
        fates, key, partition = self.fates[dataset], KEY[dataset], PARTITION[dataset]
        silver, rejected = f"silver.{dataset}", f"rejected.{dataset}"
        [found] = fates.agg(
            *(F.count_if(column).alias(column) for column in ("_new", "_won", "_lost")),
            F.collect_set(F.when(F.col("_won"), F.col(f"_old.{partition}"))).alias("met"),
        ).collect()
        if found["_new"]:
            rows = fates.where("_new").select("_text.*", *VERSION)
            where = _any_of("_batch_date", self.dates)
            self.write(f"bronze.{dataset}", rows, "_batch_date", where)
        won = fates.where("_won").select(self.table(silver).columns)
        if found["met"]:  # keys that silver has are in these partitions, and in no others
            target = DeltaTable.forPath(self.session, self.path(silver)).alias("t")
            is_there = F.col(f"t.{partition}").isin(found["met"])
            merge = target.merge(won.alias("w"), is_there & F.expr(f"t.{key} = w.{key}"))
            merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
        elif found["_won"]:
            won.write.format("delta").mode("append").save(self.path(silver))
        if found["_lost"] or not self.table(rejected).isEmpty():
            is_orphan = F.element_at("_rules", 1).endswith(".foreign_key")
            category = F.when(is_orphan, "referential_integrity").otherwise("data_quality")
            lost = fates.where("_lost").select(
                "_text.*", *VERSION, category.alias("_category"), "_rules"
            )
            self.write(rejected, lost, None)

    def make_gold(self) -> None:
        """Make the touched days and customers anew, whole."""
        schema, sql = "order_date DATE, user_id BIGINT", self.session.sql
        touched = self.session.createDataFrame([], schema)
        if self.pending.exists():
            touched = self.session.read.schema(schema).parquet(str(self.pending))
        days = sorted(row[0] for row in touched.select("order_date").distinct().collect())
        if days:
            users = F.broadcast(touched.select("user_id").distinct())
            products, orders, items = (self.table(f"silver.{dataset}") for dataset in SOURCE)
            orders = orders.withColumn("of_day", F.col("order_date").isin(days))
            parts = sql(PARTS, users=users, orders=orders, order_items=items, products=products)
            parts = parts.localCheckpoint(eager=False)  # for the four tables
            for table, query in GOLD_BY_DAY.items():
                where = _any_of("order_date", days)
                self.write(table, sql(query, parts=parts), "order_date", where)
            table, rows = "gold.customer_insights", sql(GOLD_BY_USER, parts=parts)
            if DeltaTable.isDeltaTable(self.session, self.path(table)):
                rows = rows.union(self.table(table).join(users, "user_id", "left_anti"))
            self.write(table, rows, None)
        shutil.rmtree(self.pending, ignore_errors=True)
