"""A job's Result as text and back."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from lakehouse_assets.pipeline.result import Check, Result, Severity


def test_nothing_is_lost_on_the_way() -> None:
    day = date(2025, 4, 1)
    result = Result(
        "silver.orders",
        version=4,
        days={day: {"read": 3, "published": 2}},
        checks=[
            Check("keys_unique", passed=True),
            Check("stale", False, day, Severity.WARN, "3 rows", {"rows": [1, None], "share": 0.1}),
        ],
        metadata={"reason": "new files", "seconds": 1.25},
        lines=["orders/2025-04-01/o.csv: held; accept it"],
    )
    again = Result.from_json(result.to_json())
    assert again == result
    assert again.checks[1].severity is Severity.WARN
    assert list(again.days) == [day]


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError):
        Result("silver.orders", metadata={"at": datetime(2025, 4, 1, tzinfo=UTC)}).to_json()
