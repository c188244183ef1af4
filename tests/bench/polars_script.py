"""A peer of the baseline: what a good data engineer writes by hand with Polars and delta-rs.

    run(root, [date(2025, 4, 16)])  # raw → bronze → silver, rejected → gold

Work, definitions and what is left out are those of `duckdb_script`: days come in any order, and
again; after a crash the same call mends everything. Plainly spelled columns take a short way to
their type; only rows that break a rule, and keys that are there twice, take a long one.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa  # noqa: F401  # scan_delta imports it: here, that is not timed as work
from deltalake import DeltaTable, write_deltalake
from polars import col

WHOLE, DAY, TEXT = pl.Int64(), pl.Date(), pl.String()
MANY = pl.len().cast(WHOLE)
TYPES = {"whole": WHOLE, "small": pl.Int32(), "text": TEXT, "time": pl.Datetime("us", "UTC")}
TYPES |= {"amount": pl.Decimal(12, 2), "days": pl.Decimal(9, 2)}
COLUMNS = {  # the source's; parents come first
    "products": "product_id:whole department_id:whole department:text product_name:text",
    "orders": "order_num:whole order_id:whole user_id:whole order_timestamp:time "
    "total_amount:amount date:text",
    "order_items": "id:whole order_id:whole user_id:whole days_since_prior_order:days "
    "product_id:whole add_to_cart_order:small reordered:small order_timestamp:time date:text",
}
SOURCE = {
    d: {c: TYPES[t] for c, t in (w.split(":") for w in s.split())} for d, s in COLUMNS.items()
}
KEY = {"products": "product_id", "orders": "order_id", "order_items": "id"}
PARENTS = {"order_items": {"order_id": "orders", "product_id": "products"}}
PARTITION = {"products": "department_id", "orders": "order_date", "order_items": "order_date"}
NULLABLE = {"order_num", "days_since_prior_order", "date"}
BOUNDS = {  # column → its rule, and when it is broken
    **{c: ("min", col(c) < 0) for c in ("total_amount", "days_since_prior_order")},
    "add_to_cart_order": ("min", col("add_to_cart_order") < 1),
    "reordered": ("allowed", ~col("reordered").is_between(0, 1)),
}
VERSION = {"_batch_date": DAY, "_file": TEXT, "_row": WHOLE}  # in the version order
BLANK = " \t\r\n\u00a0"
DATE = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-[0-9]{2}-[0-9]{2}"
CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
ZONE = "Z|[+-](?:(?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|18(?::?00)?)"
STAMP = rf"^[{BLANK}]*({DATE})[T ]({CLOCK})(?:\.([0-9]{{1,6}})[0-9]*)?({ZONE})?[{BLANK}]*$"
CATALOGUE = ("product_id", "product_name", "department_id", "department")
AMOUNT = r"-?[0-9]+(?:\.[0-9]{1,2})?"


def run(root: Path, batch_dates: Sequence[date]) -> None:
    """Bring every table up to date with the raw files of these days."""
    lake, batches = _Lake(root), dict[str, _Batch]()
    for dataset in SOURCE:
        batches[dataset] = _Batch(lake, dataset, sorted(set(batch_dates)), batches)
    touched = _touched(lake, *batches.values())
    pending = root / "processed" / "_touched.parquet"  # what a crash leaves to be made
    if pending.exists():
        touched = pl.concat([touched, pl.read_parquet(pending)]).unique()
    touched.write_parquet(new := pending.with_suffix(".new"))
    new.replace(pending)
    for batch in batches.values():
        batch.publish()
    if not touched.is_empty():
        _make_gold(lake, touched["order_date"].unique(), touched["user_id"].unique())
    pending.unlink()


class _Lake:
    """The tables, `<layer>.<name>`, each opened once."""

    def __init__(self, root: Path) -> None:
        self.root, self.opened = root, dict[str, DeltaTable]()

    def table(self, name: str) -> DeltaTable | None:
        path = str(self.root / "processed" / name.replace(".", "/"))
        if name not in self.opened and DeltaTable.is_deltatable(path):
            self.opened[name] = DeltaTable(path)
        return self.opened.get(name)

    def scan(self, name: str) -> pl.LazyFrame:
        return pl.scan_delta(self.opened[name])

    def find(self, name: str, keys: pl.DataFrame, *columns: str | pl.Expr) -> pl.DataFrame:
        """Read the rows of these keys; Polars skips the files that have none in their range."""
        rows, key, values = self.scan(name), keys.columns[0], keys.to_series()
        near = col(key).is_between(values.min(), values.max())
        rows = rows.clear() if keys.is_empty() else rows.filter(near)
        return rows.select(*columns).join(keys.lazy(), on=key, how="semi").collect()

    def write(
        self, name: str, rows: pl.DataFrame, partition: str | None, among: list[Any] | None
    ) -> None:
        """Replace these partitions (None: the whole table); create the table if need be."""
        where = None
        if (table := self.table(name)) and among is not None:
            texts = [str(v) if isinstance(v, int) else f"'{v}'" for v in among]
            where = f"{partition} IN ({', '.join(texts)})"
        path = table or self.root / "processed" / name.replace(".", "/")
        rows = rows.cast({pl.UInt32: WHOLE, pl.Enum: TEXT})
        write_deltalake(path, rows, mode="overwrite", predicate=where, partition_by=partition)

    def create(self, name: str, schema: dict[str, Any], partition: str | None) -> None:
        if self.table(name) is None:
            self.write(name, pl.DataFrame(schema=schema), partition, None)
            self.table(name)


def _among(values: pl.Series) -> pl.Expr:
    return col(values.name).is_in(values.implode())


def _value(text: pl.Series, kind: pl.DataType) -> pl.Series:
    """Make typed values of texts; null is missing or wrong."""
    if kind == TEXT:
        return text.str.strip_chars(BLANK).replace("", None)
    if kind == TYPES["time"]:
        return _time(text)
    if kind == pl.Decimal:
        if not text.str.contains(f"^{AMOUNT}$").all():
            text = text.str.extract(f"^[{BLANK}]*({AMOUNT})[{BLANK}]*$")
        return text.cast(kind, strict=False)
    value = text.cast(kind, strict=False)
    if value.null_count() > text.null_count() or text.str.starts_with("+").any():
        digits = text.str.extract(rf"^[{BLANK}]*(-?[0-9]+)(?:\.0+)?[{BLANK}]*$")
        value = digits.cast(kind, strict=False)
    return value


def _time(text: pl.Series) -> pl.Series:
    if text.str.contains(f"^{DATE}T{CLOCK}$").all():
        plain = text.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
        return plain.dt.replace_time_zone("UTC")
    day, clock, fraction, zone = (col(str(n)) for n in range(1, 5))
    zone = zone.str.replace(":", "")
    hours, minutes = (zone.str.slice(at, 2).cast(WHOLE, strict=False) for at in (1, 3))
    offset = pl.duration(hours=hours.fill_null(0), minutes=minutes.fill_null(0))
    micros = pl.duration(microseconds=fraction.str.pad_end(6, "0").cast(WHOLE).fill_null(0))
    local = (day + "T" + clock).str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    west = zone.str.starts_with("-").fill_null(False)
    time = local + micros + pl.when(west).then(offset).otherwise(-offset)
    time = pl.when(time.dt.year().is_between(1, 9999)).then(time).dt.replace_time_zone("UTC")
    return text.str.extract_groups(STAMP).struct.unnest().select(time.alias(text.name)).to_series()


def _rules(broken: dict[str, pl.Expr], *before: str) -> pl.Expr:
    """List the rules that a row breaks."""
    names = [pl.when(is_broken).then(pl.lit(rule)) for rule, is_broken in broken.items()]
    return pl.concat_list(*before, *names).list.drop_nulls().alias("_rules")


class _Batch:
    """What a run does to a dataset.

    `raw`, `texts`: new rows, and with them those rejected before; `good`, `bad`: the same by the
    rules, `_at` being a row's place in `texts`. `won`: the good ones that silver gets; `old`: what
    it has of all these keys, `met`: of those of `won`. `changed`: what of `won` says something
    new, `was`: what silver said instead.
    """

    def __init__(
        self, lake: _Lake, dataset: str, dates: list[date], before: dict[str, _Batch]
    ) -> None:
        self.lake, self.dataset, self.dates = lake, dataset, dates
        self.source, self.key, self.partition = SOURCE[dataset], KEY[dataset], PARTITION[dataset]
        self.silver, self.rejected = f"silver.{dataset}", f"rejected.{dataset}"
        day = {"order_date": DAY} if "order_timestamp" in self.source else {}
        self.columns = {**self.source, **day, **VERSION}
        lake.create(self.silver, self.columns, self.partition)
        texts = {**dict.fromkeys(self.source, TEXT), **VERSION}
        lake.create(self.rejected, {**texts, "_category": TEXT, "_rules": pl.List(TEXT)}, None)
        self.is_new = col("_batch_date").is_in(dates)
        rejected = lake.scan(self.rejected).collect()
        self.was_rejected = not rejected.is_empty()
        self.raw = pl.concat([pl.DataFrame(schema=texts), *self._read()])
        self.texts = pl.concat([self.raw, rejected.filter(~self.is_new).select(*texts)])
        self._judge()
        self._hold()
        self._judge_parents(before)
        self._resolve()

    def _read(self) -> Iterator[pl.DataFrame]:
        """Read the days' files as text, strictly."""
        for day in self.dates:
            folder = self.lake.root / "raw" / self.dataset / str(day)
            for path in folder.glob("[!._]*.[cC][sS][vV]"):
                text = pl.read_csv(path, infer_schema=False, null_values="")
                if text.to_series(-1).has_nulls():  # perhaps of a line that is too short
                    with path.open(encoding="utf-8-sig", newline="") as handle:
                        widths = pl.Series(map(len, csv.reader(handle, strict=True)))[1:]
                    if not widths.is_in([0, text.width]).all():
                        raise ValueError(f"{path}: lines have {widths.unique().to_list()} fields")
                    text = text.filter(widths > 0)
                text = text.rename(lambda name: name.strip().lower()).select(*self.source)
                row = pl.int_range(2, pl.len() + 2)
                yield text.with_columns(_batch_date=day, _file=pl.lit(path.name), _row=row)

    def _judge(self) -> None:
        """Part the rows by the rules on values."""
        rows = self.texts.with_columns(col(*self.source).name.suffix("_text")).with_row_index("_at")
        rows = rows.with_columns(_value(rows[c], kind) for c, kind in self.source.items())
        if "order_date" in self.columns:
            rows = rows.with_columns(order_date=col("order_timestamp").dt.date())
        doubts, broken = [], {}
        for c in self.source:
            missing, text = col(c).is_null(), col(f"{c}_text")
            blank = text.str.strip_chars(BLANK).fill_null("") == ""
            doubts.append(missing & text.is_not_null() if c in NULLABLE else missing)
            if c not in NULLABLE:
                broken[f"{c}.required"] = missing & blank
            broken[f"{c}.type"] = missing & ~blank
            if c in BOUNDS:
                doubts.append(BOUNDS[c][1])
                broken[f"{c}.{BOUNDS[c][0]}"] = BOUNDS[c][1]
        self.good = rows.select("_at", *self.columns)
        doubtful = rows.filter(pl.any_horizontal(doubts)).select(*self.good.columns, _rules(broken))
        self.bad = doubtful.filter(col("_rules").list.len() > 0)
        if not self.bad.is_empty():
            self.good = self.good.join(self.bad, on="_at", how="anti")

    def _hold(self) -> None:
        """Leave out new files with too many faults."""
        faults = self.bad.filter(self.is_new).group_by("_batch_date", "_file").len()
        for day, name, count in faults.rows():
            here = (col("_batch_date") == day) & (col("_file") == name)
            rows = self.raw.select(here.sum()).item()
            if rows >= 100 and 20 * count > rows:
                said = f"{self.dataset}/{day}/{name}: held, too many faults; mend it"
                print(said, file=sys.stderr)
                self.raw, self.good = self.raw.filter(~here), self.good.filter(~here)
                self.bad = self.bad.filter(~here)

    def _judge_parents(self, before: dict[str, _Batch]) -> None:
        """Reject the rows whose parents are nowhere."""
        broken = {}
        for c, parent in PARENTS.get(self.dataset, {}).items():
            absent = pl.concat([self.good.select(c), self.bad.select(c)]).drop_nulls().unique()
            absent = absent.join(before[parent].won, on=c, how="anti")
            absent = absent.join(self.lake.find(f"silver.{parent}", absent, c), on=c, how="anti")
            if not absent.is_empty():
                broken[f"{c}.foreign_key"] = _among(absent[c])
        if broken:
            orphan, none = pl.any_horizontal(broken.values()), pl.lit([], pl.List(TEXT))
            orphans = self.good.filter(orphan).with_columns(_rules=none)
            self.bad = pl.concat([self.bad, orphans]).with_columns(_rules(broken, "_rules"))
            self.good = self.good.filter(~orphan)

    def _resolve(self) -> None:
        """Find each key's newest row, looking only at keys that are there twice."""
        key, good = self.key, self.good.select(*self.columns)
        keys = pl.concat([good.select(key), self.bad.filter(self.is_new).select(key).drop_nulls()])
        self.old = self.lake.find(self.silver, keys, *self.columns)
        self.won = self.changed = good
        self.met = self.was = self.old
        if not self.old.is_empty() or good[key].n_unique() < len(good):
            rows = pl.concat([self.old.with_columns(_new=False), good.with_columns(_new=True)])
            twice = rows[key].is_duplicated()
            newest = rows.filter(twice).sort(*VERSION, maintain_order=True)
            newest = newest.unique(key, keep="last")
            self.won = pl.concat([rows.filter(~twice), newest]).filter("_new").drop("_new")
            self.met = self.old.join(self.won, on=key, how="semi")
            both = self.won.join(self.met, on=key, how="left", suffix="_was")
            other = [col(c).ne_missing(col(f"{c}_was")) for c in self.source if c != key]
            self.changed = both.filter(pl.any_horizontal(other)).select(*self.columns)
            self.was = self.met.join(self.changed, on=key, how="semi")

    def publish(self) -> None:
        """Write bronze, silver and rejected rows."""
        lake, key, partition = self.lake, self.key, self.partition
        if not self.raw.is_empty():
            lake.write(f"bronze.{self.dataset}", self.raw, "_batch_date", self.dates)
        if not self.met.is_empty():  # replace the partitions of the rows gone and come
            among = pl.concat([self.met, self.won]).select(partition).unique()
            rest = lake.find(self.silver, among, *self.columns)
            rows = pl.concat([self.won, rest.join(self.won, on=key, how="anti")])
            lake.write(self.silver, rows, partition, among[partition].to_list())
        elif not self.won.is_empty():
            write_deltalake(lake.opened[self.silver], self.won, mode="append")
        if self.was_rejected or not self.bad.is_empty():
            newer = pl.lit(False)
            for c in reversed(VERSION):
                newer = (col(f"{c}_met") > col(c)) | ((col(f"{c}_met") == col(c)) & newer)
            published = pl.concat([self.won, self.old]).select(key, *VERSION)
            superseded = self.bad.join(published, on=key, suffix="_met").filter(newer)
            bad = self.bad.join(superseded, on="_at", how="anti")
            orphan = col("_rules").list.first().str.ends_with(".foreign_key")
            kinds = pl.lit("referential_integrity"), pl.lit("data_quality")
            category = pl.when(orphan).then(kinds[0]).otherwise(kinds[1]).alias("_category")
            rows = self.texts[bad["_at"]].with_columns(bad.select(category, "_rules"))
            lake.write(self.rejected, rows, None, None)


