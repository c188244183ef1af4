"""Drives the product below Dagster by the oracle's events, and compares everything with the oracle.

    with World(folder, spark) as world:
        world.apply(Land("orders", D1, "o.csv", b"..."))
        world.apply(Run())
        world.check()

Tables are read through delta-rs, not by the product's code. Where a command of the product does
not exist yet, its fact is appended to the ledger by hand, unless the oracle says that it would be
refused.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from lakehouse_assets.operations import decide, export_rejected, restore
from lakehouse_assets.operations.archive import archive
from lakehouse_assets.operations.land import land
from lakehouse_assets.operations.maintenance import maintain
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.run_table import run_table
from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.repeated_look import RepeatedLook
from lakehouse_assets.planning.settled_files import whole
from lakehouse_assets.store.facts import FACTS, Kind
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.store.storage import LocalStorage, Storage
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import DATASETS, DERIVED, queryable, table_ids
from tests.support import oracle, oracle_marts
from tests.support.compare import (
    GOLD_GRAIN,
    LINEAGE,
    TYPES,
    assert_same,
    assert_same_rows,
    bronze_columns,
    contract_columns,
    gold_type,
    place,
    types_of,
)
from tests.support.steps import (
    DEFAULT,
    Archive,
    Back,
    CrashError,
    Crashing,
    Lose,
    Maintain,
    Repair,
    Replay,
    RuleSet,
    SomeTables,
    Step,
    crash_at,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FIRST, LAST = date(2025, 1, 1), date(2025, 12, 31)
_MUCH_LATER = datetime(2100, 1, 1, tzinfo=UTC)
COUNTS = ("read", "published", "superseded", "duplicates", "rejected", "held")
# Checks that state what the tables promise, whatever lies in the files.
SOUND = ("accounting", "keys_unique", "structure", "grain_unique")


class World:
    """A lake, all that happened to it, and what the oracle says of that."""

    def __init__(
        self,
        root: Path,
        spark: SparkSession,
        rules: RuleSet = DEFAULT,
        storage: Storage | None = None,
        shop: oracle.Shop = oracle.SHOP,
    ) -> None:
        self.root = root
        self.shop = shop
        self.gold_grain = GOLD_GRAIN if shop is oracle.SHOP else {}
        self.spark = spark
        self.rules = rules
        self.events: list[oracle.Event] = []
        storage = storage or LocalStorage(str(root / "lake"))
        raw, processed = storage.within("raw"), storage.within("processed")
        self.lake = Lake(raw, processed, FIRST, LAST, frozenset(DATASETS))
        self.ledger = Ledger(self.lake)
        self.results: list[Result] = []
        self.deaths = 0  # runs that a crash has ended
        self._original = dict(DATASETS)
        self._gold: dict[str, dict[object, oracle.Record]] | None = None  # what gold is known to be
        self._points: list[tuple[int, str]] = []  # index of a Run, and the run recorded by then
        self._looks = RepeatedLook(
            DATASETS, DERIVED
        )  # as the sensor's: it has seen every plan before
        self._said: set[tuple[str, date, str, str]] = set()

    def copied(self, root: Path) -> World:
        """The same lake in another folder, with all that has happened to it.

        Its raw files are new to the file system; the same bytes are no event.
        """
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        other = World(root, self.spark, self.rules)
        other.events = [*self.events]
        other._gold = self._gold
        other._points = [*self._points]
        other._said = {*self._said}
        return other

    def __enter__(self) -> Self:
        self.rules.install(self._original)
        return self

    def __exit__(self, *_: object) -> None:
        DATASETS.update(self._original)

    # --------------------------------------------------------------------------------- events

    def apply(self, *events: Step) -> None:
        """Let these things happen, to the product and on the list for the oracle."""
        for event in events:
            match event:
                case RuleSet():
                    event.install(self._original)
                    self._looks.forget()  # in life the code location is loaded anew
                    self.events.append(oracle.SetRules(event.oracle))
                case SomeTables(dates, tables):
                    self._gold = None
                    self.events.append(oracle.Run(dates))
                    self._run_tables([d.bronze.id for d in DATASETS.values()], dates)
                    # With only some up to date, silver's tables may contradict each other.
                    self._run_tables(tables, dates, proven=False)
                    self._note_point()
                case Crashing(dates, write, then, others):
                    self._gold = None
                    points = list(self._points)
                    try:
                        with crash_at(write):
                            self.run(dates)
                    except CrashError:
                        self.deaths += 1
                    else:
                        assert isinstance(write, int), f"no write is named {write!r}"
                    self._run_tables(others, dates or [LAST], proven=False)
                    self._points = points  # to the oracle that run is not there
                    self.apply(*then, oracle.Run(dates))
                case Repair(dataset, day, file, mended):
                    content = self._mend(dataset, mended)
                    self.apply(oracle.Land(dataset, day, file, content))
                case Back(runs):
                    if runs < len(self._points):
                        at, _ = self._points[-1 - runs]
                        self.apply(oracle.Restore(at))
                case Replay(dates):
                    self._run_tables(table_ids()[len(DATASETS) :], dates, replay=True)
                case Lose(name):
                    if self.ledger.state().restored is None:
                        self._lose(queryable()[name])
                case Archive():
                    for path in archive(self.ledger, DATASETS, "a test"):
                        gone = oracle.Remove(path.dataset, path.batch_date, path.file)
                        self.events.append(gone)
                case Maintain():
                    maintain(self.lake, "a test", lambda _: nullcontext())
                case _:
                    self.events.append(event)
                    self._apply(event)

    def reopen(self) -> None:
        """Forget what was seen of the tables: somebody else has changed them."""
        self.lake = self.lake.fresh()
        self.ledger = Ledger(self.lake)
        self._looks.forget()

    def _lose(self, table: Table) -> None:
        self.lake.storage.delete(self.lake.path(table))
        self.reopen()
        self._gold = None
        self._points.clear()  # no run before this can be gone back to

    def _mend(self, dataset: str, mended: Sequence[tuple[str, ...] | None]) -> bytes:
        """The bytes of a repair file."""
        exported, repaired = io.StringIO(newline=""), io.StringIO(newline="")
        state = self.ledger.state()
        export_rejected.export(self.lake, state, DATASETS[dataset], exported)
        header, *rows = csv.reader(io.StringIO(exported.getvalue(), newline=""))
        writer = csv.writer(repaired)
        writer.writerow(header)
        columns = list(self.shop[dataset].columns)
        for n, row in enumerate(rows):
            values = dict(zip(header, row, strict=True))
            texts = mended[n % len(mended)]
            if texts is not None:
                values |= dict(zip(columns, map(export_rejected.escaped, texts), strict=True))
            writer.writerow(values.values())
        return repaired.getvalue().encode()

    def _apply(self, event: oracle.Event) -> None:
        match event:
            case oracle.Land(dataset, day, file, content):
                source = self.root / "incoming" / file
                source.parent.mkdir(parents=True, exist_ok=True)
                source.write_bytes(content)
                land(self.ledger, source, dataset, day)
            case oracle.Drop(content=content):
                self.lake.raw.write(str(_path(event)), content)
            case oracle.Remove():
                self.lake.raw.delete(str(_path(event)))
            case oracle.Withdraw():
                self._decide(lambda: decide.withdraw(self.ledger, _path(event)))
            case oracle.Reinstate():
                self._decide(lambda: decide.reinstate(self.ledger, _path(event)))
            case oracle.Accept(digest=digest):
                accept = decide.accept
                self._decide(lambda: accept(self.ledger, _path(event), "a test", digest))
            case oracle.Run(dates):
                self.run(dates)
                self._note_point()
            case oracle.Restore(event=before):
                self._restore(before)
            case oracle.Resume():
                self._gold = None
                self._decide(lambda: restore.resume(self.ledger, "a test"))

    def _decide(self, decision: Callable[[], object]) -> None:
        """Take a decision, which the product must refuse exactly where the oracle does."""
        expected = self._expected().refused
        refused = ""
        try:
            decision()
        except (decide.DecisionError, restore.RestoreError) as error:
            refused = str(error)
        assert bool(refused) == (len(self.events) - 1 in expected), (self.events[-1], refused)

    def _restore(self, before: int) -> None:
        """Restore to the last run that is recorded, by the time of that event."""
        # Receipts of what was read since then stay: what was said is not taken back.
        self._gold = None
        self._said |= {*self.receipts()}
        points = [p for at, p in self._points if at <= before]
        to = points[-1] if points else "never"
        self._decide(lambda: restore.restore(self.ledger, to, "a test"))

    def run(self, dates: Iterable[date] | None = None) -> None:
        """Run all tables for these dates; by default whatever the plan says is pending."""
        if dates is None:
            pending = self.plan()
            if not pending:
                return
            landed = [path.batch_date for path in self.ledger.state().paths]
            dates = pending.dates or [max(landed, default=FIRST)]
        self._run_tables(table_ids(), dates)

    def _run_tables(
        self,
        tables: Iterable[str],
        dates: Iterable[date],
        *,
        replay: bool = False,
        proven: bool = True,
    ) -> None:
        run_id = uuid.uuid4().hex
        changed: dict[str, int] = {}
        for table in tables:
            result = run_table(self.spark, self.lake, table, sorted(dates), run_id, replay=replay)
            changed[table] = result.metadata.get("changed_grains", 0)
            self.results.append(result)
            for check in result.checks:
                sound = check.name in SOUND and not table.startswith("bronze.")
                if sound or (proven and check.name.startswith(("sums_", "dimension_"))):
                    assert check.passed, (table, check)
        if self._gold is not None and {*table_ids()} == {*changed}:
            self._check_changed(self._gold, changed)
        restore.close(self.lake, run_id, sorted(map(str, dates)))

    def _note_point(self) -> None:
        """Remember which run the product has recorded by now, if a new one."""
        if published := self.ledger.state().published:
            point = len(self.events) - 1, published[-1].run_id or ""
            if point[1] not in {run for _, run in self._points}:
                self._points.append(point)

    def _check_changed(
        self, before: dict[str, dict[object, oracle.Record]], changed: dict[str, int]
    ) -> None:
        """Gold changed in exactly the grains that the oracle says."""
        after = self._expected().gold
        for name in self.gold_grain:
            old, new = before.get(name, {}), after.get(name, {})
            wanted = {g for g in {*old, *new} if old.get(g) != new.get(g)}
            found = changed[f"gold.{name}"]
            assert found == len(wanted), (
                f"{name}: {found} grains changed, not {len(wanted)}: {wanted}"
            )
        self._gold = None

    def plan(self) -> pending_files.Plan:
        """What is pending: the same, whatever need not be looked at because nothing has come."""
        everything = whole(self.lake, self.ledger.followed(), DATASETS)
        slow = pending_files.make(self.lake, everything, DATASETS, DERIVED)
        quick = pending_files.of(self.ledger, DATASETS, DERIVED)
        assert quick == slow, f"the plan differs where settled files are passed over: {quick}"
        repeated = self._looks.plan(self.lake.fresh(), _MUCH_LATER)
        assert repeated == slow, f"the plan differs where nothing has come since: {repeated}"
        return slow

    # -------------------------------------------------------------------------------- reading

    def table(self, name: str) -> DeltaTable | None:
        """A table by its folder; None before its first version."""
        uri = self.lake.storage.uri(name)
        return DeltaTable(uri) if DeltaTable.is_deltatable(uri) else None

    def rows(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table; timestamps in UTC without a zone, maps as dicts."""
        found = self.table(name)
        if found is None:
            return []
        reader = QueryBuilder().register("t", found).execute("SELECT * FROM t")
        rows: list[dict[str, Any]] = pa.table(reader.read_all()).to_pylist()
        for row in rows:
            for column, value in row.items():
                if isinstance(value, datetime):
                    assert value.utcoffset() is not None, f"{name}.{column} has no zone"
                    row[column] = value.astimezone(UTC).replace(tzinfo=None)
                elif column == "_extra" and value is not None:
                    row[column] = dict(value)
        return rows

    def versions(self) -> dict[str, int]:
        """Every Delta table and its version."""
        known = [*queryable().values(), FACTS, RECEIPTS]
        return {t.id: DeltaTable(self.lake.uri(t)).version() for t in known if self.exists(t)}

    def exists(self, table: Table) -> bool:
        """Whether a table has any version."""
        return DeltaTable.is_deltatable(self.lake.uri(table))

    def receipts(self) -> dict[tuple[str, date, str, str], oracle.Receipt]:
        """The newest receipt of each content."""
        rows = sorted(self.rows("receipts"), key=lambda r: r["seq"])
        seqs = [r["seq"] for r in rows]
        assert len(set(seqs)) == len(seqs), "a receipt's seq repeats"
        return {
            (r["dataset"], r["batch_date"], r["file"], r["digest"]): oracle.Receipt(
                r["state"], **{c: r[c] for c in COUNTS}, has_error=r["error"] is not None
            )
            for r in rows
        }

    def fates(self, dataset: str) -> dict[tuple[date, str, int, int], oracle.Fate]:
        """The fate of every row, by the table in which it stands."""
        found: list[tuple[tuple[date, str, int, int], oracle.Fate]] = [
            (place(r), oracle.Fate("published")) for r in self.rows(f"silver/{dataset}")
        ]
        for r in self.rows(f"superseded/{dataset}"):
            found.append((place(r), oracle.Fate("duplicate" if r["_duplicate"] else "superseded")))
        for r in self.rows(f"rejected/{dataset}"):
            rules = r["_rules"]
            assert len(set(rules)) == len(rules), f"a rule twice: {rules}"
            found.append((place(r), oracle.Fate("rejected", r["_category"], frozenset(rules))))
        twice = [place for place, _ in found if sum(p == place for p, _ in found) > 1]
        assert not twice, f"{dataset}: more than one fate: {twice}"
        return dict(found)

    def _expected(self) -> oracle.World:
        """What the oracle says of all that has happened so far."""
        return oracle.evaluate(self.events, self.rules.oracle, shop=self.shop, settle=False)

    def content_hash(self) -> str:
        """Digest of the contract's columns of every silver, gold and mart table."""
        names = [f"silver/{d}" for d in oracle.COLUMNS] + [f"gold/{t}" for t in oracle.GOLD]
        names += [f"mart/{t}" for t in oracle_marts.MARTS]
        tables = {n: sorted(repr(contract_columns(r)) for r in self.rows(n)) for n in names}
        return hashlib.sha256(json.dumps(tables).encode()).hexdigest()

    # ----------------------------------------------------------------------------- comparison

    def check(self, *, listings: bool = True, asked: Collection[date] | None = None) -> None:
        """Compare every table with the oracle and, by default, receipts and files that wait.

        The files of the dates ``asked`` for last (all for None): on others, what a person has
        decided since is no longer waited for, although no run has followed it yet.
        """
        expected = self._expected()
        for name, dataset in self.shop.items():
            assert_same_rows(
                f"bronze.{name}",
                (bronze_columns(dataset, r) for r in self.rows(f"bronze/{name}")),
                expected.bronze[name],
                LINEAGE,
            )
            assert_same(f"fates of {name}", self.fates(name), expected.fates.get(name, {}))
            silver = [*expected.silver.get(name, {}).values()]
            present = (contract_columns(r) for r in self.rows(f"silver/{name}"))
            assert_same_rows(f"silver.{name}", present, silver, dataset.key)
            rejected = [
                {
                    **bronze_columns(dataset, r),
                    "_category": r["_category"],
                    "_rules": sorted(r["_rules"]),
                }
                for r in self.rows(f"rejected/{name}")
            ]
            assert_same_rows(f"rejected.{name}", rejected, expected.rejected.get(name, []), LINEAGE)
        for name, grain in self.gold_grain.items():
            wanted = [*expected.gold.get(name, {}).values()]
            assert_same_rows(f"gold.{name}", self.rows(f"gold/{name}"), wanted, grain)
        self._check_history_and_marts(expected)
        self._check_reasons(expected)
        # What a run has said of a content is never taken back, even where the oracle, which only
        # knows what stands now, has no word on it: it landed again, and its bytes went unread.
        gone = self._said - {*expected.receipts}
        found = {k: r for k, r in self.receipts().items() if k not in gone}
        self._said |= {*expected.receipts}
        if listings:
            assert_same("receipts", found, expected.receipts)
        bad_sheets = {path for path, _ in expected.unreadable_sheets}
        bad = {*expected.held, *expected.unreadable, *bad_sheets}
        waiting = {path: True for path in bad if asked is None or path.batch_date in asked}
        listed = {
            oracle.Path(p.dataset, p.batch_date, p.file): True
            for p, _ in self.ledger.followed().waiting(
                self.lake.raw, None if asked is None else [*asked]
            )
        }
        if listings:
            assert_same("files that wait", listed, waiting)
        self._check_types()
        self._gold = expected.gold

    def _check_history_and_marts(self, expected: oracle.World) -> None:
        """What rows have said, and when; and the star schema, by what its keys stand for."""
        for name, dataset in self.shop.items():
            if not DATASETS[name].keep_history:
                continue
            wanted = []
            for versions in expected.history.get(name, {}).values():
                ends = [day for day, _ in versions[1:]] + [None]
                wanted += [
                    {**said, "valid_from": day, "valid_to": end}
                    for (day, said), end in zip(versions, ends, strict=True)
                ]
            found = self.rows(f"history/{name}")
            assert_same_rows(f"history.{name}", found, wanted, (*dataset.key, "valid_from"))
        if self.shop is oracle.SHOP:
            marts = oracle_marts.named({n: self.rows(f"mart/{n}") for n in oracle_marts.MARTS})
            for name, rows in marts.items():
                [key, *_] = DERIVED[f"mart.{name}"].grain
                assert_same_rows(f"mart.{name}", rows, expected.marts.get(name, {}).values(), [key])

    def _check_reasons(self, expected: oracle.World) -> None:
        """The receipt of a held CSV file names each rule, how often, and where first."""
        newest = {
            (r["dataset"], r["batch_date"], r["file"], r["digest"]): r
            for r in sorted(self.rows("receipts"), key=lambda r: r["seq"])
        }
        # While a restore stands, a content that landed later has the receipt of before, too.
        errors = {
            key[:3]: r["error"]
            for key, r in sorted(newest.items(), key=lambda it: it[1]["seq"])
            if r["state"] == "held"
        }
        for path, (faulty, rows, rules) in expected.held.items():
            error = errors.get(path, "")
            told = [re.escape(f"held: {faulty:,} of {rows:,} rows break a rule")]
            # A rule of the whole row has no value to show.
            told += [
                rf"{re.escape(rule)} {n:,} \(line {line.row}[:)]"
                for rule, (n, line) in rules.items()
            ]
            missing = [part for part in told if not re.search(part, error)]
            assert path.file.lower().endswith(".xlsx") or not missing, (path, missing, error)

    def _check_types(self) -> None:
        for name, dataset in self.shop.items():
            if table := self.table(f"silver/{name}"):
                wanted = {c: TYPES.get(t, t) for c, t in dataset.columns.items()}
                wanted |= {"order_date": "date"} if dataset.dated else {}
                assert_same(f"types of silver.{name}", types_of(table), wanted)
        for name in self.gold_grain:
            if table := self.table(f"gold/{name}"):
                types = types_of(table)
                assert_same(f"types of gold.{name}", types, {c: gold_type(c) for c in types})

    @property
    def restored(self) -> bool:
        """Whether a restore stands."""
        return self.ledger.state().restored is not None

    def settle(self) -> None:
        """Run whatever is pending, compare everything, and see that nothing is pending then."""
        self.apply(oracle.Run())
        self.check()
        left = self.plan()
        assert not left, (left.files, left.tables)

    def run_again(self) -> None:
        """Run everything once more, and see that nothing is committed or left behind."""
        before = self.versions()
        if not before:
            return
        known = len(self.ledger.facts())
        self.run({path.batch_date for path in self.ledger.state().paths})
        # After a restore's end, the first run records which versions belong together again.
        new = [fact.kind for fact in self.ledger.facts()[known:]]
        assert set(new) <= {Kind.PUBLISHED}, new
        after = self.versions()  # tables that no run had needed yet are made, without rows
        assert {**after, FACTS.id: 0} == {**dict.fromkeys(after, 0), **before, FACTS.id: 0}
        assert not list(self.lake.storage.list("stage"))


def _path(event: oracle.At) -> FilePath:
    return FilePath(event.dataset, event.batch_date, event.file)
