"""Which files a plan passes over, and what wakes them. Every plan is compared with a whole look."""

from __future__ import annotations

from datetime import date

import pytest

from lakehouse_assets.planning.settled_files import look
from lakehouse_assets.store.lake import RawFile
from lakehouse_assets.tables.registry import DATASETS
from tests.support.oracle import COLUMNS, Accept, Drop, Land, Reinstate, Run, Withdraw
from tests.support.steps import Archive, Step
from tests.support.world import World

DAY = date(2025, 4, 1)
PATH = ("products", DAY, "p.csv")
OTHER = ("products", DAY, "Größe 🍌.csv")


def products(*rows: str) -> bytes:
    return "\n".join([",".join(COLUMNS["products"]), *rows, ""]).encode()


ONE, TWO = products("1,1,Toys,Kite"), products("2,1,Toys,Ball")
FAULTY = products(*(f"{n},1,Toys,{'' if n % 2 else 'Kite'}" for n in range(100, 200)))


def awake(world: World) -> set[str]:
    """The files that a plan looks at: in the raw zone, or by what the ledger says."""
    seen = look(world.ledger, DATASETS)
    assert seen.there == {DAY: {"products"}}
    found = {f.path.file for f in seen.files if isinstance(f, RawFile)}
    contents = sum(len(names) for names in seen.present.values())
    files = found | {path.file for path in seen.state.paths}
    assert contents <= len(files)
    world.plan()
    return files


def test_what_a_run_has_taken_in_is_at_rest(lake: World) -> None:
    lake.apply(Land(*PATH, ONE), Land(*OTHER, TWO))
    assert awake(lake) == {"p.csv", "Größe 🍌.csv"}
    lake.apply(Run())
    assert awake(lake) == set()


@pytest.mark.parametrize(
    "then",
    [
        [Drop(*PATH, TWO)],
        [Land(*PATH, TWO), Run()],
        [Withdraw(*PATH)],
        [Withdraw(*PATH), Run()],
        [Withdraw(*PATH), Reinstate(*PATH), Run()],
    ],
    ids=["touched", "replaced", "withdrawn", "gone", "brought back"],
)
def test_what_wakes_a_file_wakes_no_other(lake: World, then: list[Step]) -> None:
    lake.apply(Land(*PATH, ONE), Land(*OTHER, products("3,1,Toys,Drum")), Run(), *then)
    assert awake(lake) == {"p.csv"}


def test_what_is_archived_is_at_rest(lake: World) -> None:
    lake.apply(Land(*PATH, ONE), Run(), Archive())
    assert awake(lake) == set()


@pytest.mark.parametrize(
    "content", [FAULTY, products(), b"a,b\n"], ids=["held", "no rows", "unreadable"]
)
def test_what_a_person_must_see_never_rests(lake: World, content: bytes) -> None:
    lake.apply(Land(*PATH, content), Run())
    assert awake(lake) == {"p.csv"}


def test_what_a_person_has_let_in_stays_in_sight(lake: World) -> None:
    lake.apply(Land(*PATH, FAULTY), Run(), Accept(*PATH), Run())
    assert awake(lake) == {"p.csv"}
