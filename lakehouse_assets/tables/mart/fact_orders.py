"""The orders as facts, with the keys of their day and customer."""

from lakehouse_assets.tables.contract import Column, Mart, Reconciliation
from lakehouse_assets.tables.sql import date_key, surrogate_key

TABLE = Mart(
    name="fact_orders",
    description="One row per order.",
    grain=("order_id",),
    unit="orders.order_date",
    columns=(
        Column(name="order_id", type="BIGINT", description="The order."),
        Column(name="order_date", type="DATE", description="UTC day of the order."),
        Column(
            name="date_key", type="INT", references="dim_date", description="That day in dim_date."
        ),
        Column(
            name="customer_key",
            type="BIGINT",
            references="dim_customer",
            description="Who ordered.",
        ),
        Column(name="order_timestamp", type="TIMESTAMP", description="When, in UTC."),
        Column(
            name="order_num",
            type="BIGINT",
            description="The customer's how-many-th order, by the source; may be null.",
        ),
        Column(name="items", type="BIGINT", description="Lines of the order."),
        Column(name="reordered_items", type="BIGINT", description="Lines that were bought before."),
        Column(name="total_amount", type="DECIMAL(12,2)", description="The order's amount."),
    ),
    partition_by=("order_date",),
    zorder_by=("order_id",),
    sql=f"""
        WITH counted AS (
            SELECT
                order_id,
                count(id) AS items,
                CAST(sum(reordered) AS BIGINT) AS reordered_items
            FROM order_items
            GROUP BY order_id
        )
        SELECT
            o.order_id,
            o.order_date,
            {date_key("o.order_date")} AS date_key,
            {surrogate_key("o.user_id")} AS customer_key,
            o.order_timestamp,
            o.order_num,
            coalesce(c.items, 0) AS items,
            coalesce(c.reordered_items, 0) AS reordered_items,
            o.total_amount
        FROM orders o
        LEFT JOIN counted c ON c.order_id = o.order_id
    """,
    reconciliations=(
        Reconciliation(name="orders", gold="count(*)", silver="SELECT count(*) FROM orders"),
        Reconciliation(name="items", gold="sum(items)", silver="SELECT count(*) FROM order_items"),
        Reconciliation(
            name="amounts",
            gold="sum(total_amount)",
            silver="SELECT sum(total_amount) FROM orders",
        ),
    ),
)
