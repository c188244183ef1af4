-- Products from best to least sold, in a hundred steps: revenue of each in the 28 days up to a day.
-- as_of: the last day.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
sold AS (
    SELECT p.product_id, sum(p.allocated_revenue) AS revenue
    FROM gold.product_performance AS p
    JOIN as_of AS a ON date_diff('day', p.order_date, a.day) BETWEEN 0 AND 27
    GROUP BY p.product_id
),
stepped AS (
    SELECT ntile(100) OVER (ORDER BY revenue DESC, product_id) AS step, revenue
    FROM sold
)
SELECT step, count(*) AS products, sum(revenue) AS revenue
FROM stepped
GROUP BY step
ORDER BY step
