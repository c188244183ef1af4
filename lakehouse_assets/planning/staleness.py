"""Which derived tables are behind what they are made of, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import Absorbed, State
from lakehouse_assets.tables.contract import Dataset, Gold
from lakehouse_assets.tables.registry import queryable


def table_reasons(
    lake: Lake, state: State, datasets: Mapping[str, Dataset], gold: Mapping[str, Gold]
) -> dict[str, str]:
    """The derived tables that must absorb something, each with why."""
    asked = [
        *(
            (d.silver.id, silver_inputs(lake, state, d, datasets), d.rules_digest)
            for d in datasets.values()
        ),
        *((g.table.id, gold_inputs(lake, g, datasets), g.digest) for g in gold.values()),
    ]
    reasons = (
        (name, table_reason(lake, state, name, inputs, rules)) for name, inputs, rules in asked
    )
    return {name: reason for name, reason in reasons if reason}


def silver_inputs(
    lake: Lake, state: State, dataset: Dataset, datasets: Mapping[str, Dataset]
) -> dict[str, int]:
    """The versions of what a silver table is made of, to be taken in now; -1 before the first.

    Of bronze no more than the ledger tells of: its rows come before the facts about them.
    """
    bronze = dataset.bronze.id
    told = state.absorbed[bronze].version if bronze in state.absorbed else 0
    parents = [datasets[c.references].silver for c in dataset.foreign_keys if c.references]
    return {
        bronze: min(told, _version(lake.version(dataset.bronze))),
        **{t.id: _version(lake.version(t)) for t in parents},
    }


def gold_inputs(lake: Lake, table: Gold, datasets: Mapping[str, Dataset]) -> dict[str, int]:
    """The present versions of the silver tables that a gold table reads; -1 before the first."""
    from lakehouse_assets.tables.column_lineage import inputs  # noqa: PLC0415 - SQL is parsed only when asked

    silver = [datasets[name].silver for name in inputs(table)]
    return {t.id: _version(lake.version(t)) for t in silver}


def made(lake: Lake, tables: Iterable[str]) -> dict[str, str | None]:
    """Which tables stand at these names, as far as contracts have them; None where none does."""
    known = queryable()
    found = {name: lake.seen(known[name]) for name in tables if name in known}
    return {name: seen and seen[1] for name, seen in found.items()}


def anew(lake: Lake, before: Mapping[str, str | None]) -> list[str]:
    """The tables at whose names others stood before: they were lost, and perhaps made again.

    What is there now has versions of its own: nothing can be compared.
    """
    now = made(lake, before)
    return sorted(name for name, then in before.items() if then and now.get(name, then) != then)


def _set_back(lake: Lake, table: str, absorbed: Absorbed | None) -> list[str]:
    """The tables, of this one and what is written with it, that are older than they have been.

    A copy of a bucket may hold the ledger's newest version and not yet a table's.
    """
    known = queryable()
    then = {table: absorbed.version, **absorbed.beside} if absorbed else {}
    now = {name: lake.seen(known[name]) for name in then}
    return sorted(name for name, seen in now.items() if seen is None or seen[0] < then[name])


def table_reason(
    lake: Lake, state: State, table: str, inputs: Mapping[str, int], rules: str
) -> str | None:
    """Why a table must absorb something; None where it is up to date."""
    absorbed = state.absorbed.get(table)
    gone = anew(lake, absorbed.made) if absorbed else []
    if gone:
        return f"{', '.join(gone)} was lost: made anew"
    if back := _set_back(lake, table, absorbed):
        return f"{', '.join(back)} was set back: brought forth again"
    if absorbed is None:
        # A table's version 0 is its creation, without rows.
        return "never filled" if any(version > 0 for version in inputs.values()) else None
    if absorbed.rules != rules:
        return "rules changed"
    moved = sorted(name for name, v in inputs.items() if absorbed.inputs.get(name, -1) != v)
    parents = [name for name in moved if name.startswith("silver.") and table.startswith("silver.")]
    if moved and parents == moved:
        return f"parents came or went: {', '.join(moved)}"
    return f"{', '.join(moved)} changed" if moved else None


def _version(version: int | None) -> int:
    return -1 if version is None else version
