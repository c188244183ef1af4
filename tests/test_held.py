"""A held file: why, in which rows, and what a person can do."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.commands import Lakehouse

HEADER = "order_id,order_num,user_id,order_timestamp,total_amount,date\n"


def orders(faulty: int) -> str:
    """A hundred and twenty orders, of which so many have an amount that is none."""
    return HEADER + "".join(
        f"{n},{n},7,2025-05-01T10:00:00,{'3.30003' if n <= faulty else '3.30'},2025-05-01\n"
        for n in range(1, 121)
    )


def test_a_held_file_says_why_and_shows_its_rows_until_it_is_accepted(tmp_path: Path) -> None:
    lakehouse = Lakehouse(tmp_path)
    file = tmp_path / "orders.csv"
    file.write_text(orders(faulty=30))
    assert lakehouse("land", str(file), "--date", "2025-05-01").code == 0
    done = lakehouse("run")
    assert done.code == 1
    why = "held: 30 of 120 rows break a rule: total_amount.type 30 (line 2: 3.30003);"
    assert f"orders/2025-05-01/orders.csv: {why}" in done.err
    receipts = "SELECT error FROM ledger.receipts ORDER BY seq DESC LIMIT 1"
    [receipt] = json.loads(lakehouse("query", receipts, "--format", "json").out)
    assert receipt["error"].startswith(why)
    shown = lakehouse("rejected", "orders", "--held", "--format", "json", "--limit", "200")
    rows = json.loads(shown.out)
    assert [row["order_id"] for row in rows] == [str(n) for n in range(1, 31)]
    assert all(row["_rules"] == ["total_amount.type"] for row in rows)
    assert lakehouse("accept", "orders/2025-05-01/orders.csv", "--why", "known").code == 0
    done = lakehouse("run")
    assert done.code == 0, done.err
    assert json.loads(lakehouse("rejected", "orders", "--held", "--format", "json").out) == []
