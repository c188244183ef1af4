"""The calendar: every day of the years in which there are orders."""

from lakehouse_assets.tables.contract import Column, Mart
from lakehouse_assets.tables.sql import date_key

# Not weekday(): Sail 0.7.2 gives -1 for a Sunday.
_WEEKDAY = "CAST((dayofweek(date) + 5) % 7 + 1 AS INT)"

TABLE = Mart(
    name="dim_date",
    description="Every day of the years from the first order to the last.",
    grain=("date_key",),
    columns=(
        Column(name="date_key", type="INT", description="The day as a number, such as 20250401."),
        Column(name="date", type="DATE", description="The day."),
        Column(name="year", type="INT", description="Its year."),
        Column(name="quarter", type="INT", description="Quarter of the year, 1 to 4."),
        Column(name="month", type="INT", description="Month of the year, 1 to 12."),
        Column(name="month_name", type="STRING", description="The month's name in English."),
        Column(name="week", type="INT", description="Week of the year by ISO 8601, 1 to 53."),
        Column(name="day", type="INT", description="Day of the month, 1 to 31."),
        Column(name="weekday", type="INT", description="Day of the week, 1 (Monday) to 7."),
        Column(name="weekday_name", type="STRING", description="The weekday's name in English."),
        Column(name="is_weekend", type="BOOLEAN", description="A Saturday or Sunday."),
    ),
    sql=f"""
        WITH years AS (
            SELECT
                make_date(year(min(order_date)), 1, 1) AS first,
                make_date(year(max(order_date)), 12, 31) AS last
            FROM orders
        ),
        days AS (
            SELECT explode(sequence(first, last, INTERVAL 1 DAY)) AS date
            FROM years
            WHERE first IS NOT NULL
        )
        SELECT
            {date_key("date")} AS date_key,
            date,
            CAST(year(date) AS INT) AS year,
            CAST(quarter(date) AS INT) AS quarter,
            CAST(month(date) AS INT) AS month,
            date_format(date, 'MMMM') AS month_name,
            CAST(weekofyear(date) AS INT) AS week,
            CAST(day(date) AS INT) AS day,
            {_WEEKDAY} AS weekday,
            date_format(date, 'EEEE') AS weekday_name,
            {_WEEKDAY} >= 6 AS is_weekend
        FROM days
    """,
)
