-- Orders, lines and revenue of each of the 400 days up to a day: by department, and (without one) in all.
-- In all is no sum of the departments, as an order may hold several. Orders without lines
-- count in all, and in department 'unknown'.
-- as_of: the last day.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
-- Departments are told apart by their names: a number does not determine one.
ordered AS (
    SELECT o.order_date, p.department, count(DISTINCT o.order_id) AS orders
    FROM silver.orders AS o
    JOIN silver.order_items AS i ON i.order_id = o.order_id
    JOIN silver.products AS p ON p.product_id = i.product_id
    GROUP BY o.order_date, p.department
),
sold AS (
    SELECT
        order_date,
        department,
        sum(units) AS units,
        sum(allocated_revenue) AS revenue,
        sum(CASE WHEN department_id IS NULL THEN orders ELSE 0 END) AS without_lines
    FROM gold.department_analytics
    GROUP BY order_date, department
),
days AS (
    SELECT order_date, NULLIF('', '') AS department, orders, items AS units, revenue
    FROM gold.daily_sales
    UNION ALL
    SELECT
        s.order_date,
        s.department,
        COALESCE(o.orders, 0) + s.without_lines AS orders,
        s.units,
        s.revenue
    FROM sold AS s
    LEFT JOIN ordered AS o ON o.order_date = s.order_date AND o.department = s.department
)
SELECT d.order_date, d.department, d.orders, d.units, d.revenue
FROM days AS d
JOIN as_of AS a ON date_diff('day', d.order_date, a.day) BETWEEN 0 AND 399
ORDER BY order_date, department
