"""The definitions of `design.md`, executable: events in ledger order → what the tables must hold.

Written from the definitions alone, without a look at the product: no engine, no clock, no state.
Whatever the product does to keep its tables up to date, it has to end where `evaluate` ends.
Read it from the bottom: `evaluate` replays the ledger, `_tables` fills the tables, `_resolve` gives
every row its one fate. Beside it: what a dataset is (`oracle_contracts`), how bytes are rows
(`oracle_reading`, `oracle_workbook`), what gold adds up to (`oracle_gold`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from tests.support import oracle_marts
from tests.support.oracle_contracts import (
    BLANKS,
    CATEGORIES,
    CHECKS,
    COLUMNS,
    KEY,
    ORIGIN,
    SHOP,
    TYPES,
    Check,
    Dataset,
    Record,
    Rules,
    Shop,
    Value,
    is_passed_over,
    natural,
    trim,
)
from tests.support.oracle_gold import GOLD, add_up, allocate
from tests.support.oracle_reading import Content, Line, Origin, read, split

__all__ = [
    "BLANKS", "CHECKS", "COLUMNS", "GOLD", "KEY", "ORIGIN", "SHOP", "TYPES", "Check", "Content",
    "Dataset", "Line", "Record", "Rules", "Shop", "Value", "allocate", "natural", "read", "split",
    "trim",
]  # fmt: skip

BronzeRow = dict[str, object]

# ---------------------------------------------------------------------------------------- events


@dataclass(frozen=True)
class At:
    """Something about one file: `<dataset>/<batch_date>/<file>`."""

    dataset: str
    batch_date: date
    file: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.dataset, self.batch_date, self.file)


@dataclass(frozen=True)
class Land(At):
    """The `land` command: recorded at once."""

    content: bytes


@dataclass(frozen=True)
class Drop(At):
    """Put there by hand or by S3: lands when a run of its date reads it."""

    content: bytes


@dataclass(frozen=True)
class Remove(At):
    """The bytes leave the raw zone: into the archive, or (expired) for good."""

    archived: bool = True


@dataclass(frozen=True)
class Withdraw(At):
    """`lakehouse withdraw FILE`."""


@dataclass(frozen=True)
class Reinstate(At):
    """`lakehouse reinstate FILE`."""


@dataclass(frozen=True)
class Accept(At):
    """`lakehouse accept FILE [--digest …]`: for what a run has judged and held."""

    digest: str | None = None


@dataclass(frozen=True)
class SetRules:
    """The contracts' rules are these from now on."""

    rules: Rules


@dataclass(frozen=True)
class Run:
    """A run of these dates (None: whatever is pending): reads, judges, publishes."""

    dates: frozenset[date] | None = None


@dataclass(frozen=True)
class Restore:
    """Back to the last run at or before this index of the list of events."""

    event: int


@dataclass(frozen=True)
class Resume:
    """End of the restore; the next run takes in what has waited."""


Event = Land | Drop | Remove | Withdraw | Reinstate | Accept | SetRules | Run | Restore | Resume

# ---------------------------------------------------------------------------------------- result


class Path(NamedTuple):
    """Where a file landed; printed as FILE."""

    dataset: str
    batch_date: date
    file: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.batch_date.isoformat()}/{self.file}"


class Place(NamedTuple):
    """A row's own place, hence its identity within its dataset, and the version order."""

    batch_date: date
    file: tuple[tuple[bytes | int, ...], bytes]  # its name, as the natural order compares it
    sheet_no: int
    row: int


class Fate(NamedTuple):
    """What became of a row in force; category and rules are those of a rejected row."""

    fate: str  # published, superseded, duplicate, rejected
    category: str | None = None
    rules: frozenset[str] = frozenset()


class Receipt(NamedTuple):
    """What the newest receipt of a (path, digest) must say."""

    state: str
    read: int = 0
    published: int = 0
    superseded: int = 0
    duplicates: int = 0
    rejected: int = 0
    held: int = 0
    has_error: bool = False


class Held(NamedTuple):
    """Why a file is held: its faulty rows of all, and how often and where first a rule breaks."""

    faulty: int
    rows: int
    rules: Mapping[str, tuple[int, Line]]


