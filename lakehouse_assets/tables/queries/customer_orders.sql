-- The latest twenty orders of each customer, newest first, with their lines and amounts.
WITH numbered AS (
    SELECT
        customer_key,
        order_id,
        order_date,
        items,
        total_amount,
        row_number() OVER (
            PARTITION BY customer_key ORDER BY order_date DESC, order_id DESC
        ) AS place
    FROM mart.fact_orders
)
SELECT c.user_id, n.place, n.order_id, n.order_date, n.items, n.total_amount
FROM numbered AS n
JOIN mart.dim_customer AS c ON c.customer_key = n.customer_key
WHERE n.place <= 20
ORDER BY user_id, place
