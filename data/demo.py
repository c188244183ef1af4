"""What `make demo` does: land a small shop's files, run raw to gold, and show what came of it.

The files are those of `data/sample`, of the last days before today: what a UI shows by default is
about these.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from data.generate import MAX_MESS, Shop, Size, write

_SEED, _SIZE = 7, Size(products=150, users=400, orders_per_day=25, items_per_order=5.4, days=15)
_DAYS, _ORDERS = 3, 100

SHOWN = (
    (
        "Revenue of the last five days",
        "SELECT order_date, orders, items, customers, revenue, average_order_value "
        "FROM gold.daily_sales ORDER BY order_date DESC LIMIT 5",
    ),
    (
        "The five best sellers",
        "SELECT product_id, product_name, department, sum(units) AS units, "
        "sum(allocated_revenue) AS revenue "
        "FROM gold.product_performance GROUP BY ALL ORDER BY revenue DESC LIMIT 5",
    ),
    (
        "Why order items were rejected: the five commonest reasons",
        "SELECT _category, rule, count(*) AS rows "
        "FROM (SELECT _category, unnest(_rules) AS rule FROM rejected.order_items) "
        "GROUP BY ALL ORDER BY rows DESC, rule LIMIT 5",
    ),
)

NEXT = """\
source .venv/bin/activate           once in each terminal
lakehouse status                    what is pending, which files wait for you
lakehouse rejected order_items      the rows in quarantine, with every rule that each breaks
lakehouse dashboards --open         the pages named above, in your browser
make ui                             http://127.0.0.1:3000: lineage, partitions, checks, this run
docs/tutorial.md                    half an hour: your own dataset, gold table and question"""


def main() -> int:
    """Land, run, show. Returns the exit code of what failed first, or was interrupted."""
    # Ctrl-C reaches the command at work as well, which ends by itself and says how far it came.
    signal.signal(signal.SIGINT, lambda *_: None)
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        _generate(files, _seed_date())
        for day in sorted({p.parent.name for p in files.glob("*/*/*")}):
            of_day = [str(f) for f in sorted(files.glob(f"*/{day}/*"))]
            _say(f"lakehouse land ... --date {day}")
            if code := _lakehouse("land", *of_day, "--date", day):
                return code
    _say("lakehouse run")
    if code := _lakehouse("run"):
        return code
    for title, sql in SHOWN:
        _say(f'{title}\nlakehouse query "{sql}"')
        if code := _lakehouse("query", sql):
            return code
    _say("lakehouse dashboards")
    if code := _lakehouse("dashboards"):
        return code
    _say(f"Next\n{NEXT}")
    return 0


def _seed_date() -> date:
    """The batch date of the seed files: so that the last date is yesterday's.

    Where the demo has been before, it is that one's: the same files land there, and nothing is new.
    """
    raw = os.environ.get("LAKEHOUSE_RAW") or f"{os.environ.get('LAKEHOUSE_ROOT', '.lakehouse')}/raw"
    before = sorted(Path(raw).glob("products/*/products.csv"))
    if before:
        return date.fromisoformat(before[0].parent.name)
    return datetime.now(UTC).date() - timedelta(days=_DAYS + 1)


def _generate(folder: Path, seed_date: date) -> None:
    shop = Shop(_SEED, _SIZE)
    files = shop.seed_files(seed_date - timedelta(days=_SIZE.days - 1))
    for number in range(1, _DAYS + 1):
        files += shop.day(
            seed_date + timedelta(days=number), _ORDERS, _SIZE.items_per_order, MAX_MESS
        )
    write(folder, files, shop.truth)


def _lakehouse(*arguments: str) -> int:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "lakehouse_assets.cli", *arguments], check=False
    ).returncode


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
