"""The product against the oracle: generated shops, random histories, idempotence, late rows.

Explore with more and other histories: `HYPOTHESIS_EXAMPLES=300 pytest tests/test_against_oracle.py`
(a failure prints what reproduces it). Without it the same few histories run every time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import oracle
from harness import RuleSet, SomeTables, World
from oracle import Accept, At, Drop, Event, Land, Reinstate, Remove, Run, Withdraw

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

D1, D2, D3 = DATES = (date(2025, 4, 1), date(2025, 4, 2), date(2025, 4, 3))
EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "0"))

# ----------------------------------------------------------------------------- random histories

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
    replace(NORMAL.oracle, hold_share={d: oracle.Decimal(str(s)) for d, s in _SHARES.items()}),
    hold=tuple(_SHARES.items()),
)

_HEADER = {d: ",".join(columns) for d, columns in oracle.COLUMNS.items()}
_STAMPS = (
    "2025-04-01T10:00:00",
    "2025-04-01T23:30:00-02:00",
    "2025-04-02 08:00:00",
    "2025-03-31T09:00:00",
)
_ODD = st.sampled_from(("", "x", "5,5,5", '"5,1,1'))


def _rarely(good: st.SearchStrategy[str], bad: Sequence[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 11).flatmap(lambda n: st.sampled_from(bad) if n == 11 else good)


def _of(*values: object) -> st.SearchStrategy[str]:
    return st.sampled_from([str(v) for v in values])


_ROWS = {
    "products": st.tuples(
        _rarely(_of(1, 2, 3, "02"), ["", "x"]),
        _of(1, 2),
        _rarely(_of("Home", "Toys"), [""]),
        _of("Kite", "Soap "),
    ),
    "orders": st.tuples(
        _of(1, ""),
        _rarely(_of(1, 2, 3, 4, 5, "3.0"), ["", "x"]),
        _of(7, 8),
        _rarely(_of(*_STAMPS), ["2025-04-01"]),
        _rarely(_of("10.00", "10", "0.01", "7.5"), ["-1", "1.005"]),
        _of("2025-04-01", ""),
    ),
    "order_items": st.tuples(
        _rarely(_of(1, 2, 3, 4, 5, 6, "04"), ["", "x"]),
        _rarely(_of(1, 2, 3, 4, 5), ["9"]),
        _of(7),
        _of("", 3),
        _rarely(_of(1, 2, 3), ["9"]),
        _rarely(_of(1, 2), ["0"]),
        _rarely(_of(0, 1), ["2"]),
        _of(*_STAMPS[:3]),
        _of(""),
    ),
}


@st.composite
def _contents(draw: st.DrawFn, dataset: str) -> bytes:
    """A small file; now and then one that cannot be read."""
    if draw(st.integers(0, 14)) == 14:
        return draw(st.sampled_from([b"", b"a,b\n1,2\n", f"{_HEADER[dataset]}\n".encode()]))
    lines = [",".join(row) for row in draw(st.lists(_ROWS[dataset], min_size=1, max_size=7))]
    if draw(st.integers(0, 9)) == 9:
        lines.insert(draw(st.integers(0, len(lines))), draw(_ODD))
    return "\n".join([_HEADER[dataset], *lines, ""]).encode()


_PATHS = [(d, day, f) for d in oracle.COLUMNS for day in DATES[:2] for f in ("a.csv", "Z.csv")]
_DERIVED = [f"silver.{d}" for d in oracle.COLUMNS] + [f"gold.{t}" for t in oracle.GOLD]
_RUNS = st.one_of(
    st.just(Run()),
    st.builds(Run, st.frozensets(st.sampled_from(DATES), min_size=1)),
    st.builds(
        SomeTables,
        st.frozensets(st.sampled_from(DATES), min_size=1),
        st.lists(st.sampled_from(_DERIVED), unique=True, max_size=4).map(tuple),
    ),
)
Step = Event | RuleSet | SomeTables


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Some files that come, go and change, with runs in between."""
    pools = {d: draw(st.lists(_contents(d), min_size=2, max_size=4)) for d in oracle.COLUMNS}
    steps: list[Step] = []
    used: list[tuple[str, date, str]] = []
    for _ in range(draw(st.integers(1, 3))):
        for _ in range(draw(st.integers(1, 8))):
            kind = draw(
                st.sampled_from(
                    "land land land land drop drop remove withdraw withdraw "
                    "reinstate accept accept rules".split()
                )
            )
            if kind in {"land", "drop"}:
                path = draw(st.sampled_from(used + _PATHS))
                used.append(path)
                content = draw(st.sampled_from(pools[path[0]]))
                steps.append((Land if kind == "land" else Drop)(*path, content))
            elif kind == "rules":
                steps.append(draw(st.sampled_from([NORMAL, STRICT, LAX])))
            elif used:
                path = draw(st.sampled_from(used))
                steps.append(
                    {
                        "remove": Remove(*path, archived=False),
                        "withdraw": Withdraw(*path),
                        "reinstate": Reinstate(*path),
                        "accept": Accept(*path),
                    }[kind]
                )
        steps.append(draw(_RUNS))
    return steps


@pytest.mark.timeout(0)
@given(history=histories())
@settings(
    max_examples=EXAMPLES or 5,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, *([Phase.shrink] if EXAMPLES else [])],
)
def test_any_history_ends_where_the_oracle_does(spark: SparkSession, history: list[Step]) -> None:
    """Whatever happened to the files, and whenever something ran."""
    play(spark, history)


def play(spark: SparkSession, history: Sequence[Step]) -> None:
    """Let a history happen in an empty lake; compare after each run of all tables."""
    with tempfile.TemporaryDirectory() as folder, World(Path(folder), spark, NORMAL) as world:
        for step in history:
            world.apply(step)
            if isinstance(step, Run):
                world.check()
        world.settle()
