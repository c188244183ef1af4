"""A newcomer's first day: one file is a new table, and what is wrong in it is said plainly."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import PROJECT

DAY = "2025-05-02"

HOURLY_SALES = '''
"""Hourly sales: when people order."""

from lakehouse_assets.tables.contract import Column, Gold, Reconciliation

TABLE = Gold(
    name="hourly_sales",
    description="Orders and revenue of each hour of each day.",
    grain=("order_date", "hour"),
    unit="orders.order_date",
    columns=(
        Column(name="order_date", type="DATE", description="UTC day of the orders."),
        Column(name="hour", type="INT", description="UTC hour, 0 to 23."),
        Column(name="orders", type="BIGINT", description="Orders of the hour."),
        Column(name="revenue", type="DECIMAL(18,2)", description="Sum of their amounts."),
    ),
    partition_by=("order_date",),
    sql="""
        SELECT
            o.order_date,
            hour(o.order_timestamp) AS hour,
            count(*) AS orders,
            sum(o.total_amount) AS revenue
        FROM orders o
        GROUP BY o.order_date, hour(o.order_timestamp)
    """,
    reconciliations=(
        Reconciliation(name="orders", gold="sum(orders)", silver="SELECT count(*) FROM orders"),
    ),
)
'''

REFUNDS = '''
"""Refunds: money that went back."""

from lakehouse_assets.tables.contract import Column, Dataset

TABLE = Dataset(
    name="refunds",
    description="One row per refund, as the newest valid line about it says.",
    key="refund_id",
    columns=(
        Column(name="refund_id", type="BIGINT", required=True, description="The refund."),
        Column(
            name="order_id",
            type="BIGINT",
            required=True,
            references="orders",
            description="The order that it is for.",
        ),
        Column(
            name="amount",
            type="DECIMAL(12,2)",
            source="refund amount",
            required=True,
            minimum=0,
            description="What went back.",
        ),
        Column(name="refunded_at", type="TIMESTAMP", required=True, description="When."),
        Column(
            name="refund_date",
            type="DATE",
            derived="to_date(refunded_at)",
            description="UTC day of refunded_at.",
        ),
    ),
    partition_by=("refund_date",),
)
'''

CUSTOMER_REFUNDS = '''
"""Customer refunds: who gets money back."""

from lakehouse_assets.tables.contract import Column, Gold

TABLE = Gold(
    name="customer_refunds",
    description="Refunds of each customer.",
    grain=("user_id",),
    unit="orders.user_id",
    columns=(
        Column(name="user_id", type="BIGINT", description="The customer."),
        Column(name="refunds", type="BIGINT", description="Refunds so far."),
        Column(name="refunded", type="DECIMAL(18,2)", description="Sum of their amounts."),
    ),
    sql="""
        SELECT o.user_id, count(r.refund_id) AS refunds, sum(r.amount) AS refunded
        FROM refunds r
        JOIN orders o ON o.order_id = r.order_id
        GROUP BY o.user_id
    """,
)
'''

ORDERS = """\
order_num,order_id,user_id,order_timestamp,total_amount,date
1,1,7,2025-05-01T09:10:00,10.00,2025-05-01
2,2,7,2025-05-01T09:50:00,2.50,2025-05-01
3,3,8,2025-05-01T23:59:59,4.00,2025-05-01
4,4,9,2025-05-02T00:00:00,1.00,2025-05-02
"""

REFUNDS_CSV = """\
refund_id,order_id,Refund Amount,refunded_at
1,1,10.00,2025-05-02T08:00:00
2,2,0.50,2025-05-02T08:00:00
3,3,four,2025-05-02T08:00:00
4,99,1.00,2025-05-02T08:00:00
"""

# Prints what Dagster knows of an asset, as JSON by its key.
SHOW = """
import json, sys
from definitions import defs
shown = {}
for name in sys.argv[1:]:
    key = __import__("dagster").AssetKey(name.split("/"))
    asset = defs.resolve_assets_def(key)
    spec = asset.get_asset_spec(key)
    lineage = spec.metadata["dagster/column_lineage"].deps_by_column
    shown[name] = {
        "deps": sorted(d.asset_key.to_user_string() for d in spec.deps),
        "group": spec.group_name,
        "checks": sorted(c.name for c in asset.check_specs),
        "columns": [c.name for c in spec.metadata["dagster/column_schema"].columns],
        "lineage": {
            c: sorted(f"{d.asset_key.to_user_string()}.{d.column_name}" for d in deps)
            for c, deps in lineage.items()
        },
    }