def _touched(lake: _Lake, products: _Batch, orders: _Batch, items: _Batch) -> pl.DataFrame:
    """Find the days and customers that gold has to make anew, before silver changes."""
    known = products.was.select("product_id")
    sold = lake.find("silver.order_items", known, "product_id", "order_id")
    hit = [rows.select("order_id") for rows in (orders.changed, items.changed, items.was, sold)]
    ids = pl.concat(hit).unique()
    elsewhere = ids.join(orders.won, on="order_id", how="anti")
    stored = lake.find("silver.orders", elsewhere, "order_id", "order_date", "user_id")
    found = [rows.select(stored.columns) for rows in (orders.won, orders.old, stored)]
    touched = pl.concat(found).join(ids, on="order_id", how="semi")
    return touched.select("order_date", "user_id").unique()


def _decimal(number: pl.Expr, places: int) -> pl.Expr:
    """Shift the point of a whole number."""
    one: int = 10**places
    return (number.cast(pl.Decimal(38, places)) / one).cast(pl.Decimal(18, places))


def _ratio(n: pl.Expr, d: pl.Expr) -> pl.Expr:
    """Divide whole numbers exactly, none of them negative, rounding half up; null over zero."""
    n, d = n.cast(pl.Int128), d.cast(pl.Int128)
    return _decimal(pl.when(d > 0).then((n * 20_000 + d) // (d * 2)), 4)


def _make_gold(lake: _Lake, days: pl.Series, users: pl.Series) -> None:
    """Make the touched days and customers anew, whole."""
    orders = lake.scan("silver.orders").select(
        *("order_id", "user_id", "order_date"),
        us=col("order_timestamp").to_physical(),
        cents=col("total_amount").to_physical().cast(WHOLE),
        of_day=_among(days),
        of_user=_among(users),
    )
    sold = orders.filter(col("of_day") | col("of_user")).collect()
    numbers = col("add_to_cart_order", "reordered").cast(WHOLE)
    columns = ("id", "order_id", "product_id", numbers)
    lines = lake.find("silver.order_items", sold.select("order_id"), *columns)
    counts = lines.group_by("order_id").agg(lines=MANY, reorders=col("reordered").sum())
    baskets = sold.join(counts, on="order_id", how="left")
    baskets = baskets.with_columns(col("lines", "reorders").fill_null(0))
    catalogue = lake.scan("silver.products").select(*CATALOGUE).collect()
    names = pl.Enum(sorted({"unknown", *catalogue["department"]}))
    catalogue = catalogue.with_columns(col("department").cast(names))
    by_day = _by_day(baskets.filter("of_day"), lines, catalogue)
    for table, rows in by_day.items():
        lake.write(f"gold.{table}", rows, "order_date", days.to_list())
    by_user = [_by_user(baskets.filter("of_user"), lines, catalogue)]
    if lake.table("gold.customer_insights"):
        by_user.append(lake.scan("gold.customer_insights").filter(~_among(users)).collect())
    lake.write("gold.customer_insights", pl.concat(by_user), None, None)


def _by_day(
    baskets: pl.DataFrame, lines: pl.DataFrame, catalogue: pl.DataFrame
) -> dict[str, pl.DataFrame]:
    """Make the tables of a day from its orders and their lines."""
    of_order = baskets.select("order_id", "order_date", "user_id", "cents", "lines")
    shares = lines.join(of_order, on="order_id").sort("order_id", "add_to_cart_order", "id")
    # An order's cents, evenly over its lines; the first ones get one of those left over.
    row, starts = pl.int_range(pl.len()), col("order_id").ne_missing(col("order_id").shift())
    gets_more = row - pl.when(starts).then(row).forward_fill() < col("cents") % col("lines")
    shares = shares.with_columns(cents=col("cents") // col("lines") + gets_more.cast(WHOLE))
    shares = shares.join(catalogue.drop("product_name"), on="product_id")
    unknown = pl.lit("unknown", catalogue["department"].dtype)
    bare = baskets.filter(col("lines") == 0).with_columns(department=unknown)
    parts = pl.concat([shares, bare], how="diagonal")
    orders, customers = col("order_id").n_unique(), col("user_id").n_unique()
    cents, units, reorders = col("cents").sum(), col("reordered").count(), col("reordered").sum()
    sales = baskets.group_by("order_date").agg(
        orders=MANY,
        items=col("lines").sum(),
        customers=customers,
        revenue=_decimal(cents, 2),
        average_order_value=_ratio(cents, 100 * MANY),
    )
    products = shares.group_by("order_date", "product_id").agg(
        units=units,
        orders=orders,
        reorders=reorders,
        reorder_rate=_ratio(reorders, units),
        average_cart_position=_ratio(col("add_to_cart_order").sum(), units),
        allocated_revenue=_decimal(cents, 2),
    )
    products = products.join(catalogue, on="product_id")
    products = products.select("order_date", *CATALOGUE, pl.exclude("order_date", *CATALOGUE))
    departments = parts.group_by("order_date", "department_id", "department").agg(
        units=units,
        orders=orders,
        customers=customers,
        allocated_revenue=_decimal(cents, 2),
        revenue_share=cents,
        reorder_rate=_ratio(reorders, units),
    )
    of_day = col("revenue_share").sum().over("order_date")
    departments = departments.with_columns(revenue_share=_ratio(col("revenue_share"), of_day))
    return {
        "daily_sales": sales,
        "product_performance": products,
        "department_analytics": departments,
    }


def _by_user(baskets: pl.DataFrame, lines: pl.DataFrame, catalogue: pl.DataFrame) -> pl.DataFrame:
    """Make a row of each customer from all of their orders."""
    repeats = col("user_id") == col("user_id").shift()
    gap = pl.when(repeats).then(col("us").diff()).cast(pl.Int128)
    visits = baskets.sort("user_id", "us").with_columns(square=gap * gap)
    customers = visits.group_by("user_id").agg(
        first_order_date=col("order_date").min(),
        last_order_date=col("order_date").max(),
        orders=MANY,
        items=col("lines").sum(),
        cents=col("cents").sum(),
        reorders=col("reorders").sum(),
        span=col("us").max() - col("us").min(),
        squares=col("square").sum(),
    )
    bought = lines.select("order_id", "product_id")
    bought = bought.join(baskets.select("order_id", "user_id"), on="order_id")
    bought = bought.join(catalogue.select("product_id", "department"), on="product_id")
    first = col("department").sort_by("len", "department", descending=[True, False]).first()
    favourites = bought.group_by("user_id", "department").len().group_by("user_id").agg(first)
    orders, items, span = col("orders"), col("items"), col("span")
    gaps = orders - 1
    n = gaps * col("squares") - span.cast(pl.Int128).pow(2)
    deviation = (n.cast(pl.Float64) / (gaps * (gaps - 1))).sqrt() / 86_400
    deviation = pl.when(gaps > 1).then(deviation.round()).cast(WHOLE)
    return customers.join(favourites, on="user_id", how="left").select(
        *("user_id", "first_order_date", "last_order_date", "orders", "items"),
        spend=_decimal(col("cents"), 2),
        average_order_value=_ratio(col("cents"), 100 * orders),
        average_basket_size=_ratio(items, orders),
        average_days_between_orders=_ratio(span, 86_400_000_000 * gaps),
        stddev_days_between_orders=_decimal(deviation, 6),
        reorder_rate=_ratio(col("reorders"), items),
        favourite_department=col("department").cast(TEXT),
    )
