"""Product performance: how each product sold on each day."""

from lakehouse_assets.tables.contract import Column, Gold, Reconciliation
from lakehouse_assets.tables.gold._lines import LINES
from lakehouse_assets.tables.sql import money, ratio

TABLE = Gold(
    name="product_performance",
    description="Lines, orders, reorders and allocated revenue of each product and day.",
    grain=("order_date", "product_id"),
    unit="orders.order_date",
    columns=(
        Column(name="order_date", type="DATE", description="UTC day of the orders."),
        Column(name="product_id", type="BIGINT", description="The product."),
        Column(name="product_name", type="STRING", description="Its name now."),
        Column(name="department_id", type="BIGINT", description="Its department's number now."),
        Column(name="department", type="STRING", description="Its department's name now."),
        Column(
            name="units",
            type="BIGINT",
            description="Order lines: the source has no quantities.",
        ),
        Column(name="orders", type="BIGINT", description="Distinct orders with the product."),
        Column(name="reorders", type="BIGINT", description="Lines bought again."),
        Column(
            name="reorder_rate",
            type="DECIMAL(18,4)",
            description="Reorders by units, rounded half up.",
        ),
        Column(
            name="average_cart_position",
            type="DECIMAL(18,4)",
            description="Mean of add_to_cart_order, rounded half up.",
        ),
        Column(
            name="allocated_revenue",
            type="DECIMAL(18,2)",
            description="Its lines' even shares of their orders' amounts, to the cent.",
        ),
    ),
    partition_by=("order_date",),
    zorder_by=("product_id",),
    sql=f"""
        WITH {LINES},
        sold AS (
            SELECT
                order_date,
                product_id,
                count(id) AS units,
                count(DISTINCT order_id) AS orders,
                CAST(sum(reordered) AS BIGINT) AS reorders,
                {ratio("CAST(sum(reordered) AS BIGINT)", "count(*)")} AS reorder_rate,
                {ratio("CAST(sum(add_to_cart_order) AS BIGINT)", "count(*)")}
                    AS average_cart_position,
                {money("sum(cents)")} AS allocated_revenue
            FROM lines
            GROUP BY order_date, product_id
        )
        SELECT
            s.order_date,
            s.product_id,
            p.product_name,
            p.department_id,
            p.department,
            s.units,
            s.orders,
            s.reorders,
            s.reorder_rate,
            s.average_cart_position,
            s.allocated_revenue
        FROM sold s
        JOIN products p ON p.product_id = s.product_id
    """,
    reconciliations=(
        Reconciliation(
            name="units",
            gold="sum(units)",
            silver="SELECT count(*) FROM order_items",
        ),
        Reconciliation(
            name="reorders",
            gold="sum(reorders)",
            silver="SELECT sum(reordered) FROM order_items",
        ),
        Reconciliation(
            name="allocated_revenue",
            gold="sum(allocated_revenue)",
            silver="SELECT sum(o.total_amount) FROM orders o "
            "LEFT SEMI JOIN order_items i ON i.order_id = o.order_id",
        ),
    ),
)
