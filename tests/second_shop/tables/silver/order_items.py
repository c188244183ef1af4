"""Order items: the lines of the orders, numbered within each; price and freight of one piece."""

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables.contract import Column, Dataset
from tests.second_shop.tables._columns import identity


def _amount(name: str, description: str) -> Column:
    return Column(
        name=name, type="DECIMAL(12,2)", required=True, minimum=0, description=description
    )


TABLE = Dataset(
    name="order_items",
    description="One row per line of an order.",
    keep_history=True,
    key=("order_id", "order_item_id"),
    columns=(
        identity("order_id", "Its order.", references="orders"),
        Column(
            name="order_item_id",
            type="INT",
            required=True,
            minimum=1,
            description="Its number within the order, from 1.",
        ),
        identity("product_id", "What was bought.", references="products"),
        identity("seller_id", "Who sold it.", references="sellers"),
        Column(name="shipping_limit_date", type="TIMESTAMP", description="Latest day to send it."),
        _amount("price", "What the piece cost."),
        _amount("freight_value", "What its way cost."),
    ),
    zorder_by=("order_id",),
    dialect=Dialect(timezone="America/Sao_Paulo"),
)
