"""Seller sales: what each seller has sold."""

from lakehouse_assets.tables.contract import Column, Gold

TABLE = Gold(
    name="seller_sales",
    description="Lines, products and revenue of each seller that has sold anything.",
    grain=("seller_id",),
    unit="sellers.seller_id",
    columns=(
        Column(name="seller_id", type="STRING", description="The seller."),
        Column(name="seller_state", type="STRING", description="Where the seller is."),
        Column(name="items", type="BIGINT", description="Lines sold."),
        Column(name="products", type="BIGINT", description="Different products sold."),
        Column(name="revenue", type="DECIMAL(18,2)", description="Prices of those lines."),
    ),
    zorder_by=("seller_id",),
    sql="""
        SELECT
            s.seller_id,
            s.seller_state,
            count(*) AS items,
            count(DISTINCT i.product_id) AS products,
            CAST(sum(i.price) AS DECIMAL(18,2)) AS revenue
        FROM sellers s JOIN order_items i ON i.seller_id = s.seller_id
        GROUP BY s.seller_id, s.seller_state
    """,
)
