"""What the sensor decides, without Dagster: by hand, and against random histories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.pending_files import Pending, Plan
from lakehouse_assets.planning.run_requests import (
    AT_ONCE,
    FEW,
    RETRY_AFTER,
    Attempt,
    Decision,
    Start,
    WaitTimes,
    decide,
    seconds_to_look,
)
from lakehouse_assets.planning.settled_files import whole
from lakehouse_assets.store.facts import Fact, Reinstated, Withdrawn
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.tables.registry import DATASETS
from tests.support.memory import MemoryLedger, absorb, memory_lake

NOW = datetime(2025, 4, 20, 12, tzinfo=UTC)
DAYS = [date(2025, 4, d) for d in (15, 16, 18, 20)]
SETTLE, PATIENCE = timedelta(seconds=30), timedelta(minutes=30)
WAITS = WaitTimes(SETTLE, PATIENCE)
INTERVAL = 30.0
ALL = set(DATASETS)
EXPECTED = {"orders", "order_items"}

# ---------------------------------------------------------------------------------- by hand


def planned(*files: tuple[str, date, float | None], there: Iterable[str] = ALL) -> Plan:
    """A plan with these pending files: dataset, date, how many seconds ago each arrived."""
    plan = Plan(newest=DAYS[-1], grounds={"rules": "r", "restores": "0", "versions": "v"})
    for i, (dataset, day, age) in enumerate(files):
        arrived = None if age is None else NOW.timestamp() - age
        path = FilePath(dataset, day, f"{i}.csv")
        plan.files[path] = Pending("new", ("etag", 0.0, i), arrived, arrived)
        plan.there[day] = {dataset, *there}
    return plan


def decided(plan: Plan, *tried: Attempt, now: datetime = NOW) -> Decision:
    return decide(plan, DATASETS, lambda _: tried, now, WAITS)


def dates(decision: Decision) -> list[list[date]]:
    return [list(s.dates) for s in decision.starts]


def test_one_run_for_each_changed_date() -> None:
    files = [("orders", day, 99.0) for day in DAYS[:FEW]]
    assert dates(decided(planned(*files))) == [[day] for day in DAYS[:FEW]]


def test_many_dates_share_a_run_for_each_stretch() -> None:
    files = [("orders", day, 99.0) for day in DAYS]
    assert dates(decided(planned(*files))) == [DAYS[:2], [DAYS[2]], [DAYS[3]]]


def test_young_files_are_waited_for() -> None:
    decision = decided(planned(("orders", DAYS[0], 99.0), ("orders", DAYS[0], 20.0)))
    assert not decision.starts
    assert decision.waits == ["2025-04-15: files are still arriving"]
    assert decision.again == pytest.approx(10)


def test_a_half_landed_day_waits_for_the_others_but_not_for_ever() -> None:
    early = decided(planned(("orders", DAYS[0], 600.0), there=["products"]))
    assert early.waits == ["2025-04-15: waits 20 min more for order_items"]
    late = decided(planned(("orders", DAYS[0], 1801.0), there=["products"]))
    assert dates(late) == [[DAYS[0]]]


def test_a_correction_of_what_nobody_expects_goes_at_once() -> None:
    of_products = planned(("products", DAYS[0], 31.0), there=EXPECTED)
    assert dates(decided(of_products)) == [[DAYS[0]]]
    of_orders = planned(("orders", DAYS[0], 31.0), there=["order_items"])
    assert dates(decided(of_orders)) == [[DAYS[0]]]  # nobody waits for products


def test_decisions_wait_for_nobody() -> None:
    assert dates(decided(planned(("orders", DAYS[0], None), there=[]))) == [[DAYS[0]]]


def test_tomorrows_files_are_taken_in_like_any_others() -> None:
    tomorrow = date(2025, 4, 21)
    assert dates(decided(planned(("orders", tomorrow, 99.0)))) == [[tomorrow]]


@pytest.mark.parametrize("ahead", [3600.0, 86_400.0 * 3650])
def test_times_of_the_future_do_not_keep_a_file_out(ahead: float) -> None:
    assert dates(decided(planned(("orders", DAYS[0], -ahead)))) == [[DAYS[0]]]


def test_tables_alone_are_brought_up_to_date_by_a_run_of_the_newest_date() -> None:
    plan = planned()
    plan.tables = {"silver.orders": "rules changed"}
    assert dates(decided(plan)) == [[DAYS[-1]]]
    [start] = decided(plan).starts
    plan.grounds["versions"] = "w"
    assert decided(plan).starts[0].plan != start.plan


def test_a_failed_plan_is_tried_again_later_and_later_and_not_for_ever() -> None:
    plan = planned(("orders", DAYS[0], 99.0))
    for number, wait in enumerate(RETRY_AFTER, 1):
        ended = NOW.timestamp()
        early = decided(plan, Attempt(number, ended), now=NOW + wait - timedelta(seconds=1))
        assert not early.starts
        assert f"pending still after attempt {number}; the next in" in early.waits[0]
        [start] = decided(plan, Attempt(number, ended), now=NOW + wait).starts
        assert start.attempt == number + 1
        assert start.key.endswith(f"-{number + 1}")
    last = decided(plan, Attempt(len(RETRY_AFTER) + 1, 0.0))
    assert not last.starts
    assert "the last one" in last.waits[0]


def test_a_changed_plan_starts_from_the_first_attempt() -> None:
    before = planned(("orders", DAYS[0], 99.0))
    [first] = decided(before).starts
    path, pending = next(iter(before.files.items()))

    def after(plan: Plan) -> Start:
        def tried(digest: str) -> list[Attempt]:
            return [Attempt(2, 0.0)] if digest == first.plan else []

        [start] = decide(plan, DATASETS, tried, NOW, WAITS).starts
        return start

    assert after(before).attempt == 3
    for change in ({"mark": ("other bytes", 0.0, 0)}, {"reason": "withdrawn"}):
        plan = planned(("orders", DAYS[0], 99.0))
        plan.files[path] = pending._replace(**change)
        assert after(plan).attempt == 1
    for ground in ("rules", "restores"):
        plan = planned(("orders", DAYS[0], 99.0))
        plan.grounds[ground] = "other"
        assert after(plan).attempt == 1


def test_the_next_look() -> None:
    waiting = Decision()
    waiting.wait("one", 20)
    waiting.wait("another", 10)
    waiting.wait("who knows")
    assert seconds_to_look(waiting.cursor(NOW, INTERVAL), NOW, INTERVAL) == pytest.approx(10)
    assert seconds_to_look(Decision().cursor(NOW, INTERVAL), NOW, INTERVAL) == pytest.approx(30)
    for at_once in (None, AT_ONCE, Decision([Start((DAYS[0],), "p", 1)]).cursor(NOW, INTERVAL)):
        assert seconds_to_look(at_once, NOW, INTERVAL) == 0
    # A clock that was set back does not stop the sensor.
    later = Decision().cursor(NOW + timedelta(days=1), INTERVAL)
    assert seconds_to_look(later, NOW, INTERVAL) == 0


def test_what_has_been_pending_for_too_long() -> None:
    plan = planned(("orders", DAYS[0], 99.0), ("products", DAYS[0], 7300.0))
    [(path, reason, pending)] = plan.overdue(NOW, timedelta(hours=2))
    assert (path.dataset, reason, pending) == ("products", "new", timedelta(seconds=7300))


# ------------------------------------------------------------------------- random histories


@dataclass
class Run:
    """A run as Dagster keeps it."""

    start: Start
    state: str  # created, under way, ended
    ended: float = 0.0


class Sensor(RuleBasedStateMachine):
    """A raw zone, a ledger, a queue and Dagster, all of which may fail; and the sensor.

    Dagster is modelled as it is: a key that a submitted run has is never started again; a run
    that was created, and not submitted, is submitted where its key is asked for again.
    """

    @initialize()
    def begin(self) -> None:
        self.lake = memory_lake(date(2025, 1, 1), date(2025, 12, 31))
        self.ledger = MemoryLedger()
        self.clock = self.right = NOW.timestamp()
        self.runs: dict[str, Run] = {}
        self.cursor: str | None = None
        self.messages = 0
        self.meant: dict[str, Any] = {}
        self.stepped = False  # since then no age is what it seems

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock, UTC)

    def plan(self) -> Plan:
        return pending_files.make(
            self.lake, whole(self.lake, self.ledger.state, DATASETS), DATASETS, {}
        )

    def under_way(self) -> list[Run]:
        return [r for r in self.runs.values() if r.state == "under way"]

    # ------------------------------------------------------------------------------- events

    @rule(
        dataset=st.sampled_from(sorted(DATASETS)),
        day=st.sampled_from(DAYS),
        name=st.sampled_from("ab"),
        content=st.integers(0, 3),
        messages=st.integers(0, 2),
    )
    def arrive(self, dataset: str, day: date, name: str, content: int, messages: int) -> None:
        """A file comes, or other bytes over it, in the same second or later; told 0 to 2 times."""
        place = str(FilePath(dataset, day, f"{name}.csv"))
        self.lake.dropped[place] = (bytes([content]), self.clock)
        self.messages += messages

    @precondition(lambda self: self.lake.dropped)
    @rule(data=st.data())
    def delete(self, data: Any) -> None:
        self.lake.dropped.pop(data.draw(st.sampled_from(sorted(self.lake.dropped))))

    @rule()
    def archive(self) -> None:
        """All that a run has read leaves the raw zone."""
        for path, past in self.ledger.state.paths.items():
            stored = self.lake.dropped.get(str(path))
            read = past.last.digest if past.last and not past.unjudged else None
            if stored and hashlib.sha256(stored[0]).hexdigest() == read:
                del self.lake.dropped[str(path)]

    @precondition(lambda self: self.ledger.state.paths)
    @rule(data=st.data())
    def decide_by_hand(self, data: Any) -> None:
        """A file is withdrawn, or brought back."""
        past = self.ledger.state.at(data.draw(st.sampled_from(sorted(self.ledger.state.paths))))
        decision = Withdrawn("a test") if past.open else Reinstated("a test")
        self.ledger.record(self.now, Fact(decision, past.path))

    @rule(seconds=st.sampled_from([1, 10, 31, 300, 2000, 20_000]))
    def pass_time(self, seconds: int) -> None:
        self.right += seconds
        self.clock += seconds

    @rule(dies=st.sampled_from(["", "at once", "halfway"]))
    def half_an_hour(self, dies: str) -> None:
        """Time enough for whatever waits to be started; and the runs end."""
        self.pass_time(2000)
        self.tick("all")
        for run in self.under_way():
            self.finish(run, dies if run.start.attempt <= len(RETRY_AFTER) else "")

    @rule(seconds=st.sampled_from([-90_000, -3600, -5, 3600]))
    def step_clock(self, seconds: int) -> None:
        self.right += max(0, seconds)
        self.clock += seconds
        self.stepped = True

    # ----------------------------------------------------------------------------- the daemon

    @rule(survives=st.sampled_from(["all", "the look", "a creation", "a launch"]))
    def tick(self, survives: str) -> None:
        """An evaluation, by a daemon that may be killed at any point of it."""
        if self.under_way():
            self.cursor = AT_ONCE
            return
        if seconds_to_look(self.cursor, self.now, INTERVAL) and not self.messages:
            return
        plan = self.plan()
        decision = decide(plan, DATASETS, self.tried, self.now, WAITS)
        self.judge(plan, decision)
        for start in decision.starts:
            self.know(plan, start)
        if survives == "the look":
            return
        self.messages = 0
        for start in decision.starts:
            self.launch(start, submitted=survives != "a creation")
            if survives != "all":
                return
        self.cursor = decision.cursor(self.now, INTERVAL)

    def tried(self, plan: str) -> list[Attempt]:
        mine = [r for r in self.runs.values() if r.start.plan == plan and r.state == "ended"]
        return [Attempt(r.start.attempt, r.ended) for r in mine]

    def launch(self, start: Start, *, submitted: bool) -> None:
        run = self.runs.setdefault(start.key, Run(start, "created"))
        assert run.state == "created", f"{start} has been run already"
        if submitted:
            run.state = "under way"

    def know(self, plan: Plan, start: Start) -> None:
        """One digest means one thing: these bytes, of that time, and what is known of them."""
        files = sorted(p for p in plan.files if p.batch_date in start.dates)
        raw, state = self.lake.dropped, self.ledger.state
        facts = [len(state.at(p).landings) + len(state.at(p).withdrawals) for p in files]
        meant = [(p, raw.get(str(p)), known) for p, known in zip(files, facts, strict=True)]
        assert self.meant.setdefault(start.plan, meant) == meant

    def judge(self, plan: Plan, decision: Decision) -> None:
        """What may be started at all."""
        asked = [day for start in decision.starts for day in start.dates]
        assert len(asked) == len(set(asked)), "a date twice"
        for day in asked:
            mine = {p: f for p, f in plan.files.items() if p.batch_date == day}
            assert mine, f"nothing is pending on {day}"
            arrived = [f.arrived for f in mine.values() if f.arrived is not None]
            if self.stepped or not arrived:
                continue
            assert self.clock - max(arrived) >= SETTLE.total_seconds(), "still arriving"
            if self.clock - min(arrived) < PATIENCE.total_seconds():
                landed = [*map(str, self.ledger.state.paths), *self.lake.dropped]
                there = {p.split("/")[0] for p in landed if p.split("/")[1] == str(day)}
                assert there >= EXPECTED, f"{day} is half there"

    # ------------------------------------------------------------------------------- the runs

    @precondition(lambda self: self.under_way())
    @rule(data=st.data(), dies=st.sampled_from(["", "", "at once", "halfway"]))
    def end_run(self, data: Any, dies: str) -> None:
        runs = sorted(self.under_way(), key=lambda r: r.start.key)
        run = data.draw(st.sampled_from(runs))
        # What cannot work out stays with people: here every plan works out in the end.
        if run.start.attempt > len(RETRY_AFTER):
            dies = ""
        self.finish(run, dies)

    def finish(self, run: Run, dies: str) -> None:
        names = {"": sorted(DATASETS), "at once": [], "halfway": sorted(DATASETS)[:1]}
        for dataset in names[dies]:
            absorb(self.lake, self.ledger, self.now, list(run.start.dates), dataset)
        run.state, run.ended = "ended", self.clock

    @invariant()
    def known_by_one_key(self) -> None:
        tried = [(r.start.plan, r.start.attempt) for r in self.runs.values()]
        assert len(tried) == len(set(tried))

    def teardown(self) -> None:
        """Left alone, with a clock that is right again, everything is taken in, and then is quiet.

        The longest that anything waits is for a time that a fast clock gave it.
        """
        if not hasattr(self, "runs"):
            return
        self.clock = max(self.clock, self.right)
        until = self.clock + 2 * max(RETRY_AFTER[-1], PATIENCE).total_seconds()
        while self.plan() and self.clock < until:
            self.tick("all")
            for run in self.under_way():
                self.finish(run, "")
            self.clock += 600
        left = self.plan()
        assert not left, (
            left.files,
            decide(left, DATASETS, self.tried, self.now, WAITS).waits,
        )
        for place, (data, _) in self.lake.dropped.items():
            dataset, day, file = place.split("/")
            last = self.ledger.state.at(FilePath(dataset, date.fromisoformat(day), file)).last
            assert last
            assert last.digest == hashlib.sha256(data).hexdigest(), f"{place}: missed"
        quiet = len(self.runs)
        self.clock += INTERVAL
        self.tick("all")
        assert len(self.runs) == quiet


Sensor.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSensor = Sensor.TestCase
