"""Who buys, who comes back, and who is about to leave: for whoever looks after customers."""

from lakehouse_assets.tables.dashboard import (
    Aggregate,
    Bars,
    Choice,
    Dashboard,
    Dates,
    Field,
    Figure,
    Form,
    Funnel,
    HeatMap,
    Measure,
    RankedTable,
    Rising,
    Section,
    Source,
)

_MONTH = 28
"""Days of a month ago: whole weeks, so that the same days of the week are compared."""

_CUSTOMER_DAYS = Source("customer_days")
_BY_SEGMENT = ("segment", "churn_risk", "recency", "frequency")
_CUSTOMERS = Source("customers", by=_BY_SEGMENT, count="customers", sums=("spend", "orders"))
_A_MONTH_AGO = Source(
    "customers",
    by=_BY_SEGMENT,
    count="customers",
    sums=("spend", "orders"),
    days_back=_MONTH,
)
_HIGH = Source(
    "customers",
    by=("segment", "churn_risk"),
    count="customers",
    sums=("spend",),
    keep=("churn_risk", ("high",)),
)
_HIGH_OR_MEDIUM = Source(
    "customers", keep=("churn_risk", ("high", "medium")), order_by="spend", top=50
)

_SEGMENT = Field("segment", "Segment")
_COUNT = Measure("customers", "Customers", "customers", rising=Rising.NEITHER)
_SPEND = Measure("spend", "Spend so far", "shop's currency", Form.MONEY)
_CUSTOMER = Field("user_id", "Customer")

