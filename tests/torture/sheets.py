"""Sheets against the CSV that Excel saves of them: `python -m tests.torture.sheets --count --seed`.

Hypothesis draws them, as in `tests/test_sheets_like_csv.py`. Prints how many there were and what
was in them; ends with 1 if any two ended otherwise, with the smallest that do.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

from hypothesis import HealthCheck, given, seed, settings
from rich.console import Console
from rich.table import Table

from tests.support import sheet_and_csv


def main() -> None:
    """Draw, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="sheets")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    started = time.perf_counter()

    @seed(options.seed)
    @given(book=sheet_and_csv.books())
    @settings(
        max_examples=options.count // 3,  # Most have more than three.
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def check(book: list[sheet_and_csv.Drawn]) -> None:
        counts.update(["workbooks", *sheet_and_csv.counted(book)])
        assert sheet_and_csv.difference(book) is None

    fault = ""
    try:
        check()
    except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
        fault = traceback.format_exc()
    table = Table("what", "how many", title=f"sheets ({time.perf_counter() - started:,.0f} s)")
    for name, count in counts.most_common():
        table.add_row(name, f"{count:,}")
    table.add_row("ended otherwise than their CSV", "some" if fault else "0")
    Console(width=100).print(table)
    if fault:
        print(fault[-6_000:])
    sys.exit(bool(fault) or counts["sheets"] < options.count)


if __name__ == "__main__":
    main()
