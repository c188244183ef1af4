"""Gold and marts: follow changed silver rows to the units they touch, and compute those again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from lakehouse_assets.pipeline.derived_units import affected_units, in_scope
from lakehouse_assets.pipeline.keys import Keys, distinct, parted, without
from lakehouse_assets.pipeline.publish import Replaced, replace_rows
from lakehouse_assets.pipeline.result import Check, Result
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.table_changes import VersionGoneError
from lakehouse_assets.pipeline.workspace import Workspace, union
from lakehouse_assets.planning.staleness import table_reason, to_absorb
from lakehouse_assets.store import receipts
from lakehouse_assets.store.delta import TableVersion, row_count
from lakehouse_assets.store.facts import Absorbed, Fact
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.tables.column_lineage import inputs as tables_of
from lakehouse_assets.tables.contract import Derived
from lakehouse_assets.tables.jobs import derived_job, dimensions
from lakehouse_assets.tables.registry import sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row

_SAMPLES = 20

_MANY_FILES: Final = 64
"""To look through so many files of an input again costs more than to write down what is found."""

AUDITS: Final = ("grain_unique",)
"""The checks without which `publish` commits nothing."""


def run(
    work: Workspace, ledger: Ledger, derived: Derived, dates: Sequence[date], *, replay: bool
) -> Result:
    """Absorb all that has changed in silver; see `run_table`."""
    state = ledger.followed()
    table = derived.table
    result = Result(table.id, version=work.lake.create(table))
    job = derived_job(derived)
    for read in job.reads:
        work.lake.create(read)
    now = work.lake.versions(job.tables)
    reason = table_reason(job, state, now)
    made: list[Check] = []
    if replay:
        reason = reason or "replayed"
    if reason and not state.frozen:
        result.metadata["reason"] = reason
        again = frozenset(dates if replay else ())
        made = _absorb(work, ledger, state, derived, now, again, result)
    rows = row_count(work.lake.files(table, result.version))
    result.metadata["rows"] = rows
    came = _rows_that_came(work, derived, dates)
    for day in dates:
        result.days[day] = came[day]
        for name, note in checks(derived).items():
            found = [c for c in made if c.name == name]
            outcome = found[0] if found else Check(name, passed=True, description=note)
            result.checks.append(
                Check(
                    name,
                    outcome.passed,
                    day,
                    outcome.severity,
                    outcome.description,
                    outcome.metadata,
                )
            )
    return result


def _rows_that_came(
    work: Workspace, derived: Derived, dates: Sequence[date]
) -> dict[date, dict[str, int]]:
    """Of each batch date, how many rows of its files are published in each of the inputs."""
    read = sorted({sources()[name].dataset.name for name in tables_of(derived)})
    came = {day: {f"published_{name}": 0 for name in read} for day in dates}
    for receipt in receipts.current(work.lake, dates=dates):
        counts, name = came[receipt.path.batch_date], f"published_{receipt.path.dataset}"
        if name in counts:
            counts[name] += receipt.counts.published
    return came


def checks(derived: Derived) -> dict[str, str]:
    """A derived table's checks by name, with what each says when it passes."""
    return {
        "grain_unique": f"Each ({', '.join(derived.grain)}) occurs once.",
        **{
            f"sums_{r.name}": f"{r.gold} of the rows computed equals silver's {r.silver}."
            for r in derived.reconciliations
        },
        **{
            f"dimension_{column}": f"Every {column} of the rows computed is in {mart.table.id}."
            for column, mart in dimensions(derived).items()
        },
    }


def _absorb(
    work: Workspace,
    ledger: Ledger,
    state: State,
    derived: Derived,
    now: Mapping[str, TableVersion],
    again: Collection[date],
    result: Result,
) -> list[Check]:
    """Find the units, compute them, publish them, record the fact: in this order.

    A run that dies before the fact leaves another version than the recorded one: the next run
    computes everything.
    """
    table, job = derived.table, derived_job(derived)
    inputs = to_absorb(job, state, now)
    tables = {name: sources()[name].table for name in tables_of(derived)}
    silver = {name: work.read(t, inputs[t.id].version) for name, t in tables.items()}
    units = _affected_units(work, state.absorbed.get(table.id), derived, silver, now, again)
    column = derived.unit.split(".")[1] if derived.unit else ""
    owned, others = parted(work, table, [column], units)
    if units is not None:
        long = {
            name
            for name, source in tables.items()
            if len(work.lake.files(source, inputs[source.id].version)) >= _MANY_FILES
        }
        silver = in_scope(work, derived, silver, units, long)
        result.metadata["units_recomputed"] = units.count
    computed = work.stage(work.sql(derived.sql, silver))
    published = replace_rows(
        work,
        table,
        owned=owned,
        others=others,
        rows=computed,
        grain=derived.grain,
        totals=_both_sides(work, derived, silver, computed),
    )
    result.version = published.version
    result.metadata |= {"rows_added": published.added, "rows_removed": published.removed}
    result.metadata |= _changed(work, derived, published)
    written = work.lake.versions(job.writes)
    done = Absorbed(job.id, written, inputs, job.rules, published.added, published.removed)
    ledger.append([Fact(done, run_id=work.run_id)])
    return [
        *_reconcile(derived, published.totals),
        *_in_dimensions(work, state, derived, inputs, computed),
    ]


