"""Texts that mean something else to each engine, and what one makes of each, as every type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.tables.contract import Column, Dataset, RowRule
from lakehouse_assets.tables.natural_order import natural_sql

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TEXTS = [
    None, "", " ", "\u00a0\t", "7", "007", "7.0", "7.00", "-7", "+7", "7.", ".5", "1e3", "1,000",
    "abc", " 7 ", "\u00a07\u00a0", "7\u2028", "7\n", "\u0667", "0x7", "NaN", "Infinity", "NULL",
    "null", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "2147483648",
    "0000000000000000000000000000000000007", "1" * 60, "12.3", "12.34", "12.345", "-0", "-0.00",
    "9999999999.99", "99999999999.99", "12.340", "1.5e2", "$5", "5 ", "1 2",
    "2025-04-01T11:27:00", "2025-04-01 11:27:00", "2025-04-01", "2025-04-01T11:27",
    "2025-04-01T11:27:00.5", "2025-04-01T11:27:00.1234567", "2025-04-01T11:27:00.",
    "2025-04-01T11:27:00Z", "2025-04-01T11:27:00z", "2025-04-01t11:27:00", "2025-04-01T24:00:00",
    "2025-04-01T23:59:60", "2025-04-01T11:27:00+02", "2025-04-01T11:27:00+0200",
    "2025-04-01T11:27:00+02:00", "2025-04-01T11:27:00-18:00", "2025-04-01T11:27:00+18:01",
    "2025-04-01T11:27:00+2", "2025-02-29T00:00:00", "2024-02-29T00:00:00", "2025-13-01T00:00:00",
    "0001-01-01T00:00:00", "0001-01-01T00:00:00+18:00", "9999-12-31T23:59:59.999999",
    "9999-12-31T23:59:59-18:00", "0000-01-01T00:00:00", "0000-12-31T23:59:59-01:00",
    "12025-04-01T00:00:00",
    "2025-04-01  11:27:00", "2025-04-01T11:27:00 Z", "1582-10-10T00:00:00", "1900-01-01T00:00:00",
    "=1+1", "'quoted'", "Größe 🍌", "a\x0bb", "x" * 5000,
]  # fmt: skip

NASTY = Dataset(
    name="nasty",
    description="Every type that a contract can name, over the same texts.",
    key="whole",
    columns=tuple(
        Column(name=name, type=kind, description=kind, required=True, **rules)
        for name, kind, rules in (
            ("whole", "BIGINT", {"minimum": 1}),
            ("small", "INT", {"allowed": (0, 1, 7)}),
            ("money", "DECIMAL(12,2)", {"minimum": 0}),
            ("moment", "TIMESTAMP", {}),
            ("day", "DATE", {}),
            ("flag", "BOOLEAN", {}),
            ("words", "STRING", {}),
        )
    ),
    partition_by=(),
)


LOCAL_TEXTS = [
    *TEXTS,
    "1.234", "1.234,5", "1.234,50", "12.34,5", "1234,50", "-1.234.567,89", "1.2345", "1,5", "1,",
    ",5", "1.234.5", "1..234", "0.001", "01.234", "1,234.50", "1\u00a0234", "1'234", "1?5",
    "31.12.2025 7:05", "31.12.2025 07:05", "1.1.2025 0:00", "31.2.2025 1:00", "29.2.2024 23:59",
    "31.12.2025", "31.12.25", "31/12/2025", "31.12.2025 24:00", "31.12.2025 7:5", "31.12.2025T7:05",
    "12/31/2025 12:05:09 am", "12/31/2025 12:05:09 PM", "12/31/2025 1:05:09 pM",
    "12/31/2025 13:05:09 PM", "12/31/2025 0:05:09 AM", "30.3.2025 2:30", "26.10.2025 2:30",
    "2025-03-30T02:30:00", "2025-10-26T02:30:00", "2025-10-26T02:30:00Z", "2025-10-26 02:30:00 +01",
    "2025-10-26T00:00:00", "1.1.0001 0:00", "31.12.9999 23:59", "2025.12.31", "TRUE", "False",
    "a.b", "it's", "a|b", "back\\slash", "AB12-9",
]  # fmt: skip
"""Those, and texts as other places write them."""

LOCAL = replace(
    NASTY,
    key=("whole", "words"),
    columns=tuple(
        replace(
            c, pattern="[A-Za-z]{1,2}[0-9.'|-]*[a-z9]?|back\\\\slash|it's", allowed=("it's", "a|b")
        )
        if c.name == "words"
        else replace(c, maximum=1000)
        if c.name in ("whole", "money")
        else c
        for c in NASTY.columns
    ),
    row_rules=(RowRule(name="no_odd_day", description="", sql="day(day) % 2 = 0 OR words = 'x'"),),
    dialect=Dialect(
        decimal=",",
        thousands=".",
        timestamp_formats=("%d.%m.%Y %H:%M", "%d.%m.%Y", "%m/%d/%Y %I:%M:%S %p"),
        timezone="Europe/Berlin",
    ),
)
"""The same in another dialect, with every kind of rule and a key of two columns."""


def _names() -> list[str]:
    """File names of few characters, so that they have much in common."""
    random = Random(2025)
    parts = ["0", "1", "9", "10", "007", "a", "b", " ", "-", "_", ".", "é", "~", "\x01", "(1)"]
    drawn = {"".join(random.choices(parts, k=random.randint(1, 5))) for _ in range(600)}
    endings = [".csv", ".CSV.GZ", ".xlsx", ".csv.csv", ""]
    long = [f"z{number}.csv" for number in ("9" * 23, "1" + "0" * 23, "9" * 22 + "8")]
    return [*(name + random.choice(endings) for name in sorted(drawn)), *long, "🍌.csv"]


NAMES = _names()


def verdicts(
    spark: SparkSession, dataset: Dataset = NASTY, texts: Sequence[str | None] = TEXTS
) -> list[dict[str, Any]]:
    """What an engine makes of every text as every type: value (as text) and rules broken."""
    names = ", ".join(f"`{c.name}` string" for c in NASTY.columns)
    meta = (
        "_batch_date date, _file string, _sheet_no int, _row bigint, _content string, "
        "_extra map<string,string>, _fault string"
    )
    # Every other one claims to mend a row whose sheet is that text.
    claims = {"_origin_file": "nasty/2025-04-01/Größe.csv", "_origin_digest": "d"}
    rows = [
        (
            *([text] * len(NASTY.columns)),
            *(None, "f", 0, i, "c"),
            {**claims, "_origin_sheet": text, "_origin_row": "7"} if i % 2 else None,
            None,
        )
        for i, text in enumerate(texts)
    ]
    frame: DataFrame = judged(spark.createDataFrame(rows, f"{names}, {meta}"), dataset)
    exact = frame.selectExpr(
        "_row",
        "CAST(whole AS STRING) whole",
        "CAST(small AS STRING) small",
        "CAST(money AS STRING) money",
        "CAST(unix_micros(moment) AS STRING) moment",
        "CAST(day AS STRING) day",
        "CAST(flag AS STRING) flag",
        "words",
        "_subject",
        "_origin",
        "_own",
    )
    kinds = [{"types": [str(t) for t in frame.dtypes]}]
    return kinds + [row.asDict() for row in sorted(exact.collect(), key=lambda r: r["_row"])]


def all_verdicts(spark: SparkSession) -> list[dict[str, Any]]:
    """Those in both dialects, and the natural order of file names."""
    names = spark.createDataFrame([(name,) for name in NAMES], "name string")
    order = ", ".join(natural_sql("name"))
    ranked = names.selectExpr("name", f"row_number() OVER (ORDER BY {order}) AS nth")
    ordered = [row["name"] for row in sorted(ranked.collect(), key=lambda row: row["nth"])]
    told = verdicts(spark) + verdicts(spark, LOCAL, LOCAL_TEXTS)
    return [*told, {"names": ordered}]
