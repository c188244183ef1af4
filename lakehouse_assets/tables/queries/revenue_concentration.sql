-- Products from best to least sold, by how many hundredths of them: revenue in the last 28 days.
-- A hundredth is the nearest: of 12 products the first is the best 8, the second the best 17.
-- as_of: the last of the 28 days.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
sold AS (
    SELECT p.product_id, sum(p.allocated_revenue) AS revenue
    FROM gold.product_performance AS p
    JOIN as_of AS a ON date_diff('day', p.order_date, a.day) BETWEEN 0 AND 27
    GROUP BY p.product_id
),
ranked AS (
    SELECT
        row_number() OVER (ORDER BY revenue DESC, product_id) AS place,
        count(*) OVER () AS products,
        revenue
    FROM sold
),
stepped AS (
    SELECT
        CAST(
            CAST(
                CAST(100 * place AS DOUBLE) / CAST(products AS DOUBLE)
                AS DECIMAL(38, 4)
            ) AS DECIMAL(18, 0)
        ) AS step,
        revenue
    FROM ranked
)
SELECT step, count(*) AS products, sum(revenue) AS revenue
FROM stepped
GROUP BY step
ORDER BY step
