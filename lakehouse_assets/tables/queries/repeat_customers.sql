-- How many customers ordered at least so often up to a day.
-- as_of: the day; later orders do not count.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
bought AS (
    SELECT o.customer_key, count(*) AS orders
    FROM mart.fact_orders AS o
    JOIN as_of AS a ON o.order_date <= a.day
    GROUP BY o.customer_key
),
stages AS (
    SELECT 1 AS at_least, 'one or more' AS stage
    UNION ALL
    SELECT 2 AS at_least, 'two or more' AS stage
    UNION ALL
    SELECT 3 AS at_least, 'three or more' AS stage
    UNION ALL
    SELECT 5 AS at_least, 'five or more' AS stage
    UNION ALL
    SELECT 10 AS at_least, 'ten or more' AS stage
)
SELECT
    s.at_least,
    s.stage,
    sum(CASE WHEN b.orders >= s.at_least THEN 1 ELSE 0 END) AS customers
FROM stages AS s
CROSS JOIN bought AS b
GROUP BY s.at_least, s.stage
ORDER BY at_least
