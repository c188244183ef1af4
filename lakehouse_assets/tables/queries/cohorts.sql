-- Customers by the month of their first order: how many ordered in each later month.
-- The first orders are of the twelve months up to a day's.
-- as_of: the day; later orders do not count.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
months AS (
    SELECT DISTINCT o.customer_key, CAST(date_trunc('month', o.order_date) AS DATE) AS month
    FROM mart.fact_orders AS o
    JOIN as_of AS a ON o.order_date <= a.day
),
firsts AS (
    SELECT customer_key, min(month) AS cohort FROM months GROUP BY customer_key
),
sizes AS (
    SELECT cohort, count(*) AS cohort_size FROM firsts GROUP BY cohort
),
-- A month is 30.4375 days on average: the nearest whole number of them is exact for centuries.
counted AS (
    SELECT
        f.cohort,
        CAST(
            CAST(
                CAST(date_diff('day', f.cohort, m.month) AS DOUBLE) / CAST(30.4375 AS DOUBLE)
                AS DECIMAL(38, 4)
            ) AS DECIMAL(18, 0)
        ) AS months_since,
        count(*) AS customers
    FROM firsts AS f
    JOIN months AS m ON m.customer_key = f.customer_key
    GROUP BY f.cohort, m.month
)
SELECT
    c.cohort,
    c.months_since,
    c.customers,
    s.cohort_size,
    CAST(
        CAST(
            CAST(c.customers AS DOUBLE) / CAST(s.cohort_size AS DOUBLE)
            AS DECIMAL(38, 8)
        ) AS DECIMAL(18, 4)
    ) AS retained_share
FROM counted AS c
JOIN sizes AS s ON s.cohort = c.cohort
JOIN as_of AS a ON date_diff('day', c.cohort, a.day) < 366
WHERE c.months_since > 0
ORDER BY cohort, months_since
