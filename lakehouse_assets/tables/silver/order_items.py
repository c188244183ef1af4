"""Order items: the lines of the orders. There are no quantities and no prices."""

from lakehouse_assets.tables.contract import Advice, Column, Dataset

TABLE = Dataset(
    name="order_items",
    description="One row per order line, as the newest valid line of a file about it says.",
    key="id",
    expected="daily",
    columns=(
        Column(name="id", type="BIGINT", required=True, description="The order line."),
        Column(
            name="order_id",
            type="BIGINT",
            required=True,
            references="orders",
            description="Its order.",
        ),
        Column(name="user_id", type="BIGINT", required=True, description="Who ordered."),
        Column(
            name="days_since_prior_order",
            type="DECIMAL(9,2)",
            minimum=0,
            description="Days since the customer's order before, by the source; rarely exact.",
        ),
        Column(
            name="product_id",
            type="BIGINT",
            required=True,
            references="products",
            description="What was bought.",
        ),
        Column(
            name="add_to_cart_order",
            type="INT",
            required=True,
            minimum=1,
            description="Position in the cart, from 1.",
        ),
        Column(
            name="reordered",
            type="INT",
            required=True,
            allowed=(0, 1),
            description="1 where the customer had bought the product before.",
        ),
        Column(
            name="order_timestamp",
            type="TIMESTAMP",
            required=True,
            description="When, by the line itself; UTC where the file gives no zone.",
        ),
        Column(name="date", type="STRING", description="The file's own date text, unchecked."),
        Column(
            name="order_date",
            type="DATE",
            derived="to_date(order_timestamp)",
            description="UTC day of the line's own order_timestamp.",
        ),
    ),
    partition_by=("order_date",),
    zorder_by=("order_id", "product_id"),
    advice=(
        Advice(
            name="date_agrees",
            description="The file's date should be the day of order_timestamp.",
            sql="""
                SELECT _batch_date, concat('item ', CAST(id AS STRING)) AS sample
                FROM published
                WHERE left(date, 10) <> date_format(order_timestamp, 'yyyy-MM-dd')
            """,
        ),
        Advice(
            name="order_agrees",
            description="An item's day and user should be its order's.",
            sql="""
                SELECT p._batch_date, concat('item ', CAST(p.id AS STRING)) AS sample
                FROM published p JOIN orders o ON o.order_id = p.order_id
                WHERE p.order_date <> o.order_date OR p.user_id <> o.user_id
            """,
        ),
        Advice(
            name="pairs_repeat",
            description="A product should stand once in an order.",
            sql="""
                SELECT DISTINCT p._batch_date, concat('item ', CAST(p.id AS STRING)) AS sample
                FROM published p
                JOIN order_items i
                    ON i.order_id = p.order_id AND i.product_id = p.product_id AND i.id <> p.id
            """,
        ),
    ),
)
