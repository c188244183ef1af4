"""Customer insights: what each customer has bought, how often and how regularly."""

from lakehouse_assets.tables.contract import Column, Gold, Reconciliation
from lakehouse_assets.tables.sql import ratio

_DAY = 86_400_000_000  # microseconds

TABLE = Gold(
    name="customer_insights",
    description="Each customer's orders, spend, basket, rhythm and favourite department.",
    grain=("user_id",),
    unit="orders.user_id",
    columns=(
        Column(name="user_id", type="BIGINT", description="The customer."),
        Column(name="first_order_date", type="DATE", description="UTC day of the first order."),
        Column(name="last_order_date", type="DATE", description="UTC day of the last order."),
        Column(name="orders", type="BIGINT", description="Orders so far."),
        Column(name="items", type="BIGINT", description="Lines of those orders."),
        Column(name="spend", type="DECIMAL(18,2)", description="Sum of the orders' amounts."),
        Column(
            name="average_order_value",
            type="DECIMAL(18,4)",
            description="Spend by orders, rounded half up.",
        ),
        Column(
            name="average_basket_size",
            type="DECIMAL(18,4)",
            description="Lines by orders, rounded half up.",
        ),
        Column(
            name="average_days_between_orders",
            type="DECIMAL(18,4)",
            description="Mean gap of timestamps, days, rounded half up; null below two orders.",
        ),
        Column(
            name="stddev_days_between_orders",
            type="DECIMAL(18,6)",
            description="Sample deviation of those gaps, days; null below two gaps.",
        ),
        Column(
            name="reorder_rate",
            type="DECIMAL(18,4)",
            description="Share of lines bought again, rounded half up; null without lines.",
        ),
        Column(
            name="favourite_department",
            type="STRING",
            description="Department with most lines; among equals the first by UTF-8 bytes.",
        ),
    ),
    zorder_by=("user_id",),
    sql=f"""
        WITH counted AS (
            SELECT order_id, count(id) AS items, sum(reordered) AS reorders
            FROM order_items
            GROUP BY order_id
        ),
        gaps AS (
            SELECT
                user_id,
                order_id,
                unix_micros(order_timestamp) - lag(unix_micros(order_timestamp)) OVER (
                    PARTITION BY user_id ORDER BY order_timestamp, order_id
                ) AS gap
            FROM orders
        ),
        customers AS (
            SELECT
                o.user_id,
                min(o.order_date) AS first_order_date,
                max(o.order_date) AS last_order_date,
                count(o.order_id) AS orders,
                CAST(coalesce(sum(c.items), 0) AS BIGINT) AS items,
                CAST(sum(o.total_amount) AS DECIMAL(18,2)) AS spend,
                CAST(coalesce(sum(c.reorders), 0) AS BIGINT) AS reorders,
                CAST(sum(g.gap) AS BIGINT) AS gap_sum,
                count(g.gap) AS gap_count,
                stddev_samp(CAST(g.gap AS DOUBLE)) AS gap_deviation
            FROM orders o
            JOIN gaps g ON g.order_id = o.order_id
            LEFT JOIN counted c ON c.order_id = o.order_id
            GROUP BY o.user_id
        ),
        liked AS (
            SELECT o.user_id, p.department, count(i.id) AS lines
            FROM order_items i
            JOIN orders o ON o.order_id = i.order_id
            JOIN products p ON p.product_id = i.product_id
            GROUP BY o.user_id, p.department
        ),
        favourites AS (
            SELECT user_id, department FROM (
                SELECT
                    user_id,
                    department,
                    row_number() OVER (
                        PARTITION BY user_id ORDER BY lines DESC, department
                    ) AS place
                FROM liked
            ) ranked
            WHERE place = 1
        )
        SELECT
            c.user_id,
            c.first_order_date,
            c.last_order_date,
            c.orders,
            c.items,
            c.spend,
            {ratio("CAST(c.spend * 100 AS BIGINT)", "(100 * c.orders)")} AS average_order_value,
            {ratio("c.items", "c.orders")} AS average_basket_size,
            {ratio("c.gap_sum", f"(c.gap_count * {_DAY})")} AS average_days_between_orders,
            CASE WHEN c.gap_count >= 2
                THEN CAST(round(c.gap_deviation / {_DAY}, 6) AS DECIMAL(18,6))
            END AS stddev_days_between_orders,
            {ratio("c.reorders", "c.items")} AS reorder_rate,
            f.department AS favourite_department
        FROM customers c
        LEFT JOIN favourites f ON f.user_id = c.user_id
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
            name="spend",
            gold="sum(spend)",
            silver="SELECT sum(total_amount) FROM orders",
        ),
    ),
)
