"""Gold: follow changed silver rows to the units they touch, and compute those again, whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.publish import Published, replace_rows
from lakehouse_assets.pipeline.result import Check, Result
from lakehouse_assets.pipeline.table_changes import VersionGoneError, between
from lakehouse_assets.pipeline.workspace import Workspace, among, matching, union, without
from lakehouse_assets.planning.staleness import table_reason, to_absorb
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import Absorbed, Fact
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.tables.column_lineage import inputs as datasets_of
from lakehouse_assets.tables.contract import Dataset, Gold
from lakehouse_assets.tables.jobs import gold_job
from lakehouse_assets.tables.registry import DATASETS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SAMPLES = 20


def run(
    work: Workspace, ledger: Ledger, gold: Gold, dates: Sequence[date], *, replay: bool
) -> Result:
    """Absorb all that has changed in silver; see `run_table`."""
    state = ledger.followed()
    table = gold.table
    result = Result(table.id, version=work.lake.create(table))
    for name in datasets_of(gold):
        work.lake.create(DATASETS[name].silver)
    job = gold_job(gold, DATASETS)
    now = work.lake.versions(job.tables)
    reason = table_reason(job, state, now)
    sums: list[Check] = []
    if replay:
        reason = reason or "replayed"
    if reason and not state.frozen:
        result.metadata["reason"] = reason
        again = frozenset(dates if replay else ())
        sums = _absorb(work, ledger, state, gold, now, again, result)
    rows = sum(f["num_records"] for f in work.lake.files(table, result.version))
    result.metadata["rows"] = rows
    for day in dates:
        result.days[day] = {"rows": rows}
        for name, note in checks(gold).items():
            made = [c for c in sums if c.name == name]
            outcome = made[0] if made else Check(name, passed=True, description=note)
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


def checks(gold: Gold) -> dict[str, str]:
    """Gold's checks by name, with what each says when it passes."""
    return {
        "grain_unique": f"Every ({', '.join(gold.grain)}) stands once.",
        **{
            f"sums_{r.name}": f"{r.gold} of the rows computed equals silver's {r.silver}."
            for r in gold.reconciliations
        },
    }


def _absorb(
    work: Workspace,
    ledger: Ledger,
    state: State,
    gold: Gold,
    now: Mapping[str, TableVersion],
    again: Collection[date],
    result: Result,
) -> list[Check]:
    """Find the units, compute them, publish them, record the fact: in this order.

    A run that dies before the fact leaves another version than the recorded one: the next run
    computes everything.
    """
    table, job = gold.table, gold_job(gold, DATASETS)
    inputs = to_absorb(job, state, now)
    silver = {
        n: work.read(DATASETS[n].silver, inputs[f"silver.{n}"].version) for n in datasets_of(gold)
    }
    units = _affected_units(work, state.absorbed.get(table.id), gold, silver, now, again)
    present = work.read(table, result.version)
    if units is None:
        owned, others = present, present.where("false")
    else:
        column = gold.unit.split(".")[1] if gold.unit else ""
        silver = _scope(work, gold, silver, units)
        owned = matching(present, [column], units)
        others = without(present, [column], units)
        result.metadata["units_recomputed"] = units.count()
    for name, rows in silver.items():
        rows.createOrReplaceTempView(name)
    computed = work.stage(work.spark.sql(gold.sql))
    published = replace_rows(
        work, table, owned=owned, others=others, rows=computed, grain=gold.grain
    )
    result.version = published.version
    result.metadata |= {"rows_come": published.come, "rows_gone": published.gone}
    result.metadata |= _changed(gold, published)
    written = work.lake.versions(job.writes)
    done = Absorbed(job.id, written, inputs, job.rules, published.come, published.gone)
    ledger.append([Fact(done, run_id=work.run_id)])
    return _reconcile(work, gold, computed)


def _affected_units(
    work: Workspace,
    before: Absorbed | None,
    gold: Gold,
    silver: Mapping[str, DataFrame],
    now: Mapping[str, TableVersion],
    again: Collection[date],
) -> DataFrame | None:
    """The units that changes since ``before`` belong to; None for all, where that is unknown."""
    job = gold_job(gold, DATASETS)
    same = before is not None and before.written == {gold.table.id: now[gold.table.id]}
    if not gold.unit or before is None or not same or before.rules != job.rules:
        return None
    try:
        return _units(work, gold, silver, before.inputs, now, again)
    except VersionGoneError:
        return None  # lost, or too long ago to tell what changed


def _changed(gold: Gold, published: Published) -> dict[str, object]:
    """How many grains now say something else than before, and some of them."""
    if published.rows is None:
        return {"changed_grains": 0}
    grain = ", ".join(f"`{c}`" for c in gold.grain)
    changed = published.rows.selectExpr(*gold.grain).distinct()
    some = changed.selectExpr(f"concat_ws(' ', {grain}) AS grain", "count(*) OVER () AS n")
    found = some.orderBy("grain").limit(_SAMPLES).collect()
    return {"changed_grains": found[0]["n"], "changed": "; ".join(row["grain"] for row in found)}