@dataclass
class World:
    """What every table, receipt and listing must hold after the events."""

    bronze: dict[str, list[BronzeRow]] = field(default_factory=dict)
    fates: dict[str, dict[tuple[date, str, int, int], Fate]] = field(default_factory=dict)
    silver: dict[str, dict[Any, Record]] = field(default_factory=dict)  # by key
    rejected: dict[str, list[BronzeRow]] = field(default_factory=dict)
    receipts: dict[tuple[str, date, str, str], Receipt] = field(default_factory=dict)
    history: dict[str, dict[Any, list[tuple[date, Record]]]] = field(default_factory=dict)
    gold: dict[str, dict[object, Record]] = field(default_factory=dict)
    marts: dict[str, dict[object, Record]] = field(default_factory=dict)
    held: dict[Path, Held] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)
    unreadable_sheets: dict[tuple[Path, str], str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)  # index of event → why there is no fact
    failed_runs: dict[int, bool] = field(default_factory=dict)  # index of Run → ends non-zero


# ----------------------------------------------------------------------------- fates of the rows


@dataclass(frozen=True)
class _Row:
    """A row in force."""

    path: Path
    digest: str
    line: Line

    @property
    def own(self) -> Place:
        line = self.line
        return Place(self.path.batch_date, natural(self.path.file), line.sheet_no, line.row)

    @property
    def name(self) -> Origin:
        """What a repair of it calls it."""
        return Origin(str(self.path), self.digest, self.line.sheet_no, self.line.row)

    @property
    def bronze(self) -> BronzeRow:
        line = self.line
        return {
            **line.texts,
            "_batch_date": self.path.batch_date,
            "_file": self.path.file,
            "_sheet": line.sheet,
            "_sheet_no": line.sheet_no,
            "_row": line.row,
            "_extra": line.extra,
            "_raw": line.raw,
        }


def category(rule: str) -> str:
    """A rule's category."""
    if rule.startswith("row."):
        return "schema"
    if rule == "origin" or rule.endswith(".foreign_key"):
        return "referential_integrity"
    return "data_quality"


def worst(rules: Iterable[str]) -> str:
    """The worst category of the broken rules."""
    return min(map(category, rules), key=CATEGORIES.index)


def _faults(dataset: str, line: Line, rules: Rules) -> frozenset[str]:
    """The rules of its own that a row breaks, whatever else has landed."""
    return line.broken | rules.broken(dataset, line.typed)


def why_held(dataset: str, lines: Sequence[Line], rules: Rules) -> Held | None:
    """Why a file of these rows is held; None if it is admitted."""
    broken = [(line, faults) for line in lines if (faults := _faults(dataset, line, rules))]
    limit = rules.hold_share.get(dataset, Decimal("0.05")) * len(lines)
    if len(lines) < rules.hold_rows or len(broken) <= limit:
        return None
    found: dict[str, tuple[int, Line]] = {}
    for line, faults in broken:
        for rule in faults:
            count, first = found.get(rule, (0, line))
            found[rule] = (count + 1, first)
    return Held(len(broken), len(lines), found)


