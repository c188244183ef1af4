"""What a process knows of a ledger is what its files say, however they came to say it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lakehouse_assets.store.facts import FACTS, Admitted, Fact, Landed, Withdrawn
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.store.storage import LocalStorage

PATH = FilePath("products", date(2025, 4, 1), "p.csv")


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], Ledger]:
    """Opens a ledger in a folder, as each job does."""

    def opened(folder: str) -> Ledger:
        storage = LocalStorage(str(tmp_path / folder))
        return Ledger(Lake(storage, storage, date.min, date.max, frozenset({"products"})))

    return opened


def landed(digest: str) -> Fact:
    return Fact(Landed("land", digest), PATH, digest)


def digests(ledger: Ledger) -> list[str | None]:
    found = [fact.digest for fact in ledger.facts()]
    assert [fact.digest for fact in ledger.state().at(PATH).landings] == found
    return found


def test_what_came_since_is_read_whoever_wrote_it(opened: Callable[[str], Ledger]) -> None:
    one, other = opened("lake"), opened("lake")
    one.append([landed("a")])
    assert digests(other) == ["a"]
    other.append([landed("b"), landed("c")])
    assert digests(one) == digests(opened("lake")) == ["a", "b", "c"]
    assert [fact.seq for fact in opened("lake").facts()] == [1, 2, 3]


def test_files_that_maintenance_has_rewritten_say_the_same(
    opened: Callable[[str], Ledger], tmp_path: Path
) -> None:
    for digest in ("a", "b", "c"):
        opened("lake").append([landed(digest)])
    table = DeltaTable(str(tmp_path / "lake" / FACTS.name))
    before = len(table.file_uris())
    table.optimize.compact()
    assert len(table.file_uris()) < before
    opened("lake").append([landed("d")])
    assert digests(opened("lake")) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("other", [["b"], ["b", "c"], ["b", "c", "d"]])
def test_another_ledger_in_its_place_is_read_anew(
    opened: Callable[[str], Ledger], tmp_path: Path, other: list[str]
) -> None:
    """A copy that has gone on by itself: the same log id, and the same versions or more."""
    opened("lake").append([landed("a")])
    shutil.copytree(tmp_path / "lake", tmp_path / "copy")
    opened("lake").append([landed("never in the copy")])
    for digest in other:
        opened("copy").append([landed(digest)])
    assert digests(opened("lake")) == ["a", "never in the copy"]
    shutil.rmtree(tmp_path / "lake")
    (tmp_path / "copy").rename(tmp_path / "lake")
    assert digests(opened("lake")) == ["a", *other]


def test_further_facts_leave_a_state_as_it_is() -> None:
    before = State().after([landed("a"), Fact(Admitted(read=1), PATH, "a", seq=1)])
    told = repr(before)
    after = before.after(
        [landed("b"), Fact(Admitted(read=2), PATH, "b"), Fact(Withdrawn("me"), PATH)]
    )
    assert repr(before) == told
    assert [fact.digest for fact in after.at(PATH).landings] == ["a", "b"]
