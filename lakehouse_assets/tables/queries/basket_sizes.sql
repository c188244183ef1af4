-- How many orders have how many lines, and what such an order is worth.
WITH baskets AS (
    SELECT o.order_id, min(o.total_amount) AS amount, count(i.id) AS lines
    FROM silver.orders AS o
    LEFT JOIN silver.order_items AS i ON i.order_id = o.order_id
    GROUP BY o.order_id
)
SELECT
    lines,
    count(*) AS orders,
    sum(amount) AS revenue,
    CAST(
        CAST(
            CAST(sum(amount) AS DOUBLE) / CAST(count(*) AS DOUBLE)
            AS DECIMAL(38, 6)
        ) AS DECIMAL(18, 2)
    )
        AS average_order_value
FROM baskets
GROUP BY lines
ORDER BY lines
