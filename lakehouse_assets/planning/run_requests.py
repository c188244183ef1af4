"""Which runs to start now: a plan, what was tried before and the time, weighed.

Pure: nothing here asks a storage, a clock or Dagster. Whatever is not started is pending still
when the next look comes, so that losing an answer of this module loses nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from lakehouse_assets.planning.pending_files import Pending, Plan
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.tables.contract import Dataset

FEW = 3
"""Up to so many batch dates get a run each; more share one for each stretch of days."""

RETRY_AFTER = tuple(timedelta(minutes=m) for m in (1, 4, 16, 64))
"""How long a plan that a run has not done away with waits for its next attempt."""


def _cursor(next_look: float) -> str:
    return json.dumps({"next_look": next_look})


AT_ONCE = _cursor(0)
"""The sensor's cursor where the next look is due at once."""


@dataclass(frozen=True)
class Attempt:
    """A run that has ended: its number among its plan's attempts, from 1, and when it ended.

    ``ended`` is in seconds since the epoch.
    """

    number: int
    ended: float


@dataclass(frozen=True)
class Start:
    """A run to start: for batch dates without a gap, by the digest of what is to be done."""

    dates: tuple[date, ...]
    plan: str
    attempt: int

    @property
    def key(self) -> str:
        """What this run is known by; no other run ever has it."""
        return f"{self.plan}-{self.attempt}"


@dataclass(frozen=True)
class WaitTimes:
    """How long arrivals are waited for.

    An object younger than ``settle`` may still be replaced. A date of which an expected dataset
    has nothing yet waits for it, but no longer than ``patience``.
    """

    settle: timedelta = timedelta(seconds=30)
    patience: timedelta = timedelta(minutes=30)


@dataclass
class Decision:
    """The runs to start, why others wait, and in how many seconds one of these may be ready."""

    starts: list[Start] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    again: float | None = None

    def wait(self, line: str, seconds: float | None = None) -> None:
        """Say why something waits, and for how long where that is known."""
        self.waits.append(line)
        if seconds is not None:
            self.again = seconds if self.again is None else min(self.again, seconds)

    def cursor(self, now: datetime, interval: float) -> str:
        """When to look again; after a start, as soon as its run is through."""
        if self.starts:
            return AT_ONCE
        soon = interval if self.again is None else min(interval, self.again)
        return _cursor(now.timestamp() + soon)


def seconds_to_look(cursor: str | None, now: datetime, interval: float) -> float:
    """How long until the next look is due; 0 where the cursor does not say, or cannot be right."""
    left = float(json.loads(cursor or AT_ONCE)["next_look"]) - now.timestamp()
    return left if 0 < left <= interval else 0.0


def decide(
    plan: Plan,
    datasets: Mapping[str, Dataset],
    tried: Callable[[str], Sequence[Attempt]],
    now: datetime,
    wait_times: WaitTimes,
) -> Decision:
    """What to start, while no run is queued or under way.

    ``tried`` finds the ended runs for a plan's digest. Batch dates are days in UTC.
    """
    decision = Decision(waits=[*map(str, plan.misplaced), *plan.notices])
    by_date: dict[date, dict[FilePath, Pending]] = {}
    for path, pending in plan.files.items():
        by_date.setdefault(path.batch_date, {})[path] = pending
    wanted = {name for name, dataset in datasets.items() if dataset.expected}
    ready = []
    for day, files in sorted(by_date.items()):
        if not _waits(decision, day, files, wanted - plan.there[day], now, wait_times):
            ready.append(day)
    days = [[day] for day in ready] if len(ready) <= FEW else stretches(ready)
    for some in days:
        todo = {path: pending for day in some for path, pending in by_date[day].items()}
        _attempt(decision, some, _digest(plan, some, todo), tried, now)
    # Tables are brought up to date by every run: they need one of their own only without.
    newest = min(plan.newest, now.astimezone(UTC).date())
    if plan.tables and not decision.starts and newest not in by_date:
        _attempt(decision, [newest], _digest(plan, [newest], {}), tried, now)
    return decision


def stretches(dates: Sequence[date]) -> list[list[date]]:
    """The dates in order, cut wherever a day is missing.

    Dagster keeps some sixty events for each date of a run: days on which nothing is pending
    would cost a second each.
    """
    found: list[list[date]] = []
    for day in sorted(set(dates)):
        if found and day - found[-1][-1] == timedelta(days=1):
            found[-1].append(day)
        else:
            found.append([day])
    return found


def range_tags(days: Sequence[date]) -> dict[str, str]:
    """What tells a run its batch dates; none for a single one, which is its partition."""
    if len(days) == 1:
        return {}
    return {
        "dagster/asset_partition_range_start": days[0].isoformat(),
        "dagster/asset_partition_range_end": days[-1].isoformat(),
    }


def _waits(
    decision: Decision,
    day: date,
    files: Mapping[FilePath, Pending],
    missing: set[str],
    now: datetime,
    wait_times: WaitTimes,
) -> bool:
    """Whether a date is to be left alone for now; the decision says why."""
    arrived = [f.arrived for f in files.values() if f.arrived is not None]
    if not arrived:  # decisions and rules wait for nobody
        return False
    ages = [_between(now, moment) for moment in set(arrived)]
    young, oldest = min(ages), max(ages)
    if young < wait_times.settle:
        left = wait_times.settle - young
        decision.wait(f"{day}: files are still arriving", left.total_seconds())
        return True
    if missing and oldest < wait_times.patience:
        left = wait_times.patience - oldest
        line = f"{day}: waits {_told(left)} more for {' and '.join(sorted(missing))}"
        decision.wait(line, left.total_seconds())
        return True
    return False


def _attempt(
    decision: Decision,
    days: Sequence[date],
    digest: str,
    tried: Callable[[str], Sequence[Attempt]],
    now: datetime,
) -> None:
    before = max(tried(digest), key=lambda a: a.number, default=None)
    number = before.number + 1 if before else 1
    if before:
        name = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        told = f"{name}: pending still after attempt {before.number}"
        if number > len(RETRY_AFTER) + 1:
            decision.wait(f"{told}, the last one; see why, then lakehouse run")
            return
        left = RETRY_AFTER[before.number - 1] - _between(now, before.ended)
        if left > timedelta():
            decision.wait(f"{told}; the next in {_told(left)}", left.total_seconds())
            return
    decision.starts.append(Start(tuple(days), digest, number))


def _digest(plan: Plan, days: Sequence[date], files: Mapping[FilePath, Pending]) -> str:
    """What a run would do, in short: equal only where it is the same, for the same reasons."""
    grounds = plan.grounds if not files else {k: plan.grounds[k] for k in ("rules", "restores")}
    told = hashlib.sha256(f"{list(map(str, days))} {sorted(grounds.items())}".encode())
    for path in sorted(files):
        told.update(f"\n{path} {files[path].reason} {files[path].mark}".encode())
    if not files:
        told.update(f"{sorted(plan.tables.items())}".encode())
    return told.hexdigest()[:32]


def _between(now: datetime, then: float) -> timedelta:
    # Clocks are set back, and files carry times of the future: those must not wait for ever.
    return timedelta(seconds=abs(now.timestamp() - then))


def _told(left: timedelta) -> str:
    seconds = max(1, round(left.total_seconds()))
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"  # noqa: PLR2004 - two minutes
