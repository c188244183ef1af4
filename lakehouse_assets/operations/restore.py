"""All tables back together to what a run had published, and from there to now again.

A restore is announced in the ledger, done table by table, and then recorded as done, so that
one that dies halfway is finished by whoever comes next. Nothing is lost by it: tables go back
by a commit of their own, and `resume` takes them to where they were before. What lands
meanwhile waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from deltalake.exceptions import DeltaError

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.planning.staleness import table_reasons
from lakehouse_assets.store import receipts
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import Fact, Published, Restored, RestoreDone, Resumed
from lakehouse_assets.store.lake import Lake, iso_date
from lakehouse_assets.store.ledger import Ledger, State, moved
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.jobs import jobs
from lakehouse_assets.tables.registry import queryable

KEPT = timedelta(days=30)
"""How long replaced files are kept, and with them what a restore goes back to."""

_SHORTEST = 4


class RestoreError(LakehouseError):
    """A restore, or its end, that cannot be."""


def close(lake: Lake, run_id: str, dates: Iterable[str]) -> None:
    """Record which versions of all tables belong together, at the end of a run.

    Only where anything was recorded since the last time, and all of it has been taken in.
    """
    ledger, all_jobs = Ledger(lake), jobs()
    versions = lake.versions(queryable().values())

    def published(state: State) -> list[Fact]:
        same = bool(state.published) and state.published[-1].seq == state.seq
        if state.restored or state.unfinished or same:
            return []
        if table_reasons(all_jobs.values(), state, versions):
            return []  # another run is between two tables: what it leaves will belong together
        return [Fact(Published(tuple(dates)), run_id=run_id)]

    ledger.transact(published)


def find(state: State, text: str) -> Fact:
    """The run that a person means: by its id, which may be cut short, or by a time.

    A time (ISO 8601, UTC unless it says otherwise) means the last run that ended by then; a day
    means its end. Raises RestoreError.
    """
    runs = state.published
    if not runs:
        raise RestoreError(f"{text}: no run has published anything yet; lakehouse run is the first")
    by_name = {f.run_id: f for f in runs if f.run_id and f.run_id.startswith(text)}
    if len(text) >= _SHORTEST and len(by_name) == 1:
        return by_name.popitem()[1]
    if len(by_name) > 1:
        raise RestoreError(f"{text}: may mean {len(by_name)} runs; give more of the run's id")
    try:
        time = _time(text)
    except ValueError:
        raise RestoreError(
            f"{text}: not the beginning of a run's id, and not a time; lakehouse history lists the "
            "runs"
        ) from None
    before = [f for f in runs if f.recorded_at and f.recorded_at <= time]
    if not before:
        raise RestoreError(
            f"{text}: no run had published anything by then; lakehouse history lists the runs"
        )
    return before[-1]


def _time(text: str) -> datetime:
    """A time, or the end of a day, of UTC unless it says otherwise. Raises ValueError."""
    try:
        found = datetime.combine(iso_date(text), datetime.max.time())
    except ValueError:
        found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def restore(ledger: Ledger, to: str, run_id: str) -> Fact:
    """Take all tables back to what a run had published; returns that run.

    Whoever calls keeps other writers away. Raises RestoreError.
    """
    finish(ledger, run_id)
    run = find(ledger.state(), to)
    _check_kept(ledger, run)

    def restored(state: State) -> list[Fact]:
        before = state.restored.before_seq if state.restored else state.seq
        return [Fact(Restored(run.run_id or "", run.seq, before), run_id=run_id)]

    ledger.transact(restored)
    finish(ledger, run_id)
    return run


def resume(ledger: Ledger, run_id: str) -> None:
    """End the restore that stands: tables as before it; what waited is pending again.

    Whoever calls keeps other writers away. Raises RestoreError.
    """

    def resumed(state: State) -> list[Fact]:
        past = state.restored
        if past is None:
            raise RestoreError("no restore stands; there is nothing to resume")
        return [Fact(Resumed(past.run_id, past.before_seq), run_id=run_id)]

    state = ledger.state()
    if state.restored or state.unfinished is None:  # else its end was announced already
        ledger.transact(resumed)
    finish(ledger, run_id)


def finish(ledger: Ledger, run_id: str) -> bool:
    """Finish what is announced and was not done to its end; returns whether anything was."""
    announced = ledger.state().unfinished
    if announced is None:
        return False
    lake, then = ledger.lake, ledger.state(announced.as_of)
    targets, moves = then.versions, {}
    for name, now in lake.versions(queryable().values()).items():
        # A table that came later was created empty: that is its version 0.
        target = targets.get(name, TableVersion(now.log_id, 0))
        if target.same_log(now):  # else it was lost since; the next run builds it again
            moves[target] = _take_to(lake, queryable()[name], target)
    receipts.record(ledger, receipts.current(lake, through=announced.as_of), run_id)
    done = Fact(RestoreDone(), run_id=run_id)
    ledger.append([*moved(then.absorbed.values(), moves, run_id), done])
    return True


def _take_to(lake: Lake, table: Table, target: TableVersion) -> TableVersion:
    """Give a table the rows of an older version, by a new one; returns the newest."""
    opened = lake.delta(table)
    assert opened is not None  # the caller has seen it

    def files(version: int) -> set[str]:
        return {f["path"] for f in lake.files(table, version)}

    if files(opened.version()) != files(target.version):
        opened.restore(target.version)
        lake.create(table)
    return lake.versions([table])[table.id]


def _check_kept(ledger: Ledger, run: Fact) -> None:
    """Refuse what can no longer be restored before anything is touched."""
    lake, targets = ledger.lake, ledger.state(run.seq).versions
    there = {name: table for name, table in queryable().items() if name in targets}
    now = lake.versions(there.values())
    lost = [name for name in there if name not in now or not targets[name].same_log(now[name])]
    if lost:
        raise RestoreError(
            f"run {run.run_id}: {', '.join(sorted(lost))} was lost since, and its history with it; "
            "choose a later run from lakehouse history"
        )
    gone = run.recorded_at is not None and datetime.now(UTC) - run.recorded_at > KEPT
    try:
        for name, table in there.items():
            lake.delta(table, targets[name].version)
    except DeltaError:
        gone = True
    if gone:
        raise RestoreError(
            f"run {run.run_id}: its files were kept for {KEPT.days} days and are gone; "
            "choose a later run from lakehouse history"
        )
