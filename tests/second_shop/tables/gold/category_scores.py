"""Category scores: how content customers are with what they bought of each category."""

from lakehouse_assets.tables.contract import Column, Gold
from lakehouse_assets.tables.sql import ratio

TABLE = Gold(
    name="category_scores",
    description="Reviews of the orders with something of each category.",
    grain=("category",),
    columns=(
        Column(
            name="category", type="STRING", description="In English; unknown where it has none."
        ),
        Column(name="reviews", type="BIGINT", description="Reviews of such orders."),
        Column(name="average_score", type="DECIMAL(18,4)", description="1 to 5, half up."),
    ),
    sql=f"""
        WITH bought AS (
            SELECT DISTINCT
                i.order_id,
                coalesce(t.product_category_name_english, p.product_category_name, 'unknown')
                    AS category
            FROM order_items i
            JOIN products p ON p.product_id = i.product_id
            LEFT JOIN product_category_name_translation t
                ON t.product_category_name = p.product_category_name
        )
        SELECT
            b.category,
            count(*) AS reviews,
            {ratio("sum(CAST(r.review_score AS BIGINT))", "count(*)")} AS average_score
        FROM bought b JOIN order_reviews r ON r.order_id = b.order_id
        GROUP BY b.category
    """,
)
