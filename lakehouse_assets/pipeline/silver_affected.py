"""Which keys a change touches, and all rows in force of them: what silver must resolve.

A change is a row that came to or left bronze, a parent that came to or left silver, or a date that
is to be done again. Repairs tie keys together; those are resolved with each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.keys import (
    Keys,
    distinct,
    matching,
    nothing,
    of_stage,
    parted,
    without,
)
from lakehouse_assets.pipeline.resolve import key_of_subject, subject, subject_in_bronze
from lakehouse_assets.pipeline.select import none, select
from lakehouse_assets.pipeline.table_changes import between, touched_partitions
from lakehouse_assets.pipeline.workspace import Workspace, among, union
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.ledger import State
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.registry import DATASETS
from lakehouse_assets.tables.rules import PLACE, of_bronze, origin

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Affected:
    """What must be resolved: subjects (None for all), their keys, and the bronze rows of them.

    ``repairs`` says whether rows that mend others may be among them; ``added`` are the uploads
    that came.
    """

    subjects: DataFrame | None
    keys: Keys | None
    rows: DataFrame
    dates: set[date]
    repairs: bool
    added: Collection[str] = ()


def touched(
    work: Workspace,
    dataset: Dataset,
    state: State,
    before: Mapping[str, TableVersion],
    after: Mapping[str, TableVersion],
    again: Collection[date],
) -> Affected:
    """The subjects that changes touch, or uploads of the dates to do again, and their bronze rows.

    Raises VersionGoneError where a version that was absorbed can no longer be compared.
    """
    bronze = dataset.bronze
    then, now = before.get(bronze.id), after[bronze.id]
    partitions = touched_partitions(work, bronze, then, now)
    old, new = then and then.version, now.version
    uploads, days = {content for _, content in partitions}, {day for day, _ in partitions}
    days_here = work.lake.contents(bronze, new)
    here = set(days_here)
    there = set(work.lake.contents(bronze, old))
    added, removed = (here - there) & uploads, (there - here) & uploads
    added |= {content for content in here if days_here[content] in again}
    subject_here = subject_in_bronze(dataset)
    found: list[DataFrame] = []
    if added:
        rows = work.read(bronze, new).where(among("_content", added))
        found.append(select(rows, _subject=subject_here))
    if removed:
        rows = work.read(bronze, old).where(among("_content", removed))
        found.append(select(rows, _subject=subject_here))
    found += _of_changed_parents(work, dataset, before, after)
    if not found:
        no_rows = none(work.read(bronze, new))
        subjects = select(no_rows, _subject=subject_here)
        keys = nothing(_with_keys(dataset, subjects), dataset.key_columns)
        return Affected(subjects, keys, no_rows, set(), repairs=False)
    subjects = union(found).distinct()
    repairing = state.repairing(dataset.name, here | removed)
    if repairing:
        both = [
            work.read(bronze, new).where(among("_content", here)),
            work.read(bronze, old).where(among("_content", removed)),
        ]
        subjects = _with_families(work, dataset, work.stage(subjects), both, repairing)
    stage = work.stage_files(_with_keys(dataset, subjects))
    subjects, keys = stage.rows.select("_subject"), of_stage(work, stage, dataset.key_columns)
    elsewhere = _uploads_of(work, dataset, subjects, keys)
    days |= set(elsewhere.values())
    # Every row of an upload that came is touched; of the others only those of the subjects.
    frames = [work.read(bronze, new).where(among("_content", added))]
    others = {c for c in elsewhere if c in here and c not in added}
    if others:
        where = among("_batch_date", {elsewhere[c] for c in others})
        where += f" AND {among('_content', others)}"
        rows = select(work.read(bronze, new).where(where), "*", _subject=subject_here)
        frames.append(rows.join(subjects, "_subject", "left_semi").drop("_subject"))
    return Affected(subjects, keys, union(frames), days, bool(repairing), added)


def _with_families(
    work: Workspace,
    dataset: Dataset,
    subjects: DataFrame,
    bronze: Sequence[DataFrame],
    repairing: set[str],
) -> DataFrame:
    """Subjects together with those that a repair ties to them, whatever their keys.

    ``bronze`` holds all rows that are, or were, in force; only uploads ``repairing`` may hold
    repairs.
    """
    subject_here = subject_in_bronze(dataset)

    def those(uploads: set[str], **columns: str) -> DataFrame:
        return union([select(r.where(among("_content", uploads)), **columns) for r in bronze])

    mends = those(repairing, _subject=subject_here, _origin=origin())
    mending = work.stage(mends.where("_origin IS NOT NULL"))
    uploads = select(mending, _content="split(_origin, '/')[0]").distinct().collect()
    mended = those({row["_content"] for row in uploads}, _origin=PLACE, _other=subject_here)
    pairs = mending.join(mended, "_origin").select("_subject", "_other")
    back = select(pairs, _subject="_other", _other="_subject")
    ties = work.stage(pairs.unionByName(back).where("_subject <> _other").distinct())
    while True:
        tied = select(ties.join(subjects, "_subject", "left_semi"), _subject="_other")
        more = work.stage_any(tied.distinct().join(subjects, "_subject", "left_anti"))
        if more is None or not more.limit(1).collect():
            return subjects
        subjects = work.stage(subjects.unionByName(more))


def _of_changed_parents(
    work: Workspace,
    dataset: Dataset,
    before: Mapping[str, TableVersion],
    after: Mapping[str, TableVersion],
) -> list[DataFrame]:
    """Subjects of rejected rows whose parent came or went, and of published ones that lost it."""
    found: list[DataFrame] = []
    for column in dataset.foreign_keys:
        parent = DATASETS[column.references or ""]
        table = parent.silver
        if table.id not in after:
            continue
        changes = between(work, table, before.get(table.id), after[table.id])
        if changes is None:
            continue
        key = parent.key_columns
        came = distinct(work, without(changes.added, key, changes.removed), key)
        left = distinct(work, without(changes.removed, key, changes.added), key)
        child = [column.name]
        moved = [keys for keys in (came, left) if keys.count]
        if moved and work.may_hold(dataset.rejected):
            parent_of = {column.name: of_bronze(dataset, column.name)}
            # Written down, so that nothing asks each file of a long history whether it may hold
            # what the keys' range is of: the text of a number says nothing of that.
            rejected = work.stage(select(work.now(dataset.rejected), "_subject", **parent_of))
            found += [matching(rejected, child, keys).select("_subject") for keys in moved]
        if left.count:
            orphaned = matching(work.now(dataset.silver), child, left)
            found.append(select(orphaned, _subject=subject(dataset.key_columns)))
    return found


def _uploads_of(
    work: Workspace, dataset: Dataset, subjects: DataFrame, keys: Keys
) -> dict[str, date]:
    """The uploads (with their batch dates) in which the tables' rows of these subjects stand."""
    published, _ = parted(work, dataset.silver, dataset.key_columns, keys)
    frames = [] if published is None else [published]
    frames += [
        work.now(table).join(subjects, "_subject", "left_semi")
        for table in (dataset.rejected, dataset.superseded)
        if work.may_hold(table)
    ]
    if not frames:
        return {}
    found = union([rows.select("_content", "_batch_date") for rows in frames]).distinct()
    return {row["_content"]: row["_batch_date"] for row in found.collect()}


def _with_keys(dataset: Dataset, subjects: DataFrame) -> DataFrame:
    """Subjects with their keys; null where they have none."""
    return select(subjects, "_subject", **key_of_subject(dataset))
