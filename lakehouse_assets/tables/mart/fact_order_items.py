"""The order lines as facts, with the product as it was sold and as it is now."""

from lakehouse_assets.tables.contract import Column, Mart, Reconciliation
from lakehouse_assets.tables.gold._lines import LINES
from lakehouse_assets.tables.sql import date_key, money, surrogate_key

TABLE = Mart(
    name="fact_order_items",
    description="One row per order line. Its day and customer are the order's.",
    grain=("id",),
    unit="orders.order_date",
    columns=(
        Column(name="id", type="BIGINT", description="The order line."),
        Column(name="order_id", type="BIGINT", description="Its order."),
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
        Column(
            name="product_key",
            type="BIGINT",
            references="dim_product",
            description=(
                "The product as sold: its version on the order's day, the first one before that."
            ),
        ),
        Column(
            name="current_product_key",
            type="BIGINT",
            references="dim_product",
            description="The product as it is now.",
        ),
        Column(name="add_to_cart_order", type="INT", description="Position in the cart, from 1."),
        Column(
            name="reordered",
            type="INT",
            description="1 where the customer had bought the product before.",
        ),
        Column(
            name="allocated_revenue",
            type="DECIMAL(18,2)",
            description="Its even share of its order's amount, to the cent.",
        ),
    ),
    partition_by=("order_date",),
    zorder_by=("order_id",),
    sql=f"""
        WITH {LINES},
        buyers AS (
            SELECT order_id, {surrogate_key("user_id")} AS customer_key FROM orders
        ),
        versions AS (
            SELECT
                product_id,
                {surrogate_key("product_id", "valid_from")} AS product_key,
                CASE WHEN lag(valid_from) OVER by_date IS NULL THEN DATE '0001-01-01'
                    ELSE valid_from END AS sold_from,
                valid_to
            FROM products_history
            WINDOW by_date AS (PARTITION BY product_id ORDER BY valid_from)
        )
        SELECT
            l.id,
            l.order_id,
            l.order_date,
            {date_key("l.order_date")} AS date_key,
            buyers.customer_key,
            sold.product_key,
            current.product_key AS current_product_key,
            l.add_to_cart_order,
            l.reordered,
            {money("l.cents")} AS allocated_revenue
        FROM lines l
        JOIN buyers ON buyers.order_id = l.order_id
        JOIN versions sold
            ON sold.product_id = l.product_id
            AND l.order_date >= sold.sold_from
            AND (sold.valid_to IS NULL OR l.order_date < sold.valid_to)
        JOIN versions current
            ON current.product_id = l.product_id AND current.valid_to IS NULL
    """,
    reconciliations=(
        Reconciliation(name="lines", gold="count(*)", silver="SELECT count(*) FROM order_items"),
        Reconciliation(
            name="allocated_revenue",
            gold="sum(allocated_revenue)",
            silver="""
                SELECT sum(o.total_amount) FROM orders o
                LEFT SEMI JOIN order_items i ON i.order_id = o.order_id
            """,
        ),
    ),
)
