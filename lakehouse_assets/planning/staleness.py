"""Which derived tables are behind what they are made of, and why.

Pure: the ledger's word on what a table has absorbed, beside the versions of the tables now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.jobs import TableJob


def table_reasons(
    jobs: Iterable[TableJob], state: State, now: Mapping[str, TableVersion]
) -> dict[str, str]:
    """The derived tables that must absorb something, each with why."""
    found = {job.id: table_reason(job, state, now) for job in jobs if job.reads}
    return {name: reason for name, reason in found.items() if reason}


def to_absorb(
    job: TableJob, state: State, now: Mapping[str, TableVersion]
) -> dict[str, TableVersion]:
    """The versions of what a job reads that it may take in now; without tables that do not exist.

    Of bronze no more than the ledger tells of: its rows come before the facts about them.
    """
    return {
        table.id: _told_of(state, table.id, now[table.id])
        if table.layer == Layer.BRONZE
        else now[table.id]
        for table in job.reads
        if table.id in now
    }


def _told_of(state: State, bronze: str, now: TableVersion) -> TableVersion:
    known = state.absorbed.get(bronze)
    told = known.written[bronze] if known else None
    # A table's version 0 is its creation, without rows.
    version = told.version if told and told.same_log(now) else 0
    return replace(now, version=min(version, now.version))


def table_reason(job: TableJob, state: State, now: Mapping[str, TableVersion]) -> str | None:
    """Why a table must absorb something; None where it is up to date."""
    inputs = to_absorb(job, state, now)
    absorbed = state.absorbed.get(job.id)
    if absorbed is None:
        return "never filled" if any(v.version > 0 for v in inputs.values()) else None
    known = {**absorbed.inputs, **absorbed.written}
    pairs = {t.id: (known[t.id], now.get(t.id)) for t in job.tables if t.id in known}
    if lost := sorted(n for n, (then, v) in pairs.items() if not (v and then.same_log(v))):
        return f"{', '.join(lost)} was lost: it is built again"
    # A copy of a bucket may hold the ledger's newest version and not yet a table's.
    written = {table.id for table in job.writes}
    older = sorted(n for n, (t, v) in pairs.items() if n in written and v and v.version < t.version)
    if older:
        return f"{', '.join(older)} is older than the ledger says: it is computed again"
    if absorbed.rules != job.rules:
        return "rules changed"
    changed = sorted(
        name for name, version in inputs.items() if absorbed.inputs.get(name) != version
    )
    if not changed:
        return None
    silver = f"{Layer.SILVER}."
    if job.id.startswith(silver) and all(name.startswith(silver) for name in changed):
        return f"parents came or went: {', '.join(changed)}"
    return f"{', '.join(changed)} changed"
