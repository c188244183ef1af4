"""The ledger: append-only facts about what landed and what was decided.

Everything that the tables should hold follows from these facts, the rules and the bytes;
nothing here looks at a clock to decide (``recorded_at`` is for people). Facts are stored as
a Delta table; each append takes the next numbers of ``seq`` and fails and tries again where
another writer was faster, so that the order is total.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import (
    FACTS,
    Absorbed,
    Fact,
    Judgement,
    Kind,
    Maintained,
    Published,
    ReceiptsRecorded,
    Restored,
    RestoreDone,
    Resumed,
)
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Lake, content_id
from lakehouse_assets.store.storage import Storage


def moved(
    then: Iterable[Absorbed], moves: Mapping[TableVersion, TableVersion], run_id: str
) -> Iterator[Fact]:
    """Facts for tables that stand at another version with the very rows of an older one.

    ``moves`` leads from the older versions to the newer. What the tables had absorbed ``then``,
    they have absorbed now, and who read the older version has read the newer.
    """

    def now(versions: Mapping[str, TableVersion]) -> dict[str, TableVersion]:
        return {name: moves.get(version, version) for name, version in versions.items()}

    for known in then:
        detail = Absorbed(known.table, now(known.written), now(known.inputs), known.rules)
        yield Fact(detail, run_id=run_id)


@dataclass
class State:
    """The ledger, folded: what is in force at each path, and what each table has absorbed.

    ``restored`` is the restore that stands; ``unfinished`` one, or its end, that a process has
    announced and not finished. ``frozen`` is the state that a restored run had read: nothing
    is taken in while it holds.
    """

    paths: dict[FilePath, PathState] = field(default_factory=dict)
    absorbed: dict[str, Absorbed] = field(default_factory=dict)
    published: list[Fact] = field(default_factory=list)
    maintained: dict[str, int] = field(default_factory=dict)
    restored: Restored | None = None
    frozen: bool = False
    unfinished: Restored | Resumed | None = None
    announced: int = 0  # when a restore, or the end of one, was last announced
    seq: int = 0

    def at(self, path: FilePath) -> PathState:
        """The state of a path, empty where nothing ever landed there."""
        return self.paths.get(path) or PathState(path)

    def of(self, dataset: str, dates: Sequence[date] | None = None) -> list[PathState]:
        """The paths of a dataset (and of those batch dates), sorted."""
        wanted = None if dates is None else set(dates)
        found = [
            s
            for p, s in self.paths.items()
            if p.dataset == dataset and (wanted is None or p.batch_date in wanted)
        ]
        return sorted(found, key=lambda s: s.path)

    def landed(self, dataset: str) -> dict[str, Fact]:
        """What has landed of a dataset, the last time, by the identity of its upload."""
        return {
            content_id(past.path, fact.digest): fact
            for past in self.of(dataset)
            for fact in past.landings
            if fact.digest
        }

    def waiting(
        self, raw: Storage, dates: Sequence[date] | None = None
    ) -> list[tuple[FilePath, Judgement]]:
        """The files that stand last at their path and are held, unreadable or partly so.

        An unreadable one that is gone again from the raw zone waits for nobody.
        """
        wanted = None if dates is None else set(dates)
        return [
            (path, standing)
            for path, past in sorted(self.paths.items())
            if (wanted is None or path.batch_date in wanted)
            and (standing := past.standing)
            and standing.bad
            and (standing.kind is not Kind.UNREADABLE or raw.find(str(path)))
        ]

    def repairing(self, dataset: str, contents: Iterable[str]) -> set[str]:
        """Which of these uploads hold rows that mend others, or may: no run has judged them."""
        without = {
            content_id(past.path, digest)
            for past in self.of(dataset)
            for digest, judged in past.judgements.items()
            if not judged.repairs
        }
        return set(contents) - without

    @property
    def versions(self) -> dict[str, TableVersion]:
        """The version of each table that the ledger knows last."""
        return {n: v for known in self.absorbed.values() for n, v in known.written.items()}

    def after(self, facts: Iterable[Fact]) -> State:
        """The state once further facts are recorded; this one stays as it is."""
        later = replace(
            self,
            paths={**self.paths},
            absorbed={**self.absorbed},
            published=[*self.published],
            maintained={**self.maintained},
        )
        own: set[FilePath] = set()
        for fact in facts:
            if fact.path in later.paths and fact.path not in own:
                later.paths[fact.path] = later.paths[fact.path].copy()
                own.add(fact.path)
            later.take(fact)
        return later

    def take(self, fact: Fact) -> None:
        """Take in the next fact."""
        self.seq = fact.seq
        if fact.path is not None:
            self.paths.setdefault(fact.path, PathState(fact.path)).take(fact)
            return
        match fact.detail:
            case Absorbed() as known:
                self.absorbed[known.table] = known
            case ReceiptsRecorded(count):
                self.seq += count
            case Published():
                self.published.append(fact)
            case Maintained(table, version):
                self.maintained[table] = version
            case Restored() as restored:
                self.unfinished = self.restored = restored
                self.announced = fact.seq
            case Resumed() as resumed:
                self.unfinished, self.restored = resumed, None
                self.announced = fact.seq
            case RestoreDone():
                self.unfinished = None
            case _:
                pass


@dataclass(frozen=True)
class _Read:
    """What has been read of a ledger: its data files, their facts in order, and these folded."""

    files: frozenset[str]
    facts: tuple[Fact, ...]
    state: State


_NOTHING: Final = _Read(frozenset(), (), State())
_LAST_READ: Final[dict[str, _Read]] = {}
"""What this process has read of the ledger that it read last, by where that is.

