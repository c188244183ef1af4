"""How the shop does, for whoever owns it."""

from lakehouse_assets.tables.dashboard import (
    Aggregate,
    Bars,
    Choice,
    Dashboard,
    Dates,
    Field,
    Figure,
    Form,
    Line,
    Measure,
    RankedTable,
    Rising,
    Section,
    Source,
)

_SALES = Source("department_days", whole=("department",))
_CUSTOMERS = Source("customer_days")
_FATES = Source("rows_by_fate")

_DAY = Field("order_date", "Day", Form.DAY)
_REVENUE = Measure("revenue", "Revenue", "shop's currency", Form.MONEY)
_ORDERS = Measure("orders", "Orders", "orders")

DASHBOARD = Dashboard(
    name="executive",
    place=1,
    title="Executive",
    audience="For the owner: how the shop does.",
    main="Revenue of each day",
    dates=Dates("Order dates", ("order_date",)),
    choices=(Choice("Department", "department", "All departments"),),
    sections=(
        Section(
            "In these days",
            (
                Figure(title="Revenue", source=_SALES, measure=_REVENUE, change=True),
                Figure(title="Orders", source=_SALES, measure=_ORDERS, change=True),
                Figure(
                    title="Customers",
                    source=_CUSTOMERS,
                    measure=Measure(
                        "customers",
                        "Customers",
                        "customers",
                        aggregate=Aggregate.FIRST_SEEN,
                        since="previous_order_date",
                    ),
                    note="Everyone counts once, however often they ordered.",
                    change=True,
                ),
                Figure(
                    title="Average order",
                    source=_SALES,
                    measure=Measure(
                        "revenue",
                        "Average order",
                        "shop's currency per order",
                        Form.MONEY,
                        over="orders",
                    ),
                    note="Of a department: its part of the orders that hold it.",
                    change=True,
                ),
            ),
        ),
        Section(
            "Trend",
            (
                Line(
                    title="Revenue of each day",
                    empty="No orders in these days.",
                    source=_SALES,
                    x=_DAY,
                    measures=(_REVENUE,),
                    average_days=7,
                    note="A day without orders counts as 0.",
                ),
                Bars(
                    title="New and returning customers of each day",
                    empty="No orders in these days.",
                    source=_CUSTOMERS,
                    category=_DAY,
                    series=Field("kind", "Customers"),
                    measures=(Measure("customers", "Customers", "customers of the day"),),
                    note="A customer who orders on two days is counted on both.",
                ),
            ),
        ),
        Section(
            "Departments",
            (
                Bars(
                    title="Revenue by department",
                    empty="No orders in these days.",
                    source=Source("department_lines"),
                    category=Field("department", "Department"),
                    measures=(_REVENUE,),
                    drill_down=True,
                    note=(
                        "Each line's even share of its order's amount. Choose a bar to see only "
                        "its department."
                    ),
                ),
                Line(
                    title="Orders of each day",
                    empty="No orders in these days.",
                    source=_SALES,
                    x=_DAY,
                    measures=(_ORDERS,),
                    average_days=7,
                ),
            ),
        ),
        Section(
            "What these numbers rest on",
            (
                Figure(
                    title="Rows missing from the numbers",
                    source=_FATES,
                    measure=Measure(
                        "missing_rows",
                        "Rejected or held",
                        "rows, of all batch dates",
                        rising=Rising.BAD,
                    ),
                    note=(
                        "Kept whole. Rows whose order or product is missing get in by themselves "
                        "once that comes; the others wait to be mended."
                    ),
                    empty="No file has landed yet.",
                ),
                Figure(
                    title="Rows that count",
                    source=_FATES,
                    measure=Measure(
                        "usable_rows",
                        "Usable rows",
                        "of all rows that landed",
                        Form.PERCENT,
                        over="fate_rows",
                    ),
                    empty="No file has landed yet.",
                ),
                RankedTable(
                    title="Newest data of each dataset",
                    source=Source("freshness"),
                    fields=(
                        Field("dataset", "Dataset"),
                        Field("newest_batch_date", "Newest batch", Form.DAY),
                    ),
                    measures=(Measure("files", "Files", "of that batch"),),
                    note="Promised: each day's files are in the tables within 24 hours.",
                    empty="No file has landed yet.",
                ),
                RankedTable(
                    title="Files that wait for a person",
                    source=Source("files_in_trouble"),
                    fields=(
                        Field("dataset", "Dataset"),
                        Field("batch_date", "Batch", Form.DAY),
                        Field("file", "File"),
                        Field("error", "Why"),
                    ),
                    note="None of a held file's rows is in a table until someone accepts it.",
                    empty="No file waits.",
                ),
            ),
        ),
    ),
)
