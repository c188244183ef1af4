"""Bronze: read the files, judge each by its own content, and keep the rows of those in force.

A crash may come between any two commits. `_take_in` is the order that makes every such moment
harmless: rows before facts. Rows without facts are known to no one: silver takes in no version
of bronze that the ledger does not tell of, and the next run reads and judges the same files
again. Facts without rows could not be mended: they would put a content in force whose bytes may
have been overwritten since. Bytes kept aside go after the facts that say they have been read, and
receipts, which follow from all that, come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from lakehouse_assets.parse import Limits
from lakehouse_assets.pipeline.bronze_checks import report
from lakehouse_assets.pipeline.bronze_judging import judge
from lakehouse_assets.pipeline.bronze_reading import Staged, stage_files
from lakehouse_assets.pipeline.publish import AuditError, commit
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.workspace import Workspace, among
from lakehouse_assets.planning.file_order import counting_as_older
from lakehouse_assets.planning.pending_files import (
    BronzeWork,
    bronze_work,
    is_outdated,
    is_untold,
    missing,
)
from lakehouse_assets.planning.settled_files import contents
from lakehouse_assets.store import receipts
from lakehouse_assets.store.facts import Absorbed, Fact, Landed
from lakehouse_assets.store.lake import ASIDE, Lake, RawFile, content_id
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.tables.contract import Dataset


def run(
    work: Workspace, ledger: Ledger, dataset: Dataset, dates: Sequence[date], limits: Limits | None
) -> Result:
    """Take in the files of these batch dates; see `run_table`."""
    lake = work.lake
    result = Result(dataset.bronze.id)
    lake.create(dataset.bronze)
    # Before the ledger is read: what `land` keeps aside from now on is not this run's to remove.
    aside = _kept_aside(lake, dataset, dates)
    state = ledger.followed()
    if not state.frozen:
        files = _files(lake, dataset, dates)
        pending = _pending(lake, state, dataset, dates, files)
        result.lines += pending.notices
        result.metadata["files_read"] = len(pending.read)
        if pending:
            _take_in(work, ledger, state, dataset, dates, files, pending, limits)
            state = ledger.state()
            result.lines += counting_as_older(state, {item.path for item in pending.read})
        elif _is_untold(lake, state, dataset):
            _record_facts(work, ledger, dataset, [])
            state = ledger.state()
        _forget_aside(lake, state, dataset, dates, aside)
        _record_receipts(work, ledger, state, dataset, dates)
    result.version = lake.version(dataset.bronze)
    report(result, lake, state, dataset, dates)
    result.metadata["rows_read"] = sum(d.get("read", 0) for d in result.days.values())
    return result


def has_news(lake: Lake, state: State, dataset: Dataset, dates: Sequence[date]) -> bool:
    """Whether there is a file to read, or rows that must leave, of these batch dates."""
    pending = _pending(lake, state, dataset, dates, _files(lake, dataset, dates))
    return bool(pending) or _is_untold(lake, state, dataset)


def _is_untold(lake: Lake, state: State, dataset: Dataset) -> bool:
    versions = lake.versions([dataset.bronze])
    return is_untold(state, dataset, versions, lambda: contents(lake, dataset))


def _pending(
    lake: Lake, state: State, dataset: Dataset, dates: Sequence[date], files: Sequence[RawFile]
) -> BronzeWork:
    return bronze_work(lake, state, dataset, files, contents(lake, dataset, dates), dates)


def _take_in(
    work: Workspace,
    ledger: Ledger,
    state: State,
    dataset: Dataset,
    dates: Sequence[date],
    files: Sequence[RawFile],
    pending: BronzeWork,
    limits: Limits | None,
) -> None:
    """Stage, judge, audit, commit the rows, record the facts: in this order."""
    staged = stage_files(work, dataset, state, pending.read, limits)
    stamps = {file.path: file.stored.stamp for file in files}
    facts = judge(dataset, state, staged, stamps, work.run_id)
    numbered = (replace(fact, seq=state.seq + 1 + i) for i, fact in enumerate(facts))
    change = _change(work.lake, state, state.after(numbered), dataset, dates, staged)
    _audit(dataset, staged, change)
    _commit_rows(work, dataset, dates, staged, change)
    _record_facts(work, ledger, dataset, facts)


# -------------------------------------------------------------------------- before the commit


def _files(lake: Lake, dataset: Dataset, dates: Sequence[date]) -> list[RawFile]:
    """The dataset's files at their paths."""
    found = lake.raw_files(dates)
    return [f for f in found if isinstance(f, RawFile) and f.path.dataset == dataset.name]