Every table's job reads the ledger, and of a long one only the last facts are new to it. A data file
never changes: while all that were read are still there, only the others are to be read.
"""


class Ledger:
    """Reads and appends facts. The only thing that makes anything land."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._version = -1
        self._read = _NOTHING

    def facts(self) -> Sequence[Fact]:
        """Every fact, in order."""
        return self._now().facts

    def state(self, through: int | None = None) -> State:
        """The ledger, folded, up to a ``seq`` (by default to its end); to be read alone."""
        now = self._now()
        return now.state if through is None else _folded(now.facts, through)

    def _now(self) -> _Read:
        version = self.lake.version(FACTS)
        if version is not None and version != self._version:
            place = self.lake.uri(FACTS)
            files = frozenset(file["path"] for file in self.lake.files(FACTS, version))
            known = _LAST_READ.get(place, _NOTHING)
            if not known.files <= files:
                known = _NOTHING  # rewritten by maintenance, or another ledger in its place
            if known.files != files:
                last = known.facts[-1].seq if known.facts else 0
                sql = f"SELECT * FROM t WHERE seq > {last}"
                new = _in_order(self.lake.rows(FACTS, sql, version))
                known = _Read(files, (*known.facts, *new), known.state.after(new))
            _LAST_READ.clear()
            _LAST_READ[place] = known
            self._version, self._read = version, known
        return self._read

    def followed(self) -> State:
        """The state that tables follow: all of it, or what the restored run had read of it."""
        state = self.state()
        if state.restored is None:
            return state
        return replace(
            self.state(through=state.restored.as_of),
            restored=state.restored,
            unfinished=state.unfinished,
            frozen=True,
        )

    def append(self, facts: Iterable[Fact]) -> list[Fact]:
        """Record facts, giving each the next ``seq``; returns them as recorded."""
        new = list(facts)
        return self.transact(lambda _: new)

    def transact(self, make: Callable[[State], list[Fact]]) -> list[Fact]:
        """Record the facts that follow from what the ledger says at that very moment.

        ``make`` is asked again where another writer was faster; it may refuse by raising.
        """
        while True:
            state = self.state()
            on, first = self._version, state.seq + 1
            new = make(state)
            if not new:
                return []
            # To the millisecond, as Athena reads it: of finer times it would round the last one.
            now = datetime.now(UTC)
            now = now.replace(microsecond=now.microsecond // 1000 * 1000)
            recorded = [replace(f, seq=first + i, recorded_at=now) for i, f in enumerate(new)]
            if self.lake.append(FACTS, [f.to_row() for f in recorded], on=on):
                return recorded


def _folded(facts: Iterable[Fact], through: int | None = None) -> State:
    state = State()
    for fact in facts:
        if through is None or fact.seq <= through:
            state.take(fact)
    return state


def folded(rows: Iterable[dict[str, Any]]) -> State:
    """The state by some of the ledger's rows, in any order."""
    return _folded(_in_order(rows))


def _in_order(rows: Iterable[dict[str, Any]]) -> list[Fact]:
    return sorted(map(Fact.from_row, rows), key=lambda f: f.seq)
