"""Bad files by the thousand, the truth about each, and what must hold whatever it is.

Each `kind` makes one input of a table that it knows, out of a seed and a number: pollutions of
CSV (after the Pollock benchmark), naughty strings, attacks by spreadsheet, random damage. `judge`
parses it and says what is broken, by two measures that know nothing of the product: the generator's
truth (which text was meant at which place) and the oracle's own reading of the same bytes.

One fault is left out on purpose: those that make another well-formed file (an unclosed quote that a
line break behind another quote closes, a line cut inside its last field). No reader can see these.
"""

from __future__ import annotations

import io
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from unicodedata import category

from lakehouse_assets.parse import Expected, Unreadable, parse, schema
from tests.support import PROJECT, oracle
from tests.support.badinput_cases import KINDS, NAUGHTY, Case, Kind, Place, Table, Verdict, case
from tests.support.badinput_csv import csv_case, lines
from tests.support.badinput_workbook import GREEDY
from tests.support.parsed import Parsed, parse_whole

__all__ = [
    "GREEDY", "KINDS", "NAUGHTY", "Case", "Kind", "Table", "Verdict", "case", "csv_case", "lines",
]  # fmt: skip

LONGEST_LINE = 1_000
MOST_MEMORY = 2**30
"""Bytes that a file may take beside its own, over both processes that read a workbook."""
MEASURED = sys.platform.startswith("linux")


def judge(it: Case) -> Verdict:
    """Parse an input and name every invariant that does not hold."""
    before, readers = _forget_peak(), _most_of_readers()
    rows, unreadable, unexpected = None, None, ""
    try:
        rows = _read(it)
    except Unreadable as problem:
        unreadable = str(problem)
    except Exception as error:  # noqa: BLE001 - that there is none is the first invariant
        unexpected = f"raised {type(error).__name__}: {str(error)[:300]}"
    mine = _peak()
    peak = mine - before
    # Else it took no more than one before it, or than this process, whose mark Linux hands on to
    # a process that it starts (exec_mmap in fs/exec.c).
    if (reader := _most_of_readers()) > max(readers, mine):
        peak += reader
    if unexpected:
        faults = [unexpected]
    elif rows is None:
        faults = [*_refusal_faults(it, unreadable or "")]
    else:
        faults = [*_row_faults(it, rows)]
    if peak > MOST_MEMORY:
        faults.append(f"took {peak:,} bytes of memory, more than {MOST_MEMORY:,}")
    return Verdict(0 if rows is None else rows.summary.read, unreadable, tuple(faults), peak)


def _read(it: Case) -> Parsed:
    """All rows; none of them where there is nothing to compare them with."""
    columns = list(oracle.COLUMNS[it.dataset])
    if it.oracle or it.truth is not None:
        return parse_whole(it.name, it.data, columns, it.limits)
    reading = parse(it.name, io.BytesIO(it.data), Expected(columns), it.limits)
    for _ in reading:
        pass
    return Parsed(schema(columns).empty_table(), reading.summary)


def _forget_peak() -> int:
    """Count from now on; returns what this process holds, with an engine in it or not."""
    if MEASURED:
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """The most bytes that this process held since; 0 where nothing tells."""
    if not MEASURED:
        return 0
    [peak] = re.findall(r"VmHWM:\s+([0-9]+) kB", Path("/proc/self/status").read_text())
    return int(peak) * 1024


def _most_of_readers() -> int:
    """The most bytes that any process held which has read a workbook, or ended otherwise here."""
    if not MEASURED:
        return 0
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _refusal_faults(it: Case, line: str) -> Iterator[str]:
    yield from _line_faults(line)
    if not re.search(it.says, line):
        yield f"does not say {it.says!r}: {line}"
    if it.must == "rows":
        yield f"refused, though nothing is wrong: {line}"
    elif it.oracle and not _is_workbook(it):
        content = _oracle(it)
        if content.error is None:  # For workbooks the product may be stricter.
            yield f"refused, but the oracle reads it: {line}"


def _is_workbook(it: Case) -> bool:
    return it.name.lower().endswith(".xlsx")


def _line_faults(line: str) -> Iterator[str]:
    wrong, _, remedy = line.partition("; ")
    if not (wrong.strip() and remedy.strip()):
        yield f"not '<what is wrong>; <what to do>': {line!r}"
    if any(category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in line):
        yield f"not one plain line: {line!r}"
    if any(len(part) > LONGEST_LINE for part in line.split(" | ")):  # ` | ` is between sheets.
        yield f"a line of {len(line)} characters: {line[:80]!r}…"


class _Row(NamedTuple):
    """A row as both readers have it."""

    texts: tuple[tuple[str, str | None], ...]
    extra: tuple[tuple[str, str], ...]
    raw: str | None
    unreadable: frozenset[str] = frozenset()
    """Contract columns whose cell has no value of its own."""


