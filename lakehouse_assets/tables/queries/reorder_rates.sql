-- How often each product is bought again: the share of its units that are reorders.
SELECT
    product_id,
    min(product_name) AS product_name,
    min(department) AS department,
    sum(units) AS units,
    sum(reorders) AS reorders,
    CAST(
        CAST(
            CAST(sum(reorders) AS DOUBLE) / NULLIF(CAST(sum(units) AS DOUBLE), 0)
            AS DECIMAL(38, 8)
        ) AS DECIMAL(18, 4)
    ) AS reorder_rate
FROM gold.product_performance
GROUP BY product_id
ORDER BY reorder_rate DESC, units DESC, product_id
