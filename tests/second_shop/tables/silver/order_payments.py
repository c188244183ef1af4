"""Payments: how each order was paid, in one or several parts. From another system: see dialect."""

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables.contract import Column, Dataset
from tests.second_shop.tables._columns import identity

TABLE = Dataset(
    name="order_payments",
    description="One row per part of an order's payment.",
    key=("order_id", "payment_sequential"),
    columns=(
        identity("order_id", "Its order.", references="orders"),
        Column(
            name="payment_sequential",
            type="INT",
            required=True,
            minimum=1,
            description="Its number within the order, from 1.",
        ),
        Column(
            name="payment_type",
            type="STRING",
            required=True,
            allowed=("boleto", "credit_card", "debit_card", "not_defined", "voucher"),
            description="By what.",
        ),
        Column(
            name="payment_installments",
            type="INT",
            required=True,
            minimum=0,
            maximum=24,
            description="In how many rates.",
        ),
        Column(
            name="payment_value",
            type="DECIMAL(12,2)",
            required=True,
            minimum=0,
            description="How much.",
        ),
    ),
    zorder_by=("order_id",),
    dialect=Dialect(delimiter=";", decimal=",", thousands="."),
)
