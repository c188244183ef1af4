"""What is pending, and why: the ledger's facts, the raw zone and the tables, compared.

Nothing here is remembered between runs. Whatever was lost halfway (a run, a message, an
answer) shows as a difference and is pending again. Imports neither dagster nor pyspark.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from lakehouse_assets.parse.model import READING
from lakehouse_assets.planning.settled_files import SETTLED_SECONDS, Look, look, whole
from lakehouse_assets.planning.staleness import table_reasons
from lakehouse_assets.store.content import digest_of
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import Fact, Judgement, Kind, Landed
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Lake, Misplaced, RawFile, Source, Zone, content_id
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.store.receipts import behind
from lakehouse_assets.store.storage import StoredObject
from lakehouse_assets.tables.contract import Dataset, Derived
from lakehouse_assets.tables.jobs import TableJob, jobs

_NEW, _CHANGED = "new", "changed"


class ToRead(NamedTuple):
    """A content that a run must read: where its bytes are now, and why it must.

    ``digest`` is None where only reading can tell (bytes placed by hand).
    """

    path: FilePath
    source: Source
    digest: str | None
    reason: str


@dataclass(frozen=True)
class BronzeWork:
    """What brings one dataset's bronze up to date for some batch dates."""

    read: tuple[ToRead, ...] = ()
    leaving: tuple[tuple[FilePath | None, str], ...] = ()
    notices: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.read or self.leaving)


class Pending(NamedTuple):
    """Why a file is pending, and what tells this occasion from every other.

    ``mark`` changes with the bytes at the path and with every fact about it. ``arrived`` is
    when bytes came that no run has read; None where a decision or a rule is the reason.
    ``since`` is when it came to be pending, as far as anything tells. Both in seconds since the
    epoch.
    """

    reason: str
    mark: tuple[str, float, int]
    arrived: float | None
    since: float | None


@dataclass
class Plan:
    """Everything pending in a lake.

    ``newest`` is the newest batch date that anything landed on. ``there`` names the datasets
    of which each date has, or had, files. ``grounds`` is all that tells this plan from others
    but the files: the rules, the tables' versions, restores. It is ``frozen`` while a restore
    stands: nothing is pending then.
    """

    newest: date
    files: dict[FilePath, Pending] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    there: dict[date, set[str]] = field(default_factory=dict)
    grounds: dict[str, str] = field(default_factory=dict)
    misplaced: list[Misplaced] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    waiting: list[tuple[FilePath, Judgement]] = field(default_factory=list)
    frozen: bool = False

    @property
    def dates(self) -> list[date]:
        """The batch dates with pending files, in order."""
        return sorted({path.batch_date for path in self.files})

    @property
    def due(self) -> list[date]:
        """The batch dates to run: of pending files; the newest, where only tables are behind."""
        return self.dates or ([self.newest] if self.tables else [])

    def overdue(self, now: datetime, delay: timedelta) -> list[tuple[FilePath, str, timedelta]]:
        """The files that have been pending for longer than ``delay``: why, and for how long.

        Longest first. Files that wait for a person (held, unreadable) are not pending.
        """
        found = [
            (path, pending.reason, now - datetime.fromtimestamp(pending.since, UTC))
            for path, pending in self.files.items()
            if pending.since is not None
        ]
        return sorted((f for f in found if f[2] > delay), key=lambda f: (-f[2], f[0]))

    def __bool__(self) -> bool:
        return bool(self.files or self.tables)


def of(
    ledger: Ledger,
    datasets: Mapping[str, Dataset],
    derived: Mapping[str, Derived],
    stored: Sequence[StoredObject] | None = None,
) -> Plan:
    """Compare what is in a lake with what should be there.

    ``stored`` is what lies in the raw zone, where that has been listed already.
    """
    return make(ledger.lake, look(ledger, datasets, stored), datasets, derived)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for cycles.

    Among what a plan makes of a million new files are none, and looking takes half the time.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@_uncollected()
