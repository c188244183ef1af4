-- Orders and revenue by day of the week: when people buy.
WITH days AS (
    -- The first of January 2001 was a Monday.
    SELECT
        (date_diff('day', DATE '2001-01-01', order_date) % 7 + 7) % 7 + 1 AS weekday,
        orders,
        revenue
    FROM gold.daily_sales
)
SELECT
    weekday,
    CASE weekday
        WHEN 1 THEN 'Monday'
        WHEN 2 THEN 'Tuesday'
        WHEN 3 THEN 'Wednesday'
        WHEN 4 THEN 'Thursday'
        WHEN 5 THEN 'Friday'
        WHEN 6 THEN 'Saturday'
        ELSE 'Sunday'
    END AS name,
    count(*) AS days,
    sum(orders) AS orders,
    sum(revenue) AS revenue
FROM days
GROUP BY weekday
ORDER BY weekday
