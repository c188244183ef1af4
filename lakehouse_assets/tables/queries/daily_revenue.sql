-- Revenue of each day, with the average of the seven days that end with it.
-- A day without orders has no row here; in the average it counts as a day without revenue.
WITH days AS (
    SELECT
        order_date,
        orders,
        customers,
        revenue,
        average_order_value,
        sum(revenue) OVER (
            ORDER BY order_date RANGE BETWEEN INTERVAL '6' DAY PRECEDING AND CURRENT ROW
        ) AS revenue_7_days,
        date_diff('day', min(order_date) OVER (), order_date) + 1 AS age
    FROM gold.daily_sales
)
SELECT
    order_date,
    orders,
    customers,
    revenue,
    average_order_value,
    revenue_7_days,
    CAST(
        CAST(
            CAST(revenue_7_days AS DOUBLE) / CAST(CASE WHEN age < 7 THEN age ELSE 7 END AS DOUBLE)
            AS DECIMAL(38, 6)
        ) AS DECIMAL(18, 2)
    ) AS average_7_days
FROM days
ORDER BY order_date
