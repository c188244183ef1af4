-- Each customer whole: orders, rhythm, favourite products and department, and what was rejected.
-- Rejected rows count where they name the customer as silver does.
WITH bought AS (
    SELECT customer_key, current_product_key, count(*) AS lines
    FROM mart.fact_order_items
    GROUP BY customer_key, current_product_key
),
liked AS (
    SELECT
        b.customer_key,
        p.product_name,
        b.lines,
        row_number() OVER (
            PARTITION BY b.customer_key ORDER BY b.lines DESC, p.product_id
        ) AS place
    FROM bought AS b
    JOIN mart.dim_product AS p ON p.product_key = b.current_product_key
),
favourites AS (
    SELECT
        customer_key,
        max(CASE WHEN place = 1 THEN product_name END) AS favourite_product,
        max(CASE WHEN place = 1 THEN lines END) AS times_bought,
        max(CASE WHEN place = 2 THEN product_name END) AS second_product,
        count(*) AS products
    FROM liked
    GROUP BY customer_key
),
refused AS (
    SELECT user_id, count(*) AS rejected_rows
    FROM (
        SELECT user_id FROM rejected.orders
        UNION ALL
        SELECT user_id FROM rejected.order_items
    ) AS r
    GROUP BY user_id
)
SELECT
    c.user_id,
    c.first_order_date,
    c.last_order_date,
    c.orders,
    c.items,
    c.spend,
    c.average_order_value,
    c.average_basket_size,
    c.average_days_between_orders,
    c.reorder_rate,
    c.favourite_department,
    f.favourite_product,
    f.times_bought,
    f.second_product,
    f.products,
    COALESCE(r.rejected_rows, 0) AS rejected_rows
FROM gold.customer_insights AS c
LEFT JOIN mart.dim_customer AS d ON d.user_id = c.user_id
LEFT JOIN favourites AS f ON f.customer_key = d.customer_key
LEFT JOIN refused AS r ON r.user_id = CAST(c.user_id AS VARCHAR)
ORDER BY user_id
