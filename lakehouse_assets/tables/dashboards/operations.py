"""Whether the tables are fresh, whole and right, and what waits: for whoever runs the lakehouse."""

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
    Section,
    Source,
)

_FATES = Source("rows_by_fate")
_FILES = Source("files_by_state")
_REASONS = Source("rejected_by_reason")
_RUNS = Source("run_history", order_by="first_seq", top=100)

_BATCH = Field("batch_date", "Batch date", Form.DAY)
_DATASET = Field("dataset", "Dataset")
_RUN_NUMBER = Field("run_number", "Run number", Form.COUNT)
_FILE = "{dataset}/{batch_date}/{file}"

DASHBOARD = Dashboard(
    name="operations",
    place=4,
    title="Operations",
    audience="For whoever runs the lakehouse: fresh, whole, right, and what waits.",
    main="Rows by what became of them",
    dates=Dates("Batch dates", ("batch_date",)),
    choices=(Choice("Dataset", "dataset", "All datasets"),),
    sections=(
        Section(
            "In these batch dates",
            (
                Figure(
                    title="Data quality score",
                    source=_FATES,
                    measure=Measure(
                        "usable_rows",
                        "Usable rows",
                        "of all rows that landed",
                        Form.PERCENT,
                        over="fate_rows",
                    ),
                    change=True,
                    empty="No file landed in these days.",
                ),
                Figure(
                    title="Rows that landed",
                    source=_FATES,
                    measure=Measure("fate_rows", "Rows", "rows", rising=Rising.NEITHER),
                    change=True,
                    empty="No file landed in these days.",
                ),
                Figure(
                    title="Rows missing from the tables",
                    source=_FATES,
                    measure=Measure("missing_rows", "Rejected or held", "rows", rising=Rising.BAD),
                    change=True,
                    empty="No file landed in these days.",
                ),
                Figure(
                    title="Files",
                    source=_FILES,
                    measure=Measure("files", "Files", "files", rising=Rising.NEITHER),
                    change=True,
                    empty="No file landed in these days.",
                ),
            ),
        ),
        Section(
            "What waits for a person",
            (
                RankedTable(
                    title="Files that are held or cannot be read",
                    source=Source("files_in_trouble"),
                    fields=(
                        _DATASET,
                        _BATCH,
                        Field("file", "File"),
                        Field("state", "State", Form.WORDS),
                        Field("error", "Why"),
                        Field(
                            "state",
                            "What helps",
                            texts=(
                                ("held", f"lakehouse accept {_FILE} --why …"),
                                ("unreadable", f"lakehouse withdraw {_FILE}"),
                                ("in_force", "lakehouse land {file} --date {batch_date}"),
                            ),
                        ),
                    ),
                    top=50,
                    all_days=True,  # what waits is told, however long it has
                    note=(
                        "Accept lets a held file in as it is. A mended file that lands under the "
                        "same name and date takes its place. Withdraw takes a file back."
                    ),
                    empty="Nothing waits.",
                ),
                RankedTable(
                    title="Newest data of each dataset",
                    source=Source("freshness"),
                    fields=(_DATASET, Field("newest_batch_date", "Newest batch", Form.DAY)),
                    measures=(Measure("files", "Files", "of that batch"),),
                    note="Promised: each day's files are in the tables within 24 hours.",
                    empty="No file has landed yet.",
                ),
            ),
        ),
        Section(
            "Files and rows",
            (
                Bars(
                    title="Rows by what became of them",
                    source=_FATES,
                    category=_BATCH,
                    series=Field("fate", "Fate", Form.WORDS),
                    measures=(Measure("fate_rows", "Rows", "rows"),),
                    note="Every row has exactly one fate.",
                    empty="No file landed in these days.",
                ),
                Bars(
                    title="Files by what they are now",
                    source=_FILES,
                    category=_BATCH,
                    series=Field("state", "State", Form.WORDS),
                    measures=(Measure("files", "Files", "files"),),
                    empty="No file landed in these days.",
                ),
                Line(
                    title="Usable rows of each batch date",
                    source=_FATES,
                    x=_BATCH,
                    measures=(
                        Measure(
                            "usable_rows",
                            "Usable rows",
                            "of all rows that landed",
                            Form.PERCENT,
                            over="fate_rows",
                        ),
                    ),
                    empty="No file landed in these days.",
                ),
                Bars(
                    title="Rules that rows break most",
                    source=_REASONS,
                    category=Field("rule", "Rule"),
                    series=Field("category", "Category", Form.WORDS),
                    measures=(
                        Measure("rejected_rows", "Rejected rows", "rows", rising=Rising.BAD),
                    ),
                    note=(
                        "A row counts under each rule that it breaks. lakehouse rejected DATASET "
                        "shows the rows, and --export writes them to be mended."
                    ),
                    empty="No row is rejected.",
                ),
            ),
        ),
        Section(
            "Runs",
            (
                RankedTable(
                    title="Latest runs",
                    source=_RUNS,
                    fields=(
                        Field("run_date", "Day", Form.DAY),
                        Field("run_id", "Run"),
                        _RUN_NUMBER,
                        Field("milliseconds", "Took", Form.SECONDS),
                        Field("files_read", "Files read", Form.COUNT),
                        Field("files_in_trouble", "In trouble", Form.COUNT),
                        Field("tables_brought_up_to_date", "Tables", Form.COUNT),
                    ),
                    top=25,
                    note="From a run's first entry in the ledger to its last.",
                    empty="No run yet.",
                ),
                Line(
                    title="How long runs took",
                    source=_RUNS,
                    x=_RUN_NUMBER,
                    measures=(Measure("milliseconds", "Took", "seconds", Form.SECONDS),),
                    note="Runs are numbered from the first; the table has their numbers.",
                    empty="No run yet.",
                ),
            ),
        ),
    ),
    notes=(
        (
            "Cost, alarms, deployments, security findings and backups are of an AWS account: "
            "CloudWatch's dashboard and docs/alerts.md, docs/cost.md and docs/recovery.md have "
            "them; a run on a laptop costs nothing."
        ),
    ),
)
