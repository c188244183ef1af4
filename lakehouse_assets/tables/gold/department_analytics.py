"""Department analytics: how each department did on each day."""

from lakehouse_assets.tables.contract import Column, Gold, Reconciliation
from lakehouse_assets.tables.gold._lines import LINES
from lakehouse_assets.tables.sql import money, ratio

TABLE = Gold(
    name="department_analytics",
    description=(
        "Lines, orders, customers and allocated revenue of each department and day. An order "
        "without lines counts under department 'unknown', so that sums equal silver's."
    ),
    grain=("order_date", "department_id", "department"),
    unit="orders.order_date",
    columns=(
        Column(name="order_date", type="DATE", description="UTC day of the orders."),
        Column(
            name="department_id",
            type="BIGINT",
            description="Department's number; null for orders without lines.",
        ),
        Column(
            name="department",
            type="STRING",
            description="Department's name; 'unknown' for orders without lines.",
        ),
        Column(name="units", type="BIGINT", description="Order lines."),
        Column(name="orders", type="BIGINT", description="Distinct orders."),
        Column(name="customers", type="BIGINT", description="Distinct users."),
        Column(
            name="allocated_revenue",
            type="DECIMAL(18,2)",
            description="Its lines' even shares of their orders' amounts, to the cent.",
        ),
        Column(
            name="revenue_share",
            type="DECIMAL(18,4)",
            description="Allocated revenue by the whole day's revenue, rounded half up.",
        ),
        Column(
            name="reorder_rate",
            type="DECIMAL(18,4)",
            description="Share of lines bought again, rounded half up; null without lines.",
        ),
    ),
    partition_by=("order_date",),
    sql=f"""
        WITH {LINES},
        sold AS (
            SELECT
                l.order_date, p.department_id, p.department, l.order_id, l.user_id,
                l.id AS line_id, l.reordered, l.cents
            FROM lines l
            JOIN products p ON p.product_id = l.product_id
            UNION ALL
            SELECT
                o.order_date, CAST(NULL AS BIGINT) AS department_id, 'unknown' AS department,
                o.order_id, o.user_id, CAST(NULL AS BIGINT) AS line_id, 0 AS reordered,
                CAST(o.total_amount * 100 AS BIGINT) AS cents
            FROM orders o
            LEFT ANTI JOIN order_items i ON i.order_id = o.order_id
        ),
        days AS (
            SELECT order_date, CAST(sum(total_amount) * 100 AS BIGINT) AS cents
            FROM orders
            GROUP BY order_date
        ),
        departments AS (
            SELECT
                order_date,
                department_id,
                department,
                count(line_id) AS units,
                count(DISTINCT order_id) AS orders,
                count(DISTINCT user_id) AS customers,
                CAST(sum(cents) AS BIGINT) AS cents,
                CAST(sum(reordered) AS BIGINT) AS reorders
            FROM sold
            GROUP BY order_date, department_id, department
        )
        SELECT
            s.order_date,
            s.department_id,
            s.department,
            s.units,
            s.orders,
            s.customers,
            {money("s.cents")} AS allocated_revenue,
            {ratio("s.cents", "d.cents")} AS revenue_share,
            {ratio("s.reorders", "s.units")} AS reorder_rate
        FROM departments s
        JOIN days d ON d.order_date = s.order_date
    """,
    reconciliations=(
        Reconciliation(
            name="units",
            gold="sum(units)",
            silver="SELECT count(*) FROM order_items",
        ),
        Reconciliation(
            name="allocated_revenue",
            gold="sum(allocated_revenue)",
            silver="SELECT sum(total_amount) FROM orders",
        ),
    ),
)
