-- The latest twenty orders of each customer, newest first, with their lines and amounts.
WITH numbered AS (
    SELECT
        user_id,
        order_id,
        order_date,
        total_amount,
        row_number() OVER (
            PARTITION BY user_id ORDER BY order_date DESC, order_id DESC
        ) AS place
    FROM silver.orders
),
latest AS (
    SELECT user_id, order_id, order_date, total_amount, place FROM numbered WHERE place <= 20
)
SELECT
    l.user_id,
    l.place,
    l.order_id,
    l.order_date,
    count(i.id) AS items,
    l.total_amount
FROM latest AS l
LEFT JOIN silver.order_items AS i ON i.order_id = l.order_id
GROUP BY l.user_id, l.place, l.order_id, l.order_date, l.total_amount
ORDER BY user_id, place
