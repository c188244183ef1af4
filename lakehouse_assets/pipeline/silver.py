"""Silver: resolve the keys that a change touches, and publish exactly one row of each.

All rows in force of every subject (key) touched are resolved together, whenever they landed; the
tables' rows of those subjects, and no others, are replaced.

A crash may come between any two commits: those of three tables, of the receipts, and of the fact
that this is done. `_absorb` records that fact last, with the versions of all three tables. While
those are others than recorded, no change since then tells what a dead run has left behind: the next
run resolves every row, and so mends whatever is half done.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline import history
from lakehouse_assets.pipeline.keys import parted
from lakehouse_assets.pipeline.publish import Replaced, replace_rows
from lakehouse_assets.pipeline.resolve import VERSION_ORDER, Fate, Resolved, resolve
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.select import none, select
from lakehouse_assets.pipeline.silver_affected import Affected, touched
from lakehouse_assets.pipeline.silver_checks import report
from lakehouse_assets.pipeline.silver_receipts import in_tables
from lakehouse_assets.pipeline.table_changes import VersionGoneError
from lakehouse_assets.pipeline.without_effect import without_effect
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.planning.staleness import table_reason, to_absorb
from lakehouse_assets.store import receipts
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import Absorbed, Fact
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.tables.contract import VALIDITY, Dataset, Table
from lakehouse_assets.tables.jobs import TableJob, silver_job
from lakehouse_assets.tables.registry import DATASETS
from lakehouse_assets.tables.rules import category

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def run(
    work: Workspace, ledger: Ledger, dataset: Dataset, dates: Sequence[date], *, replay: bool
) -> Result:
    """Absorb all that has changed in bronze and in the parents; see `run_table`."""
    lake, job = work.lake, silver_job(dataset, DATASETS)
    state = ledger.followed()
    for table in (dataset.bronze, *job.writes):
        lake.create(table)
    now = lake.versions(job.tables)
    result = Result(dataset.silver.id)
    reason = table_reason(job, state, now)
    moved: set[date] = set()
    if replay:
        reason = reason or "replayed"
    if reason and not state.frozen:
        result.metadata["reason"] = reason
        again = frozenset(dates if replay else ())
        published, moved, lines = _absorb(work, ledger, state, dataset, now, again)
        result.lines += lines
        result.metadata |= {"rows_added": published.added, "rows_removed": published.removed}
    result.version = lake.version(dataset.silver)
    report(work, result, dataset, dates, moved)
    return result


def _absorb(
    work: Workspace,
    ledger: Ledger,
    state: State,
    dataset: Dataset,
    now: Mapping[str, TableVersion],
    again: Collection[date],
) -> tuple[Replaced, set[date], list[str]]:
    """Resolve what is affected, publish it, record the receipts, then the fact: in this order.

    Returns with it the batch dates of which a row has another fate now, and lines for people.
    """
    job = silver_job(dataset, DATASETS)
    inputs = to_absorb(job, state, now)
    affected = _affected(work, state, job, dataset, now, again)
    parents = _parents(work, dataset, inputs)
    resolved = resolve(work, dataset, affected.rows, parents, repairs=affected.repairs)
    published = _publish(work, dataset, affected, resolved)
    written = work.lake.versions(job.writes)
    due = in_tables(work, state, dataset, sorted(affected.dates), {**inputs, **written})
    new = receipts.record(ledger, due, work.run_id)
    done = Absorbed(job.id, written, inputs, job.rules, published.added, published.removed)
    ledger.append([Fact(done, run_id=work.run_id)])
    lines = [*without_effect(state, dataset, affected.added, new, resolved.rows)]
    return published, {receipt.path.batch_date for receipt in new}, lines


def _affected(
    work: Workspace,
    state: State,
    job: TableJob,
    dataset: Dataset,
    now: Mapping[str, TableVersion],
    again: Collection[date],
) -> Affected:
    """What changed since the job was last done; everything where that cannot be told."""
    before, inputs = state.absorbed.get(job.id), to_absorb(job, state, now)
    # Other versions than recorded: a run died between two commits, and may have left rows behind
    # that no change since then points to.
    written = {table.id: now[table.id] for table in job.writes}
    if before and before.written == written and before.rules == job.rules:
        try:
            return touched(work, dataset, state, before.inputs, inputs, again)
        except VersionGoneError:
            pass  # lost, or too long ago to tell what changed
    bronze = inputs[dataset.bronze.id].version
    here = work.lake.contents(dataset.bronze, bronze)
    days = {s.path.batch_date for s in state.of(dataset.name)}
    repairs = bool(state.repairing(dataset.name, here))
    return Affected(None, None, work.read(dataset.bronze, bronze), days, repairs)


def _parents(
    work: Workspace, dataset: Dataset, inputs: Mapping[str, TableVersion]
) -> dict[str, DataFrame]:
    """The keys that each dataset which a foreign key refers to has published.

    None where its table is not there yet: who picks some tables may run this one first.
    """
    found: dict[str, DataFrame] = {}
    for parent in (DATASETS[c.references] for c in dataset.foreign_keys if c.references):
        there = inputs.get(parent.silver.id)
        rows = work.read(parent.silver, there and there.version)
        found[parent.name] = rows.select(*parent.key_columns)
    return found


def _publish(work: Workspace, dataset: Dataset, affected: Affected, resolved: Resolved) -> Replaced:
    """Write the fates down; silver last: who sees its new version finds the others complete."""
    if dataset.keep_history:
        versions = history.versions(work, dataset, resolved.rows)
        grain = (*dataset.key_columns, VALIDITY[0].name)
        _replace_by_key(work, dataset, dataset.history, affected, versions, grain)
    superseded = _superseded(resolved.rows) if resolved.hides else None
    _replace_by_subject(work, dataset.superseded, affected, superseded)
    rejected = _rejected(work, dataset, affected, resolved.rows)
    _replace_by_subject(work, dataset.rejected, affected, rejected)
    published = resolved.rows.where(f"_fate = '{Fate.PUBLISHED}'")
    return _replace_by_key(work, dataset, dataset.silver, affected, published, dataset.key_columns)


def _replace_by_subject(
    work: Workspace, table: Table, affected: Affected, rows: DataFrame | None
) -> None:
    present, there = work.now(table), work.may_hold(table)
    if rows is None:
        if not there:
            return  # none there, and none to come
        rows = none(present)
    owned, others = present if there else None, none(present)
    if there and affected.subjects is not None:
        owned = present.join(affected.subjects, "_subject", "left_semi")
        others = present.join(affected.subjects, "_subject", "left_anti")
    replace_rows(work, table, owned=owned, others=others, rows=rows, grain=VERSION_ORDER)


def _replace_by_key(
    work: Workspace,
    dataset: Dataset,
    table: Table,
    affected: Affected,
    rows: DataFrame,
    grain: Sequence[str],
) -> Replaced:
    required = [*(c.name for c in dataset.columns if c.required), *table.partition_by]
    owned, others = parted(work, table, dataset.key_columns, affected.keys)
    return replace_rows(
        work,
        table,
        owned=owned,
        others=others,
        rows=rows,
        grain=grain,
        required=required,
    )


def _superseded(resolved: DataFrame) -> DataFrame:
    hidden = resolved.where(f"_fate IN ('{Fate.SUPERSEDED}', '{Fate.DUPLICATE}')")
    return select(hidden, "*", _duplicate=f"_fate = '{Fate.DUPLICATE}'")


def _rejected(
    work: Workspace, dataset: Dataset, affected: Affected, resolved: DataFrame
) -> DataFrame | None:
    """The rejected rows as bronze has them, with their reasons; None where there are none."""
    reasons = work.stage_any(
        resolved.where(f"_fate = '{Fate.REJECTED}'").select(
            "_content", "_sheet_no", "_row", "_subject", "_rules"
        )
    )
    if reasons is None:
        return None
    whole = affected.rows.join(reasons, ["_content", "_sheet_no", "_row"], "inner")
    whole = select(whole, "*", _category=category(dataset, "_rules"))
    return work.stage(whole, with_maps=True)