def make(
    lake: Lake, seen: Look, datasets: Mapping[str, Dataset], derived: Mapping[str, Derived]
) -> Plan:
    """The plan that follows from a look at the lake."""
    state = seen.state
    here = (day for day in seen.there if lake.outside(day) is None)
    plan = Plan(newest=max(here, default=lake.first_date))
    plan.there = {day: set(names) for day, names in seen.there.items()}
    files: dict[str, dict[FilePath, RawFile]] = {name: {} for name in datasets}
    for found in seen.files:
        if isinstance(found, Misplaced):
            plan.misplaced.append(found)
        else:
            files[found.path.dataset][found.path] = found
            plan.there.setdefault(found.path.batch_date, set()).add(found.path.dataset)
    plan.misplaced.sort(key=lambda found: found.path)
    plan.waiting = state.waiting(lake.raw)
    if state.frozen and state.restored:
        plan.frozen = True
        plan.notices.append(
            f"restored to run {state.restored.run_id}; what landed or was decided since waits "
            "until lakehouse resume"
        )
        return plan
    for dataset in datasets.values():
        _add_files(plan, lake, seen, dataset, files[dataset.name])
    all_jobs = jobs(datasets, derived)
    versions = lake.versions({t.id: t for job in all_jobs.values() for t in job.tables}.values())
    plan.tables = table_reasons(all_jobs.values(), state, versions)
    for dataset in datasets.values():
        if is_untold(state, dataset, versions, seen.present[dataset.name].keys):
            plan.tables[dataset.bronze.id] = "rows have left, and the ledger does not tell"
    plan.grounds = _grounds(all_jobs, state, versions)
    return plan


def is_untold(
    state: State,
    dataset: Dataset,
    now: Mapping[str, TableVersion],
    present: Callable[[], Iterable[str]],
) -> bool:
    """Whether a run has died after a commit by which rows only left bronze: no file tells of it.

    Where rows came, their files are still to be judged, and who does that tells of both.
    ``present`` gives the contents in bronze; it is only asked where the versions differ.
    """
    name = dataset.bronze.id
    told = state.absorbed.get(name)
    if told is None or name not in now or told.written.get(name) == now[name]:
        return False
    in_force = {content_id(s.path, s.in_force) for s in state.of(dataset.name) if s.in_force}
    return in_force.issuperset(present())


def dates_of(ledger: Ledger, dataset: Dataset) -> list[date]:
    """The batch dates on which files of a dataset are pending, in order.

    Reads bronze's log and no other table's; none while a restore stands.
    """
    lake = ledger.lake
    seen = whole(lake, ledger.followed(), {dataset.name: dataset})
    plan = Plan(newest=lake.first_date)
    if not seen.state.frozen:
        files = [found for found in seen.files if isinstance(found, RawFile)]
        mine = {found.path: found for found in files if found.path.dataset == dataset.name}
        _add_files(plan, lake, seen, dataset, mine)
    return plan.dates


def _add_files(
    plan: Plan, lake: Lake, seen: Look, dataset: Dataset, raw: Mapping[FilePath, RawFile]
) -> None:
    """Add a dataset's pending files, and what is to be said of others."""
    state = seen.state
    work = bronze_work(lake, state, dataset, raw.values(), seen.present[dataset.name])
    for path, reason in _reasons(lake, state, dataset, work):
        if problem := lake.outside(path.batch_date):
            plan.notices.append(f"{path}: {problem}")
        elif path not in plan.files:
            plan.files[path] = _pending(reason, state.paths.get(path), raw.get(path))
    plan.notices += work.notices


def _reasons(
    lake: Lake, state: State, dataset: Dataset, work: BronzeWork
) -> Iterator[tuple[FilePath, str]]:
    """Why files are pending, for each the weightiest reason first."""
    yield from ((item.path, item.reason) for item in work.read)
    for path, _ in work.leaving:
        if path is not None:
            yield path, "withdrawn" if state.at(path).in_force is None else "older again"
    yield from ((path, "its receipt is due") for path in behind(lake, state, dataset))


def _pending(reason: str, past: PathState | None, raw: RawFile | None) -> Pending:
    fact = past.newest if past else None
    told = fact.recorded_at.timestamp() if fact and fact.recorded_at else None
    arrived = None
    if reason in (_NEW, _CHANGED):
        arrived = raw.stored.modified if raw else told
    stamp, modified = (raw.stored.stamp, raw.stored.modified) if raw else ("", 0.0)
    mark = stamp, modified, fact.seq if fact else 0
    return Pending(reason, mark, arrived, told if arrived is None else arrived)


def _grounds(
    all_jobs: Mapping[str, TableJob], state: State, versions: Mapping[str, TableVersion]
) -> dict[str, str]:
    rules = {name: job.rules for name, job in all_jobs.items()}
    # What is derived is seen by its inputs.
    read = {t.id: versions.get(t.id) for job in all_jobs.values() for t in job.reads}
    return {"rules": str(rules), "versions": str(read), "restores": str(state.announced)}


