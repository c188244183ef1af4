"""Orders: who bought, when, for how much."""

from lakehouse_assets.tables.contract import Advice, Column, Dataset

TABLE = Dataset(
    name="orders",
    description="One row per order, as the newest valid line about it says.",
    key="order_id",
    expected="daily",
    columns=(
        Column(
            name="order_num",
            type="BIGINT",
            description="The shop's running number, 1 to 100; not a key.",
        ),
        Column(name="order_id", type="BIGINT", required=True, description="The order."),
        Column(name="user_id", type="BIGINT", required=True, description="Who ordered."),
        Column(
            name="order_timestamp",
            type="TIMESTAMP",
            required=True,
            description="When, UTC where the file gives no zone.",
        ),
        Column(
            name="total_amount",
            type="DECIMAL(12,2)",
            required=True,
            minimum=0,
            description="Amount of the whole order, in the shop's currency.",
        ),
        Column(name="date", type="STRING", description="The file's own date text, unchecked."),
        Column(
            name="order_date",
            type="DATE",
            derived="to_date(order_timestamp)",
            description="UTC day of order_timestamp.",
        ),
    ),
    partition_by=("order_date",),
    zorder_by=("order_id", "user_id"),
    advice=(
        Advice(
            name="date_agrees",
            description="The file's date should be the day of order_timestamp.",
            sql="""
                SELECT _batch_date, concat('order ', CAST(order_id AS STRING)) AS sample
                FROM published
                WHERE left(date, 10) <> date_format(order_timestamp, 'yyyy-MM-dd')
            """,
        ),
    ),
)
