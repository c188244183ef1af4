"""Silver: resolve the keys that a change touches, and publish exactly one row of each.

A change is a row that came to or left bronze, or a parent that came to or left silver. All
rows in force of every subject (key) touched are resolved together, whenever they landed;
the tables' rows of those subjects, and no others, are replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from lakehouse_assets import receipts
from lakehouse_assets.changes import VersionGoneError, between, touched_partitions
from lakehouse_assets.contract import Category, Dataset, Table
from lakehouse_assets.job.result import Check, Result, Severity
from lakehouse_assets.ledger import Ledger, State, absorbed
from lakehouse_assets.plan import silver_inputs, table_reason
from lakehouse_assets.publish import Published, replace_rows
from lakehouse_assets.resolve import VERSION_ORDER, Fate, resolve, subject, subject_in_bronze
from lakehouse_assets.rules import (
    LOST_ORIGIN,
    PLACE,
    Rule,
    category,
    foreign_key_rules,
    of_bronze,
    origin,
    own_rules,
)
from lakehouse_assets.tables import DATASETS
from lakehouse_assets.workspace import Workspace, among, matching, union, without

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_SAMPLES = 5


def run(
    work: Workspace, ledger: Ledger, dataset: Dataset, dates: Sequence[date], *, replay: bool
) -> Result:
    """Absorb all that has changed in bronze and in the parents; see `job.run`."""
    lake = work.lake
    state = ledger.followed()
    for table in (dataset.bronze, dataset.silver, dataset.rejected, dataset.superseded):
        lake.create(table)
    inputs = silver_inputs(lake, dataset, DATASETS)
    result = Result(dataset.silver.id)
    reason = table_reason(state, dataset.silver.id, inputs, dataset.rules_digest)
    if replay:
        reason = reason or "replayed"
    if reason and not state.frozen:
        result.metadata["reason"] = reason
        again = frozenset(dates if replay else ())
        published = _absorb(work, ledger, state, dataset, inputs, again)
        result.metadata |= {"rows_come": published.come, "rows_gone": published.gone}
    result.version = lake.version(dataset.silver)
    _report(work, result, dataset, dates)
    return result


@dataclass(frozen=True)
class _Affected:
    """What must be resolved: subjects (None for all) and the bronze rows of them.

    ``repairs`` says whether rows that mend others may be among them.
    """

    subjects: DataFrame | None
    rows: DataFrame
    dates: set[date]
    repairs: bool


def _absorb(
    work: Workspace,
    ledger: Ledger,
    state: State,
    dataset: Dataset,
    inputs: Mapping[str, int],
    again: Collection[date],
) -> Published:
    before = state.absorbed.get(dataset.silver.id)
    parents = {
        c.references: _published(work, DATASETS[c.references], inputs).select(
            DATASETS[c.references].key
        )
        for c in dataset.foreign_keys
        if c.references
    }
    affected = None
    tables = (dataset.silver, dataset.rejected, dataset.superseded)
    now = {t.id: work.lake.create(t) for t in tables}
    # Other versions than recorded: a run died between two commits, and may have left rows behind
    # that no change since then points to.
    whole = before is not None and {**before.beside, dataset.silver.id: before.version} == now
    if before is not None and whole and before.rules == dataset.rules_digest:
        try:
            affected = _touched(work, dataset, state, before.inputs, inputs, again)
        except VersionGoneError:
            affected = None  # too long ago to tell what changed: resolve everything
    if affected is None:
        bronze = work.read(dataset.bronze, inputs[dataset.bronze.id])
        here = {f["_content"] for f in work.lake.files(dataset.bronze, inputs[dataset.bronze.id])}
        days = {s.path.batch_date for s in state.of(dataset.name)}
        affected = _Affected(None, bronze, days, bool(state.repairing(dataset.name, here)))
    resolved = resolve(work, dataset, affected.rows, parents, repairs=affected.repairs)
    published = _publish(work, dataset, affected, resolved)
    versions = {t.id: work.lake.create(t) for t in tables}
    receipts.record(
        ledger,
        receipts.in_tables(work, state, dataset, sorted(affected.dates), versions),
        work.run_id,
    )
    done = absorbed(
        dataset.silver.id,
        versions[dataset.silver.id],
        inputs,
        dataset.rules_digest,
        work.run_id,
        {t.id: versions[t.id] for t in tables[1:]},
        rows_come=published.come,
        rows_gone=published.gone,
    )
    ledger.append([done])
    return published


# ----------------------------------------------------------------------------------- affected


def _touched(
    work: Workspace,
    dataset: Dataset,
    state: State,
    before: Mapping[str, int],
    after: Mapping[str, int],
    again: Collection[date],
) -> _Affected:
    """The subjects that changes touch, or uploads of the dates to do again, and their bronze rows.

    Raises VersionGoneError where a version that was absorbed can no longer be compared.
    """
    bronze = dataset.bronze
    old, new = before.get(bronze.id, -1), after[bronze.id]
    touched = touched_partitions(work, bronze, old, new)
    uploads, days = {content for _, content in touched}, {day for day, _ in touched}
    days_here = {f["_content"]: f["_batch_date"] for f in work.lake.files(bronze, new)}
    here = set(days_here)
    there = {f["_content"] for f in work.lake.files(bronze, old if old >= 0 else None)}
    come, gone = (here - there) & uploads, (there - here) & uploads
    come |= {content for content in here if days_here[content] in again}
    name = f"{subject_in_bronze(dataset)} AS _subject"
    found: list[DataFrame] = []
    if come:
        rows = work.read(bronze, new).where(among("_content", come))
        found.append(rows.selectExpr(name))
    if gone:
        rows = work.read(bronze, old).where(among("_content", gone))
        found.append(rows.selectExpr(name))
    found += _of_changed_parents(work, dataset, before, after)
    if not found:
        nothing = work.read(bronze, new).where("false")
        return _Affected(nothing.selectExpr(name), nothing, set(), repairs=False)
    subjects = work.stage(union(found).distinct())
    repairing = state.repairing(dataset.name, here | gone)
    if repairing:
        both = [
            work.read(bronze, new).where(among("_content", here)),
            work.read(bronze, old).where(among("_content", gone)),
        ]
        subjects = _with_families(work, dataset, subjects, both, repairing)
    elsewhere = _uploads_of(work, dataset, subjects)
    days |= set(elsewhere.values())
    # Every row of an upload that came is touched; of the others only those of the subjects.
    frames = [work.read(bronze, new).where(among("_content", come))]
    others = {c for c in elsewhere if c in here and c not in come}
    if others:
        where = among("_batch_date", {elsewhere[c] for c in others})
        where += f" AND {among('_content', others)}"
        rows = work.read(bronze, new).where(where).selectExpr("*", name)
        frames.append(rows.join(subjects, "_subject", "left_semi").drop("_subject"))
    return _Affected(subjects, union(frames), days, bool(repairing))


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
    name = f"{subject_in_bronze(dataset)} AS _subject"

    def those(uploads: set[str], *columns: str) -> DataFrame:
        # Columns before the union: Sail does not unite whole bronze rows, with their maps.
        cut = [rows.where(among("_content", uploads)).selectExpr(*columns) for rows in bronze]
        return union(cut)

    mends = those(repairing, name, f"{origin()} AS _origin")
    mending = work.stage(mends.where("_origin IS NOT NULL"))
    uploads = mending.selectExpr("split(_origin, '/')[0] AS _content").distinct().collect()
    other = f"{subject_in_bronze(dataset)} AS _other"
    mended = those({row["_content"] for row in uploads}, f"{PLACE} AS _origin", other)
    pairs = mending.join(mended, "_origin").select("_subject", "_other")
    back = pairs.selectExpr("_other AS _subject", "_subject AS _other")
    ties = work.stage(pairs.unionByName(back).where("_subject <> _other").distinct())
    while True:
        tied = ties.join(subjects, "_subject", "left_semi").selectExpr("_other AS _subject")
        more = work.stage(tied.distinct().join(subjects, "_subject", "left_anti"))
        if not more.limit(1).collect():
            return subjects
        subjects = work.stage(subjects.unionByName(more))


def _of_changed_parents(
    work: Workspace, dataset: Dataset, before: Mapping[str, int], after: Mapping[str, int]
) -> list[DataFrame]:
    """Subjects of rejected rows whose parent came or went, and of published ones that lost it."""
    found: list[DataFrame] = []
    for column in dataset.foreign_keys:
        parent = DATASETS[column.references or ""]
        table = parent.silver
        changes = between(work, table, before.get(table.id, -1), after[table.id])
        if changes is None:
            continue
        key = parent.key
        came = work.stage(without(changes.come.select(key), key, changes.gone))
        left = work.stage(without(changes.gone.select(key), key, changes.come))
        moved = came.unionByName(left)
        if not moved.limit(1).collect():
            continue
        rejected = _now(work, dataset.rejected).selectExpr(
            "_subject", f"{of_bronze(dataset, column.name)} AS `{column.name}`"
        )
        found.append(matching(rejected, column.name, moved, key=key).select("_subject"))
        orphaned = matching(_now(work, dataset.silver), column.name, left, key=key)
        found.append(orphaned.selectExpr(f"{subject(dataset.key)} AS _subject"))
    return found


def _uploads_of(work: Workspace, dataset: Dataset, subjects: DataFrame) -> dict[str, date]:
    """The uploads (with their batch dates) in which the tables' rows of these subjects stand."""
    keys = _keys(dataset, subjects)
    frames = [
        matching(_now(work, dataset.silver), dataset.key, keys).select("_content", "_batch_date")
    ]
    for table in (dataset.rejected, dataset.superseded):
        rows = _now(work, table).join(subjects, "_subject", "left_semi")
        frames.append(rows.select("_content", "_batch_date"))
    return {r["_content"]: r["_batch_date"] for r in union(frames).distinct().collect()}


