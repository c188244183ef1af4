"""Sheets against the CSV that Excel saves of them: `python -m tests.torture.sheets --count --seed`.

Hypothesis draws them, as in `tests/test_sheets_like_csv.py`. Prints how many there were and what
was in them; ends with 1 if any sheet ended otherwise, with the first of them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from tests.support import sheet_and_csv

_SHOWN = 5


def main() -> None:
    """Draw, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="sheets")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    faults: list[str] = []
    started = time.perf_counter()

    @seed(options.seed)
    @given(book=sheet_and_csv.books(), comma=st.booleans())
    @settings(
        max_examples=options.count // 3,  # Most have more than three.
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(book: list[sheet_and_csv.Drawn], *, comma: bool) -> None:
        mark = "with a decimal comma" if comma else "with a decimal point"
        counts.update(["workbooks", mark, *sheet_and_csv.counted(book)])
        dialect = sheet_and_csv.COMMA if comma else sheet_and_csv.POINT
        if fault := sheet_and_csv.difference(book, dialect):
            faults.append(fault)

    check()
    table = Table("what", "how many", title=f"sheets ({time.perf_counter() - started:,.0f} s)")
    for name, count in counts.most_common():
        table.add_row(name, f"{count:,}")
    table.add_row("workbooks that ended otherwise than their CSV", f"{len(faults):,}")
    Console(width=100).print(table)
    for fault in faults[:_SHOWN]:
        print(fault[:4_000])
    sys.exit(bool(faults) or counts["sheets"] < options.count)


if __name__ == "__main__":
    main()
