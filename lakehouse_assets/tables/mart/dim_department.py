"""The departments: every pair of number and name that a product has, or had."""

from lakehouse_assets.tables.contract import Column, Mart, Reconciliation
from lakehouse_assets.tables.sql import surrogate_key

TABLE = Mart(
    name="dim_department",
    description="Every department that a product is in, or was; a number may have several names.",
    grain=("department_key",),
    columns=(
        Column(
            name="department_key",
            type="BIGINT",
            description="Surrogate key: a hash of the department's number and name.",
        ),
        Column(name="department_id", type="BIGINT", description="The department's number."),
        Column(name="department", type="STRING", description="The department's name."),
    ),
    sql=f"""
        SELECT
            {surrogate_key("department_id", "department")} AS department_key,
            department_id,
            department
        FROM products_history
        GROUP BY department_id, department
    """,
    reconciliations=(
        Reconciliation(
            name="departments",
            gold="count(*)",
            silver="SELECT count(DISTINCT department_id, department) FROM products_history",
        ),
    ),
)
