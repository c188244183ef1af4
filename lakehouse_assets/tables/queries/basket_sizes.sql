-- How many orders have how many lines, and what such an order is worth.
SELECT
    items AS lines,
    count(*) AS orders,
    sum(total_amount) AS revenue,
    CAST(
        CAST(
            CAST(sum(total_amount) AS DOUBLE) / CAST(count(*) AS DOUBLE)
            AS DECIMAL(38, 6)
        ) AS DECIMAL(18, 2)
    )
        AS average_order_value
FROM mart.fact_orders
GROUP BY items
ORDER BY lines
