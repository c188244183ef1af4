"""Rows of the affected keys in, exactly one fate for each out.

The one way in which winners are found. It looks at nothing but the rows it is given, the
contract and the parents' keys; how the rows were chosen is the job's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from lakehouse_assets.contract import LINEAGE, Dataset
from lakehouse_assets.rules import (
    Rule,
    broken,
    foreign_key_rules,
    of_bronze,
    own_rules,
    text,
    typed,
)
from lakehouse_assets.workspace import Workspace, matching, without

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VERSION_ORDER = ("_batch_date", "_file", "_sheet_no", "_row")
"""What orders a key's rows: total, and independent of when anything ran."""


class Fate(StrEnum):
    """What becomes of a row in force."""

    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


def subject(key: str) -> str:
    """SQL for what a row is about: its key as text, or its upload where the key is null.

    ``key`` is SQL for the key. Rows of one subject are resolved together.
    """
    return f"coalesce(concat('=', CAST({key} AS STRING)), concat('?', _content))"


def subject_in_bronze(dataset: Dataset) -> str:
    """SQL for the subject of a bronze row."""
    return subject(of_bronze(dataset, dataset.key))


def judged(rows: DataFrame, dataset: Dataset) -> DataFrame:
    """Bronze rows as typed values, with the rules that each breaks on its own in ``_own``."""
    lineage = [c.name for c in LINEAGE]
    texts = [f"{text(c)} AS `_text_{c.name}`" for c in dataset.sources]
    rows = rows.selectExpr(*lineage, "_fault", *texts)
    rows = rows.selectExpr(
        "*", *(f"{typed(c, f'`_text_{c.name}`')} AS `{c.name}`" for c in dataset.sources)
    )
    derived = [c for c in dataset.columns if c.derived]
    rows = rows.selectExpr("*", *(f"{c.derived} AS `{c.name}`" for c in derived))
    return rows.selectExpr(
        *(c.name for c in dataset.columns),
        *lineage,
        f"{subject(dataset.key)} AS _subject",
        f"{broken(own_rules(dataset))} AS _own",
    )


def resolve(
    work: Workspace, dataset: Dataset, rows: DataFrame, parents: Mapping[str, DataFrame]
) -> DataFrame:
    """Give every row its fate.

    ``rows`` are bronze rows: all those in force of each subject among them. ``parents`` holds
    the published rows of each dataset that the foreign keys refer to. The result has the
    contract's columns (typed; null where the text cannot be), the lineage, ``_subject``,
    ``_rules`` (every rule broken) and ``_fate``; it can be read again without computing anew.
    """
    staged = work.stage(judged(rows, dataset))
    ruled = _with_foreign_keys(work, dataset, staged, parents)
    fate = f"CASE WHEN size(_rules) = 0 THEN '{Fate.PUBLISHED}' ELSE '{Fate.REJECTED}' END"
    repeated = work.stage(
        staged.where(f"`{dataset.key}` IS NOT NULL")
        .groupBy(dataset.key)
        .count()
        .where("count > 1")
        .select(dataset.key)
    )
    if not repeated.limit(1).collect():
        return ruled.selectExpr("*", f"{fate} AS _fate")
    several = work.stage(_among_versions(dataset, matching(ruled, dataset.key, repeated)))
    single = without(ruled, dataset.key, repeated).selectExpr("*", f"{fate} AS _fate")
    return single.unionByName(several)


def _with_foreign_keys(
    work: Workspace, dataset: Dataset, rows: DataFrame, parents: Mapping[str, DataFrame]
) -> DataFrame:
    """Add ``_rules``: the row's own faults and the parents that it lacks.

    Orphans are few: their keys are found once, and only they are joined to the rows.
    """
    missing: list[Rule] = []
    for rule in foreign_key_rules(dataset):
        name = rule.column
        reference = dataset.silver.column(name).references or ""
        asked = work.stage(rows.select(name).where(f"`{name}` IS NOT NULL").distinct())
        parent = parents[reference]
        key = parent.columns[0]
        known = matching(parent, key, asked, key=name)
        orphans = work.stage(without(asked, name, known, key=key))
        if not orphans.limit(1).collect():
            continue
        flags = orphans.selectExpr(f"`{name}`", f"true AS `_orphan_{name}`")
        rows = rows.join(flags, name, "left")
        missing.append(rule)
    together = f"concat(_own, {broken(tuple(missing))})" if missing else "_own"
    kept = [*(c.name for c in dataset.columns), *(c.name for c in LINEAGE), "_subject"]
    return rows.selectExpr(*kept, f"{together} AS _rules")


def _among_versions(dataset: Dataset, rows: DataFrame) -> DataFrame:
    """Fates of rows whose key has several versions."""
    order = ", ".join(f"`{c}` DESC" for c in VERSION_ORDER)
    key = dataset.key
    ranked = rows.selectExpr(
        "*", f"row_number() OVER (PARTITION BY `{key}` ORDER BY {order}) AS _place"
    )
    ranked = ranked.selectExpr(
        "*",
        f"min(CASE WHEN size(_rules) = 0 THEN _place END) OVER (PARTITION BY `{key}`) AS _winner",
    )
    payload = [c.name for c in dataset.columns]
    winners = ranked.where("_place = _winner").selectExpr(
        f"`{key}` AS `_won_{key}`", *(f"`{c}` AS `_won_{c}`" for c in payload if c != key)
    )
    same = " AND ".join(f"`{c}` <=> `_won_{c}`" for c in payload)
    fate = f"""CASE
        WHEN _place = _winner THEN '{Fate.PUBLISHED}'
        WHEN _place > _winner AND size(_rules) = 0 AND {same} THEN '{Fate.DUPLICATE}'
        WHEN _place > _winner THEN '{Fate.SUPERSEDED}'
        ELSE '{Fate.REJECTED}'
    END"""
    joined = ranked.join(winners, ranked[key] == winners[f"_won_{key}"], "left")
    return joined.selectExpr(*rows.columns, f"{fate} AS _fate")
