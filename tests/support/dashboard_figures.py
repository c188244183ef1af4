"""What the dashboards' figures must be, by SQL (DuckDB's) that the pages know nothing of.

``{a}`` and ``{b}`` are the first and the last day that are chosen, ``{of}`` a department.
"""

from __future__ import annotations

from typing import Final

_SALES = "FROM silver.orders WHERE order_date BETWEEN '{a}' AND '{b}'"
_LINES = "FROM gold.product_performance WHERE order_date BETWEEN '{a}' AND '{b}'"
# With the orders that have no lines, as the page's departments have them.
_DEPARTMENTS = "FROM gold.department_analytics WHERE order_date BETWEEN '{a}' AND '{b}'"
_FATES = "FROM newest WHERE batch_date BETWEEN '{a}' AND '{b}'"
_NEWEST = (
    "WITH newest AS (SELECT * FROM ledger.receipts QUALIFY row_number() OVER "
    "(PARTITION BY dataset, batch_date, file, digest ORDER BY seq DESC) = 1) "
)
FIGURES: Final = {
    "executive": {
        "Revenue": f"SELECT sum(total_amount) {_SALES}",
        "Orders": f"SELECT count(*) {_SALES}",
        "Customers": f"SELECT count(DISTINCT user_id) {_SALES}",
        "Average order": f"SELECT sum(total_amount) / count(*) {_SALES}",
        "Rows missing from the numbers": f"{_NEWEST} SELECT sum(rejected + held) FROM newest",
    },
    "customers": {
        "Customers": f"SELECT count(DISTINCT user_id) {_SALES}",
        "New customers": (
            "SELECT count(*) FROM gold.customer_insights "
            "WHERE first_order_date BETWEEN '{a}' AND '{b}'"
        ),
    },
    "products": {
        "Allocated revenue": f"SELECT sum(allocated_revenue) {_DEPARTMENTS}",
        "Units": f"SELECT sum(units) {_LINES}",
        "Bought again": f"SELECT sum(reorders) / sum(units) {_LINES}",
        "Revenue of a unit": f"SELECT sum(allocated_revenue) / sum(units) {_DEPARTMENTS}",
    },
    "operations": {
        "Data quality score": (
            f"{_NEWEST} SELECT sum(published + superseded + duplicates) / sum(read) {_FATES}"
        ),
        "Rows that landed": f"{_NEWEST} SELECT sum(read) {_FATES}",
        "Rows missing from the tables": f"{_NEWEST} SELECT sum(rejected + held) {_FATES}",
        "Files": f"{_NEWEST} SELECT count(*) {_FATES}",
    },
}
"""By dashboard and title, for a span of days."""

OF_A_DEPARTMENT: Final = {
    "Revenue": (
        "SELECT sum(allocated_revenue) FROM gold.department_analytics "
        "WHERE department = $${of}$$ AND order_date BETWEEN '{a}' AND '{b}'"
    ),
    "Orders": (
        "SELECT count(DISTINCT o.order_id) FROM silver.orders o "
        "JOIN silver.order_items i ON i.order_id = o.order_id "
        "JOIN silver.products p ON p.product_id = i.product_id "
        "WHERE p.department = $${of}$$ AND o.order_date BETWEEN '{a}' AND '{b}'"
    ),
}
