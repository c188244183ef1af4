-- Rows in quarantine by dataset, category and rule; a row counts under each rule that it breaks.
WITH rejected AS (
    SELECT 'products' AS dataset, _category AS category, _rules AS rules, _batch_date AS batch_date
    FROM rejected.products
    UNION ALL
    SELECT 'orders' AS dataset, _category AS category, _rules AS rules, _batch_date AS batch_date
    FROM rejected.orders
    UNION ALL
    SELECT 'order_items' AS dataset, _category AS category, _rules AS rules, _batch_date AS batch_date
    FROM rejected.order_items
)
SELECT
    r.dataset,
    r.category,
    t.rule,
    count(*) AS rejected_rows,
    min(r.batch_date) AS first_batch_date,
    max(r.batch_date) AS last_batch_date
FROM rejected AS r
CROSS JOIN UNNEST(r.rules) AS t (rule)
GROUP BY r.dataset, r.category, t.rule
ORDER BY rejected_rows DESC, dataset, category, rule
