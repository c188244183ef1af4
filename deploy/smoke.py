"""A smoke batch: is what is deployed at work, from a file in the raw zone to a query's answer?

    python -m deploy.smoke [--minutes 60]

Lands one product, one order and two of its lines as any producer does, waits for the sensor's run,
and asks the query engine for the customer. Then it withdraws the files and waits until the tables
have forgotten them. Keys are negative, which no shop's are, and the day is in 1970, so that it
meets nothing of anyone's while it is there. It ends with 0 only where all of that came about.
On its way it makes Athena's views what this release's queries say: the tables are there by then.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.operations import decide
from lakehouse_assets.queries.engine import QueryError
from lakehouse_assets.queries.named import parse
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import Ledger
from resources.arrow_values import everything
from resources.query_engine import query_engine
from resources.settings import Settings

DAY: Final = "1970-01-02"
SPEND: Final = Decimal("12.34")
_FILES: Final = {
    "products": "product_id,department_id,department,product_name\n-{n},-1,Smoke,Smoke {n}\n",
    "orders": (
        "order_num,order_id,user_id,order_timestamp,total_amount,date\n"
        f"1,-{{n}},-{{n}},{DAY}T00:00:00,{SPEND},{DAY}\n"
    ),
    "order_items": (
        "id,order_id,user_id,days_since_prior_order,product_id,add_to_cart_order,reordered,"
        "order_timestamp,date\n"
        f"-{{n}}0,-{{n}},-{{n}},,-{{n}},1,0,{DAY}T00:00:00,{DAY}\n"
        f"-{{n}}1,-{{n}},-{{n}},,-{{n}},2,1,{DAY}T00:00:00,{DAY}\n"
    ),
}


class SmokeError(LakehouseError):
    """Something that should have come about, and did not."""


@dataclass(frozen=True)
class Batch:
    """One smoke batch; ``number`` tells it from every other."""

    number: int
    day: date

    @property
    def files(self) -> dict[FilePath, bytes]:
        """What a producer would put into the raw zone."""
        return {
            FilePath(name, self.day, f"smoke_{self.number}.csv"): text.format(
                n=self.number
            ).encode()
            for name, text in _FILES.items()
        }

    @property
    def expected(self) -> list[tuple[Any, ...]]:
        """The customer's orders, items and spend, once all is through."""
        return [(1, 2, SPEND)]

    def ask(self, settings: Settings) -> list[tuple[Any, ...]]:
        """What the query engine says of the customer now. Raises QueryError."""
        sql = (
            "-- The customer of a smoke batch.\n"
            "SELECT orders, items, spend FROM gold.customer_insights "
            f"WHERE user_id = -{self.number}"
        )
        return everything(query_engine(settings).stream_named(parse("smoke", sql)))[1]


def smoke(settings: Settings, batch: Batch, seconds: float, pause: float = 10.0) -> None:
    """Send a batch through, and take it back. Raises SmokeError, one clear line.

    It is taken back where it did not come through, too.
    """
    lake = settings.lake()
    try:
        for path, data in batch.files.items():
            lake.raw.write(str(path), data)
            _say(f"{path}: put into {lake.raw.root}")
        began = time.monotonic()
        _until(lambda: batch.ask(settings), batch.expected, seconds, pause)
        _say(f"its customer is in gold.customer_insights, after {time.monotonic() - began:.0f} s")
        query_engine(settings).create_views()
    finally:
        _take_back(lake, batch)
    began = time.monotonic()
    _until(lambda: batch.ask(settings), [], seconds, pause)
    _say(f"withdrawn; the tables have forgotten it, after {time.monotonic() - began:.0f} s")


def _until(
    ask: Callable[[], list[tuple[Any, ...]]],
    expected: list[tuple[Any, ...]],
    seconds: float,
    pause: float,
) -> None:
    """Ask until the answer is the expected one. Raises SmokeError with the last answer."""
    patience = time.monotonic() + seconds
    while True:
        try:
            found: object = ask()
        except QueryError as error:  # a table that is not there before the first batch
            found = error
        if found == expected:
            return
        if time.monotonic() > patience:
            raise SmokeError(
                f"after {seconds:g} s the query engine says {found}, not {expected}; see the "
                "sensor's ticks and the newest run in the UI"
            )
        time.sleep(pause)


def _take_back(lake: Lake, batch: Batch) -> None:
    """Take every file of a batch out of force, or out of the raw zone where none had read it."""
    ledger = Ledger(lake)
    for path in batch.files:
        lake.raw.delete(str(path))
        try:
            decide.withdraw(ledger, path)
        except decide.DecisionError:
            _say(f"{path}: had not landed; removed")
        else:
            _say(f"{path}: withdrawn")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Send a batch through what the settings name; 1 where it did not come through."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=60, help="for the way in, and as long for the way out"
    )
    asked = parser.parse_args()
    now = datetime.now(UTC)
    try:
        smoke(Settings.load(), Batch(int(now.timestamp()), now.date()), asked.minutes * 60)
    except LakehouseError as error:
        sys.stderr.write(f"smoke: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
