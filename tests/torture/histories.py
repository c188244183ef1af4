"""Random histories against the oracle: `python -m tests.torture.histories --count --seed`.

Hypothesis draws them, as in `tests/test_against_oracle.py`; each is played below Dagster and every
table, fate, receipt and hold is compared. Prints how many there were and what happened in them;
ends with 1 if any ended elsewhere than the oracle, with what reproduces it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed

from hypothesis import HealthCheck, Phase, given, seed, settings
from rich.console import Console
from rich.table import Table

_CHUNK = 20
"""Histories that one process plays: the embedded engine's memory grows with each."""


def main() -> None:
    """Play, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="histories, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=60.0, help="start none after this")
    options = parser.parse_args()
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    faults: list[str] = []
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, spawn, max_tasks_per_child=1) as pool:
        first = options.seed * 1_000_000
        chunks = range(first, first + -(-options.count // _CHUNK))
        left = {pool.submit(explore, number, _CHUNK) for number in chunks}
        for done in as_completed(left):
            found, fault = done.result()
            counts += found
            if fault:  # at once: it takes long to the end
                faults.append(fault)
                print(fault, file=sys.stderr)
            print(f"{counts['history']:,} histories, {len(faults)} faults", file=sys.stderr)
            if time.perf_counter() - started > 60 * options.minutes:
                for future in left:
                    future.cancel()
                break
    _print(counts, len(faults), time.perf_counter() - started)
    dead = counts["Crashing"] == 0 or counts["Crashing, and died"] > 0
    sys.exit(bool(faults) or counts["history"] < options.count or not dead)


def explore(number: int, examples: int) -> tuple[Counter[str], str]:
    """Play some histories; what was in them, and how the first one failed, if any did."""
    from resources.engines import SailEngine
    from tests.support import histories
    from tests.support.steps import Step

    counts: Counter[str] = Counter()
    spark = SailEngine().session()

    @seed(number)
    @given(history=histories.histories())
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    def check(history: list[Step]) -> None:
        deaths = histories.play(spark, history)
        counts.update(["history", *(type(step).__name__ for step in history)])
        counts["Crashing, and died"] += deaths

    try:
        check()
    except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
        return counts, f"chunk {number}:\n{traceback.format_exc()[-6000:]}"
    return counts, ""


def _print(counts: Counter[str], faults: int, seconds: float) -> None:
    table = Table("what", "how many", title=f"histories ({seconds:,.0f} s)")
    table.add_row("histories", f"{counts['history']:,}")
    steps = {name: count for name, count in counts.items() if name != "history"}
    for name, count in sorted(steps.items(), key=lambda pair: -pair[1]):
        table.add_row(f"  {name}", f"{count:,}")
    table.add_row("ended elsewhere than the oracle", str(faults))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
