"""Orders: who bought, and how far the delivery is. Times are those of Sao Paulo."""

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables.contract import Column, Dataset, RowRule
from tests.second_shop.tables._columns import identity


def _moment(name: str, description: str, **more: bool) -> Column:
    return Column(name=name, type="TIMESTAMP", description=description, **more)  # type: ignore[arg-type]


TABLE = Dataset(
    name="orders",
    description="One row per order, as the newest valid line about it says.",
    key="order_id",
    columns=(
        identity("order_id", "The order."),
        identity("customer_id", "Who ordered.", references="customers"),
        Column(
            name="order_status",
            type="STRING",
            required=True,
            allowed=(
                "approved", "canceled", "created", "delivered", "invoiced", "processing", "shipped",
                "unavailable",
            ),
            description="How far it is.",
        ),
        _moment("order_purchase_timestamp", "When it was bought.", required=True),
        _moment("order_approved_at", "When it was paid."),
        _moment("order_delivered_carrier_date", "When the carrier had it."),
        _moment("order_delivered_customer_date", "When the customer had it."),
        _moment("order_estimated_delivery_date", "When the customer was told to have it."),
        Column(
            name="order_date",
            type="DATE",
            derived="to_date(order_purchase_timestamp)",
            description="UTC day on which it was bought.",
        ),
    ),
    partition_by=("order_date",),
    zorder_by=("order_id",),
    dialect=Dialect(timezone="America/Sao_Paulo"),
    row_rules=(
        RowRule(
            name="bought_before_delivered",
            description="An order is delivered after it was bought.",
            sql="order_delivered_customer_date >= order_purchase_timestamp",
        ),
    ),
)  # fmt: skip
