-- The first and the last day with orders, and how many days have any.
SELECT min(order_date) AS first_day, max(order_date) AS last_day, count(*) AS days
FROM gold.daily_sales
ORDER BY first_day
