"""Random histories: files that come, go and change, with runs, crashes and decisions between."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.support import oracle
from tests.support.ooxml import Sheet, inline, parts_of, rows_xml, zipped
from tests.support.oracle import Accept, Drop, Land, Reinstate, Remove, Resume, Run, Withdraw
from tests.support.steps import (
    Archive,
    Back,
    Crashing,
    Lose,
    Maintain,
    Repair,
    Replay,
    RuleSet,
    SomeTables,
    Step,
)
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D1, D2, D3 = DATES = (date(2025, 4, 1), date(2025, 4, 2), date(2025, 4, 3))

# The same rules, as the oracle has them and as the contracts do. Small files can be held: three
# rows are enough.
NORMAL = RuleSet(oracle.Rules(hold_rows=3))
_STRICT = (
    oracle.Check("orders", "total_amount", "total_amount.min", lambda v: v >= 8),
    *(c for c in oracle.CHECKS if c.column not in {"total_amount", "reordered"}),
)
STRICT = RuleSet(  # another bound, a rule less
    replace(NORMAL.oracle, checks=_STRICT),
    columns=(
        ("orders", "total_amount", (("minimum", 8),)),
        ("order_items", "reordered", (("allowed", None),)),
    ),
)
_SHARES = {"orders": 0.4, "order_items": 0.6, "products": 1.0}
LAX = RuleSet(  # other limits
    replace(NORMAL.oracle, hold_share={d: Decimal(str(s)) for d, s in _SHARES.items()}),
    hold=tuple(_SHARES.items()),
)

HEADER = {d: ",".join(columns) for d, columns in oracle.COLUMNS.items()}
_STAMPS = (
    "2025-04-01T10:00:00",
    "2025-04-01T23:30:00-02:00",
    "2025-04-02 08:00:00",
    "2025-03-31T09:00:00",
)
_KEYS = tuple(str(n) for n in range(1, 13))
"""Keys that have nothing to do with each other: each history is played for all of them at once."""

# For each column, values that may stand there, and values that break a rule.
_VALUES: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = {
    "products": (
        ((*_KEYS[:6], "02"), ("", "x")),
        (("1", "2"), ("", "2.5")),
        (("Home", "Toys"), ("",)),
        (("Kite", "Soap ", "=1+1", "'tis"), (" ",)),
    ),
    "orders": (
        (("1", ""), ("one",)),
        ((*_KEYS, "3.0"), ("", "x")),
        (("7", "8", "9"), ("",)),
        (_STAMPS, ("2025-04-01", "")),
        (("10.00", "10", "0.01", "7.5"), ("-1", "1.005")),
        (("2025-04-01", ""), ()),
    ),
    "order_items": (
        ((*_KEYS, "04", "13", "14"), ("", "x")),
        (_KEYS, ("99",)),
        (("7",), ("",)),
        (("", "3"), ("-1",)),
        ((*_KEYS[:6],), ("9",)),
        (("1", "2"), ("0",)),
        (("0", "1"), ("2",)),
        (_STAMPS[:3], ("24:00",)),
        (("",), ()),
    ),
}
_ODD = ("", "x", "5,5,5", '"5,1,1')


def _row(random: Random, dataset: str, faulty: float) -> tuple[str, ...]:
    return tuple(
        random.choice(bad if bad and random.random() < faulty else good)
        for good, bad in _VALUES[dataset]
    )


def content(dataset: str, seed: int) -> bytes:
    """A file; now and then one that cannot be read."""
    random = Random(seed)
    if random.random() < 1 / 15:
        return random.choice([b"", b"a,b\n1,2\n", f"{HEADER[dataset]}\n".encode()])
    faulty = random.choice([0, 0.005, 0.005, 0.03])
    count = random.choice([1, 3, 20, 20])
    lines = [",".join(_row(random, dataset, faulty)) for _ in range(count)]
    if random.random() < 1 / 10:
        lines.insert(random.randint(0, count), random.choice(_ODD))
    return "\n".join([HEADER[dataset], *lines, ""]).encode()


def workbook(dataset: str, seed: int) -> bytes:
    """A workbook: a table with cells that only a sheet has, a note, now and then a torn sheet."""
    random = Random(seed)
    names = [*oracle.COLUMNS[dataset]]
    cells = ('t="e"><v>#N/A</v>', "><f>A1</f>", "><v>9007199254740993</v>", 't="b"><v>1</v>')
    rows = [[*map(inline, _row(random, dataset, 0.02))] for _ in range(random.choice([1, 5, 20]))]
    rows[0][random.randrange(len(names))] = random.choice([*cells, inline("1")])
    table = rows_xml([names]) + rows_xml(rows, lambda cell: cell, top=2)
    sheets = [Sheet("table", table), Sheet("note", rows_xml([["exported today", names[0]]]))]
    if random.random() < 0.5:
        sheets.append(Sheet("torn", rows_xml([names[:-1], _row(random, dataset, 0)])))
    random.shuffle(sheets)
    return zipped(parts_of(sheets))


def mended(dataset: str, seed: int) -> tuple[tuple[str, ...] | None, ...]:
    """What some rejected rows are mended to: well, badly, or not at all."""
    random = Random(seed)
    return tuple(
        _row(random, dataset, 0.02) if random.random() < 0.8 else None
        for _ in range(random.randint(1, 4))
    )


# By their bytes these names stand the other way round.
PATHS = [(d, day, f) for d in oracle.COLUMNS for day in DATES[:2] for f in ("a-9.csv", "A 10.csv")]
_COMPANIONS = ("~$a.xlsx", "a-9.csv.filepart", "a-9.csv.MD5", "Thumbs.db", "desktop.ini", "b.csv~")
"""What lies beside files, and is none."""
_DERIVED = [f"silver.{d}" for d in oracle.COLUMNS] + [f"gold.{t}" for t in oracle.GOLD]
_LOSABLE = _DERIVED + [
    f"{beside}.{d}" for beside in ("rejected", "superseded") for d in oracle.COLUMNS
]
_DAYS = st.frozensets(st.sampled_from(DATES), min_size=1)
_SEEDS = st.integers(0, 2**32)
_CRASHES = st.builds(
    Crashing,
    st.one_of(st.none(), _DAYS),
    st.one_of(st.integers(0, 8), st.integers(0, 40)),  # a small run has few writes
    others=st.lists(st.sampled_from(_DERIVED), unique=True, max_size=3).map(tuple),
)
_RUNS = st.one_of(
    st.just(Run()),
    st.just(Run()),
    st.builds(Run, _DAYS),
    st.builds(
        SomeTables, _DAYS, st.lists(st.sampled_from(_DERIVED), unique=True, max_size=4).map(tuple)
    ),
    _CRASHES,
    _CRASHES,
)
_BETWEEN = st.one_of(
    st.builds(Back, st.integers(0, 2)),
    st.just(Resume()),
    st.builds(Replay, _DAYS),
    st.just(Maintain()),
    st.just(Archive()),
    st.builds(Lose, st.sampled_from(_LOSABLE)),
)
HAPPENINGS = (
    *(("land",) * 5 + ("drop",) * 2 + ("repair",) * 2 + ("remove", "rules")),
    *(("withdraw",) * 2 + ("reinstate",) + ("accept",) * 2),
)
_ODD_FILES = ("companion", "unreadable", "workbook")


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Some files that come, go and change, with runs in between."""
    pools = {d: draw(st.lists(_SEEDS, min_size=2, max_size=4)) for d in oracle.COLUMNS}
    steps: list[Step] = []
    used: list[tuple[str, date, str]] = []
    for _ in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(2, 8))):
            kind = draw(st.sampled_from(HAPPENINGS + _ODD_FILES))
            if kind == "rules":
                steps.append(draw(st.sampled_from([NORMAL, STRICT, LAX])))
            elif kind == "companion":
                dataset, day, _ = draw(st.sampled_from(PATHS))
                steps.append(Drop(dataset, day, draw(st.sampled_from(_COMPANIONS)), b"x"))
            elif kind in {"unreadable", "workbook"}:
                dataset, day, _ = draw(st.sampled_from(PATHS))
                file, made = "a.json", b"{}"
                if kind == "workbook":
                    seed = draw(st.sampled_from(pools[dataset]))
                    file, made = "a-9b.xlsx", workbook(dataset, seed)
                used.append((dataset, day, file))
                ways: list[Step] = [Land(dataset, day, file, made), Drop(dataset, day, file, made)]
                steps.append(draw(st.sampled_from(ways)))
            elif kind in {"land", "drop", "repair"}:
                texts = [path for path in used if path[2].endswith(".csv")]
                path = draw(st.sampled_from(texts + PATHS))
                used.append(path)
                if kind == "repair":
                    steps.append(Repair(*path, mended(path[0], draw(_SEEDS))))
                else:
                    text = content(path[0], draw(st.sampled_from(pools[path[0]])))
                    steps.append((Land if kind == "land" else Drop)(*path, text))
            elif used:
                path = draw(st.sampled_from(used))
                events: dict[str, Step] = {
                    "remove": Remove(*path, archived=False),
                    "withdraw": Withdraw(*path),
                    "reinstate": Reinstate(*path),
                    "accept": Accept(*path),
                }
                steps.append(events[kind])
        steps.append(draw(_RUNS))
        if draw(st.integers(0, 2)) == 2:
            steps.append(draw(_BETWEEN))
    return steps


def play(spark: SparkSession, history: Sequence[Step]) -> int:
    """Let a history happen in an empty lake; compare after each run of all tables.

    Returns how many runs died.
    """
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), spark, NORMAL) as world:
        whole = True  # not while a run of some tables only has left others behind
        for step in history:
            world.apply(step)
            whole = not isinstance(step, SomeTables) and (whole or isinstance(step, Run | Crashing))
            looked_at = isinstance(step, Run | Back | Resume | Replay | Maintain | Archive)
            if looked_at and (whole or world.restored):
                asked = step.dates if isinstance(step, Run) else None
                world.check(listings=isinstance(step, Run), asked=asked)
        if world.restored:
            world.apply(Resume())
        world.settle()
        world.run_again()
        return world.deaths
