"""The orders' lines with the share of the order's amount that each carries.

An order's cents are spread evenly over its published lines, in the order of
``add_to_cart_order`` and ``id``; the first ``cents mod lines`` get one cent more, so that the
shares add up to the amount exactly. There are no prices or costs in the source, so this is
the nearest thing to a product's revenue, and there is no profit.
"""

LINES = """
    numbered AS (
        SELECT
            i.id,
            i.order_id,
            i.product_id,
            i.reordered,
            i.add_to_cart_order,
            row_number() OVER (
                PARTITION BY i.order_id ORDER BY i.add_to_cart_order, i.id
            ) AS line,
            count(*) OVER (PARTITION BY i.order_id) AS lines
        FROM order_items i
    ),
    lines AS (
        SELECT
            o.order_date,
            o.order_id,
            o.user_id,
            n.id,
            n.product_id,
            n.reordered,
            n.add_to_cart_order,
            CAST(o.total_amount * 100 AS BIGINT) DIV n.lines
                + CASE WHEN n.line <= CAST(o.total_amount * 100 AS BIGINT) % n.lines
                    THEN 1 ELSE 0 END AS cents
        FROM numbered n
        JOIN orders o ON o.order_id = n.order_id
    )
"""
"""Two common table expressions: ``numbered``, and ``lines`` with one row per order line."""
