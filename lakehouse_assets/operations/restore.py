"""All tables back together to what a run had published, and forth again.

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
from lakehouse_assets.planning.staleness import anew, made, table_reasons
from lakehouse_assets.store import receipts
from lakehouse_assets.store.facts import Fact, Kind
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.ledger import Ledger, State, moved
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import DATASETS, GOLD, queryable

KEPT = timedelta(days=30)
"""How long replaced files are kept, and with them what a restore goes back to."""

_SHORTEST = 4


class RewindError(LakehouseError):
    """A restore, or its end, that cannot be."""


def close(lake: Lake, run_id: str, dates: Iterable[str]) -> None:
    """Record which versions of all tables belong together, at the end of a run.

    Only where anything was recorded since the last time, and all of it has been taken in.
    """
    ledger = Ledger(lake)
    versions = _versions(lake)

    def published(state: State) -> list[Fact]:
        same = bool(state.published) and state.published[-1].seq == state.seq
        if state.restored or state.rewinding or same:
            return []
        if table_reasons(lake, state, DATASETS, GOLD):
            return []  # another run is between two tables: what it leaves will belong together
        detail = {"versions": versions, "made": made(lake, versions), "dates": list(dates)}
        return [Fact(Kind.PUBLISHED, detail=detail, run_id=run_id)]

    ledger.decide(published)


def find(state: State, text: str) -> Fact:
    """The run that a person means: by its id, which may be cut short, or by a time.

    A time (ISO 8601, UTC unless it says otherwise) means the last run that ended by then.
    Raises RewindError.
    """
    runs = state.published
    if not runs:
        raise RewindError(f"{text}: no run has published anything yet; lakehouse run is the first")
    by_name = {f.run_id: f for f in runs if f.run_id and f.run_id.startswith(text)}
    if len(text) >= _SHORTEST and len(by_name) == 1:
        return by_name.popitem()[1]
    if len(by_name) > 1:
        raise RewindError(f"{text}: may mean {len(by_name)} runs; give more of the run's id")
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise RewindError(
            f"{text}: neither a run's id nor a time; lakehouse history lists the runs"
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    before = [f for f in runs if f.recorded_at and f.recorded_at <= time]
    if not before:
        raise RewindError(
            f"{text}: no run had published anything by then; lakehouse history lists the runs"
        )
    return before[-1]


def restore(ledger: Ledger, to: str, run_id: str) -> Fact:
    """Take all tables back to what a run had published; returns that run.

    Whoever calls keeps other writers away. Raises RewindError.
    """
    lake = ledger.lake
    finish(ledger, run_id)
    fact = find(ledger.state(), to)
    _check_kept(lake, fact)
    versions = _versions(lake)
    now = made(lake, versions)

    def restored(state: State) -> list[Fact]:
        before = state.restored
        detail = {
            "run_id": fact.run_id,
            "as_of": fact.seq,
            "targets": fact.detail["versions"],
            "before": before.before if before else versions,
            "before_seq": before.before_seq if before else state.seq,
            "made": before.made if before else now,
        }
        return [Fact(Kind.RESTORED, detail=detail, run_id=run_id)]

    ledger.decide(restored)
    finish(ledger, run_id)
    return fact


def resume(ledger: Ledger, run_id: str) -> None:
    """End the restore that stands: tables as before it; what waited is pending again.

    Whoever calls keeps other writers away. Raises RewindError.
    """

    def resumed(state: State) -> list[Fact]:
        past = state.restored
        if past is None:
            raise RewindError("no restore stands; there is nothing to resume")
        detail = {"run_id": past.run_id, "as_of": past.before_seq, "targets": past.before}
        detail |= {"made": past.made}
        return [Fact(Kind.RESUMED, detail=detail, run_id=run_id)]

    state = ledger.state()
    if state.restored or state.rewinding is None:  # else its end was announced already
        ledger.decide(resumed)
    finish(ledger, run_id)


def finish(ledger: Ledger, run_id: str) -> bool:
    """Finish what is announced and was not done to its end; returns whether anything was."""
    rewind = ledger.state().rewinding
    if rewind is None:
        return False
    lake = ledger.lake
    moves: dict[str, tuple[int, int]] = {}
    for table in queryable().values():
        same = not anew(lake, {table.id: rewind.made.get(table.id)})
        if same and lake.version(table) is not None:  # else it is made anew by the next run
            # A table that came later was created empty: that is its version 0.
            target = rewind.targets.get(table.id, 0)
            moves[table.id] = target, _take_to(lake, table, target)
    then = receipts.current(lake, through=rewind.as_of)
    receipts.record(ledger, then, run_id)
    done = Fact(Kind.REWOUND, detail={"announced": rewind.seq}, run_id=run_id)
    ledger.append([*moved(ledger.state(rewind.as_of).absorbed, moves, run_id), done])
    return True


def _take_to(lake: Lake, table: Table, version: int) -> int:
    """Give a table the rows of an older version, by a new one; returns the newest."""
    newest = lake.version(table)
    assert newest is not None  # the caller has seen it

    def files(version: int) -> set[str]:
        return {f["path"] for f in lake.files(table, version)}

    if files(newest) == files(version):
        return newest
    opened = lake.delta(table)
    assert opened is not None
    opened.restore(version)
    return lake.create(table)


def _check_kept(lake: Lake, fact: Fact) -> None:
    """Refuse what can no longer be restored before anything is touched."""
    if others := anew(lake, fact.detail["made"]):
        raise RewindError(
            f"run {fact.run_id}: {', '.join(others)} was lost since, and its history with it; "
            "choose a later run from lakehouse history"
        )
    gone = fact.recorded_at is not None and datetime.now(UTC) - fact.recorded_at > KEPT
    try:
        for table in queryable().values():
            if table.id in fact.detail["versions"]:
                lake.delta(table, fact.detail["versions"][table.id])
    except DeltaError:
        gone = True
    if gone:
        raise RewindError(
            f"run {fact.run_id}: its files were kept for {KEPT.days} days and are gone; "
            "choose a later run from lakehouse history"
        )


def _versions(lake: Lake) -> dict[str, int]:
    found = {t.id: lake.version(t) for t in queryable().values()}
    return {name: version for name, version in found.items() if version is not None}
