"""The second shop as the oracle knows it, and its files, drawn by a seed."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables.contract import Dataset
from tests.support import oracle

TABLES = "tests.second_shop.tables"
Texts = dict[str, str]

# ----------------------------------------------------------------------------------- the oracle's

_DEGREES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,14})?")
oracle.TYPES["decimal(17,14)"] = lambda text: (
    Decimal(text).quantize(Decimal("1E-14")) if _DEGREES.fullmatch(text) else None
)


def _place(prefix: str) -> dict[str, str]:
    return dict.fromkeys([f"{prefix}_{c}" for c in ("zip_code_prefix", "city", "state")], "text")


SHOP: oracle.Shop = {
    "customers": oracle.Dataset(
        columns={"customer_id": "text", "customer_unique_id": "text", **_place("customer")},
        key=("customer_id",),
        nullable=frozenset({"customer_city"}),
    ),
    "geolocation": oracle.Dataset(
        columns={
            **_place("geolocation"),
            "geolocation_lat": "decimal(17,14)",
            "geolocation_lng": "decimal(17,14)",
        },
        key=(
            "geolocation_zip_code_prefix",
            "geolocation_lat",
            "geolocation_lng",
            "geolocation_state",
        ),
        nullable=frozenset({"geolocation_city"}),
    ),
    "product_category_name_translation": oracle.Dataset(
        columns={"product_category_name": "text", "product_category_name_english": "text"},
        key=("product_category_name",),
    ),
    "products": oracle.Dataset(
        columns={
            "product_id": "text",
            "product_category_name": "text",
            **dict.fromkeys(
                [
                    "product_name_lenght",
                    "product_description_lenght",
                    "product_photos_qty",
                    "product_weight_g",
                    "product_length_cm",
                    "product_height_cm",
                    "product_width_cm",
                ],
                "int",
            ),
        },
        key=("product_id",),
        nullable=frozenset(
            {
                "product_category_name",
                "product_name_lenght",
                "product_description_lenght",
                "product_photos_qty",
                "product_weight_g",
                "product_length_cm",
                "product_height_cm",
                "product_width_cm",
            }
        ),
    ),
    "sellers": oracle.Dataset(
        columns={"seller_id": "text", **_place("seller")},
        key=("seller_id",),
        nullable=frozenset({"seller_city"}),
    ),
    "orders": oracle.Dataset(
        columns={
            "order_id": "text",
            "customer_id": "text",
            "order_status": "text",
            "order_purchase_timestamp": "timestamp",
            "order_approved_at": "timestamp",
            "order_delivered_carrier_date": "timestamp",
            "order_delivered_customer_date": "timestamp",
            "order_estimated_delivery_date": "timestamp",
        },
        key=("order_id",),
        nullable=frozenset(
            {
                "order_approved_at",
                "order_delivered_carrier_date",
                "order_delivered_customer_date",
                "order_estimated_delivery_date",
            }
        ),
        foreign_keys={"customer_id": "customers"},
        dated="order_purchase_timestamp",
    ),
    "order_items": oracle.Dataset(
        columns={
            "order_id": "text",
            "order_item_id": "int",
            "product_id": "text",
            "seller_id": "text",
            "shipping_limit_date": "timestamp",
            "price": "decimal(12,2)",
            "freight_value": "decimal(12,2)",
        },
        key=("order_id", "order_item_id"),
        nullable=frozenset({"shipping_limit_date"}),
        foreign_keys={"order_id": "orders", "product_id": "products", "seller_id": "sellers"},
    ),
    "order_payments": oracle.Dataset(
        columns={
            "order_id": "text",
            "payment_sequential": "int",
            "payment_type": "text",
            "payment_installments": "int",
            "payment_value": "decimal(12,2)",
        },
        key=("order_id", "payment_sequential"),
        foreign_keys={"order_id": "orders"},
    ),
    "order_reviews": oracle.Dataset(
        columns={
            "review_id": "text",
            "order_id": "text",
            "review_score": "int",
            "review_comment_title": "text",
            "review_comment_message": "text",
            "review_creation_date": "timestamp",
            "review_answer_timestamp": "timestamp",
        },
        key=("review_id", "order_id"),
        nullable=frozenset(
            {"review_comment_title", "review_comment_message", "review_answer_timestamp"}
        ),
        foreign_keys={"order_id": "orders"},
    ),
}


def _checks() -> Iterator[oracle.Check]:
    def each(rule: str, holds: Callable[[object], bool], *columns: str) -> Iterator[oracle.Check]:
        for name in columns:
            dataset, column = name.split(".")
            yield oracle.Check(dataset, column, f"{column}.{rule}", holds)

    def least(value: object) -> bool:
        assert isinstance(value, int | Decimal)
        return value >= 0

    def like(pattern: str) -> Callable[[object], bool]:
        return lambda value: re.fullmatch(pattern, str(value)) is not None

    def within(most: int) -> Callable[[object], bool]:
        return lambda value: isinstance(value, int | Decimal) and value <= most

    identities = [
        f"{name}.{column}"
        for name, dataset in SHOP.items()
        for column, kind in dataset.columns.items()
        if kind == "text" and column.endswith("_id")
    ]
    yield from each("pattern", like("[0-9a-f]{32}"), *identities)
    who = ("customers.customer", "sellers.seller", "geolocation.geolocation")
    yield from each("pattern", like("[0-9]{4,5}"), *(f"{w}_zip_code_prefix" for w in who))
    yield from each("pattern", like("[A-Z]{2}"), *(f"{w}_state" for w in who))
    for axis, most in (("lat", 90), ("lng", 180)):
        column = f"geolocation.geolocation_{axis}"
        yield from each("min", lambda v, m=most: v >= -m, column)  # type: ignore[misc]
        yield from each("max", within(most), column)
    measures = [f"products.{c}" for c, kind in SHOP["products"].columns.items() if kind == "int"]
    amounts = ["order_items.price", "order_items.freight_value", "order_payments.payment_value"]
    yield from each("min", least, *measures, *amounts, "order_payments.payment_installments")
    numbers = "order_items.order_item_id", "order_payments.payment_sequential"
    yield from each("min", lambda v: v >= 1, *numbers, "order_reviews.review_score")  # type: ignore[operator]
    yield from each("max", within(24), "order_payments.payment_installments")
    yield from each("max", within(5), "order_reviews.review_score")
    yield from each("allowed", lambda v: v in STATUSES, "orders.order_status")
    yield from each("allowed", lambda v: v in PAYMENTS, "order_payments.payment_type")
    yield _in_order(
        "orders", "bought_before_delivered", "order_purchase_timestamp",
        "order_delivered_customer_date",
    )  # fmt: skip
    yield _in_order(
        "order_reviews", "answered_after_asked", "review_creation_date", "review_answer_timestamp"
    )


def _in_order(dataset: str, rule: str, first: str, last: str) -> oracle.Check:
    def holds(row: Mapping[str, datetime | None]) -> bool:
        before, after = row[first], row[last]
        return before is None or after is None or after >= before

    return oracle.Check(dataset, None, rule, holds)


STATUSES = (
    "approved", "canceled", "created", "delivered", "invoiced", "processing", "shipped",
    "unavailable",
)  # fmt: skip
PAYMENTS = ("boleto", "credit_card", "debit_card", "not_defined", "voucher")
RULES = oracle.Rules(checks=tuple(_checks()))

# --------------------------------------------------------------------------------------- its files

_WORDS = ("muito bom", 'o "melhor"', "chegou tarde;\nmas chegou", "recomendo,\r\nsim", "não", "")
_CATEGORIES = ("beleza_saude", "informatica_acessorios", "cama_mesa_banho", "")


def identity(kind: str, number: int) -> str:
    """A text of 32 hexadecimal digits."""
    return f"{sum(kind.encode()):x}{number:028x}".zfill(32)


def row(random: Random, dataset: str, day: date, most: int, faulty: float) -> Texts:
    """A row about one of ``most`` things of each kind; a cell of a ``faulty`` share is wrong.

    Its texts are as the default dialect has them, in UTC.
    """

    def some(kind: str) -> str:
        return identity(kind, random.randint(1, most))

    def moment(days: int = 0) -> str:
        at = datetime.combine(day, datetime.min.time()) + timedelta(
            days=days, minutes=random.randrange(1440)
        )
        return at.isoformat(sep=" ")

    def amount(most: int) -> str:
        return f"{Decimal(random.randrange(most)) / 100:.2f}"

    def place(prefix: str) -> Texts:
        return {
            f"{prefix}_zip_code_prefix": f"0{random.randint(1000, 1009)}",
            f"{prefix}_city": random.choice(["sao paulo", "São Paulo", "rio de janeiro", ""]),
            f"{prefix}_state": random.choice(["SP", "RJ"]),
        }

    number = str(random.randint(1, 3))
    made: dict[str, Callable[[], Texts]] = {
        "customers": lambda: {
            "customer_id": some("c"), "customer_unique_id": some("u"), **place("customer"),
        },
        "geolocation": lambda: {
            **place("geolocation"),
            "geolocation_lat": f"-23.5{random.randint(0, 3)}562128115268",
            "geolocation_lng": f"-46.63{random.randint(0, 3)}29184",
        },
        "product_category_name_translation": lambda: {
            "product_category_name": random.choice(_CATEGORIES[:3]),
            "product_category_name_english": random.choice(["beauty", "computers", "bed"]),
        },
        "products": lambda: {
            "product_id": some("p"),
            "product_category_name": random.choice(_CATEGORIES),
            **{c: str(random.randint(0, 99)) for c in [*SHOP["products"].columns][2:]},
        },
        "sellers": lambda: {"seller_id": some("s"), **place("seller")},
        "orders": lambda: {
            "order_id": some("o"),
            "customer_id": some("c"),
            "order_status": random.choice(STATUSES),
            "order_purchase_timestamp": moment(),
            "order_approved_at": random.choice([moment(), ""]),
            "order_delivered_carrier_date": random.choice([moment(2), ""]),
            "order_delivered_customer_date": random.choice([moment(9), moment(9), "", moment()]),
            "order_estimated_delivery_date": moment(20)[:10] + " 00:00:00",
        },
        "order_items": lambda: {
            "order_id": some("o"),
            "order_item_id": number,
            "product_id": some("p"),
            "seller_id": some("s"),
            "shipping_limit_date": moment(5),
            "price": amount(300_000),
            "freight_value": amount(5_000),
        },
        "order_payments": lambda: {
            "order_id": some("o"),
            "payment_sequential": number,
            "payment_type": random.choice(PAYMENTS),
            "payment_installments": str(random.randint(0, 24)),
            "payment_value": amount(500_000),
        },
        "order_reviews": lambda: {
            "review_id": some("r"),
            "order_id": some("o"),
            "review_score": str(random.randint(1, 5)),
            "review_comment_title": random.choice(_WORDS),
            "review_comment_message": random.choice(_WORDS),
            "review_creation_date": moment(10)[:10] + " 00:00:00",
            "review_answer_timestamp": moment(random.choice([9, 11, 12])),
        },
    }  # fmt: skip
    texts = made[dataset]()
    return {
        name: random.choice(["", "x", "-1", "x|y", "99%7C"]) if random.random() < faulty else text
        for name, text in texts.items()
    }


def rows(
    seed: int, dataset: str, day: date, count: int, most: int = 4, faulty: float = 0.03
) -> list[Texts]:
    """So many rows, the same for the same seed."""
    random = Random(f"{seed}/{dataset}/{day}")
    return [row(random, dataset, day, most, faulty) for _ in range(count)]


def in_dialect(texts: Sequence[Texts], dataset: Dataset, dialect: Dialect | None = None) -> bytes:
    """Rows as a CSV file in a dialect: the dataset's own unless given."""
    dialect = dialect or dataset.dialect
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=dialect.delimiter)
    writer.writerow(dataset.headers)
    kinds = {c.header: c.type for c in dataset.sources}
    for values in texts:
        writer.writerow([_written(values[h], kinds[h], dialect) for h in dataset.headers])
    return out.getvalue().encode(dialect.encoding)


def _written(text: str, kind: str, dialect: Dialect) -> str:
    if kind.startswith("DECIMAL") and text.replace(".", "").isdecimal():
        grouped = f"{Decimal(text):,}" if dialect.thousands else text
        marks = {ord(","): dialect.thousands or ",", ord("."): dialect.decimal}
        return grouped.translate(marks)
    if kind == "TIMESTAMP" and len(text) == len("2018-01-01 00:00:00"):
        there = datetime.fromisoformat(f"{text}+00:00").astimezone(ZoneInfo(dialect.timezone))
        if not dialect.timestamp_formats:
            return there.strftime("%Y-%m-%d %H:%M:%S")
        if not there.second:
            return there.strftime(dialect.timestamp_formats[0])
        return there.isoformat()
    return text
