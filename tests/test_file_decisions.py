"""What people decide about files, by the command line: accept, withdraw, reinstate, repair."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.support.commands import ORDERS, Lakehouse, put

REVENUE = "SELECT coalesce(sum(revenue), 0) FROM gold.daily_sales"
MANY = "".join(
    f"1,{n},7,2025-04-03T10:00:00,{'1.00' if n % 10 else 'free'},\n" for n in range(1000, 1120)
)
HELD = ORDERS.splitlines()[0] + "\n" + MANY  # twelve of 120 rows are faulty: too many


@pytest.fixture
def house(good_day: Path, tmp_path: Path) -> Lakehouse:
    """A good day has run."""
    return Lakehouse.copied(good_day, tmp_path)


@pytest.mark.slow
def test_a_held_file_is_let_in(house: Lakehouse) -> None:
    """Held: in no table, named, the run fails; accepted: its good rows are in, faulty rejected."""
    file = put(house, "orders_b.csv", HELD)
    name = "orders/2025-04-15/orders_b.csv"
    held = house("run")
    assert held.code == 1
    assert (
        f"{name}: held: 12 of 120 rows break a rule: total_amount.type 12 (line 2: free); mend"
        in held.err
    )
    assert house.value("SELECT count(*) FROM bronze.orders") == 2
    assert house.value("SELECT held FROM ledger.receipts WHERE file = 'orders_b.csv'") == 120
    assert house("accept", name).code != 0  # no reason given
    assert "accepted" in house.ok("accept", str(file), "--why", "a free week")
    file.unlink()  # its bytes are kept until a run has read them
    assert f"{name} │ accepted" in " ".join(house.ok("run", "--dry-run").split())
    house.ok("run")
    assert house.value("SELECT count(*) FROM silver.orders") == 110
    assert house.value("SELECT count(*) FROM rejected.orders") == 12
    assert not list((house.root / "processed" / "aside").rglob("*.csv/*"))
    [fact] = house.rows("SELECT detail FROM ledger.facts WHERE kind = 'accepted'")
    assert "a free week" in fact["detail"]
    again = house("accept", name, "--why", "again")
    assert (again.code, "not held" in again.err) == (1, True)


@pytest.mark.slow
def test_a_file_is_withdrawn_and_brought_back(house: Lakehouse) -> None:
    """Its rows go with the next run, what they hid returns; reinstated, all is as before."""
    before = house.hashes()
    put(house, "orders.csv", ORDERS.replace("20.00", "90.00"), "2025-04-16")
    house.ok("run")
    after = house.hashes()
    assert house.value(REVENUE) == "95.01"
    name = "orders/2025-04-16/orders.csv"
    house.ok("withdraw", name)
    assert f"pending: {name} (withdrawn)" in house.ok("status")
    told = house("run")
    assert (told.code, house.hashes()) == (0, before)
    house.ok("reinstate", f"raw/{name}")
    house.ok("run")
    assert house.hashes() == after


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("withdraw", "orders/2025-04-15/none.csv"), "nothing landed"),
        (("withdraw", "orders.csv"), "write <dataset>/<YYYY-MM-DD>/<file>"),
        (("withdraw", "orders/2025-04-15/.hidden"), "passed over"),
        (("reinstate", "orders/2025-04-15/orders.csv"), "nothing is withdrawn"),
        (("accept", "orders/2025-04-15/orders.csv", "--why", "x"), "not held"),
        (("accept", "orders/2025-04-15/none.csv", "--why", "x"), "nothing landed"),
        (("accept", "orders/2025-04-15/orders.csv", "--why", "x", "--digest", "ff"), "digest ff"),
        (("accept", "orders/2025-04-15/orders.csv", "--why", " "), "--why is empty"),
    ],
)
def test_what_cannot_be_decided(
    tmp_path_factory: pytest.TempPathFactory, arguments: tuple[str, ...], says: str
) -> None:
    """One clear line, non-zero, no fact."""
    house = Lakehouse(tmp_path_factory.mktemp("refused"))
    put(house, "orders.csv", ORDERS)
    (source := house.root / "orders.csv").write_text(ORDERS)
    if says in {"not held", "nothing is withdrawn"}:
        house.ok("land", str(source), "--date", "2025-04-15")
    before = house.versions()
    ended = house(*arguments)
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert says in ended.err
    assert house.versions() == before


@pytest.mark.slow
def test_rejected_rows_are_exported_mended_and_landed(house: Lakehouse, tmp_path: Path) -> None:
    """They take their origin's place, once, however often they land; the order in between wins."""
    faulty = ORDERS.splitlines()[0] + "\n1,20,7,2025-04-01T10:00:00,oops,=2+2\n1,21,7,x,1.00,\n"
    newer = ORDERS.splitlines()[0] + "\n1,21,7,2025-04-01T10:00:00,3.00,\n"
    put(house, "orders_faulty.csv", faulty, "2025-04-16")
    put(house, "orders_newer.csv", newer, "2025-04-17")
    house.ok("run")
    export = tmp_path / "rejected.csv"
    assert "1 rejected row; mend it" in house.ok("rejected", "orders", "--export", str(export))
    [row] = csv.DictReader(io.StringIO(export.read_text(), newline=""))
    assert row["_origin_file"] == "orders/2025-04-16/orders_faulty.csv"
    assert (row["_origin_row"], row["_rules"]) == ("2", "total_amount.type")
    assert row["date"] == "'=2+2"  # no spreadsheet runs it
    mended = export.read_text().replace("oops", "4.00")
    for name in ("mended.csv", "again.csv"):
        (tmp_path / name).write_text(mended)
        house.ok("land", str(tmp_path / name), "--date", "2025-04-18", "--dataset", "orders")
        house.ok("run")
    assert house.value("SELECT count(*) FROM rejected.orders") == 0
    [order] = house.rows("SELECT total_amount, date FROM silver.orders WHERE order_id = 20")
    assert order == {"total_amount": "4.00", "date": "=2+2"}
    assert house.value("SELECT total_amount FROM silver.orders WHERE order_id = 21") == "3.00"
    books = house.rows(
        "SELECT file, published, superseded, duplicates FROM ledger.receipts "
        "QUALIFY row_number() OVER (PARTITION BY file, batch_date ORDER BY seq DESC) = 1 "
        "ORDER BY file"
    )
    told = {b["file"]: (b["published"], b["superseded"] + b["duplicates"]) for b in books}
    assert told["orders_faulty.csv"] == (0, 2)
    assert sorted([told["mended.csv"], told["again.csv"]]) == [(0, 1), (1, 0)]
