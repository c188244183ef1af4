"""The products, with what each was called and where it belonged, and when."""

from lakehouse_assets.tables.contract import Column, Mart, Reconciliation
from lakehouse_assets.tables.sql import surrogate_key

TABLE = Mart(
    name="dim_product",
    description=(
        "One row per version of a product's attributes, by the batch date that it came with "
        "(a type 2 dimension); the current one is what silver says."
    ),
    grain=("product_key",),
    unit="products_history.product_id",
    columns=(
        Column(
            name="product_key",
            type="BIGINT",
            description="Surrogate key: a hash of the product and of when the version begins.",
        ),
        Column(name="product_id", type="BIGINT", description="The product."),
        Column(name="product_name", type="STRING", description="Name on sale then."),
        Column(
            name="department_key",
            type="BIGINT",
            references="dim_department",
            description="Its department then.",
        ),
        Column(name="department_id", type="BIGINT", description="That department's number."),
        Column(name="department", type="STRING", description="That department's name."),
        Column(
            name="valid_from", type="DATE", description="Batch date that the version came with."
        ),
        Column(
            name="valid_to",
            type="DATE",
            description="Batch date that the next version came with; null for the current one.",
        ),
        Column(name="is_current", type="BOOLEAN", description="Whether it is valid now."),
    ),
    zorder_by=("product_id",),
    sql=f"""
        SELECT
            {surrogate_key("product_id", "valid_from")} AS product_key,
            product_id,
            product_name,
            {surrogate_key("department_id", "department")} AS department_key,
            department_id,
            department,
            valid_from,
            valid_to,
            valid_to IS NULL AS is_current
        FROM products_history
    """,
    reconciliations=(
        Reconciliation(
            name="current",
            gold="count_if(is_current)",
            silver="SELECT count(DISTINCT product_id) FROM products_history",
        ),
    ),
)
