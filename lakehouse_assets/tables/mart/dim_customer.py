"""The customers: who has ordered."""

from lakehouse_assets.tables.contract import Column, Mart, Reconciliation
from lakehouse_assets.tables.sql import surrogate_key

TABLE = Mart(
    name="dim_customer",
    description="One row per customer who has ordered. What depends on a day is in the queries.",
    grain=("customer_key",),
    unit="orders.user_id",
    columns=(
        Column(
            name="customer_key",
            type="BIGINT",
            description="Surrogate key: a hash of the customer.",
        ),
        Column(name="user_id", type="BIGINT", description="The customer."),
        Column(name="first_order_date", type="DATE", description="UTC day of the first order."),
        Column(name="last_order_date", type="DATE", description="UTC day of the last order."),
        Column(name="orders", type="BIGINT", description="Orders so far."),
        Column(name="spend", type="DECIMAL(18,2)", description="Sum of the orders' amounts."),
    ),
    zorder_by=("user_id",),
    sql=f"""
        SELECT
            {surrogate_key("user_id")} AS customer_key,
            user_id,
            min(order_date) AS first_order_date,
            max(order_date) AS last_order_date,
            count(order_id) AS orders,
            CAST(sum(total_amount) AS DECIMAL(18,2)) AS spend
        FROM orders
        GROUP BY user_id
    """,
    reconciliations=(
        Reconciliation(name="orders", gold="sum(orders)", silver="SELECT count(*) FROM orders"),
        Reconciliation(
            name="spend", gold="sum(spend)", silver="SELECT sum(total_amount) FROM orders"
        ),
    ),
)
