"""Thousands of bad files through the parser: `python -m tests.torture.bad_inputs --count --seed`.

Prints for each kind of bad file how many there were, what became of them and the most memory that
one took; ends with 1 if an invariant of `tests/support/badinput.py` is broken (that memory is one),
with a line of Python for each that makes the input, or if there were fewer inputs than asked.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from tests.support import badinput

_HANGS_AFTER = 90
"""Seconds; reading a workbook is given up long before."""
_SHOWN = 20


def main() -> None:
    """Make, judge, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12_000, help="inputs, at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", default="", help="only kinds whose name contains this")
    options = parser.parse_args()
    kinds = {name: it for name, it in badinput.KINDS.items() if options.kind in name}
    # Attacks on memory have numbers of their own.
    drawn = {name: it for name, it in kinds.items() if name not in badinput.GREEDY}
    shares = sum(it.share for it in drawn.values())
    signal.signal(signal.SIGALRM, _hangs)
    started = time.perf_counter()
    counts: dict[str, Counter[str]] = {}
    broken: list[str] = []
    for name in kinds:
        counts[name] = Counter()
    for name, it in drawn.items():
        for number in range(-(-options.count * it.share // shares)):
            faults = _judged(name, options.seed, number, counts[name])
            counts[name]["broken"] += bool(faults)
            broken += [f"{fault}\n    case({name!r}, {options.seed}, {number})" for fault in faults]
    for name, fault in _memory(options.seed, kinds, counts):
        broken.append(f"{name}: {fault}")
    _print(counts, time.perf_counter() - started)
    for fault in broken[:_SHOWN]:
        print(fault)
    if len(broken) > _SHOWN:
        print(f"and {len(broken) - _SHOWN:,} more")
    sys.exit(bool(broken) or (bool(drawn) and _inputs(counts) < options.count))


def _inputs(counts: dict[str, Counter[str]]) -> int:
    return sum(count["inputs"] for count in counts.values())


def _judged(name: str, seed: int, number: int, count: Counter[str]) -> list[str]:
    """The invariants that an input breaks; counts what became of it."""
    it = badinput.case(name, seed, number)
    signal.alarm(_HANGS_AFTER)
    try:
        verdict = badinput.judge(it)
    except TimeoutError as hang:
        return [str(hang)]
    finally:
        signal.alarm(0)
    count["inputs"] += 1
    count["peak"] = max(count["peak"], verdict.peak)
    count["rows"] += verdict.rows
    count["parsed" if verdict.unreadable is None else "unreadable"] += 1
    return [f"{fault[:1_000]}\n    {it.data[:120]!r}" for fault in verdict.broken]


def _hangs(*_: object) -> NoReturn:
    raise TimeoutError(f"no end after {_HANGS_AFTER} seconds")


def _memory(
    seed: int, kinds: dict[str, badinput.Kind], counts: dict[str, Counter[str]]
) -> list[tuple[str, str]]:
    """What is broken of all attacks on memory: each in a process of its own (on Linux)."""
    faults = []
    for name in badinput.GREEDY.keys() & kinds.keys():
        for number in range(badinput.GREEDY[name] if badinput.MEASURED else 0):
            peak, found = badinput.memory_faults(name, seed, number)
            counts[name]["inputs"] += 1
            counts[name]["peak"] = max(counts[name]["peak"], peak)
            counts[name]["broken"] += bool(found)
            faults += [(f"{name} {number}", fault) for fault in found]
    return faults


def _print(counts: dict[str, Counter[str]], seconds: float) -> None:
    columns = ("inputs", "parsed", "unreadable", "rows", "broken")
    names = ("inputs", "parsed", "unreadable", "rows checked", "broken")
    shown = Table("kind", show_footer=True)
    total = sum(counts.values(), Counter())
    for key, name in zip(columns, names, strict=True):
        shown.add_column(name, f"{total[key]:,}", justify="right")
    most = max(count["peak"] for count in counts.values())
    shown.add_column("peak memory", f"{most / 2**20:,.0f} MiB", justify="right")
    shown.columns[0].footer = f"{len(counts)} kinds in {seconds:.0f} s"
    for name, count in counts.items():
        peak = f"{count['peak'] / 2**20:,.0f} MiB"
        shown.add_row(name, *(f"{count[key]:,}" for key in columns), peak)
    Console(width=120).print(shown)


if __name__ == "__main__":
    main()
