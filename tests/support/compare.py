"""Rows and types of the product, so that they can be compared with the oracle's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from deltalake import DeltaTable

from tests.support import oracle

BRONZE_META = ("_batch_date", "_file", "_sheet", "_sheet_no", "_row", "_extra", "_raw")
LINEAGE = ("_batch_date", "_file", "_sheet_no", "_row")
TYPES = {"text": "string", "bigint": "long", "int": "integer"}
GOLD_GRAIN = {
    "daily_sales": ("order_date",),
    "product_performance": ("order_date", "product_id"),
    "department_analytics": ("order_date", "department_id", "department"),
    "customer_insights": ("user_id",),
}
DEVIATION = "stddev_days_between_orders"
TOLERANCE = Decimal("0.000001")


def place(row: dict[str, Any]) -> tuple[date, str, int, int]:
    return row["_batch_date"], row["_file"], row["_sheet_no"], row["_row"]


def contract_columns(row: dict[str, Any]) -> dict[str, Any]:
    return {c: v for c, v in row.items() if not c.startswith("_")}


def bronze_columns(dataset: oracle.Dataset, row: dict[str, Any]) -> dict[str, Any]:
    return {c: row[c] for c in (*dataset.columns, *BRONZE_META)}


def types_of(table: DeltaTable) -> dict[str, str]:
    fields = json.loads(table.schema().to_json())["fields"]
    return {f["name"]: f["type"] for f in fields if not f["name"].startswith("_")}


def gold_type(column: str) -> str:
    if column == DEVIATION:
        return "decimal(18,6)"
    if column in {"revenue", "allocated_revenue", "spend"}:
        return "decimal(18,2)"
    if column.startswith("average_") or column.endswith(("_rate", "_share")):
        return "decimal(18,4)"
    if column.endswith("_date"):
        return "date"
    return "string" if column.endswith(("department", "_name")) else "long"


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """A row as plain data that compares; `_raw` of a sheet row is JSON."""
    if row.get("_raw") is not None and row.get("_sheet_no"):
        return {**row, "_raw": json.loads(row["_raw"])}
    return row


def assert_same_rows(
    what: str,
    found: Iterable[dict[str, Any]],
    wanted: Iterable[dict[str, Any]],
    key: Sequence[str],
) -> None:
    def by_key(rows: Iterable[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
        made: dict[Any, dict[str, Any]] = {}
        for row in rows:
            name = tuple(row[k] for k in key)
            assert name not in made, f"{what}: {name} stands twice"
            made[name] = _comparable(row)
        return made

    mine, theirs = by_key(found), by_key(wanted)
    for name, row in mine.items():
        other = theirs.get(name, {}).get(DEVIATION)
        if other is not None and row[DEVIATION] is not None:
            assert abs(row[DEVIATION] - other) <= TOLERANCE, (what, row, other)
            row[DEVIATION] = other
    assert_same(what, mine, theirs)


def assert_same(what: str, found: dict[Any, Any], wanted: dict[Any, Any]) -> None:
    if found == wanted:
        return
    lines = [f"{what}: product and oracle differ"]
    for key in sorted(found.keys() | wanted.keys(), key=repr):
        mine, theirs = found.get(key, "nothing"), wanted.get(key, "nothing")
        if mine != theirs:
            lines.append(f"  {key}:\n    product {mine}\n    oracle  {theirs}")
    raise AssertionError("\n".join(lines[:21]))
