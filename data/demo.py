"""What `make demo` does: land the sample, run raw to gold, and show what came of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).parent / "sample"

SHOWN = (
    (
        "Revenue by day",
        "SELECT order_date, orders, items, customers, revenue, average_order_value "
        "FROM gold.daily_sales ORDER BY order_date DESC LIMIT 5",
    ),
    (
        "Best sellers",
        "SELECT product_name, department, sum(units) AS units, sum(allocated_revenue) AS revenue "
        "FROM gold.product_performance GROUP BY ALL ORDER BY revenue DESC LIMIT 5",
    ),
    (
        "Why rows were rejected",
        "SELECT _category, rule, count(*) AS rows "
        "FROM (SELECT _category, unnest(_rules) AS rule FROM rejected.order_items) "
        "GROUP BY ALL ORDER BY rows DESC, rule",
    ),
)


def main() -> int:
    """Land, run, show. Returns the exit code of what failed first."""
    for day in sorted({p.parent.name for p in SAMPLE.glob("*/*/*")}):
        files = [str(f) for f in sorted(SAMPLE.glob(f"*/{day}/*"))]
        _say(f"lakehouse land ... --date {day}")
        if code := _lakehouse("land", *files, "--date", day):
            return code
    _say("lakehouse run")
    if code := _lakehouse("run"):
        return code
    for title, sql in SHOWN:
        _say(f"{title}: lakehouse query")
        if code := _lakehouse("query", sql):
            return code
    _say("Next: `make ui` shows the runs, checks and lineage; `lakehouse --help` says the rest.")
    return 0


def _lakehouse(*arguments: str) -> int:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "lakehouse_assets.cli", *arguments], check=False
    ).returncode


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
