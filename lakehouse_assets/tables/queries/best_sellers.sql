-- Products by units sold between two days, best first.
-- from_date: first day of the orders.
-- to_date: last day of the orders.
SELECT
    product_id,
    min(product_name) AS product_name,
    min(department) AS department,
    sum(units) AS units,
    sum(orders) AS orders,
    sum(allocated_revenue) AS revenue,
    rank() OVER (ORDER BY sum(units) DESC) AS place
FROM gold.product_performance
WHERE order_date BETWEEN CAST(? AS DATE) AND CAST(? AS DATE)
GROUP BY product_id
ORDER BY units DESC, product_id
LIMIT 50
