"""Daily revenue: what each day's orders brought in, and how much of it is paid."""

from lakehouse_assets.tables.contract import Column, Gold, Reconciliation

TABLE = Gold(
    name="daily_revenue",
    description="Orders, lines, prices, freight and payments of each day.",
    grain=("order_date",),
    unit="orders.order_date",
    columns=(
        Column(name="order_date", type="DATE", description="UTC day of the orders."),
        Column(name="orders", type="BIGINT", description="Orders of the day."),
        Column(name="items", type="BIGINT", description="Their lines."),
        Column(name="revenue", type="DECIMAL(18,2)", description="Prices of those lines."),
        Column(name="freight", type="DECIMAL(18,2)", description="Freight of those lines."),
        Column(name="paid", type="DECIMAL(18,2)", description="Payments of those orders."),
    ),
    partition_by=("order_date",),
    sql="""
        WITH lines AS (
            SELECT order_id, count(*) AS items, sum(price) AS price, sum(freight_value) AS freight
            FROM order_items GROUP BY order_id
        ),
        payments AS (
            SELECT order_id, sum(payment_value) AS paid FROM order_payments GROUP BY order_id
        )
        SELECT
            o.order_date,
            count(*) AS orders,
            CAST(coalesce(sum(l.items), 0) AS BIGINT) AS items,
            CAST(coalesce(sum(l.price), 0) AS DECIMAL(18,2)) AS revenue,
            CAST(coalesce(sum(l.freight), 0) AS DECIMAL(18,2)) AS freight,
            CAST(coalesce(sum(p.paid), 0) AS DECIMAL(18,2)) AS paid
        FROM orders o
        LEFT JOIN lines l ON l.order_id = o.order_id
        LEFT JOIN payments p ON p.order_id = o.order_id
        GROUP BY o.order_date
    """,
    reconciliations=(
        Reconciliation(
            name="revenue", gold="sum(revenue)", silver="SELECT sum(price) FROM order_items"
        ),
        Reconciliation(
            name="paid", gold="sum(paid)", silver="SELECT sum(payment_value) FROM order_payments"
        ),
    ),
)
