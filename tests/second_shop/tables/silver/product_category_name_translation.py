"""Category names in English."""

from lakehouse_assets.tables.contract import Column, Dataset

TABLE = Dataset(
    name="product_category_name_translation",
    description="One row per category.",
    key="product_category_name",
    columns=(
        Column(
            name="product_category_name", type="STRING", required=True, description="In Portuguese."
        ),
        Column(
            name="product_category_name_english",
            type="STRING",
            required=True,
            description="In English.",
        ),
    ),
)
