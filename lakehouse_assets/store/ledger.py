"""The ledger: append-only facts about what landed and what was decided.

Everything that the tables should hold follows from these facts, the rules and the bytes;
nothing here looks at a clock to decide (``recorded_at`` is for people). Facts are stored as
a Delta table; each append takes the next numbers of ``seq`` and fails and tries again where
another writer was faster, so that the order is total.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from lakehouse_assets.store.facts import FACTS, Fact, Kind
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Lake, content_id


@dataclass(frozen=True)
class Absorbed:
    """Up to which versions of its inputs, and by which rules, a table has been brought.

    ``beside`` are the versions of what is written with it; ``made`` tells which tables those
    versions are of, by name: one that was lost and made anew counts from 0 again.
    """

    version: int
    inputs: dict[str, int]
    rules: str
    run_id: str | None
    recorded_at: datetime | None
    beside: dict[str, int] = field(default_factory=dict)
    made: dict[str, str | None] = field(default_factory=dict)


def absorbed(
    table: str,
    version: int,
    inputs: Mapping[str, int],
    rules: str,
    run_id: str | None,
    beside: Mapping[str, int] | None = None,
    made: Mapping[str, str | None] | None = None,
    **more: object,
) -> Fact:
    """The fact that a table has taken in these versions of its inputs, by these rules."""
    detail = {
        "table": table,
        "version": version,
        "inputs": dict(inputs),
        "rules": rules,
        "beside": dict(beside or {}),
        "made": dict(made or {}),
    }
    return Fact(Kind.ABSORBED, detail=detail | more, run_id=run_id)


def moved(
    then: Mapping[str, Absorbed], moves: Mapping[str, tuple[int, int]], run_id: str
) -> Iterator[Fact]:
    """Facts for tables that stand at another version with the very rows of an older one.

    ``moves`` holds both versions by table. What the tables had absorbed ``then``, they have
    absorbed now, and who read the older version has read the newer.
    """

    def at(table: str, version: int) -> int:
        old, new = moves.get(table, (version, version))
        return new if version == old else version

    for table, known in then.items():
        yield absorbed(
            table,
            at(table, known.version),
            {name: at(name, version) for name, version in known.inputs.items()},
            known.rules,
            run_id,
            {name: at(name, version) for name, version in known.beside.items()},
            known.made,
        )


@dataclass(frozen=True)
class Rewind:
    """Tables taken back, or forth again, to versions that belong together.

    ``as_of`` is the ``seq`` up to which the ledger says what those versions had absorbed.
    ``before`` and ``before_seq`` are where the first restore of a row of them came from, and
    ``made`` tells which tables those were.
    """

    seq: int
    run_id: str
    as_of: int
    targets: dict[str, int]
    before: dict[str, int] = field(default_factory=dict)
    before_seq: int = 0
    made: dict[str, str | None] = field(default_factory=dict)


@dataclass
class State:
    """The ledger, folded: what is in force at each path, and what each table has absorbed.

    ``restored`` is the restore that stands; ``rewinding`` one, or its end, that a process has
    announced and not finished. ``frozen`` is the state that a restored run had read: nothing
    is taken in while it holds.
    """

    paths: dict[FilePath, PathState] = field(default_factory=dict)
    absorbed: dict[str, Absorbed] = field(default_factory=dict)
    published: list[Fact] = field(default_factory=list)
    maintained: dict[str, int] = field(default_factory=dict)
    restored: Rewind | None = None
    frozen: bool = False
    rewinding: Rewind | None = None
    turned: int = 0  # when a restore, or the end of one, was last announced
    seq: int = 0

    def at(self, path: FilePath) -> PathState:
        """The state of a path, empty where nothing ever landed there."""
        return self.paths.get(path) or PathState(path)

    def of(self, dataset: str, dates: Sequence[date] | None = None) -> list[PathState]:
        """The paths of a dataset (and of those batch dates), in version order."""
        wanted = None if dates is None else set(dates)
        found = [
            s
            for p, s in self.paths.items()
            if p.dataset == dataset and (wanted is None or p.batch_date in wanted)
        ]
        return sorted(found, key=lambda s: s.path)

    def repairing(self, dataset: str, contents: Iterable[str]) -> set[str]:
        """Which of these uploads hold rows that mend others, or may: a dead run told nothing."""
        without = {
            content_id(past.path, digest)
            for past in self.of(dataset)
            for digest, judged in past.judgements.items()
            if not judged.repairs
        }
        return set(contents) - without

    def take(self, fact: Fact) -> None:
        """Take in the next fact."""
        self.seq = max(self.seq, int(fact.detail.get("through", fact.seq)))
        if fact.kind is Kind.ABSORBED:
            self.absorbed[fact.detail["table"]] = Absorbed(
                version=fact.detail["version"],
                inputs=fact.detail["inputs"],
                rules=fact.detail["rules"],
                run_id=fact.run_id,
                recorded_at=fact.recorded_at,
                beside=fact.detail["beside"],
                made=fact.detail["made"],
            )
        if fact.path is None:
            self._take_of_tables(fact)
            return
        self.paths.setdefault(fact.path, PathState(fact.path)).take(fact)

    def _take_of_tables(self, fact: Fact) -> None:
        if fact.kind in (Kind.RESTORED, Kind.RESUMED):
            self.turned = fact.seq
        match fact.kind:
            case Kind.PUBLISHED:
                self.published.append(fact)
            case Kind.MAINTAINED:
                self.maintained[fact.detail["table"]] = fact.detail["version"]
            case Kind.RESTORED:
                self.rewinding = self.restored = Rewind(seq=fact.seq, **fact.detail)
            case Kind.RESUMED:
                self.rewinding, self.restored = Rewind(seq=fact.seq, **fact.detail), None
            case Kind.REWOUND:
                self.rewinding = None
            case _:
                pass


class Ledger:
    """Reads and appends facts. The only thing that makes anything land."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._known: tuple[int, list[Fact]] = (-1, [])

    def facts(self) -> list[Fact]:
        """Every fact, in order."""
        version = self.lake.version(FACTS)
        if version is not None and version != self._known[0]:
            rows = self.lake.rows(FACTS, version=version)
            self._known = version, _in_order(rows)
        return self._known[1]

    def state(self, through: int | None = None) -> State:
        """The ledger, folded, up to a ``seq`` (by default to its end)."""
        return _folded(self.facts(), through)

    def followed(self) -> State:
        """The state that tables follow: all of it, or what the restored run had read of it."""
        state = self.state()
        if state.restored is None:
            return state
        return replace(
            self.state(through=state.restored.as_of),
            restored=state.restored,
            rewinding=state.rewinding,
            frozen=True,
        )

    def append(self, facts: Iterable[Fact], reserve: int = 0) -> list[Fact]:
        """Record facts, giving each the next ``seq``; returns them as recorded.

        ``reserve`` takes that many numbers behind the last fact for receipts.
        """
        new = list(facts)
        return self.decide(lambda _: new, reserve)

    def decide(self, make: Callable[[State], list[Fact]], reserve: int = 0) -> list[Fact]:
        """Record the facts that follow from what the ledger says at that very moment.

        ``make`` is asked again where another writer was faster; it may refuse by raising.
        """
        while True:
            known = self.facts()
            new = make(_folded(known))
            if not new:
                return []
            first = 1 + max((int(f.detail.get("through", f.seq)) for f in known), default=0)
            now = datetime.now(UTC)
            recorded = [replace(f, seq=first + i, recorded_at=now) for i, f in enumerate(new)]
            if reserve:
                last = recorded[-1]
                detail = {**last.detail, "through": last.seq + reserve}
                recorded[-1] = replace(last, detail=detail)
            rows = [_to_row(f) for f in recorded]
            if self.lake.append(FACTS, rows, on=self._known[0]):
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
    return sorted(map(_from_row, rows), key=lambda f: f.seq)


def _from_row(row: dict[str, Any]) -> Fact:
    path = FilePath(row["dataset"], row["batch_date"], row["file"]) if row["file"] else None
    return Fact(
        kind=Kind(row["kind"]),
        path=path,
        digest=row["digest"],
        detail=json.loads(row["detail"]),
        run_id=row["run_id"],
        seq=row["seq"],
        recorded_at=row["recorded_at"],
    )


def _to_row(fact: Fact) -> dict[str, Any]:
    return {
        "seq": fact.seq,
        "kind": str(fact.kind),
        "recorded_at": fact.recorded_at,
        "run_id": fact.run_id,
        "dataset": fact.path.dataset if fact.path else None,
        "batch_date": fact.path.batch_date if fact.path else None,
        "file": fact.path.file if fact.path else None,
        "digest": fact.digest,
        "detail": json.dumps(fact.detail),
    }
