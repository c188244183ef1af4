-- Pairs of products by the number of orders that hold both.
WITH lines AS (
    SELECT DISTINCT order_id, product_id FROM silver.order_items
),
pairs AS (
    SELECT a.product_id AS product_id, b.product_id AS other_product_id, count(*) AS orders
    FROM lines AS a
    JOIN lines AS b ON b.order_id = a.order_id AND b.product_id > a.product_id
    GROUP BY a.product_id, b.product_id
)
SELECT
    p.product_id,
    x.product_name,
    p.other_product_id,
    y.product_name AS other_product_name,
    p.orders
FROM pairs AS p
JOIN silver.products AS x ON x.product_id = p.product_id
JOIN silver.products AS y ON y.product_id = p.other_product_id
ORDER BY orders DESC, product_id, other_product_id
LIMIT 100
