-- New customers of each day, those who came back, and all customers up to then.
WITH firsts AS (
    SELECT first_order_date, count(*) AS customers
    FROM gold.customer_insights
    GROUP BY first_order_date
)
SELECT
    d.order_date,
    COALESCE(f.customers, 0) AS new_customers,
    d.customers - COALESCE(f.customers, 0) AS returning_customers,
    sum(COALESCE(f.customers, 0)) OVER (
        ORDER BY d.order_date RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS customers_so_far
FROM gold.daily_sales AS d
LEFT JOIN firsts AS f ON f.first_order_date = d.order_date
ORDER BY order_date