def _keys(dataset: Dataset, subjects: DataFrame) -> DataFrame:
    """The subjects that are keys, as the key's type."""
    kind = dataset.silver.column(dataset.key).type
    return subjects.where("_subject LIKE '=%'").selectExpr(
        f"CAST(substring(_subject, 2) AS {kind}) AS `{dataset.key}`"
    )


def _now(work: Workspace, table: Table) -> DataFrame:
    return work.read(table, work.lake.version(table))


def _published(work: Workspace, dataset: Dataset, inputs: Mapping[str, int]) -> DataFrame:
    return work.read(dataset.silver, inputs[dataset.silver.id])


# --------------------------------------------------------------------------------- publishing


def _publish(
    work: Workspace, dataset: Dataset, affected: _Affected, resolved: DataFrame
) -> Published:
    """Write the fates down: losers first, so that silver, when it moves, is the last to."""
    for table, rows in (
        (dataset.superseded, _superseded(resolved)),
        (dataset.rejected, _rejected(work, dataset, affected, resolved)),
    ):
        present = _now(work, table)
        if affected.subjects is None:
            owned, others = present, present.where("false")
        else:
            owned = present.join(affected.subjects, "_subject", "left_semi")
            others = present.join(affected.subjects, "_subject", "left_anti")
        replace_rows(work, table, owned=owned, others=others, rows=rows, grain=VERSION_ORDER)
    present = _now(work, dataset.silver)
    if affected.subjects is None:
        owned, others = present, present.where("false")
    else:
        keys = work.stage(_keys(dataset, affected.subjects))
        owned = matching(present, dataset.key, keys)
        others = without(present, dataset.key, keys)
    return replace_rows(
        work,
        dataset.silver,
        owned=owned,
        others=others,
        rows=resolved.where(f"_fate = '{Fate.PUBLISHED}'"),
        grain=(dataset.key,),
        required=[
            *(c.name for c in dataset.columns if c.required),
            *(c for c in dataset.partition_by),
        ],
    )


