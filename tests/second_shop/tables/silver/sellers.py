"""Sellers: who sells on the platform."""

from lakehouse_assets.tables.contract import Dataset
from tests.second_shop.tables._columns import identity, place

TABLE = Dataset(
    name="sellers",
    description="One row per seller.",
    key="seller_id",
    columns=(identity("seller_id", "The seller."), *place("seller")),
)