print(json.dumps(shown))
"""


class Copy:
    """The project's source in another folder, as someone who has cloned it changes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        ignored = shutil.ignore_patterns("__pycache__", ".*cache")
        for name in ("lakehouse_assets", "resources", "deploy/local"):
            shutil.copytree(PROJECT / name, self.folder / name, ignore=ignored)
        for name in ("definitions.py", "pyproject.toml"):
            shutil.copy(PROJECT / name, self.folder / name)

    def write(self, layer: str, name: str, text: str) -> None:
        """Write one table's file."""
        (self.folder / "lakehouse_assets" / "tables" / layer / f"{name}.py").write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python there."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "DAGSTER_"))}
        here = {"PYTHONPATH": str(self.folder), "LAKEHOUSE_ROOT": str(self.folder / "lakehouse")}
        return subprocess.run(
            [sys.executable, "-W", "ignore", *arguments],
            cwd=self.folder,
            env={**kept, **here},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    def lakehouse(self, *arguments: str) -> str:
        """Run a command that must end well."""
        done = self.run("-m", "lakehouse_assets.cli", *arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query."""
        found: list[dict[str, Any]] = json.loads(self.lakehouse("query", sql, "--format", "json"))
        return found


@pytest.mark.slow
def test_one_file_is_a_new_table(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    copy.write("gold", "hourly_sales", HOURLY_SALES)
    copy.write("silver", "refunds", REFUNDS)
    copy.write("gold", "customer_refunds", CUSTOMER_REFUNDS)

    # They are assets, with what every asset has.
    names = ["gold/hourly_sales", "silver/refunds", "bronze/refunds", "gold/customer_refunds"]
    done = copy.run("-c", SHOW, *names)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    hourly = shown["gold/hourly_sales"]
    assert hourly["deps"] == ["silver/orders"]
    assert hourly["checks"] == ["grain_unique", "sums_orders"]
    assert hourly["lineage"] == {
        "order_date": ["silver/orders.order_date"],
        "hour": ["silver/orders.order_timestamp"],
        "orders": ["silver/orders.order_id"],  # it counts rows
        "revenue": ["silver/orders.total_amount"],
    }
    refunds = shown["silver/refunds"]
    assert refunds["deps"] == ["bronze/refunds", "silver/orders"]
    assert {"keys_unique", "accounting", "valid_amount", "foreign_key_order_id"} < {
        *refunds["checks"]
    }
    assert refunds["lineage"]["amount"] == ["bronze/refunds.refund amount"]
    assert refunds["lineage"]["refund_date"] == ["bronze/refunds.refunded_at"]
    assert shown["bronze/refunds"]["lineage"]["refund amount"] == ["raw/refunds.refund amount"]
    assert shown["gold/customer_refunds"]["deps"] == ["silver/orders", "silver/refunds"]

    # They take part in a run, and hold what they should.
    (tmp_path / "orders_1.csv").write_text(ORDERS)
    (tmp_path / "refunds_1.csv").write_text(REFUNDS_CSV)
    files = [str(tmp_path / "orders_1.csv"), str(tmp_path / "refunds_1.csv")]
    copy.lakehouse("land", *files, "--date", DAY)  # the dataset is known by the file's name
    copy.lakehouse("run")
    assert copy.rows(
        "SELECT CAST(order_date AS VARCHAR) AS day, hour, orders, CAST(revenue AS VARCHAR) AS "
        "revenue FROM gold.hourly_sales ORDER BY ALL"
    ) == [
        {"day": "2025-05-01", "hour": 9, "orders": 2, "revenue": "12.50"},
        {"day": "2025-05-01", "hour": 23, "orders": 1, "revenue": "4.00"},
        {"day": "2025-05-02", "hour": 0, "orders": 1, "revenue": "1.00"},
    ]
    assert copy.rows(
        "SELECT user_id, refunds, CAST(refunded AS VARCHAR) AS refunded FROM gold.customer_refunds"
    ) == [{"user_id": 7, "refunds": 2, "refunded": "10.50"}]
    assert copy.rows("SELECT refund_id, _rules FROM rejected.refunds ORDER BY refund_id") == [
        {"refund_id": "3", "_rules": ["amount.type"]},
        {"refund_id": "4", "_rules": ["order_id.foreign_key"]},
    ]


MISTAKES = {
    "no TABLE": (
        {"TABLE = Gold(": "table = Gold("},
        "gold/hourly_sales.py: has no TABLE = Gold(...)",
    ),
    "a table that silver has not": (
        {"FROM orders o": "FROM sales o"},
        "gold/hourly_sales.py: no silver table is named 'sales'; use order_items, orders, products",
    ),
    "a column that silver has not": (
        {"sum(o.total_amount)": "sum(o.amount)"},
        "gold/hourly_sales.py: its SQL: no column is named 'amount'; did you mean total_amount?",
    ),
    "the same without its table": (
        {"sum(o.total_amount)": "sum(total_amout)"},
        "gold/hourly_sales.py: its SQL: no column is named 'total_amout'; did you mean",
    ),
    "a proof of a column that there is not": (
        {'gold="sum(orders)"': 'gold="sum(order)"'},
        "gold/hourly_sales.py: reconciliation 'orders': gold: no column is named 'order'; did",
    ),
    "a column missing in the SELECT": (
        {"AS revenue": "AS takings"},
        "gold/hourly_sales.py: its SELECT gives no column 'revenue'",
    ),
    "a column missing in the contract": (
        {"count(*) AS orders,": "count(*) AS orders, max(o.user_id) AS top,"},
        "gold/hourly_sales.py: its SELECT gives 'top', which is no column of the contract",
    ),
    "SELECT *": (
        {"SELECT\n            o.order_date,": "SELECT *,"},
        "gold/hourly_sales.py: its SELECT gives *; name the columns one by one",
    ),
    "SQL that cannot be read": (
        {"GROUP BY": "GRUP BI"},
        "gold/hourly_sales.py: its SQL cannot be read: ",
    ),
    "no SELECT": (
        {"SELECT\n": "DELETE\n"},
        "gold/hourly_sales.py: its SQL ",
    ),
    "a unit that silver has not": (
        {"orders.order_date": "orders.hour", '("order_date",)': '("hour",)'},
        "gold/hourly_sales.py: unit 'orders.hour': orders has no column 'hour'; use",
    ),
    "a unit without its dataset": (
        {"orders.order_date": "order_date"},
        "gold/hourly_sales.py: unit 'order_date' must be <dataset>.<column>",
    ),
    "a unit of what the SELECT does not read": (
        {"orders.order_date": "order_items.order_date"},
        "gold/hourly_sales.py: its unit is of order_items, which its SELECT does not read",
    ),
    "a reconciliation with what the SELECT does not read": (
        {"count(*) FROM orders": "count(*) FROM order_items"},
        "gold/hourly_sales.py: reconciliation 'orders' reads order_items",
    ),
    "a column that is not grouped by": (
        {"GROUP BY o.order_date, hour(o.order_timestamp)": "GROUP BY o.order_date"},
        "gold/hourly_sales.py: its SELECT gives 'order_timestamp' beside aggregates",
    ),
    "a type that tables cannot have": (
        {'type="INT"': 'type="INTEGER"'},
        "gold/hourly_sales.py: column 'hour': unknown column type 'INTEGER'; use one of",
    ),
    "a grain without its comma": (
        {'("order_date", "hour")': '("hour")'},
        "gold/hourly_sales.py: grain is no tuple; write ('hour',)",
    ),
    "a grain of something else": (
        {'("order_date", "hour")': '("day",)'},
        "gold/hourly_sales.py: 'day' is no column; use order_date, hour,",
    ),
    "a name that is taken": (
        {'name="hourly_sales"': 'name="daily_sales"'},
        "gold/hourly_sales.py: another module's table is named 'daily_sales' too",
    ),
}

# Loads the tables anew for each mistake, in one interpreter: importing Dagster takes long.
LOAD = """
import importlib, json, sys, traceback
from pathlib import Path
from lakehouse_assets.tables import registry
file = Path(registry.__file__).parent / "gold" / "hourly_sales.py"
said = {}
for name, text in json.loads(sys.stdin.read()).items():
    file.write_text(text)
    for module in [m for m in sys.modules if m.startswith("lakehouse_assets")]:
        del sys.modules[module]
    importlib.invalidate_caches()
    try:
        importlib.import_module("lakehouse_assets.tables.sql_checks").check_all()
    except Exception as error:
        said[name] = traceback.format_exception_only(error)[-1].strip()
print(json.dumps(said))
"""


def test_mistakes_in_a_table_are_said_plainly(tmp_path: Path, subtests: pytest.Subtests) -> None:
    texts = {"none": HOURLY_SALES}
    for name, (changes, _) in MISTAKES.items():
        texts[name] = HOURLY_SALES
        for old, new in changes.items():
            assert old in texts[name], name
            texts[name] = texts[name].replace(old, new)
    copy = Copy(tmp_path)
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", LOAD],
        cwd=copy.folder,
        env={**os.environ, "PYTHONPATH": str(copy.folder)},
        input=json.dumps(texts),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "none" not in said, said["none"]
    for name, (_, line) in MISTAKES.items():
        with subtests.test(name):
            assert line in said.get(name, "nothing")
            assert "\n" not in said[name]


def test_a_mistake_stops_the_definitions_from_loading(tmp_path: Path) -> None:
    """With the plain words in the last line, where people look first."""
    copy = Copy(tmp_path)
    copy.write("gold", "hourly_sales", HOURLY_SALES.replace("AS revenue", "AS takings"))
    done = copy.run("-c", "import definitions")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "gold/hourly_sales.py: its SELECT gives no column 'revenue'" in last


def test_a_mistake_in_a_dataset_is_said_plainly(tmp_path: Path) -> None:
    copy = Copy(tmp_path)
    for changes, line in (
        (
            {'references="orders"': 'references="order"'},
            "column 'order_id': references 'order', which is no dataset; use order_items, orders",
        ),
        ({'key="refund_id"': 'key="id"'}, "the key 'id' is no column; use refund_id, order_id"),
        ({'type="DECIMAL(12,2)"': 'type="MONEY"'}, "column 'amount': unknown column type 'MONEY'"),
        (
            {'("refund_date",)': '("refund_date")'},
            "partition_by is no tuple; write ('refund_date',)",
        ),
        ({"TABLE = ": "TABEL = "}, "has no TABLE = Dataset(...); add it"),
    ):
        text = REFUNDS
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        copy.write("silver", "refunds", text)
        done = copy.run("-m", "lakehouse_assets.cli", "status")
        assert done.returncode == 1
        [said] = done.stderr.splitlines()
        assert said.startswith(f"lakehouse_assets/tables/silver/refunds.py: {line}")
