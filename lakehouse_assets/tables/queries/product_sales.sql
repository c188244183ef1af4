-- Each product in the 28 days up to a day, and in the 28 before: units, revenue, place.
-- as_of: the last day.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
sold AS (
    SELECT
        p.product_id,
        min(p.product_name) AS product_name,
        min(p.department) AS department,
        sum(CASE WHEN date_diff('day', p.order_date, a.day) < 28 THEN p.units ELSE 0 END)
            AS units,
        sum(CASE WHEN date_diff('day', p.order_date, a.day) < 28 THEN p.reorders ELSE 0 END)
            AS reorders,
        sum(CASE WHEN date_diff('day', p.order_date, a.day) < 28 THEN p.allocated_revenue ELSE 0 END)
            AS revenue,
        sum(CASE WHEN date_diff('day', p.order_date, a.day) < 28 THEN 0 ELSE p.units END)
            AS units_before,
        sum(CASE WHEN date_diff('day', p.order_date, a.day) < 28 THEN 0 ELSE p.allocated_revenue END)
            AS revenue_before
    FROM gold.product_performance AS p
    JOIN as_of AS a ON date_diff('day', p.order_date, a.day) BETWEEN 0 AND 55
    GROUP BY p.product_id
),
placed AS (
    SELECT
        product_id,
        product_name,
        department,
        units,
        reorders,
        revenue,
        units_before,
        revenue_before,
        rank() OVER (ORDER BY revenue DESC) AS place,
        rank() OVER (ORDER BY revenue_before DESC) AS place_before
    FROM sold
)
SELECT
    product_id,
    product_name,
    department,
    units,
    reorders,
    revenue,
    units_before,
    revenue_before,
    place,
    CASE WHEN units_before > 0 THEN place_before END AS place_before
FROM placed
WHERE units > 0
ORDER BY revenue DESC, product_id
