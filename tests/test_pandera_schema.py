"""The generated pandera schema: a second opinion on published rows, and it can say no."""

from __future__ import annotations

from decimal import Decimal

import pandas as pd
import pytest

from lakehouse_assets.tables.registry import DATASETS


def rows(**changes: object) -> pd.DataFrame:
    """Two order lines as silver has them."""
    columns = {
        "id": [1, 2],
        "order_id": [10, 10],
        "user_id": [7, 7],
        "days_since_prior_order": [None, Decimal("3.00")],
        "product_id": [1, 2],
        "add_to_cart_order": [1, 2],
        "reordered": [0, 1],
        "order_timestamp": [pd.Timestamp("2025-04-01T10:00:00Z")] * 2,
        "date": ["2025-04-01", None],
        "order_date": [pd.Timestamp("2025-04-01").date()] * 2,
    }
    return pd.DataFrame({**columns, **changes})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_says_what_the_contract_says() -> None:
    """Good rows pass; each broken bound, null and repeated key is refused."""
    from pandera.errors import SchemaErrors

    from lakehouse_assets.tables.pandera_schema import schema

    contract = schema(DATASETS["order_items"])
    assert len(contract.validate(rows(), lazy=True)) == 2
    for changes in (
        {"reordered": [0, 2]},
        {"add_to_cart_order": [0, 1]},
        {"days_since_prior_order": [Decimal("-1.00"), None]},
        {"id": [1, 1]},
        {"user_id": [7, None]},
    ):
        with pytest.raises(SchemaErrors):
            contract.validate(rows(**changes), lazy=True)