@dataclass(frozen=True)
class _Change:
    """The contents whose rows this run adds to bronze, and those whose rows it removes."""

    added: set[str]
    removed: set[str]


def _change(
    lake: Lake,
    before: State,
    after: State,
    dataset: Dataset,
    dates: Sequence[date],
    staged: Staged,
) -> _Change:
    """What brings bronze to what is in force ``after`` this run's facts.

    The rows of what was read otherwise ``before`` are replaced by those read now.
    """
    in_force = {
        content_id(past.path, past.in_force)
        for past in after.of(dataset.name, dates)
        if past.in_force
    }
    present = set(contents(lake, dataset, dates))
    readable = [summary for summary in staged.summaries if summary.error is None]
    again = in_force & {
        s.content for s in readable if is_outdated(dataset, before.at(s.path), s.digest)
    }
    with_rows = {summary.content for summary in readable if summary.read}
    return _Change(
        added=((in_force - present) | again) & with_rows,
        removed=(present - in_force) | (present & again - with_rows),
    )


def _audit(dataset: Dataset, staged: Staged, change: _Change) -> None:
    """Every row that was parsed must have been staged. Raises AuditError."""
    if not change.added:
        return
    rows = staged.rows.where(among("_content", change.added))
    counted = {r["_content"]: r["count"] for r in rows.groupBy("_content").count().collect()}
    for summary in staged.summaries:
        found = counted.get(summary.content, 0)
        if summary.content in change.added and found != summary.read:
            raise AuditError(
                f"{dataset.bronze.id}: {summary.read} rows parsed but {found} staged of "
                f"{summary.path}; nothing published"
            )


# -------------------------------------------------------------------------------- the commits


def _commit_rows(
    work: Workspace, dataset: Dataset, dates: Sequence[date], staged: Staged, change: _Change
) -> None:
    """One commit that adds and removes; none where nothing changes."""
    if not change.added | change.removed:
        return
    # A content belongs to one path and so to one date: the product of both lists is exact.
    replaced = among("_content", change.added | change.removed)
    rows = staged.rows.where(among("_content", change.added))
    commit(work, dataset.bronze, rows, f"{among('_batch_date', dates)} AND {replaced}")


def _record_facts(work: Workspace, ledger: Ledger, dataset: Dataset, facts: list[Fact]) -> None:
    """What landed and what was found, and that bronze's version now has it."""
    table = dataset.bronze
    work.lake.create(table)
    taken_in = Fact(
        Absorbed(table.id, work.lake.versions([table]), {}, dataset.rules_digest),
        run_id=work.run_id,
    )
    ledger.transact(
        lambda now: [f for f in (*facts, taken_in) if not _landed_meanwhile(now, f)],
    )


def _landed_meanwhile(now: State, fact: Fact) -> bool:
    """Whether what this run would land by reading it has been landed by someone since."""
    if not isinstance(fact.detail, Landed) or fact.path is None:
        return False
    last = now.at(fact.path).last
    return last is not None and last.digest == fact.digest


def _kept_aside(lake: Lake, dataset: Dataset, dates: Sequence[date]) -> list[str]:
    """Where `land` has put bytes that may leave their path before a run has read them."""
    folders = [f"{ASIDE}/{dataset.name}/{day}" for day in dates]
    return [stored.path for folder in folders for stored in lake.storage.list(folder)]


def _forget_aside(
    lake: Lake, state: State, dataset: Dataset, dates: Sequence[date], aside: Sequence[str]
) -> None:
    """Remove the bytes kept aside that no run needs any more."""
    present = contents(lake, dataset)
    needed = set()
    for past in state.of(dataset.name, dates) if aside else []:
        lost = missing(past, present)
        digests = [*past.unjudged, *([lost] if lost else [])]
        needed |= {lake.aside(past.path, digest) for digest in digests}
    for path in aside:
        if path not in needed:
            lake.storage.delete(path)


def _record_receipts(
    work: Workspace, ledger: Ledger, state: State, dataset: Dataset, dates: Sequence[date]
) -> None:
    """The receipts that need not wait for silver."""
    due = receipts.due_without_tables(work.lake, state, dataset, dates)
    receipts.record(ledger, due, work.run_id)
