"""Which units of a derived table a change touches, and the rows that belong to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.keys import Keys, distinct, matching, of_stage
from lakehouse_assets.pipeline.select import none, select
from lakehouse_assets.pipeline.table_changes import between
from lakehouse_assets.pipeline.workspace import Workspace, among, union
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.tables.contract import Dataset, Derived
from lakehouse_assets.tables.registry import DATASETS, sources

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def affected_units(
    work: Workspace,
    derived: Derived,
    silver: Mapping[str, DataFrame],
    before: Mapping[str, TableVersion],
    after: Mapping[str, TableVersion],
    again: Collection[date],
) -> Keys:
    """The values of the unit that changed rows belong to, before or after the change.

    Rows of the batch dates to do ``again`` count as changed.

    Raises VersionGoneError.
    """
    root, column = (derived.unit or "").split(".")
    frames = {sources()[name].dataset.name: rows for name, rows in silver.items()}
    end = sources()[root].dataset.name
    frames[end] = silver[root]
    found = [none(silver[root]).select(column)]
    for name in silver:
        dataset, table, batch_date = sources()[name]
        changes = between(work, table, before.get(table.id), after[table.id])
        changed = [changes.all] if changes else []
        if again:
            replayed = silver[name].where(among(batch_date, again))
            changed.append(replayed.select(*(c.name for c in table.payload)))
        if not changed:
            continue
        rows, here = union(changed), dataset.name
        for child_column, there in path(here, end, [*frames]):
            parent_first = DATASETS[here].silver.names
            # A step along a foreign key joins the parent's key, one against it the child's.
            if child_column in parent_first and _refers(DATASETS[here], child_column, there):
                [key] = DATASETS[there].key_columns
                values = distinct(work, select(rows, **{key: f"`{child_column}`"}), [key])
                rows = matching(frames[there], [key], values)
            else:
                key_here = DATASETS[here].key_columns
                values = distinct(work, rows, key_here)
                rows = matching(frames[there], [child_column], values)
            here = there
        found.append(rows.select(column))
    return distinct(work, union(found), [column])


def in_scope(
    work: Workspace,
    derived: Derived,
    silver: Mapping[str, DataFrame],
    units: Keys,
    long: Collection[str],
) -> dict[str, DataFrame]:
    """Each input cut down to the rows that belong to the units.

    Rows of other datasets belong to the units of the rows they hang on; where that is not by
    a single foreign key towards the unit's own dataset, they are left whole. Of inputs that are
    ``long`` to look through the rows are written down, as they are read again.
    """
    root, column = (derived.unit or "").split(".")
    stage = work.stage_files(matching(silver[root], [column], units))
    scoped = {root: stage.rows}
    whole = sources()[root].dataset
    keys = of_stage(work, stage, whole.key_columns) if len(silver) > 1 else None
    for name in silver:
        if name == root:
            continue
        mine = sources()[name].dataset
        links = [c.name for c in mine.foreign_keys if c.references == whole.name]
        by = whole.key_columns if mine is whole else links[:1]
        if by and keys:
            rows = matching(silver[name], by, keys)
            scoped[name] = work.stage(rows) if name in long else rows
        else:
            scoped[name] = silver[name]
    return scoped


def path(start: str, end: str, datasets: Sequence[str]) -> list[tuple[str, str]]:
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
        for column, there in _neighbours(DATASETS[here], datasets):
            if there not in seen:
                seen.add(there)
                ways.append((there, [*steps, (column, there)]))
    raise ValueError(
        f"no foreign key leads from {start} to {end}; leave out the unit, or add the foreign key"
    )


def _neighbours(dataset: Dataset, others: Sequence[str]) -> list[tuple[str, str]]:
    up = [(c.name, c.references) for c in dataset.foreign_keys if c.references in others]
    down = [
        (c.name, other)
        for other in others
        for c in DATASETS[other].foreign_keys
        if c.references == dataset.name
    ]
    return [(column, there) for column, there in [*up, *down] if there]


def _refers(dataset: Dataset, column: str, other: str) -> bool:
    return any(c.name == column and c.references == other for c in dataset.foreign_keys)
