-- Customers as of a day: recency, RFM quintiles, segment and churn risk.
-- A segment is by quintiles of all customers, the churn risk by a customer's own usual gap between
-- orders (everyone's, where there was one order), so that they may differ. Segment 'at risk' orders
-- often, and not lately.
-- as_of: the day; later orders do not count.
WITH as_of AS (
    SELECT CAST(? AS DATE) AS day
),
bought AS (
    SELECT
        c.user_id,
        min(o.order_date) AS first_order_date,
        max(o.order_date) AS last_order_date,
        count(*) AS orders,
        sum(o.total_amount) AS spend
    FROM mart.fact_orders AS o
    JOIN mart.dim_customer AS c ON c.customer_key = o.customer_key
    JOIN as_of AS a ON o.order_date <= a.day
    GROUP BY c.user_id
),
timed AS (
    SELECT
        b.user_id,
        b.first_order_date,
        b.last_order_date,
        b.orders,
        b.spend,
        date_diff('day', b.last_order_date, a.day) AS recency_days,
        date_diff('day', b.first_order_date, b.last_order_date) AS active_days
    FROM bought AS b
    CROSS JOIN as_of AS a
),
-- Who ordered once has no rhythm yet: everyone's stands for it.
paced AS (
    SELECT
        user_id,
        first_order_date,
        last_order_date,
        orders,
        spend,
        recency_days,
        CASE WHEN orders > 1 THEN active_days ELSE sum(active_days) OVER () END AS gap_days,
        CASE WHEN orders > 1 THEN orders - 1 ELSE sum(orders - 1) OVER () END AS gaps,
        ntile(5) OVER (ORDER BY recency_days DESC, user_id) AS recency_tile,
        ntile(5) OVER (ORDER BY orders, user_id) AS frequency_tile,
        ntile(5) OVER (ORDER BY spend, user_id) AS monetary_tile
    FROM timed
),
-- Equal customers get the same quintile, the lowest of theirs; 5 is the best.
scored AS (
    SELECT
        user_id,
        first_order_date,
        last_order_date,
        orders,
        spend,
        recency_days,
        -- Several orders on one day are no rhythm of zero days.
        CASE
            WHEN gap_days < gaps THEN CAST(1 AS DECIMAL(18, 4))
            ELSE CAST(
                CAST(
                    CAST(gap_days AS DOUBLE) / NULLIF(CAST(gaps AS DOUBLE), 0)
                    AS DECIMAL(38, 8)
                ) AS DECIMAL(18, 4)
            )
        END AS usual_gap_days,
        min(recency_tile) OVER (PARTITION BY recency_days) AS recency,
        min(frequency_tile) OVER (PARTITION BY orders) AS frequency,
        min(monetary_tile) OVER (PARTITION BY spend) AS monetary
    FROM paced
)
SELECT
    user_id,
    first_order_date,
    last_order_date,
    recency_days,
    orders,
    spend,
    recency,
    frequency,
    monetary,
    CASE
        WHEN frequency >= 4 AND recency >= 4 THEN 'champion'
        WHEN frequency >= 4 AND recency <= 2 THEN 'at risk'
        WHEN frequency >= 4 THEN 'loyal'
        WHEN orders = 1 AND recency >= 4 THEN 'new'
        WHEN recency <= 2 THEN 'lost'
        ELSE 'regular'
    END AS segment,
    usual_gap_days,
    CASE
        WHEN usual_gap_days IS NULL THEN 'unknown'
        WHEN recency_days <= 1.5 * usual_gap_days THEN 'low'
        WHEN recency_days <= 3 * usual_gap_days THEN 'medium'
        ELSE 'high'
    END AS churn_risk
FROM scored
ORDER BY user_id