def _units(
    work: Workspace,
    gold: Gold,
    silver: Mapping[str, DataFrame],
    before: Mapping[str, TableVersion],
    after: Mapping[str, TableVersion],
    again: Collection[date],
) -> DataFrame:
    """The values of the unit that changed rows belong to, before or after the change.

    Rows of the batch dates to do ``again`` count as changed.

    Raises VersionGoneError.
    """
    root, column = (gold.unit or "").split(".")
    found = [silver[root].where("false").select(column)]
    for name in datasets_of(gold):
        table = DATASETS[name].silver
        changes = between(work, table, before.get(table.id), after[table.id])
        changed = [changes.all] if changes else []
        if again:
            replayed = silver[name].where(among("_batch_date", again))
            changed.append(replayed.select(*(c.name for c in table.payload)))
        if not changed:
            continue
        rows, here = union(changed), name
        for child_column, there in path(name, root, datasets_of(gold)):
            parent_first = DATASETS[here].silver.names
            # A step along a foreign key joins the parent's key, one against it the child's.
            if child_column in parent_first and _refers(DATASETS[here], child_column, there):
                [key] = DATASETS[there].key_columns
                values = work.stage(rows.selectExpr(f"`{child_column}` AS `{key}`").distinct())
                rows = matching(silver[there], [key], values)
            else:
                key_here = DATASETS[here].key_columns
                values = work.stage(rows.select(*key_here).distinct())
                rows = matching(silver[there], [child_column], values, key=key_here)
            here = there
        found.append(rows.select(column))
    return work.stage(union(found).distinct())


def path(start: str, end: str, among: Sequence[str]) -> list[tuple[str, str]]:
    """Steps along foreign keys from one dataset to another: (foreign key column, next dataset).

    A step goes from child to parent or from parent to child, whichever leads there first.
    Raises ValueError where there is no way.
    """
    ways: list[tuple[str, list[tuple[str, str]]]] = [(start, [])]
    seen = {start}
    while ways:
        here, steps = ways.pop(0)
        if here == end:
            return steps
        for column, there in _neighbours(DATASETS[here], among):
            if there not in seen:
                seen.add(there)
                ways.append((there, [*steps, (column, there)]))
    raise ValueError(
        f"no foreign key leads from {start} to {end}; leave out the unit, or add the foreign key"
    )


def _neighbours(dataset: Dataset, among: Sequence[str]) -> list[tuple[str, str]]:
    up = [(c.name, c.references) for c in dataset.foreign_keys if c.references in among]
    down = [
        (c.name, other)
        for other in among
        for c in DATASETS[other].foreign_keys
        if c.references == dataset.name
    ]
    return [(column, there) for column, there in [*up, *down] if there]


def _refers(dataset: Dataset, column: str, other: str) -> bool:
    return any(c.name == column and c.references == other for c in dataset.foreign_keys)


def _scope(
    work: Workspace, gold: Gold, silver: Mapping[str, DataFrame], units: DataFrame
) -> dict[str, DataFrame]:
    """Each input cut down to the rows that belong to the units.

    Rows of other datasets belong to the units of the rows they hang on; where that is not by
    a single foreign key towards the unit's own dataset, they are left whole.
    """
    root, column = (gold.unit or "").split(".")
    rows = work.stage(matching(silver[root], [column], units))
    scoped = {root: rows}
    for name in datasets_of(gold):
        if name == root:
            continue
        links = [c.name for c in DATASETS[name].foreign_keys if c.references == root]
        scoped[name] = (
            matching(silver[name], links[:1], rows, key=DATASETS[root].key_columns)
            if links
            else silver[name]
        )
    return scoped


def _reconcile(work: Workspace, gold: Gold, computed: DataFrame) -> list[Check]:
    """Prove the computed rows against the views that they were computed from."""
    computed.createOrReplaceTempView("_computed")
    sides = [
        f"(SELECT {proof.gold} FROM _computed) AS gold_{i}, ({proof.silver}) AS silver_{i}"
        for i, proof in enumerate(gold.reconciliations)
    ]
    found: list[Check] = []
    if not sides:
        return found
    [totals] = work.spark.sql(f"SELECT {', '.join(sides)}").collect()
    for i, proof in enumerate(gold.reconciliations):
        mine, theirs = totals[f"gold_{i}"] or 0, totals[f"silver_{i}"] or 0
        name = f"sums_{proof.name}"
        found.append(
            Check(
                name,
                mine == theirs,
                description=checks(gold)[name]
                if mine == theirs
                else f"gold {mine}, silver {theirs}",
                metadata={"gold": str(mine), "silver": str(theirs)},
            )
        )
    return found
