"""Products: what is sold, without a name; some have no category."""

from lakehouse_assets.tables.contract import Column, Dataset
from tests.second_shop.tables._columns import identity


def _measure(name: str, description: str, *aliases: str) -> Column:
    return Column(name=name, type="INT", minimum=0, aliases=aliases, description=description)


TABLE = Dataset(
    name="products",
    description="One row per product.",
    key="product_id",
    columns=(
        identity("product_id", "The product."),
        Column(name="product_category_name", type="STRING", description="Its category, if any."),
        _measure("product_name_lenght", "Letters of its name.", "product_name_length"),
        _measure("product_description_lenght", "Letters said.", "product_description_length"),
        _measure("product_photos_qty", "Photos."),
        _measure("product_weight_g", "Grams."),
        _measure("product_length_cm", "Centimetres."),
        _measure("product_height_cm", "Centimetres."),
        _measure("product_width_cm", "Centimetres."),
    ),
)
