"""Customers: one for each order; who is the same person says `customer_unique_id`."""

from lakehouse_assets.tables.contract import Dataset
from tests.second_shop.tables._columns import identity, place

TABLE = Dataset(
    name="customers",
    description="One row per customer of an order.",
    key="customer_id",
    columns=(
        identity("customer_id", "The customer of one order."),
        identity("customer_unique_id", "The person."),
        *place("customer"),
    ),
    zorder_by=("customer_id",),
)