def _affected_units(
    work: Workspace,
    before: Absorbed | None,
    derived: Derived,
    silver: Mapping[str, DataFrame],
    now: Mapping[str, TableVersion],
    again: Collection[date],
) -> Keys | None:
    """The units that changes since ``before`` belong to; None for all, where that is unknown."""
    job = derived_job(derived)
    same = before is not None and before.written == {derived.table.id: now[derived.table.id]}
    if not derived.unit or before is None or not same or before.rules != job.rules:
        return None
    try:
        return affected_units(work, derived, silver, before.inputs, now, again)
    except VersionGoneError:
        return None  # lost, or too long ago to tell what changed


def _changed(work: Workspace, derived: Derived, published: Replaced) -> dict[str, object]:
    """How many grains now say something else than before, and some of them."""
    if published.rows is None:
        return {"changed_grains": 0}
    changed, count = published.rows.select(*derived.grain), published.added
    if published.removed:  # a grain may stand twice: as it was, and as it is
        changes = distinct(work, changed, derived.grain)
        changed, count = changes.rows, changes.count
    grain = ", ".join(f"`{c}`" for c in derived.grain)
    some = select(changed, grain=f"concat_ws(' ', {grain})").orderBy("grain").limit(_SAMPLES)
    return {"changed_grains": count, "changed": "; ".join(row["grain"] for row in some.collect())}


def _both_sides(
    work: Workspace, derived: Derived, silver: Mapping[str, DataFrame], computed: DataFrame
) -> DataFrame | None:
    """One row of what proves the computed rows: of them, and of the rows they come from."""
    sides = [f"({proof.silver}) AS silver_{i}" for i, proof in enumerate(derived.reconciliations)]
    if not sides:
        return None
    gold = {f"gold_{i}": proof.gold for i, proof in enumerate(derived.reconciliations)}
    return select(computed, **gold).crossJoin(work.sql(f"SELECT {', '.join(sides)}", silver))


def _reconcile(derived: Derived, totals: Row) -> list[Check]:
    """Whether the sums of the computed rows are those of the rows that they come from."""
    found: list[Check] = []
    for i, proof in enumerate(derived.reconciliations):
        mine, theirs = totals[f"gold_{i}"] or 0, totals[f"silver_{i}"] or 0
        name = f"sums_{proof.name}"
        found.append(
            Check(
                name,
                mine == theirs,
                description=checks(derived)[name]
                if mine == theirs
                else f"gold {mine}, silver {theirs}",
                metadata={"gold": str(mine), "silver": str(theirs)},
            )
        )
    return found


def _in_dimensions(
    work: Workspace,
    state: State,
    derived: Derived,
    inputs: Mapping[str, TableVersion],
    computed: DataFrame,
) -> list[Check]:
    """Whether every key of the computed rows is in its dimension, as that table is now.

    A dimension that has absorbed other versions than this table may lack keys without fault.
    """
    missing = _missing(work, derived, computed)
    found: list[Check] = []
    for column, mart in dimensions(derived).items():
        some = missing.get(column, [])
        absorbed = state.absorbed.get(mart.table.id)
        shared = {t.id for t in derived_job(mart).reads} & inputs.keys()
        taken_in = absorbed.inputs if absorbed else {}
        behind = any(inputs[table] != taken_in.get(table) for table in shared)
        name = f"dimension_{column}"
        note = checks(derived)[name]
        if some and behind:
            note = f"{mart.table.id} has not taken in the same versions yet: compared next time."
        elif some:
            note = f"not in {mart.table.id}: {', '.join(some)}"
        found.append(Check(name, passed=not some or behind, description=note))
    return found


def _missing(work: Workspace, derived: Derived, computed: DataFrame) -> dict[str, list[str]]:
    """By column, some of the computed rows' keys that are not in their dimension: one query."""
    asked = []
    for column, mart in dimensions(derived).items():
        keys = computed.select(column).where(f"`{column}` IS NOT NULL").distinct()
        there = work.now(mart.table).select(*mart.grain)
        missing = without(keys, [column], there, key=mart.grain).limit(_SAMPLES)
        asked.append(select(missing, name=f"'{column}'", key=f"CAST(`{column}` AS STRING)"))
    found: dict[str, list[str]] = {}
    for row in union(asked).collect() if asked else []:
        found.setdefault(row["name"], []).append(row["key"])
    return found
