"""Daily sales: what each day brought in."""

from lakehouse_assets.tables.contract import Column, Gold, Reconciliation
from lakehouse_assets.tables.sql import ratio

TABLE = Gold(
    name="daily_sales",
    description="Orders, lines, customers and revenue of each day.",
    grain=("order_date",),
    unit="orders.order_date",
    columns=(
        Column(name="order_date", type="DATE", description="UTC day of the orders."),
        Column(name="orders", type="BIGINT", description="Orders of the day."),
        Column(name="items", type="BIGINT", description="Lines of the day's orders."),
        Column(name="customers", type="BIGINT", description="Distinct users that ordered."),
        Column(name="revenue", type="DECIMAL(18,2)", description="Sum of the orders' amounts."),
        Column(
            name="average_order_value",
            type="DECIMAL(18,4)",
            description="Revenue by orders, rounded half up.",
        ),
    ),
    partition_by=("order_date",),
    sql=f"""
        WITH counted AS (
            SELECT order_id, count(id) AS items FROM order_items GROUP BY order_id
        )
        SELECT
            o.order_date,
            count(o.order_id) AS orders,
            CAST(coalesce(sum(c.items), 0) AS BIGINT) AS items,
            count(DISTINCT o.user_id) AS customers,
            CAST(sum(o.total_amount) AS DECIMAL(18,2)) AS revenue,
            {ratio("CAST(sum(o.total_amount) * 100 AS BIGINT)", "(100 * count(*))")}
                AS average_order_value
        FROM orders o
        LEFT JOIN counted c ON c.order_id = o.order_id
        GROUP BY o.order_date
    """,
    reconciliations=(
        Reconciliation(
            name="orders",
            gold="sum(orders)",
            silver="SELECT count(*) FROM orders",
        ),
        Reconciliation(
            name="items",
            gold="sum(items)",
            silver="SELECT count(*) FROM order_items",
        ),
        Reconciliation(
            name="revenue",
            gold="sum(revenue)",
            silver="SELECT sum(total_amount) FROM orders",
        ),
    ),
)
