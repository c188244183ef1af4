-- Customers of each of the 400 days up to a day, by the day of their order before it.
-- Without a day before they are new. The customers of several days are those of each whose day
-- before lies before all of them: so everyone counts once.
-- as_of: the last day.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
days AS (
    SELECT DISTINCT customer_key, order_date FROM mart.fact_orders
),
followed AS (
    SELECT
        customer_key,
        order_date,
        lag(order_date) OVER (PARTITION BY customer_key ORDER BY order_date) AS previous_order_date
    FROM days
)
SELECT
    f.order_date,
    f.previous_order_date,
    CASE WHEN f.previous_order_date IS NULL THEN 'new' ELSE 'returning' END AS kind,
    count(*) AS customers
FROM followed AS f
JOIN as_of AS a ON date_diff('day', f.order_date, a.day) BETWEEN 0 AND 399
GROUP BY
    f.order_date,
    f.previous_order_date,
    CASE WHEN f.previous_order_date IS NULL THEN 'new' ELSE 'returning' END
ORDER BY order_date, previous_order_date
