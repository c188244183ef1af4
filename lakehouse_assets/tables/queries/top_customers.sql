-- The hundred customers who spent most so far.
SELECT
    user_id,
    orders,
    items,
    spend,
    average_order_value,
    average_basket_size,
    favourite_department,
    last_order_date
FROM gold.customer_insights
ORDER BY spend DESC, user_id
LIMIT 100
