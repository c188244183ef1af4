-- Each customer whole: orders, rhythm, favourite products and department, and what was rejected.
-- Rejected rows count where they name the customer as silver does.
WITH liked AS (
    SELECT
        o.user_id,
        i.product_id,
        count(*) AS lines,
        row_number() OVER (
            PARTITION BY o.user_id ORDER BY count(*) DESC, i.product_id
        ) AS place
    FROM silver.orders AS o
    JOIN silver.order_items AS i ON i.order_id = o.order_id
    GROUP BY o.user_id, i.product_id
),
favourites AS (
    SELECT
        l.user_id,
        max(CASE WHEN l.place = 1 THEN p.product_name END) AS favourite_product,
        max(CASE WHEN l.place = 1 THEN l.lines END) AS times_bought,
        max(CASE WHEN l.place = 2 THEN p.product_name END) AS second_product,
        count(*) AS products
    FROM liked AS l
    JOIN silver.products AS p ON p.product_id = l.product_id
    GROUP BY l.user_id
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
LEFT JOIN favourites AS f ON f.user_id = c.user_id
LEFT JOIN refused AS r ON r.user_id = CAST(c.user_id AS VARCHAR)
ORDER BY user_id
