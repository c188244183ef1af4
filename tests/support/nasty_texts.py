"""Texts that mean something else to each engine, and what one makes of each, as every type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.tables.contract import Column, Dataset

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


def verdicts(spark: SparkSession) -> list[dict[str, Any]]:
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
        for i, text in enumerate(TEXTS)
    ]
    frame: DataFrame = judged(spark.createDataFrame(rows, f"{names}, {meta}"), NASTY)
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