def _row_faults(it: Case, parsed: Parsed) -> Iterator[str]:
    problems = parsed.sheet_problems
    for problem in problems:
        yield from _line_faults(problem.problem)
    if it.says and problems and not re.search(it.says, " ".join(p.problem for p in problems)):
        yield f"does not say {it.says!r}: {problems}"
    if it.must == "unreadable":
        yield f"read, though it is unreadable: {parsed.rows.to_pylist()[:2]}"
    found: dict[Place, _Row] = {}
    names = list(oracle.COLUMNS[it.dataset])
    for row in parsed.rows.to_pylist():
        place = row["_sheet_no"], row["_row"]
        if place in found:
            yield f"two rows at {place}"
        texts, extra = [(name, row[name]) for name in names], sorted(row["_extra"] or ())
        unreadable = re.search(r"\[.*", row["_fault"] or "")
        without = frozenset(json.loads(unreadable[0]) if unreadable else ())
        found[place] = _Row(tuple(texts), tuple(extra), row["_raw"], without)
    if it.truth is not None and it.must != "either":
        yield from _against_truth(it, found)
    if it.oracle:
        yield from _against_oracle(it, found, {problem.sheet for problem in problems})


def _against_truth(it: Case, found: Mapping[Place, _Row]) -> Iterator[str]:
    assert it.truth is not None
    names = list(oracle.COLUMNS[it.dataset])
    for place, row in found.items():
        if row.raw is not None:
            continue
        meant = it.truth.get(place)
        if meant is None:
            yield f"a row at {place} that was never meant: {row}"
        elif dict(row.texts) != {name: meant[name] for name in names} or dict(row.extra) != {
            name: text for name, text in meant.items() if name not in names
        }:
            yield f"other values at {place}: {row}, meant was {meant}"
    if it.must == "rows":
        if missing := [place for place in it.truth if place not in found]:
            yield f"rows lost at {missing[:5]}"
        if refused := [place for place, row in found.items() if row.raw is not None]:
            yield f"rows refused at {refused[:5]}, though nothing is wrong"


def _against_oracle(it: Case, found: Mapping[Place, _Row], unread: set[str]) -> Iterator[str]:
    content = _oracle(it)
    if content.error is not None:
        # A broken package may still say the same to another reader: then the truth has to judge.
        if not _is_workbook(it) or it.truth is None:
            yield f"read, but to the oracle it is unreadable: {content.error}"
        return
    told = {sheet for sheet, _ in content.bad_sheets}
    if it.must == "rows" and unread != told:
        yield f"unreadable sheets are {unread}, to the oracle {told}: {content.bad_sheets}"
    bad = told | unread
    expected = _rows(line for line in content.lines if line.sheet not in bad)
    sheets = {number for number, _ in expected}
    for place, row in found.items():
        other = expected.get(place)
        if place[0] in sheets and row != other and not _either(it, place, row, other):
            yield f"at {place} is {row}, to the oracle {other}"
            return
    if missing := expected.keys() - found.keys():
        yield f"{len(missing)} records are not accounted for: {sorted(missing)[:5]}"


def _rows(lines: Iterable[oracle.Line]) -> dict[Place, _Row]:
    """The oracle's rows, at their places."""
    return {
        (line.sheet_no, line.row): _Row(
            tuple(line.texts.items()),
            tuple(sorted((line.extra or {}).items())),
            line.raw,
            line.unreadable,
        )
        for line in lines
    }


def oracle_faults(it: Case) -> list[str]:
    """What the oracle itself reads otherwise than it was meant."""
    content = _oracle(it)
    if content.error is not None:
        return [content.error] if it.must == "rows" else []
    if it.must == "unreadable":
        return [f"read: {content.lines[:2]}"]
    told = it.truth is not None and it.must != "either"
    return [*_against_truth(it, _rows(content.lines))] if told else []


def _either(it: Case, place: Place, row: _Row, other: _Row | None) -> bool:
    """Whether all cells of a row that differ from the oracle's are as they were meant."""
    if it.must != "either" or it.truth is None or place not in it.truth or other is None:
        return False
    if (row.extra, row.raw) != (other.extra, other.raw):
        return False
    told = {name: {text, it.truth[place][name]} for name, text in other.texts}
    return all(text in told[name] for name, text in row.texts)


def _oracle(it: Case) -> oracle.Content:
    """The oracle's reading."""
    return oracle.read.__wrapped__(oracle.SHOP[it.dataset], it.name, it.data)


_MEASURE = """if True:
    import resource, sys
    from tests.support.badinput import case, judge
    name, seed, number, address_space = sys.argv[1:]
    it = case(name, int(seed), int(number))
    # More than may be taken, so that what takes all would show, and not take the machine.
    resource.setrlimit(resource.RLIMIT_AS, (int(address_space), resource.RLIM_INFINITY))
    verdict = judge(it)
    print(verdict.peak, verdict.broken)
"""


def memory_faults(name: str, seed: int, number: int) -> tuple[int, list[str]]:
    """The most bytes that an input made both processes hold, and what is broken.

    Measured in a process of its own (on Linux); the input's own bytes do not count.
    """
    command = [sys.executable, "-c", _MEASURE, name, str(seed), str(number), str(6 * MOST_MEMORY)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    try:
        done = subprocess.run(
            command, capture_output=True, env=environment, text=True, check=True, timeout=900
        )
    except subprocess.TimeoutExpired:
        return 0, ["no end after 900 seconds"]
    except subprocess.CalledProcessError as ended:
        return 0, [f"ended {ended.returncode}: {ended.stderr[-300:]}"]
    peak, _, broken = done.stdout.strip().partition(" ")
    return int(peak), [] if broken == "()" else [broken]
