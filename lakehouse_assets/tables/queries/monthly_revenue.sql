-- Orders and revenue of each month, and the change of revenue since the month before.
WITH months AS (
    SELECT
        CAST(date_trunc('month', order_date) AS DATE) AS month,
        sum(orders) AS orders,
        sum(items) AS items,
        sum(revenue) AS revenue
    FROM gold.daily_sales
    GROUP BY CAST(date_trunc('month', order_date) AS DATE)
)
SELECT
    month,
    orders,
    items,
    revenue,
    revenue - lag(revenue) OVER (ORDER BY month) AS revenue_change
FROM months
ORDER BY month