def _superseded(resolved: DataFrame) -> DataFrame:
    hidden = resolved.where(f"_fate IN ('{Fate.SUPERSEDED}', '{Fate.DUPLICATE}')")
    return hidden.selectExpr("*", f"_fate = '{Fate.DUPLICATE}' AS _duplicate")


def _rejected(
    work: Workspace, dataset: Dataset, affected: _Affected, resolved: DataFrame
) -> DataFrame:
    """The rejected rows as bronze has them, with their reasons."""
    reasons = work.stage(
        resolved.where(f"_fate = '{Fate.REJECTED}'").selectExpr(
            "_content", "_sheet_no", "_row", "_subject", "_rules"
        )
    )
    whole = affected.rows.join(reasons, ["_content", "_sheet_no", "_row"], "inner")
    whole = whole.selectExpr("*", f"{category(dataset, '_rules')} AS _category")
    return work.stage(whole, with_maps=True)


# ---------------------------------------------------------------------------------- reporting


def checks(dataset: Dataset) -> dict[str, str]:
    """Silver's checks by name, with what each says when it passes."""
    found = {
        "structure": "The table has the contract's columns and types.",
        "keys_unique": f"Every {dataset.key} stands once.",
        "accounting": "Every row of every file has exactly one fate.",
    }
    for name, group in _rule_groups(dataset).items():
        found[name] = "No row breaks " + ", ".join(r.name for r in group) + "."
    return found | {a.name: a.description for a in dataset.advice}


def _rule_groups(dataset: Dataset) -> dict[str, list[Rule]]:
    groups: dict[str, list[Rule]] = {}
    for rule in own_rules(dataset):
        groups.setdefault(f"valid_{rule.column}" if rule.column else "valid_rows", []).append(rule)
    for rule in foreign_key_rules(dataset):
        groups[f"foreign_key_{rule.column}"] = [rule]
    return groups | {"origin": [LOST_ORIGIN]}