def _resolve(
    name: str,
    dataset: Dataset,
    rows: list[_Row],
    rules: Rules,
    silver: Mapping[str, Mapping[Any, Record]],
) -> tuple[list[Fate], dict[Any, Record], dict[Any, list[tuple[date, Record]]]]:
    """Exactly one fate per row, the published rows by key, and what each key said from when on."""
    named = {row.name: row for row in rows}

    def root(row: _Row) -> _Row | None:
        """The row itself, or the first origin of a repair; None where that is not in force."""
        if row.line.origin is None:
            return row
        origin = named.get(row.line.origin)
        return root(origin) if origin else None

    # An origin sorts before its repairs, and these by their own place.
    places: list[tuple[Place, ...]] = []
    broken: list[frozenset[str]] = []
    for row in rows:
        first = root(row)
        places.append(() if first is None else (row.own,) if first is row else (first.own, row.own))
        faults = _faults(name, row.line, rules)
        for column, parent in dataset.foreign_keys.items():
            value = row.line.typed[column]
            if value is not None and value not in silver[parent]:
                faults |= {f"{column}.foreign_key"}
        broken.append(faults if first else faults | {"origin"})

    # The newest qualifying repair of each family retires what comes before it in the family.
    repaired: dict[Place, tuple[Place, ...]] = {}
    for place, faults in zip(places, broken, strict=True):
        if len(place) > 1 and not faults:
            repaired[place[0]] = max(place, repaired.get(place[0], place))
    retired = [bool(p) and p < repaired.get(p[0], p) for p in places]

    newest: dict[Any, int] = {}
    keys = [dataset.key_of(row.line.typed) for row in rows]
    for n, key in enumerate(keys):
        if not broken[n] and not retired[n]:
            newest[key] = max(newest.get(key, n), n, key=lambda n: places[n])

    fates = []
    for n, key in enumerate(keys):
        winner = None if key is None else newest.get(key)
        if winner == n:
            fate = Fate("published")
        elif places[n] and (retired[n] or (winner is not None and places[winner] > places[n])):
            same = winner is not None and rows[winner].line.typed == rows[n].line.typed
            fate = Fate("duplicate" if same and not broken[n] else "superseded")
        else:
            assert broken[n], "a rejected row breaks a rule"
            fate = Fate("rejected", worst(broken[n]), broken[n])
        fates.append(fate)
    published = {}
    for n in newest.values():
        typed = _published(dataset, rows[n])
        published[dataset.key_of(typed)] = typed
    said: dict[Any, dict[date, int]] = defaultdict(dict)
    for n in sorted(range(len(rows)), key=lambda n: places[n]):
        if not broken[n] and not retired[n]:
            said[keys[n]][places[n][0].batch_date] = n  # the newest of a date comes last
    history: dict[Any, list[tuple[date, Record]]] = {}
    for key, by_date in said.items():
        versions = [(day, _published(dataset, rows[n])) for day, n in sorted(by_date.items())]
        history[key] = [
            version
            for k, version in enumerate(versions)
            if not k or versions[k - 1][1] != version[1]
        ]
    return fates, published, history


def _published(dataset: Dataset, row: _Row) -> Record:
    typed = dict(row.line.typed)
    if dataset.dated and isinstance(stamp := typed[dataset.dated], datetime):
        typed["order_date"] = stamp.date()
    return typed


# ---------------------------------------------------------------------------------------- ledger


class _Standing(NamedTuple):
    """What the ledger says of a path."""

    in_force: str | None
    states: dict[str, str]  # digest → state; no state before a run has read it
    accepted: frozenset[str]


@dataclass(frozen=True)
class _Landing:
    """A content landed; never read if its bytes were gone before a run came."""

    seq: int
    digest: str
    read: bool = False


@dataclass
class _Ledger:
    """The facts about one path, and where its bytes are."""

    path: Path
    raw: str | None = None  # the digest of the bytes at the path
    aside: set[str] = field(default_factory=set)
    archive: set[str] = field(default_factory=set)
    landings: list[_Landing] = field(default_factory=list)
    withdrawals: list[int] = field(default_factory=list)  # those that stand
    judged: dict[str, Rules] = field(default_factory=dict)  # digest → under which rules
    readable: set[str] = field(default_factory=set)
    admitted: set[str] = field(default_factory=set)
    why_held: dict[str, Held] = field(default_factory=dict)
    torn: set[str] = field(default_factory=set)  # readable, but for some sheets
    accepted: set[str] = field(default_factory=set)

    @property
    def last(self) -> _Landing | None:
        return self.landings[-1] if self.landings else None

    @property
    def open(self) -> list[_Landing]:
        """What landed since the last standing withdrawal."""
        since = self.withdrawals[-1] if self.withdrawals else -1
        return [landing for landing in self.landings if landing.seq > since]

    @property
    def pending(self) -> bool:
        """Whether other bytes lie at the path than those landed last."""
        return bool(self.raw) and (not self.last or self.raw != self.last.digest)

    def may_be_accepted(self, digest: str) -> bool:
        """Whether it is held, or has unreadable sheets."""
        held = digest in self.readable - self.admitted
        return held or digest in self.torn - self.accepted

    def waits(self, digest: str) -> bool:
        """Whether a judged content waits for a person: not if it cannot be read and is gone."""
        if digest not in self.readable:
            return self.raw is not None
        return self.may_be_accepted(digest)

    def has_bytes(self, digest: str) -> bool:
        return digest == self.raw or digest in self.aside | self.archive

    def standing(self) -> _Standing:
        landed = self.open
        admitted = [x.digest for x in landed if x.read and x.digest in self.admitted]
        states = {}
        for digest in {x.digest for x in self.landings}:
            if admitted and digest == admitted[-1]:
                states[digest] = "in_force"
            elif landed and digest == landed[-1].digest:
                if landed[-1].read:
                    states[digest] = "held" if digest in self.readable else "unreadable"
            else:
                states[digest] = "replaced" if digest in {x.digest for x in landed} else "withdrawn"
        return _Standing(admitted[-1] if admitted else None, states, frozenset(self.accepted))


