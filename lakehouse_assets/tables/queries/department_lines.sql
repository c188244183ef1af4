-- Lines, reorders and allocated revenue of each department and day, the 400 days up to a day.
-- Orders without lines are in department 'unknown': all departments together have all revenue.
-- as_of: the last day.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
sold AS (
    SELECT order_date, department, units, reorders, allocated_revenue AS revenue
    FROM gold.product_performance
    UNION ALL
    SELECT order_date, department, units, 0 AS reorders, allocated_revenue AS revenue
    FROM gold.department_analytics
    WHERE department_id IS NULL
)
SELECT
    s.order_date,
    s.department,
    sum(s.units) AS units,
    sum(s.reorders) AS reorders,
    sum(s.revenue) AS revenue
FROM sold AS s
JOIN as_of AS a ON date_diff('day', s.order_date, a.day) BETWEEN 0 AND 399
GROUP BY s.order_date, s.department
ORDER BY order_date, department
