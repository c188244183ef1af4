"""Products: what the shop sells."""

from lakehouse_assets.tables.contract import Advice, Column, Dataset

TABLE = Dataset(
    name="products",
    description="One row per product, as the newest valid line about it says.",
    key="product_id",
    keep_history=True,
    columns=(
        Column(name="product_id", type="BIGINT", required=True, description="The product."),
        Column(
            name="department_id",
            type="BIGINT",
            required=True,
            description="Department's number; does not determine its name.",
        ),
        Column(name="department", type="STRING", required=True, description="Department's name."),
        Column(name="product_name", type="STRING", required=True, description="Name on sale."),
    ),
    partition_by=("department_id",),
    advice=(
        Advice(
            name="department_names",
            description="A department_id should have one name.",
            sql="""
                SELECT
                    p._batch_date,
                    concat('department ', CAST(p.department_id AS STRING)) AS sample
                FROM published p
                JOIN (
                    SELECT department_id FROM products
                    GROUP BY department_id HAVING count(DISTINCT department) > 1
                ) d ON d.department_id = p.department_id
            """,
        ),
    ),
)