def bronze_work(
    lake: Lake,
    state: State,
    dataset: Dataset,
    files: Iterable[RawFile],
    present: Mapping[str, date],
    dates: Sequence[date] | None = None,
) -> BronzeWork:
    """What a run must read, and what must leave bronze, for a dataset (and those dates).

    ``files`` are the raw files of the dataset and dates, ``present`` the contents that bronze
    holds of them. ``leaving`` names the path (None where the ledger does not know it) and the
    content.
    """
    at_path = {f.path: f for f in files}
    known = {s.path: s for s in state.of(dataset.name, dates)}
    read: list[ToRead] = []
    notices: list[str] = []
    wanted: set[str] = set()
    for path in sorted(dict.fromkeys([*at_path, *known])):  # mostly in order: that sorts fast
        past, raw = known.get(path), at_path.get(path)
        if past is None or past.last is None:
            if raw:  # new, whatever its bytes: they need not be read to know
                read.append(ToRead(path, Source(Zone.RAW, raw.stored.path), None, _NEW))
            continue
        try:
            new = _raw_digest(lake, raw, past.last) if raw else None
        except FileNotFoundError:
            raw = new = None  # it went after the listing
        changed = raw is not None and new != past.last.digest
        if raw and changed:
            read.append(ToRead(path, Source(Zone.RAW, raw.stored.path), new, _CHANGED))
        elif raw and not past.open:
            notices.append(
                f"{path}: withdrawn, and the file is still in the raw zone; remove it for good, or "
                "bring it back with lakehouse reinstate"
            )
        for digest, reason in _to_judge(dataset, past, present):
            source = _bytes_of(lake, path, digest, new)
            if source and not (changed and digest == new):  # those are read already
                read.append(ToRead(path, source, digest, reason))
        if present and past.in_force:
            wanted.add(content_id(path, past.in_force))
    notices += _lost_for_good(read, known, present)
    gone = [c for c in sorted(present) if c not in wanted]
    names = _landed(known.values()) if gone else {}
    leaving = tuple((names.get(c), c) for c in gone)
    return BronzeWork(tuple(read), leaving, tuple(notices))


def _lost_for_good(
    read: Iterable[ToRead], known: Mapping[FilePath, PathState], present: Container[str]
) -> list[str]:
    reading = {item.path for item in read}
    return [
        f"{path}: bronze has lost its rows, and its bytes are kept nowhere; "
        "restore one of them, or land the file again"
        for path, past in known.items()
        if path not in reading and missing(past, present)
    ]


def _landed(known: Iterable[PathState]) -> dict[str, FilePath]:
    return {content_id(p.path, f.digest): p.path for p in known for f in p.landings if f.digest}


def _to_judge(
    dataset: Dataset, past: PathState, present: Mapping[str, date]
) -> Iterable[tuple[str, str]]:
    for digest in past.unjudged:
        yield digest, _NEW if past.landings[0].digest == digest else _CHANGED
    last = past.open[-1].digest if past.open else None
    standing = past.standing
    refused = standing is not None and standing.kind in (Kind.HELD, Kind.UNREADABLE)
    if last and standing and refused and standing.rules != dataset.rules_digest:
        yield last, "rules changed"
        return
    coming = missing(past, present)
    if coming and coming not in past.unjudged:  # else it is read already
        yield coming, "accepted" if coming in past.accepted else "in force again"
    elif past.in_force and is_outdated(dataset, past, past.in_force):
        yield past.in_force, "files are read otherwise now"


def is_outdated(dataset: Dataset, past: PathState, digest: str) -> bool:
    """Whether a content was read as this release, or its dataset's dialect, has it no longer."""
    judged = past.judgements.get(digest)
    now = READING, dataset.dialect.reading
    return judged is not None and (judged.reading, judged.dialect) != now


def missing(past: PathState, present: Container[str]) -> str | None:
    """The digest of the content in force, if it has rows and bronze has none of them."""
    digest = past.in_force
    judged = past.judgements.get(digest or "")
    if digest and judged and judged.read and content_id(past.path, digest) not in present:
        return digest
    return None


def _raw_digest(lake: Lake, raw: RawFile, last: Fact) -> str:
    """Digest of the bytes at a path, without reading them where the stamp tells."""
    landed = last.detail
    if last.digest and isinstance(landed, Landed) and landed.stamp == raw.stored.stamp:
        recorded = last.recorded_at.timestamp() if last.recorded_at else 0.0
        if recorded - raw.stored.modified > SETTLED_SECONDS or landed.by == "land":
            return last.digest
    return digest_of(lake.raw, raw.stored.path)


def _bytes_of(lake: Lake, path: FilePath, digest: str, at_path: str | None) -> Source | None:
    return Source(Zone.RAW, str(path)) if at_path == digest else lake.bytes_of(path, digest)