DASHBOARD = Dashboard(
    name="customers",
    place=2,
    title="Customers",
    audience="For whoever looks after customers: who comes back, who is about to leave.",
    main="Customers by segment",
    dates=Dates("Order dates", ("order_date",)),
    choices=(Choice("Segment", "segment", "All segments"),),
    sections=(
        Section(
            "In these days",
            (
                Figure(
                    title="Customers",
                    source=_CUSTOMER_DAYS,
                    measure=Measure(
                        "customers",
                        "Customers",
                        "customers who ordered",
                        aggregate=Aggregate.FIRST_SEEN,
                        since="previous_order_date",
                    ),
                    change=True,
                ),
                Figure(
                    title="New customers",
                    source=Source("new_customers"),
                    measure=Measure(
                        "new_customers", "New customers", "customers with their first order"
                    ),
                    change=True,
                ),
                Figure(
                    title="Customers with a high churn risk",
                    source=_HIGH,
                    measure=Measure("customers", "High churn risk", "customers", rising=Rising.BAD),
                    note=(
                        "Longer away than three times their usual gap between orders; who ordered "
                        "once has none yet and is measured by everyone's."
                    ),
                    empty="Nobody has a high churn risk.",
                ),
                Figure(
                    title="Spend of the customers with a high churn risk",
                    source=_HIGH,
                    measure=Measure(
                        "spend",
                        "Spend so far",
                        "shop's currency, so far",
                        Form.MONEY,
                        rising=Rising.BAD,
                    ),
                    empty="Nobody has a high churn risk.",
                ),
            ),
        ),
        Section(
            "Segments",
            (
                Bars(
                    title="Customers by segment",
                    source=_CUSTOMERS,
                    before=_A_MONTH_AGO,
                    category=_SEGMENT,
                    measures=(_COUNT,),
                    drill_down=True,
                    note=(
                        "Segments compare each customer with all others. Who orders often is a "
                        "champion, loyal or at risk: by how lately."
                    ),
                ),
                HeatMap(
                    title="Customers by recency and frequency",
                    source=_CUSTOMERS,
                    x=Field("recency", "Recency: 5 ordered last", Form.COUNT),
                    y=Field("frequency", "Frequency: 5 orders most", Form.COUNT),
                    measure=_COUNT,
                    note=(
                        "Fifths of all customers. Equal ones share the lowest fifth that one of "
                        "them is in, so that a fifth can be empty."
                    ),
                ),
                Bars(
                    title="Spend so far by churn risk",
                    source=_CUSTOMERS,
                    category=Field("churn_risk", "Churn risk"),
                    series=_SEGMENT,
                    measures=(_SPEND,),
                    note=(
                        "Churn risk compares each customer with their own usual gap between "
                        "orders, with everyone's where they ordered once: up to 1.5 gaps away is "
                        "low, up to 3 medium, more high. So who "
                        "orders seldom may be lost by segment, and of low churn risk."
                    ),
                ),
                Funnel(
                    title="Customers who order again",
                    source=Source("repeat_customers"),
                    stage=Field("stage", "Orders"),
                    order="at_least",
                    measure=Measure("customers", "Customers", "customers"),
                    empty="No orders yet.",
                ),
            ),
        ),
        Section(
            "Coming back",
            (
                Bars(
                    title="New and returning customers of each day",
                    source=_CUSTOMER_DAYS,
                    category=Field("order_date", "Day", Form.DAY),
                    series=Field("kind", "Customers"),
                    measures=(Measure("customers", "Customers", "customers of the day"),),
                    empty="No orders in these days.",
                ),
                HeatMap(
                    title="Share of each month's new customers who ordered in a later month",
                    source=Source("cohorts"),
                    x=Field("months_since", "Months since the first order", Form.COUNT),
                    y=Field("cohort", "First order in", Form.MONTH),
                    measure=Measure(
                        "customers",
                        "Ordered in that month",
                        "of the month's new customers",
                        Form.PERCENT,
                        over="cohort_size",
                    ),
                    note="The newest month of each line is not over yet.",
                    empty="No customer has ordered in a later month yet.",
                ),
            ),
        ),
        Section(
            "Customers who may leave",
            (
                RankedTable(
                    title="Customers with a high or medium churn risk, by spend",
                    source=_HIGH_OR_MEDIUM,
                    fields=(
                        _CUSTOMER,
                        _SEGMENT,
                        Field("churn_risk", "Churn risk"),
                        Field("last_order_date", "Last order", Form.DAY),
                        Field("recency_days", "Days away", Form.COUNT),
                        Field("usual_gap_days", "Usual gap (days)", Form.DECIMAL),
                    ),
                    measures=(
                        Measure("spend", "Spend", "shop's currency", Form.MONEY),
                        Measure("orders", "Orders", "orders"),
                    ),
                    top=50,
                    drill_down="user_id",
                    note="Choose a customer to see all that is known of them.",
                    empty="Nobody has a high or medium churn risk.",
                ),
                RankedTable(
                    title="The customer in full",
                    source=Source("customer_360", among="user_id", of=_HIGH_OR_MEDIUM),
                    selected_by="user_id",
                    turned=True,
                    fields=(
                        _CUSTOMER,
                        Field("first_order_date", "First order", Form.DAY),
                        Field("last_order_date", "Last order", Form.DAY),
                        Field("orders", "Orders", Form.COUNT),
                        Field("items", "Lines", Form.COUNT),
                        Field("spend", "Spend (shop's currency)", Form.MONEY),
                        Field("average_order_value", "Average order", Form.MONEY),
                        Field("average_basket_size", "Lines per order", Form.DECIMAL),
                        Field("average_days_between_orders", "Days between orders", Form.DECIMAL),
                        Field("reorder_rate", "Lines bought again", Form.PERCENT),
                        Field("favourite_department", "Favourite department"),
                        Field("favourite_product", "Favourite product"),
                        Field("times_bought", "Times bought", Form.COUNT),
                        Field("second_product", "Second favourite"),
                        Field("products", "Different products", Form.COUNT),
                        Field("rejected_rows", "Rejected rows of theirs", Form.COUNT),
                    ),
                    empty="Nothing is known of this customer.",
                ),
                RankedTable(
                    title="Their latest orders",
                    all_days=True,
                    source=Source("customer_orders", among="user_id", of=_HIGH_OR_MEDIUM),
                    selected_by="user_id",
                    fields=(
                        Field("order_date", "Day", Form.DAY),
                        Field("order_id", "Order"),
                        Field("items", "Lines", Form.COUNT),
                        Field("total_amount", "Amount (shop's currency)", Form.MONEY),
                    ),
                    empty="Nothing was ordered.",
                ),
            ),
        ),
    ),
    notes=(
        (
            "Segments, churn risk and cohorts are as of the last day with orders: nothing here "
            "depends on today."
        ),
    ),
)