def _report(work: Workspace, result: Result, dataset: Dataset, dates: Sequence[date]) -> None:
    lake = work.lake
    days = among("_batch_date", dates)
    found = receipts.current(lake, dataset.name, dates)
    totals = {day: receipts.Counts() for day in dates}
    for receipt in found:
        totals[receipt.path.batch_date] += receipt.counts
    published = _now(work, dataset.silver).where(days)
    _check_structure(work, result, dataset, dates)
    _check_keys(result, dataset, published, totals)
    uneven = [r for r in found if not r.counts.adds_up]
    for day in dates:
        total = totals[day]
        result.days[day] = {**total.__dict__}
        wrong = [str(r.path) for r in uneven if r.path.batch_date == day]
        result.checks.append(
            Check(
                "accounting",
                not wrong,
                day,
                description=checks(dataset)["accounting"]
                if not wrong
                else f"rows do not add up: {', '.join(wrong)}",
                metadata=dict(total.__dict__),
            )
        )
    _check_rules(work, result, dataset, dates, totals)
    _check_advice(work, result, dataset, published, dates)


def _check_structure(
    work: Workspace, result: Result, dataset: Dataset, dates: Sequence[date]
) -> None:
    present = dict(_now(work, dataset.silver).dtypes)
    wanted = {c.name: c.type.lower() for c in dataset.silver.columns}
    differing = sorted(n for n in wanted if present.get(n) != wanted[n])
    for day in dates:
        note = f"differs from the contract: {differing}" if differing else ""
        result.checks.append(
            Check("structure", not differing, day, description=note or checks(dataset)["structure"])
        )


def _check_keys(
    result: Result,
    dataset: Dataset,
    published: DataFrame,
    totals: Mapping[date, receipts.Counts],
) -> None:
    repeated = published.groupBy(dataset.key).count().where("count > 1").select(dataset.key)
    samples = [str(r[0]) for r in repeated.limit(_SAMPLES).collect()]
    for day, total in totals.items():
        result.checks.append(
            Check(
                "keys_unique",
                not samples,
                day,
                description=checks(dataset)["keys_unique"] if not samples else "keys repeat",
                metadata={"rows": total.published, "sample_keys": samples},
            )
        )


def _check_rules(
    work: Workspace,
    result: Result,
    dataset: Dataset,
    dates: Sequence[date],
    totals: Mapping[date, receipts.Counts],
) -> None:
    """One outcome per date and group of rules, from the rows in quarantine."""
    rejected = _now(work, dataset.rejected).where(among("_batch_date", dates))
    exploded = rejected.selectExpr(
        "_batch_date", "_file", "_row", "_subject", "explode(_rules) AS rule"
    )
    rows = (
        exploded.groupBy("_batch_date", "rule")
        .agg({"_row": "count", "_subject": "min"})
        .selectExpr("_batch_date", "rule", "`count(_row)` AS broken", "`min(_subject)` AS sample")
        .collect()
    )
    counts = {(r["_batch_date"], r["rule"]): (r["broken"], r["sample"]) for r in rows}
    for day in dates:
        read = totals[day].read - totals[day].held
        for name, group in _rule_groups(dataset).items():
            broken = {r.name: counts[day, r.name][0] for r in group if (day, r.name) in counts}
            samples = [counts[day, r][1].removeprefix("=") for r in broken]
            share = max(broken.values(), default=0) / read if read else 0.0
            beyond = share > dataset.hold.share and read >= dataset.hold.least_rows
            own = all(r.category is not Category.REFERENTIAL_INTEGRITY for r in group)
            result.checks.append(
                Check(
                    name,
                    not broken,
                    day,
                    Severity.ERROR if beyond and own else Severity.WARN,
                    checks(dataset)[name]
                    if not broken
                    else "rejected rows: " + ", ".join(f"{r} {n:,}" for r, n in broken.items()),
                    {
                        "rows": read,
                        "broken": broken,
                        "threshold": dataset.hold.share,
                        "sample_keys": samples,
                    },
                )
            )


def _check_advice(
    work: Workspace, result: Result, dataset: Dataset, published: DataFrame, dates: Sequence[date]
) -> None:
    if not dataset.advice:
        return
    for other in DATASETS.values():
        _now(work, other.silver).createOrReplaceTempView(other.name)
    published.createOrReplaceTempView("published")
    for advice in dataset.advice:
        rows: list[Any] = (
            work.spark.sql(advice.sql)
            .groupBy("_batch_date")
            .agg({"sample": "min", "*": "count"})
            .collect()
        )
        counts = {r["_batch_date"]: (r["count(1)"], r["min(sample)"]) for r in rows}
        for day in dates:
            number, sample = counts.get(day, (0, ""))
            result.checks.append(
                Check(
                    advice.name,
                    number == 0,
                    day,
                    Severity.WARN,
                    advice.description if number == 0 else f"{number:,} rows, such as {sample}",
                    {"rows": number, "sample": sample},
                )
            )
