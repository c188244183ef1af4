"""A lake whose events are done by processes that faults befall, and what must hold afterwards.

What a process was asked for may have happened or not: the ledger says which, and the oracle is
told that. Nothing else is forgiven.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from lakehouse_assets.operations import restore
from lakehouse_assets.store.facts import Fact, Kind, ReceiptsRecorded
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.storage import Storage
from tests.support import histories, oracle
from tests.support.oracle import (
    Accept,
    Drop,
    Land,
    Reinstate,
    Remove,
    Restore,
    Resume,
    Run,
    Withdraw,
)
from tests.support.steps import Back, Maintain, Repair, RuleSet, Step
from tests.support.world import World
from tests.torture._processes import FAILED, KILLED, OK, REFUSED, RULES, UNSOUND, Hurt, Task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_FACTS = {
    Withdraw: Kind.WITHDRAWN,
    Reinstate: Kind.REINSTATED,
    Accept: Kind.ACCEPTED,
    Restore: Kind.RESTORED,
    Resume: Kind.RESUMED,
}
Asked = Run | Land | Withdraw | Reinstate | Accept | Back | Resume | Maintain


class HurtWorld(World):
    """A world in which processes do what happens, and may be hurt while they do."""

    def __init__(
        self,
        root: Path,
        spark: SparkSession,
        env: dict[str, str] | None = None,
        storage: Storage | None = None,
    ) -> None:
        super().__init__(root, spark, histories.NORMAL, storage)
        self.env = {
            "LAKEHOUSE_ROOT": storage.root if storage else str(root / "lake"),
            "LAKEHOUSE_HOME": str(root / "home"),
            "LAKEHOUSE_PATIENCE_SECONDS": "120",
            **(env or {}),
        }
        self.left_stages = 0
        self._started = 0
        self._now = histories.NORMAL
        (root / "lake").mkdir(parents=True, exist_ok=True)

    def apply(self, *events: Step) -> None:
        """As any world; whatever is announced and not done is done first, as by a run."""
        for event in events:
            if isinstance(event, RuleSet):
                self._now = event
            if isinstance(event, Run) and restore.finish(self.ledger, "a test"):
                self._gold = None
            super().apply(event)

    # ---------------------------------------------------------------------- asking a process

    def start(self, asked: Asked, *, watch: bool = False, **more: Any) -> Hurt:
        """A process that does what is asked; the oracle knows nothing of it yet."""
        self._started += 1
        self._gold = None
        do: str
        args: tuple[object, ...]
        match asked:
            case Run(dates):
                do, args = "run", (None if dates is None else sorted(dates),)
            case Land(dataset, day, file, content):
                source = self.root / "incoming" / str(self._started) / file
                source.parent.mkdir(parents=True)
                source.write_bytes(content)
                do, args = "land", ((str(source), dataset, day),)
            case Withdraw() | Reinstate() | Accept():
                path = FilePath(asked.dataset, asked.batch_date, asked.file)
                do, args = type(asked).__name__.lower(), (path,)
            case Back(runs):
                do, args = "restore", (self._points[-1 - runs][1],)
            case _:
                do, args = type(asked).__name__.lower(), ()
        [rules] = [name for name, it in RULES.items() if it is self._now]
        logs = self.root / "logs"
        logs.mkdir(exist_ok=True)
        env = {**self.env, **more.pop("env", {})}
        task = Task(do, args, env, rules, logs / f"{self._started}", **more)
        return Hurt(task, self.root / "lake" if watch else None)

    def ask(self, asked: Asked, strike: Any = None, *, watch: bool = False, **more: Any) -> int:
        """Have a process do it, and `strike` befall it; tell the oracle what came of it.

        Returns how it ended. What it says it has done must have been done.
        """
        event: Any = asked
        if isinstance(asked, Back):
            event = Restore(self._points[-1 - asked.runs][0])
        said = {*self.receipts()} if isinstance(asked, Back) else set()
        kind = _FACTS.get(type(event))
        if isinstance(asked, Resume) and not self.restored:
            kind = None  # its end is announced already, and only has to be finished
        before = self._count(kind)
        process = self.start(asked, watch=watch, **more)
        if strike:
            strike(process)
        code = process.wait()
        assert code in {OK, REFUSED, FAILED, UNSOUND, KILLED}, f"{asked} ended with {code}"
        assert code != UNSOUND, f"{asked} found its tables wrong:\n{process.said()}"
        if isinstance(asked, Land):
            if code == OK:
                self.events.append(asked)
        elif isinstance(asked, Run):
            if code == OK:
                self.events.append(asked)
                self.compare(asked)
        elif kind:
            grown = self._count(kind) - before
            assert grown <= 1, f"{asked}: {grown} facts"
            assert code != OK or grown, f"{asked} says that it is done, and there is no fact"
            assert not (grown and code == REFUSED), f"{asked} says it is refused, and is a fact"
            if grown or code == REFUSED:
                self._said |= said if grown else set()
                self.events.append(event)
                refused = oracle.evaluate(self.events, self.rules.oracle, settle=False).refused
                assert (len(self.events) - 1 in refused) == (not grown), (asked, process.said())
        self.last = process
        return code

    def _count(self, kind: Kind | None) -> int:
        return sum(f.kind is kind for f in self.ledger.facts())

    def compare(self, run: Run) -> None:
        """Compare what a run that says it is done has left."""
        if not self.ledger.state().unfinished:
            self.check(listings=run.dates is None and not self.restored)

    @property
    def points(self) -> int:
        """How many runs can be restored."""
        return len(self._points)

    # ---------------------------------------------------------------------- what must hold

    def end(self) -> None:
        """One clean run of what is pending, everything compared, and once more."""
        if self.restored or self.ledger.state().unfinished:
            restore.finish(self.ledger, "a test")
            if self.restored:
                self.apply(Resume())
        self.settle()
        # A process that is killed cannot clean up; it is counted, and asked of later runs only.
        left = {f.path.split("/")[1] for f in self.lake.storage.list("stage")}
        self.left_stages += len(left)
        self.lake.storage.delete("stage")
        self.run_again()
        self.audit()

    def audit(self) -> None:
        """No number twice, no fact lost, none doubled."""
        facts = self.ledger.facts()
        reserved = [
            number
            for fact in facts
            if isinstance(fact.detail, ReceiptsRecorded)
            for number in range(fact.seq + 1, fact.seq + 1 + fact.detail.count)
        ]
        taken = Counter([*(fact.seq for fact in facts), *reserved])
        twice = [number for number, count in taken.items() if count > 1]
        assert not twice, f"numbers taken twice: {twice}"
        receipts = {r["seq"] for r in self.rows("receipts")}
        assert receipts <= {*reserved}, f"receipts without a number: {receipts - {*reserved}}"
        refused = oracle.evaluate(self.events, self.rules.oracle, settle=False).refused
        happened = [e for i, e in enumerate(self.events) if i not in refused]
        for event, kind in _FACTS.items():
            wanted = sum(isinstance(e, event) for e in happened)
            found = self._count(kind)
            assert found == wanted, f"{found} facts {kind}, not {wanted}"
        said: Counter[tuple[object, ...]] = Counter()
        # A restore that first ends another one may rightly say again what tables have absorbed.
        moving = {Kind.RESTORED, Kind.RESUMED, Kind.RESTORE_DONE, Kind.MAINTAINED}
        movers = {None, "a test", *(f.run_id for f in facts if f.kind in moving)}
        last: dict[FilePath | None, Fact] = {}
        for fact in facts:
            # One run says a thing once; of receipts, whose numbers are looked at above, many.
            if fact.run_id not in movers and fact.kind is not Kind.RECEIPTS:
                said[fact.kind, fact.path, fact.digest, fact.run_id, str(fact.detail)] += 1
            if fact.kind in {Kind.LANDED, Kind.WITHDRAWN, Kind.REINSTATED}:
                past = last.get(fact.path)
                again = past and past.kind is fact.kind is Kind.LANDED
                if past and again and past.digest == fact.digest:
                    raise AssertionError(f"{fact.path} landed twice: {past}, {fact}")
                last[fact.path] = fact
        doubled = [key for key, count in said.items() if count > 1]
        assert not doubled, f"facts twice: {doubled}"

    # ---------------------------------------------------------------------- choosing

    def indifferent(self, later: Sequence[oracle.Event], event: oracle.Event) -> bool:
        """Whether an event ends the same wherever runs come between it and these before it."""
        plain = [*self.events, *later, event]
        between = [*self.events]
        for one in (*later, event):
            between += [Run(), one]
        last = [*self.events, *later, Run(), event]
        outcomes = []
        for events in (plain, between, last):
            world = oracle.evaluate(events, self.rules.oracle)
            refused = [id(events[i]) for i in world.refused if not isinstance(events[i], Run)]
            outcomes.append((refused, replace(world, refused={}, failed_runs={})))
        return all(outcome == outcomes[0] for outcome in outcomes)


# --------------------------------------------------------------------------------- histories


class Author:
    """Draws what happens to a lake, as the histories of `test_against_oracle` have it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._pools = {d: [random.getrandbits(32) for _ in range(3)] for d in oracle.COLUMNS}
        self._used: list[tuple[str, date, str]] = []

    def files(self) -> list[Step]:
        """A file or two of each dataset."""
        return [self._land(d) for d in oracle.COLUMNS for _ in range(self.random.randint(1, 2))]

    def happenings(self, least: int = 2, most: int = 7) -> list[Step]:
        """Files that come, go and change; decisions; other rules."""
        return [self._happening() for _ in range(self.random.randint(least, most))]

    def dates(self) -> frozenset[date] | None:
        """What a run is asked for: mostly whatever is pending."""
        some = self.random.sample(histories.DATES, self.random.randint(1, 3))
        return None if self.random.random() < 0.7 else frozenset(some)

    def event(
        self, *, new: bool = False, land: bool = False
    ) -> Land | Withdraw | Reinstate | Accept:
        """Something that a person does, perhaps with a file of a new name; takes no bytes away."""
        kind = self.random.choice([None, None, Withdraw, Reinstate, Accept])
        if kind is None or land or not self._used:
            dataset = self.random.choice([*oracle.COLUMNS])
            return self._land(dataset, f"new{self.random.randint(1, 9)}.csv" if new else None)
        return kind(*self.random.choice(self._used))

    def aftermath(self) -> Land | Withdraw | Reinstate | Accept:
        """What hurts most behind a dead run: a file goes, or its bytes do, under a broken one."""
        path = self.random.choice(self._used[-5:])
        broken = Land(*path, self.random.choice([b"", b"a,b\n1,2\n"]))
        return self.random.choice([Withdraw(*path), broken, broken, self.event()])

    def _path(self, dataset: str | None = None) -> tuple[str, date, str]:
        paths = [p for p in self._used + histories.PATHS if dataset in {None, p[0]}]
        path = self.random.choice(paths)
        self._used.append(path)
        return path

    def _content(self, dataset: str) -> bytes:
        return histories.content(dataset, self.random.choice(self._pools[dataset]))

    def _land(self, dataset: str, file: str | None = None) -> Land:
        path = self._path(dataset)
        if file:
            path = (*path[:2], file)
            self._used.append(path)
        return Land(*path, self._content(dataset))

    def _happening(self) -> Step:
        kind = self.random.choice(histories.HAPPENINGS)
        if kind == "rules":
            return self.random.choice([*RULES.values()])
        if kind in {"land", "drop", "repair"} or not self._used:
            path = self._path()
            if kind == "repair":
                return Repair(*path, histories.mended(path[0], self.random.getrandbits(32)))
            return (Drop if kind == "drop" else Land)(*path, self._content(path[0]))
        path = self.random.choice(self._used)
        if kind == "remove":
            return Remove(*path, archived=False)
        decisions: dict[str, Callable[..., Withdraw | Reinstate | Accept]] = {
            "withdraw": Withdraw,
            "reinstate": Reinstate,
            "accept": Accept,
        }
        return decisions[kind](*path)
