"""What the oracle knows of each dataset: columns, types, keys, rules, and how a text is a value."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

Value = int | Decimal | datetime | date | str | None
Record = dict[str, Any]  # a row of a silver or gold table: a Value per column
CATEGORIES = ("schema", "data_quality", "referential_integrity")  # worst first
ORIGIN = ("_origin_file", "_origin_digest", "_origin_sheet", "_origin_row")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset's contract. A foreign key is a column, and the dataset whose key it holds."""

    columns: Mapping[str, str]
    key: tuple[str, ...]
    nullable: frozenset[str] = frozenset()
    foreign_keys: Mapping[str, str] = field(default_factory=dict)
    dated: str | None = None
    """The timestamp whose UTC day is `order_date`."""

    def key_of(self, typed: Record) -> Any:
        """A row's key: one value, or a tuple of several; None where any part cannot be read."""
        parts = tuple(typed[name] for name in self.key)
        if None in parts:
            return None
        return parts if len(parts) > 1 else parts[0]


Shop = Mapping[str, Dataset]
"""All datasets, parents before children."""

SHOP: Shop = {
    "products": Dataset(
        columns={
            "product_id": "bigint",
            "department_id": "bigint",
            "department": "text",
            "product_name": "text",
        },
        key=("product_id",),
    ),
    "orders": Dataset(
        columns={
            "order_num": "bigint",
            "order_id": "bigint",
            "user_id": "bigint",
            "order_timestamp": "timestamp",
            "total_amount": "decimal(12,2)",
            "date": "text",
        },
        key=("order_id",),
        nullable=frozenset({"order_num", "date"}),
        dated="order_timestamp",
    ),
    "order_items": Dataset(
        columns={
            "id": "bigint",
            "order_id": "bigint",
            "user_id": "bigint",
            "days_since_prior_order": "decimal(9,2)",
            "product_id": "bigint",
            "add_to_cart_order": "int",
            "reordered": "int",
            "order_timestamp": "timestamp",
            "date": "text",
        },
        key=("id",),
        nullable=frozenset({"days_since_prior_order", "date"}),
        foreign_keys={"order_id": "orders", "product_id": "products"},
        dated="order_timestamp",
    ),
}
COLUMNS = {name: dataset.columns for name, dataset in SHOP.items()}
KEY = {name: dataset.key for name, dataset in SHOP.items()}


@dataclass(frozen=True)
class Check:
    """A rule on one readable value (not null), or on a whole row: broken where `holds` is false."""

    dataset: str
    column: str | None
    rule: str
    holds: Callable[[Any], bool]

    def broken_by(self, typed: Record) -> bool:
        """Whether a row's values break it."""
        if self.column is None:
            return not self.holds(typed)
        value = typed.get(self.column)
        return value is not None and not self.holds(value)


CHECKS = (
    Check("orders", "total_amount", "total_amount.min", lambda v: v >= 0),
    Check("order_items", "reordered", "reordered.allowed", lambda v: v in {0, 1}),
    Check("order_items", "add_to_cart_order", "add_to_cart_order.min", lambda v: v >= 1),
    Check("order_items", "days_since_prior_order", "days_since_prior_order.min", lambda v: v >= 0),
)


@dataclass(frozen=True)
class Rules:
    """What a contract lets a test change: its checks, and the limit that holds a file."""

    checks: tuple[Check, ...] = CHECKS
    hold_share: Mapping[str, Decimal] = field(default_factory=dict)  # dataset → share, else 5 %
    hold_rows: int = 100  # smaller files are never held

    def broken(self, dataset: str, typed: Record) -> frozenset[str]:
        """The checks that a row's values break."""
        checks = (check for check in self.checks if check.dataset == dataset)
        return frozenset(check.rule for check in checks if check.broken_by(typed))


# ------------------------------------------------------------------------------- values, by type

BLANKS = " \t\r\n\u00a0"
_WHOLE = re.compile(r"(-?[0-9]+)(?:\.0+)?")
_DECIMAL = re.compile(r"-?([0-9]+)(?:\.[0-9]{1,2}0*)?")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?: ?Z| UTC| ?([+-])([0-9]{2})(?::?([0-5][0-9]))?)?"
)


def trim(text: str | None) -> str | None:
    """A text without its outer blanks; None if nothing is left."""
    return (text or "").strip(BLANKS) or None


def whole(text: str, bits: int = 64) -> int | None:
    """A whole number of so many bits."""
    match = _WHOLE.fullmatch(text)
    if not match or len(match[1].lstrip("-0")) > 19:
        return None
    number = int(match[1])
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else None


def _decimal(text: str, precision: int) -> Decimal | None:
    """A DECIMAL(precision,2)."""
    match = _DECIMAL.fullmatch(text)
    if not match or len(match[1].lstrip("0")) > precision - 2:
        return None
    return Decimal(text.rstrip("0") if "." in text else text).quantize(Decimal("0.01")) + 0


@functools.lru_cache(maxsize=100_000)
def _timestamp(text: str) -> datetime | None:
    """An instant, as a naive datetime in UTC."""
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        return None
    *parts, fraction, sign, hours, minutes = match.groups()
    zone = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if zone > timedelta(hours=18):
        return None
    year, month, day, hour, minute, second = map(int, parts)
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        local = datetime(year, month, day, hour, minute, second, micros)
        return local + zone if sign == "-" else local - zone
    except (ValueError, OverflowError):  # no such day or time; not within the years 1 to 9999
        return None


TYPES: dict[str, Callable[[str], Value]] = {
    "bigint": lambda text: whole(text, 64),
    "int": lambda text: whole(text, 32),
    "decimal(12,2)": lambda text: _decimal(text, 12),
    "decimal(9,2)": lambda text: _decimal(text, 9),
    "timestamp": _timestamp,
    "text": lambda text: text,
}


# --------------------------------------------------------------------------------- names of files

_ENDING = re.compile(r"\.(csv|csv\.gz|xlsx)\Z", re.IGNORECASE)
_PASSED_OVER = re.compile(
    r"(\.|_|~\$).*|.*(\.(tmp|part|filepart|partial|crdownload|crc|md5|sha256)|~)"
    r"|thumbs\.db|desktop\.ini",
    re.IGNORECASE | re.DOTALL,
)


def is_passed_over(name: str) -> bool:
    """Whether an object of this name is no file at all."""
    return not name or "/" in name or _PASSED_OVER.fullmatch(name) is not None


def natural(name: str) -> tuple[tuple[bytes | int, ...], bytes]:
    """What the order of file names compares: (text, number, text, …, text), then the whole name."""
    parts = re.split("([0-9]+)", _ENDING.sub("", name))
    told = (int(part) if at % 2 else part.encode() for at, part in enumerate(parts))
    return tuple(told), name.encode()
