"""docs/data_model.md is made of the contracts, whosever they are."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from lakehouse_assets.cli.data_model import page
from lakehouse_assets.queries.named import named_queries
from lakehouse_assets.queries.named import tables as queryable
from lakehouse_assets.tables.contract import HoldLimit, RowRule
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from tests.support import PROJECT


def test_the_page_is_current() -> None:
    written = (PROJECT / "docs" / "data_model.md").read_text(encoding="utf-8")
    assert written == page(), "a contract has changed: `make docs` writes docs/data_model.md anew"


def test_it_says_all_that_a_contract_says(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = DATASETS["orders"]
    amount = orders.silver.column("total_amount")
    changed = replace(
        amount, maximum=900, source="amount", aliases=("sum",), pattern="[0-9]+|`", description="<b"
    )
    monkeypatch.setitem(
        DATASETS,
        "orders",
        replace(
            orders,
            columns=tuple(changed if c is amount else c for c in orders.columns),
            row_rules=(
                RowRule(name="even", description="Is even.", sql="order_id % 2 = 0\n OR x"),
            ),
            dialect=replace(orders.dialect, delimiter="|", skip_rows=2),
            hold=HoldLimit(share=0.07, least_rows=2000),
        ),
    )
    lines = page().splitlines()
    assert (
        "| `total_amount` | DECIMAL(12,2) | `amount` or `sum` | `required`, `type`, `min` 0, "
        "`max` 900, `pattern` `` [0-9]+\\|` `` | &lt;b |"
    ) in lines
    assert "| `even` | Is even. | `order_id % 2 = 0 OR x` |" in lines
    assert "| written with | delimiter `\\|`, skip_rows `2` |" in lines
    assert (
        "| held | a file of at least 2,000 rows, when more than 7 % of them break a rule of their "
        "own |"
    ) in lines
    assert "    BIGINT order_id PK" in lines
    assert "  orders ||--o{ order_items : order_id" in lines


def test_it_has_every_table_column_and_query() -> None:
    text = page()
    for name, table in queryable().items():
        layer = name.partition(".")[0]
        assert f"### {name}\n" in text or f"| `{layer}.<dataset>` |" in text
        for column in table.columns:
            assert f"| `{column.name}` |" in text
    assert all(f"| `{name}` | " in text for name in named_queries())
    assert all(f'["{name}"]' in text for name in DERIVED)


def test_it_is_of_the_tables_that_are_in_use() -> None:
    """Keys of several columns, patterns and dialects among them."""
    done = subprocess.run(
        [sys.executable, "-m", "lakehouse_assets.cli", "tables", "--markdown"],
        cwd=PROJECT,
        env={**os.environ, "LAKEHOUSE_TABLES": "tests.second_shop.tables"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "### silver.sellers\n" in done.stdout
    assert "### gold.seller_sales\n" in done.stdout
    assert "| key | `order_id`, `order_item_id` |" in done.stdout
    assert "    STRING order_id PK, FK" in done.stdout
    assert "| written with | timezone `America/Sao_Paulo` |" in done.stdout
    assert "daily_sales" not in done.stdout