class _Lake:
    """The ledger's facts, replayed one by one."""

    def __init__(self, rules: Rules, shop: Shop) -> None:
        self.rules = rules
        self.shop = shop
        self.paths: dict[Path, _Ledger] = {}
        self.bytes: dict[str, bytes] = {}
        self.standing: dict[Path, _Standing] = {}  # as the last run of each date read it
        self.runs: list[tuple[int, dict[Path, _Standing], Rules]] = []
        self.restored: tuple[int, dict[Path, _Standing], Rules] | None = None
        self.failed_runs: dict[int, bool] = {}

    def content(self, path: Path, digest: str) -> Content:
        return read(self.shop[path.dataset], path.file, self.bytes[digest])

    def apply(self, seq: int, event: Event) -> str | None:
        """Take in one event; a line says why there is no fact."""
        match event:
            case SetRules(rules):
                self.rules = rules
            case Run():
                self.failed_runs[seq] = not self.restored and self.run(seq, event.dates)
            case Restore():
                found = [run for run in self.runs if run[0] <= event.event]
                self.restored = found[-1] if found else self.restored
                return None if found else "no such run"
            case Resume():
                why = None if self.restored else "no restore stands"
                self.restored = None
                return why
            case Land() | Drop() if is_passed_over(event.file) or event.dataset not in self.shop:
                return "passed over"
            case _:
                ledger = self.paths.setdefault(event.path, _Ledger(event.path))
                return self.about(seq, event, ledger)
        return None

    def about(self, seq: int, event: At, ledger: _Ledger) -> str | None:
        """Take in an event about one path."""
        before, landed = ledger.standing(), ledger.open
        match event:
            case Drop():
                ledger.raw = self.keep(event.content)
            case Land():
                if (last := ledger.last) and not last.read and ledger.raw == last.digest:
                    ledger.aside.add(last.digest)
                ledger.raw = self.keep(event.content)
                if ledger.pending or not landed:
                    ledger.landings.append(_Landing(seq, ledger.raw))
            case Remove():
                ledger.archive |= {ledger.raw} if event.archived and ledger.raw else set()
                ledger.raw = None
            case Withdraw():
                if not landed:
                    return "nothing to be withdrawn"
                ledger.withdrawals.append(seq)
            case Reinstate():
                if not ledger.withdrawals:
                    return "nothing is withdrawn"
                after = replace(ledger, withdrawals=ledger.withdrawals[:-1]).standing().in_force
                if after and after != before.in_force and not ledger.has_bytes(after):
                    return "its bytes are gone"
                ledger.withdrawals.pop()
            case Accept():
                digest = event.digest or (landed[-1].digest if landed else "")
                if not any(x.digest == digest and ledger.may_be_accepted(digest) for x in landed):
                    return "nothing is held"
                after = replace(ledger, admitted=ledger.admitted | {digest}).standing().in_force
                if before.in_force != after == digest and not ledger.has_bytes(digest):
                    return "its bytes are gone"
                ledger.admitted.add(digest)
                ledger.accepted.add(digest)
        return None

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.bytes[digest] = content
        return digest

    def run(self, seq: int, dates: frozenset[date] | None) -> bool:
        """Read, judge, publish; whether the run ends non-zero."""
        fails = False
        for path, ledger in self.paths.items():
            if dates is not None and path.batch_date not in dates:
                continue
            if ledger.pending and ledger.raw:
                ledger.landings.append(_Landing(seq, ledger.raw))
            new = {x.digest for x in ledger.landings if not x.read and ledger.has_bytes(x.digest)}
            ledger.landings = [replace(x, read=x.read or x.digest in new) for x in ledger.landings]
            last = ledger.open[-1] if ledger.open else None
            if (
                last
                and last.digest in ledger.readable - ledger.admitted
                and ledger.judged[last.digest] != self.rules  # held under other rules
                and ledger.has_bytes(last.digest)
            ):
                new.add(last.digest)
            for digest in new - ledger.admitted:
                self.judge(ledger, digest)
            ledger.aside.clear()
            self.standing[path] = ledger.standing()
            if last and last.read:
                asked = last.digest in new or dates is not None
                fails |= asked and ledger.waits(last.digest)
        self.runs.append((seq, dict(self.standing), self.rules))
        return fails

    def judge(self, ledger: _Ledger, digest: str) -> None:
        """Admit a content, or hold it."""
        content = self.content(ledger.path, digest)
        ledger.judged[digest] = self.rules
        if content.error is None:
            ledger.readable.add(digest)
            if content.bad_sheets:
                ledger.torn.add(digest)
            if held := why_held(ledger.path.dataset, content.lines, self.rules):
                ledger.why_held[digest] = held
            else:
                ledger.admitted.add(digest)


