"""What sells, what rises, what goes together: for whoever buys for the shop."""

from lakehouse_assets.tables.dashboard import (
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
    Scatter,
    Section,
    Source,
)

_LINES = Source("department_lines")
_BEST = Source("product_sales", order_by="revenue", top=200)

_DEPARTMENT = Field("department", "Department")
_PRODUCT = Field("product_name", "Product", key="product_id")
_REVENUE = Measure("revenue", "Allocated revenue", "shop's currency", Form.MONEY)
_UNITS = Measure("units", "Units", "order lines")
_REORDER_RATE = Measure("reorders", "Bought again", "of order lines", Form.PERCENT, over="units")

DASHBOARD = Dashboard(
    name="products",
    place=3,
    title="Products",
    audience="For whoever buys for the shop: what sells, what rises, what goes together.",
    main="Revenue by department",
    dates=Dates("Order dates", ("order_date",)),
    choices=(Choice("Department", "department", "All departments"),),
    sections=(
        Section(
            "In these days",
            (
                Figure(title="Allocated revenue", source=_LINES, measure=_REVENUE, change=True),
                Figure(title="Units", source=_LINES, measure=_UNITS, change=True),
                Figure(title="Bought again", source=_LINES, measure=_REORDER_RATE, change=True),
                Figure(
                    title="Revenue of a unit",
                    source=_LINES,
                    measure=Measure(
                        "revenue",
                        "Revenue of a unit",
                        "shop's currency per order line",
                        Form.MONEY,
                        over="units",
                        rising=Rising.NEITHER,
                    ),
                    change=True,
                ),
            ),
        ),
        Section(
            "Departments",
            (
                Bars(
                    title="Revenue by department",
                    source=_LINES,
                    category=_DEPARTMENT,
                    measures=(_REVENUE,),
                    drill_down=True,
                    note="Choose a bar to see its products below.",
                    empty="No orders in these days.",
                ),
                Line(
                    title="Units of each day",
                    source=_LINES,
                    x=Field("order_date", "Day", Form.DAY),
                    measures=(_UNITS,),
                    average_days=7,
                    empty="No orders in these days.",
                ),
            ),
        ),
        Section(
            "Products of the last 28 days",
            (
                RankedTable(
                    title="Best sellers, and their places before",
                    source=_BEST,
                    fields=(
                        Field("place", "Place", Form.COUNT),
                        Field("place_before", "28 days before", Form.COUNT),
                        Field("product_id", "Product id"),
                        _PRODUCT,
                        _DEPARTMENT,
                    ),
                    measures=(
                        _REVENUE,
                        Measure("revenue_before", "28 days before", "shop's currency", Form.MONEY),
                        _UNITS,
                    ),
                    top=25,
                    note="Places are by allocated revenue among all products.",
                    empty="Nothing was sold in the last 28 days.",
                ),
                Scatter(
                    title="Bought again, against units",
                    source=_BEST,
                    point=_PRODUCT,
                    series=_DEPARTMENT,
                    x=_UNITS,
                    y=_REORDER_RATE,
                    size=_REVENUE,
                    note="A point is a product, as large as its revenue.",
                    empty="Nothing was sold in the last 28 days.",
                ),
                Line(
                    title="How much of the revenue the best products bring",
                    source=Source("revenue_concentration"),
                    x=Field("step", "The best products, in hundredths of all", Form.COUNT),
                    measures=(_REVENUE,),
                    cumulative=True,
                    note="Were all products alike, the line would be straight.",
                    empty="Nothing was sold in the last 28 days.",
                ),
                RankedTable(
                    title="Bought together",
                    source=Source("bought_together"),
                    fields=(
                        _PRODUCT,
                        Field("other_product_name", "and", key="other_product_id"),
                    ),
                    measures=(Measure("orders", "Orders with both", "orders so far"),),
                    empty="No order holds two products.",
                ),
            ),
        ),
    ),
    notes=(
        "There is no profit here: files say what was paid, and nothing of what goods cost.",
        (
            "Revenue is allocated: each line has an even share of its order's amount, since files "
            "give no prices of lines."
        ),
    ),
)
