-- Revenue of each department by month, with its share of the month.
WITH months AS (
    SELECT
        CAST(date_trunc('month', order_date) AS DATE) AS month,
        department_id,
        department,
        sum(allocated_revenue) AS revenue
    FROM gold.department_analytics
    GROUP BY CAST(date_trunc('month', order_date) AS DATE), department_id, department
)
SELECT
    month,
    department_id,
    department,
    revenue,
    CAST(
        CAST(
            CAST(revenue AS DOUBLE)
            / NULLIF(CAST(sum(revenue) OVER (PARTITION BY month) AS DOUBLE), 0)
            AS DECIMAL(38, 8)
        ) AS DECIMAL(18, 4)
    ) AS revenue_share
FROM months
ORDER BY month, revenue DESC, department, department_id
