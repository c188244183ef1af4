"""Rows of the affected keys in, exactly one fate for each out.

The one way in which winners are found. It looks at nothing but the rows it is given, the
contract and the parents' keys; how the rows were chosen is the job's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from lakehouse_assets.pipeline.keys import distinct, matching, without
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.tables.contract import LINEAGE, Dataset
from lakehouse_assets.tables.natural_order import natural_sql
from lakehouse_assets.tables.rules import (
    LOST_ORIGIN,
    PLACE,
    Rule,
    broken,
    foreign_key_rules,
    of_bronze,
    origin,
    own_rules,
    text,
    typed,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

VERSION_ORDER = ("_batch_date", "_file", "_sheet_no", "_row")
"""What says which of a key's rows is newer: total, and independent of when anything ran.

Files stand in natural order.
"""


def newest_first(columns: Sequence[str]) -> str:
    """SQL that sorts rows by columns of the version order, the newest first."""
    expressions = chain.from_iterable(
        natural_sql(f"`{c}`") if c.endswith("_file") else (f"`{c}`",) for c in columns
    )
    return ", ".join(f"{expression} DESC" for expression in expressions)


class Fate(StrEnum):
    """What becomes of a row in force."""

    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


def subject(key: Sequence[str]) -> str:
    """SQL for what a row is about: its key as text, or its upload where the key cannot be read.

    ``key`` is SQL for each part of the key. Rows of one subject are resolved together.
    """
    parts = [f"CAST({part} AS STRING)" for part in key]
    if len(parts) > 1:  # so that no two keys read the same, and each can be read again
        parts = [f"replace(replace({part}, '%', '%25'), '|', '%7C')" for part in parts]
    together = ", '|', ".join(parts)
    return f"coalesce(concat('=', {together}), concat('?', _content))"


def key_of_subject(dataset: Dataset) -> dict[str, str]:
    """SQL for the columns of the key (by their names) of a ``_subject``; null where it has none."""
    columns = [dataset.silver.column(name) for name in dataset.key_columns]
    told = "substring(_subject, 2)"
    if len(columns) == 1:
        parts = [told]
    else:
        split = [f"split({told}, '[|]')[{i}]" for i in range(len(columns))]
        parts = [f"replace(replace({part}, '%7C', '|'), '%25', '%')" for part in split]
    return {
        column.name: f"CASE WHEN left(_subject, 1) = '=' THEN CAST({part} AS {column.type}) END"
        for part, column in zip(parts, columns, strict=True)
    }


def subject_in_bronze(dataset: Dataset) -> str:
    """SQL for the subject of a bronze row."""
    return subject([of_bronze(dataset, name) for name in dataset.key_columns])


def judged(rows: DataFrame, dataset: Dataset) -> DataFrame:
    """Bronze rows as typed values, with the rules that each breaks on its own in ``_own``.

    ``_origin`` is the place of the row that it mends, null where it mends none.
    """
    lineage = [c.name for c in LINEAGE]
    texts = {f"_text_{c.name}": text(c) for c in dataset.sources}
    rows = select(rows, *lineage, "_fault", _origin=origin(), **texts)
    values = {c.name: typed(c, f"`_text_{c.name}`", dataset.dialect) for c in dataset.sources}
    rows = select(rows, "*", **values)
    rows = select(rows, "*", **{c.name: c.derived for c in dataset.columns if c.derived})
    names = [c.name for c in dataset.columns]
    key, own = subject(dataset.key_columns), broken(own_rules(dataset))
    return select(rows, *names, *lineage, "_origin", _subject=key, _own=own)


@dataclass(frozen=True)
class Resolved:
    """Rows with their fates; see `resolve`. Where not ``hides``, none is superseded."""

    rows: DataFrame
    hides: bool


def resolve(
    work: Workspace,
    dataset: Dataset,
    rows: DataFrame,
    parents: Mapping[str, DataFrame],
    *,
    repairs: bool,
) -> Resolved:
    """Give every row its fate.

    ``rows`` are bronze rows: all those in force of each subject among them, and with a row
    that mends another (which only ``repairs`` lets be) that one's whole family. ``parents``
    holds the published rows of each dataset that the foreign keys refer to. The result has
    the contract's columns (typed; null where the text cannot be), the lineage, ``_subject``,
    ``_rules`` (every rule broken), ``_retired`` (a good repair comes after it), the columns of
    `PLACE_IN_FAMILY` and ``_fate``; it can be read again without computing anew.
    """
    staged = work.stage(judged(rows, dataset))
    ruled = _with_foreign_keys(work, dataset, staged, parents)
    ruled = _in_families(work, ruled) if repairs else select(ruled, "*", **_ALONE)
    alone = f"""CASE
        WHEN _retired THEN '{Fate.SUPERSEDED}'
        WHEN size(_rules) = 0 THEN '{Fate.PUBLISHED}'
        ELSE '{Fate.REJECTED}'
    END"""
    result = [*(c.name for c in dataset.silver.columns), "_subject", "_rules"]
    result += ["_retired", *_ROOT, "_repair"]
    key = dataset.key_columns
    repeated = distinct(
        work,
        staged.where(" AND ".join(f"`{part}` IS NOT NULL" for part in key))
        .groupBy(*key)
        .count()
        .where("count > 1"),
        key,
    )
    if not repeated.count:
        return Resolved(select(ruled, *result, _fate=alone), hides=repairs)
    several = work.stage(_among_versions(dataset, matching(ruled, key, repeated)))
    single = select(without(ruled, key, repeated.rows), *result, _fate=alone)
    return Resolved(single.unionByName(several.select(*result, "_fate")), hides=True)


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
        asked = distinct(work, rows.where(f"`{name}` IS NOT NULL"), [name])
        parent = parents[reference]
        key = parent.columns
        known = matching(parent, key, asked)
        orphans = distinct(work, without(asked.rows, [name], known, key=key), [name])
        if not orphans.count:
            continue
        flags = select(orphans.rows, name, **{f"_orphan_{name}": "true"})
        rows = rows.join(flags, name, "left")
        missing.append(rule)
    together = f"concat(_own, {broken(tuple(missing))})" if missing else "_own"
    kept = [c.name for c in dataset.silver.columns]
    return select(rows, *kept, "_subject", "_origin", _rules=together)


_ROOT = tuple(f"_root{c}" for c in VERSION_ORDER)
PLACE_IN_FAMILY = (*_ROOT, "_repair", *VERSION_ORDER)
"""A repair's place is right after its origin's; repairs of one origin stand by their own."""

_OWN = dict(zip(_ROOT, VERSION_ORDER, strict=True))
_ALONE = _OWN | {"_repair": "0", "_retired": "false"}


def _in_families(work: Workspace, rows: DataFrame) -> DataFrame:
    """Put each repair to its first origin, and retire what a good repair comes after.

    Adds the columns of ``PLACE_IN_FAMILY`` and ``_retired``; a repair whose first origin is not
    in force breaks a rule.
    """
    rows = work.stage(select(rows, "*", _place=PLACE))
    roots = _roots(work, rows)
    first = select(rows, _root="_place", **_OWN)
    rows = rows.join(roots.join(first, "_root"), "_place", "left")
    lost = LOST_ORIGIN
    rows = work.stage(
        select(
            rows,
            *(c for c in rows.columns if c not in (*_ROOT, "_rules", "_root")),
            _root="coalesce(_root, _place)",
            **{root: f"coalesce(`{root}`, `{own}`)" for root, own in _OWN.items()},
            _repair="CASE WHEN _origin IS NULL THEN 0 ELSE 1 END",
            _rules=f"CASE WHEN {lost.broken} THEN concat(_rules, array('{lost.name}'))"
            " ELSE _rules END",
        )
    )
    order = newest_first(PLACE_IN_FAMILY)
    family = select(
        rows.join(roots.select("_root").distinct(), "_root", "left_semi"),
        "_place",
        "_root",
        _good="_repair = 1 AND size(_rules) = 0",
        _nth=f"row_number() OVER (PARTITION BY _root ORDER BY {order})",
    )
    newest = "min(CASE WHEN _good THEN _nth END) OVER (PARTITION BY _root)"
    family = select(family, "_place", "_nth", _newest=newest)
    retired = work.stage(select(family.where("_nth > _newest"), "_place", _retired="true"))
    rows = rows.join(retired, "_place", "left")
    kept = [c for c in rows.columns if c != "_retired"]
    return select(rows, *kept, _retired="coalesce(_retired, false)")


def _roots(work: Workspace, rows: DataFrame) -> DataFrame:
    """For each repair (``_place``) its first origin (``_root``).

    Only for those where all on the way there is in force.
    """
    links = rows.where("_origin IS NOT NULL").select("_place", "_origin")
    steps = select(rows, _root="_place", _next="_origin")
    found = work.stage(links.withColumnRenamed("_origin", "_root"))
    while True:
        found = work.stage(found.join(steps, "_root"))
        if not found.where("_next IS NOT NULL").limit(1).collect():
            return found.select("_place", "_root")
        found = select(found, "_place", _root="coalesce(_next, _root)")


def _among_versions(dataset: Dataset, rows: DataFrame) -> DataFrame:
    """Fates of rows whose key has several versions."""
    order = newest_first(PLACE_IN_FAMILY)
    key = ", ".join(f"`{part}`" for part in dataset.key_columns)
    ranked = select(rows, "*", _nth=f"row_number() OVER (PARTITION BY {key} ORDER BY {order})")
    qualifies = "size(_rules) = 0 AND NOT _retired"
    winner = f"min(CASE WHEN {qualifies} THEN _nth END) OVER (PARTITION BY {key})"
    ranked = select(ranked, "*", _winner=winner)
    others = {
        f"_won_{c.name}": f"`{c.name}`"
        for c in dataset.columns
        if c.name not in dataset.key_columns
    }
    winners = select(ranked.where("_nth = _winner"), *dataset.key_columns, _won="true", **others)
    same = " AND ".join(["_won", *(f"{c} <=> `{won}`" for won, c in others.items())])
    hidden = f"(_nth > _winner AND NOT array_contains(_rules, '{LOST_ORIGIN.name}')) OR _retired"
    fate = f"""CASE
        WHEN _nth = _winner THEN '{Fate.PUBLISHED}'
        WHEN ({hidden}) AND size(_rules) = 0 AND {same} THEN '{Fate.DUPLICATE}'
        WHEN {hidden} THEN '{Fate.SUPERSEDED}'
        ELSE '{Fate.REJECTED}'
    END"""
    joined = ranked.join(winners, list(dataset.key_columns), "left")
    return select(joined, *rows.columns, _fate=fate)
