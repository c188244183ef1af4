-- Each department's units and revenue, and its share of all revenue.
WITH departments AS (
    SELECT
        department_id,
        department,
        sum(units) AS units,
        sum(allocated_revenue) AS revenue
    FROM gold.department_analytics
    GROUP BY department_id, department
)
SELECT
    department_id,
    department,
    units,
    revenue,
    CAST(
        CAST(
            CAST(revenue AS DOUBLE) / NULLIF(CAST(sum(revenue) OVER () AS DOUBLE), 0)
            AS DECIMAL(38, 8)
        ) AS DECIMAL(18, 4)
    ) AS revenue_share
FROM departments
ORDER BY revenue DESC, department, department_id
