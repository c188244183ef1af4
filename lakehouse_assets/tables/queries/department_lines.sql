-- Lines, reorders and allocated revenue of each department and day, the 400 days up to a day.
-- Orders without lines have none.
-- as_of: the last day.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
)
SELECT
    p.order_date,
    p.department,
    sum(p.units) AS units,
    sum(p.reorders) AS reorders,
    sum(p.allocated_revenue) AS revenue
FROM gold.product_performance AS p
JOIN as_of AS a ON date_diff('day', p.order_date, a.day) BETWEEN 0 AND 399
GROUP BY p.order_date, p.department
ORDER BY order_date, department
