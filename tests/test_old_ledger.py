"""A ledger written by an earlier release is read, and its lake goes on as if nothing were.

`data/ledger_format_1.jsonl` holds the rows that the release before typed facts (commit 9247096)
wrote for `STEPS`, with the ids of tables' logs and of rules replaced by words that say of what.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from lakehouse_assets.operations.restore import restore, resume
from lakehouse_assets.store.facts import (
    FACTS,
    Absorbed,
    Fact,
    Kind,
    Landed,
    NewerFactError,
    Published,
    Restored,
)
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import folded
from lakehouse_assets.tables.jobs import jobs
from lakehouse_assets.tables.registry import DATASETS, DERIVED, queryable
from tests.support.oracle import (
    COLUMNS,
    Accept,
    Drop,
    Land,
    Reinstate,
    Resume,
    Run,
    Withdraw,
)
from tests.support.steps import Archive, Back
from tests.support.world import World

STORED = Path(__file__).parent / "data" / "ledger_format_1.jsonl"
NEWER = ("history", "mart")
"""Layers that were not there when the ledger was stored."""
DAY, NEXT = date(2025, 4, 1), date(2025, 4, 2)


def products(*rows: str) -> bytes:
    return "\n".join([",".join(COLUMNS["products"]), *rows, ""]).encode()


GOOD = products("1,1,Toys,Kite", "2,1,Toys,Ball", "3,1,Toys,")
FAULTY = products(*(f"{n},1,Toys,{'' if n % 2 else 'Kite'}" for n in range(100, 200)))
STEPS = (
    Land("products", DAY, "p.csv", GOOD),
    Land("products", DAY, "held.csv", FAULTY),
    Land("products", DAY, "broken.csv", b"a,b\n"),
    Run(),
    Accept("products", DAY, "held.csv"),
    Drop("products", NEXT, "p.csv", products("1,2,Games,Kite")),
    Run(),
    Back(1),
    Resume(),
    Withdraw("products", DAY, "p.csv"),
    Run(),
    Reinstate("products", DAY, "p.csv"),
    Archive(),
    Run(),
)


def rows(words: dict[str, str]) -> list[dict[str, Any]]:
    """The stored rows, with these ids in the place of the words."""
    text = STORED.read_text()
    for word, name in words.items():
        text = text.replace(f'\\"{word}\\"', f'\\"{name}\\"')
    found = [json.loads(line) for line in text.splitlines()]
    for row in found:
        row["recorded_at"] = datetime.fromisoformat(row["recorded_at"])
        row["batch_date"] = row["batch_date"] and date.fromisoformat(row["batch_date"])
    return found


def words(world: World) -> dict[str, str]:
    """What the stored words stand for in a lake."""
    logs = world.lake.versions(queryable().values())
    rules = {f"rules of {d.name}": d.rules_digest for d in DATASETS.values()}
    rules |= {f"rules of {t.table.id}": t.digest for t in DERIVED.values()}
    return rules | {f"log of {name}": version.log_id for name, version in logs.items()}


def test_every_kind_of_fact_is_read() -> None:
    """With what it says: files, decisions, versions, restores."""
    facts = [Fact.from_row(row) for row in rows({})]
    assert {fact.kind for fact in facts} == {*Kind}
    state = folded(rows({}))
    past = state.at(FilePath("products", DAY, "held.csv"))
    assert past.standing
    assert (past.standing.kind, past.standing.faulty) == (Kind.ADMITTED, 50)
    assert past.in_force == hashlib.sha256(FAULTY).hexdigest()
    first = next(f.detail for f in facts if isinstance(f.detail, Landed))
    assert (first.by, first.size) == ("land", len(GOOD))
    silver = state.absorbed["silver.products"]
    of_today = {t.id for t in jobs()["silver.products"].writes}
    assert {*silver.written} == {t for t in of_today if not t.startswith(NEWER)}
    assert silver.inputs["bronze.products"].log_id == "log of bronze.products"
    restored = next(f.detail for f in facts if isinstance(f.detail, Restored))
    published = [f for f in facts if isinstance(f.detail, Published)]
    assert (restored.as_of, restored.before_seq) == (published[0].seq, published[1].seq)
    assert (state.restored, state.unfinished) == (None, None)
    assert state.maintained == {"silver.products": 5}


@pytest.mark.slow
def test_a_lake_goes_on_with_it(lake: World) -> None:
    """As with this release's own facts, once what was read otherwise has been read again."""
    lake.apply(*STEPS)
    own = lake.ledger.state()
    lake.lake.storage.delete(lake.lake.path(FACTS))
    lake.reopen()
    assert lake.lake.append(FACTS, rows(words(lake)), on=-1)
    old = lake.ledger.state()
    there = {t.id for t in queryable().values() if t.layer not in NEWER and t.id in own.versions}
    assert old.versions == {name: own.versions[name] for name in there}
    assert {n: a.inputs for n, a in old.absorbed.items()} == {
        n: own.absorbed[n].inputs for n in there & own.absorbed.keys()
    }
    assert {p: s.in_force for p, s in old.paths.items()} == {
        p: s.in_force for p, s in own.paths.items()
    }
    assert {p.reason for p in lake.plan().files.values()} == {"files are read otherwise now"}
    lake.run([DAY, NEXT])
    assert not lake.plan()
    before = lake.lake.versions([*queryable().values(), FACTS])
    lake.run([DAY, NEXT])
    assert lake.lake.versions([*queryable().values(), FACTS]) == before
    lake.check()
    run = old.published[0].run_id or ""
    restore(lake.ledger, run, "a test")
    resume(lake.ledger, "a test")
    lake.check()
    seqs = Counter(fact.seq for fact in lake.ledger.facts())
    assert max(seqs.values()) == 1


def test_what_format_2_named_otherwise_is_read() -> None:
    stored = {"format": 2, "table": "gold.t", "written": {}, "inputs": {}, "rules": "r"}
    fact = Absorbed.from_detail({**stored, "rows_come": 3, "rows_gone": 1})
    assert (fact.rows_added, fact.rows_removed) == (3, 1)


def test_facts_of_a_later_release_are_refused() -> None:
    """In one clear line: to guess at them could lose rows."""
    row = rows({})[-1] | {"kind": "absorbed", "detail": f'{{"format": {Absorbed.format + 1}}}'}
    with pytest.raises(NewerFactError, match=r"this program reads up to .*; use"):
        Fact.from_row(row)
    with pytest.raises(NewerFactError, match=r"a fact foreseen is not known to this program; use"):
        Fact.from_row(row | {"kind": "foreseen"})