def _tables(lake: _Lake) -> World:
    """What the ledger, as the runs have read it, makes of every table."""
    world = World(bronze={name: [] for name in lake.shop})
    seen = lake.restored or (lake.runs[-1] if lake.runs else None)
    _, standing, rules = seen or (0, {}, lake.rules)
    rows: dict[str, list[_Row]] = {name: [] for name in lake.shop}
    for path, (in_force, states, accepted) in standing.items():
        for digest, state in states.items():
            content = lake.content(path, digest)
            bad_sheets = () if digest in accepted else content.bad_sheets
            receipt = Receipt(state)
            if state in {"in_force", "held", "unreadable"}:
                receipt = receipt._replace(
                    read=len(content.lines),
                    held=len(content.lines) if state == "held" else 0,
                    has_error=state != "in_force" or bool(bad_sheets),
                )
                world.unreadable_sheets |= {(path, s): why for s, why in bad_sheets}
            world.receipts[*path, digest] = receipt
            if state == "held":
                world.held[path] = lake.paths[path].why_held[digest]
            elif state == "unreadable" and lake.paths[path].waits(digest):
                world.unreadable[path] = str(content.error)
        if in_force:
            lines = lake.content(path, in_force).lines
            rows[path.dataset] += [_Row(path, in_force, line) for line in lines]
    for dataset, contract in lake.shop.items():  # parents first
        inside = sorted(rows[dataset], key=lambda row: row.own)
        fates, world.silver[dataset], world.history[dataset] = _resolve(
            dataset, contract, inside, rules, world.silver
        )
        world.bronze[dataset] = [row.bronze for row in inside]
        world.fates[dataset], world.rejected[dataset] = {}, []
        counts: dict[tuple[str, date, str, str], Counter[str]] = defaultdict(Counter)
        for row, fate in zip(inside, fates, strict=True):
            _, batch_date, file = row.path
            world.fates[dataset][batch_date, file, row.line.sheet_no, row.line.row] = fate
            counts[dataset, batch_date, file, row.digest][fate.fate] += 1
            if fate.fate == "rejected":
                marks = {"_category": fate.category, "_rules": sorted(fate.rules)}
                world.rejected[dataset].append({**row.bronze, **marks})
        for key, count in counts.items():
            world.receipts[key] = world.receipts[key]._replace(
                published=count["published"],
                superseded=count["superseded"],
                duplicates=count["duplicate"],
                rejected=count["rejected"],
            )
    for receipt in world.receipts.values():
        assert receipt.read == sum(receipt[2:7]), receipt
    if lake.shop is SHOP:
        world.gold = add_up(world.silver)
        world.marts = oracle_marts.make(world.silver, world.history["products"])
    world.failed_runs = lake.failed_runs
    return world


DEFAULT = Rules()


def evaluate(
    events: Sequence[Event], rules: Rules = DEFAULT, *, shop: Shop = SHOP, settle: bool = True
) -> World:
    """What everything must hold after these events, and (`settle`) a last run of all pending.

    Gold is that of `SHOP`; another shop has none here.
    """
    lake = _Lake(rules, shop)
    refused = {}
    for seq, event in enumerate(events):
        if why := lake.apply(seq, event):
            refused[seq] = why
    if settle:
        lake.apply(len(events), Run())
    world = _tables(lake)
    world.refused = refused
    return world
