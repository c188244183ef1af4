"""Reviews: what customers say, in their own words and lines. One may be of several orders."""

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables.contract import Column, Dataset, RowRule
from tests.second_shop.tables._columns import identity

TABLE = Dataset(
    name="order_reviews",
    description="One row per review of an order.",
    key=("review_id", "order_id"),
    columns=(
        identity("review_id", "The review."),
        identity("order_id", "The order that it is of.", references="orders"),
        Column(
            name="review_score",
            type="INT",
            required=True,
            minimum=1,
            maximum=5,
            description="1 to 5, 5 is best.",
        ),
        Column(name="review_comment_title", type="STRING", description="Its title."),
        Column(name="review_comment_message", type="STRING", description="Its text."),
        Column(
            name="review_creation_date",
            type="TIMESTAMP",
            required=True,
            description="Day on which the customer was asked, at midnight.",
        ),
        Column(name="review_answer_timestamp", type="TIMESTAMP", description="When they answered."),
    ),
    zorder_by=("order_id",),
    dialect=Dialect(timestamp_formats=("%d/%m/%Y %H:%M", "%d/%m/%Y"), timezone="America/Sao_Paulo"),
    row_rules=(
        RowRule(
            name="answered_after_asked",
            description="A review is answered after it was asked for.",
            sql="review_answer_timestamp >= review_creation_date",
        ),
    ),
)
