"""What a check says in Dagster: of each date, and of all dates together, whatever ran when."""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from lakehouse_assets.defs import checks
from lakehouse_assets.defs.run_report import read
from lakehouse_assets.defs.table_assets import table_assets
from lakehouse_assets.pipeline import bronze_checks
from lakehouse_assets.pipeline.publish import AuditError
from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.store.facts import Admitted, Fact, Held, Judgement, Landed
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.storage import LocalStorage
from lakehouse_assets.tables.registry import DATASETS

with checks.expected_previews():
    DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_offset=2)
KEY = dg.AssetKey(["silver", "table"])
FIRST, SECOND, THIRD = (date(2026, 11, day) for day in (1, 2, 3))
WARNING, ERROR = (False, Severity.WARN), (False, Severity.ERROR)
FINE = (True, Severity.WARN)


def job_of(outcomes: Mapping[date, tuple[bool, Severity]]) -> dg.Definitions:
    """A table whose check comes out like this, and one that is made from it."""
    with checks.expected_previews():

        @dg.asset(
            key=KEY,
            partitions_def=DAYS,
            backfill_policy=dg.BackfillPolicy.single_run(),
            check_specs=checks.specs(KEY, {"rule": "Fine.", "audit": "Fine."}, DAYS, ("audit",)),
        )
        def table(context: dg.AssetExecutionContext) -> Iterator[Any]:
            found = [
                Check("rule", passed, day, severity, f"{day} says so.")
                for day, (passed, severity) in outcomes.items()
            ]
            found += [Check("audit", passed=True, day=day) for day in outcomes]
            yield dg.MaterializeResult()
            yield from checks.results(context, Result("silver.table", checks=found))

    return dg.Definitions(assets=[table], jobs=[dg.define_asset_job("job", selection="*")])


def run(
    instance: dg.DagsterInstance,
    outcomes: Mapping[date, tuple[bool, Severity]],
    asked: Sequence[date] | None = None,
) -> dg.ExecuteInProcessResult:
    """A run of these dates (those with an outcome) in which the check comes out like this."""
    first, *more = sorted(asked or outcomes)
    tags = {
        "dagster/asset_partition_range_start": str(first),
        "dagster/asset_partition_range_end": str([first, *more][-1]),
    }
    return (
        job_of(outcomes)
        .resolve_job_def("job")
        .execute_in_process(
            instance=instance,
            partition_key=None if more else str(first),
            tags=tags if more else {},
        )
    )


def shown(instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    """What the UI shows of the check: its newest evaluation, of any date."""
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEY, "rule"))
    assert record
    assert record.evaluation
    return record.evaluation


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as instance:
        yield instance


def test_what_is_shown_is_what_all_dates_come_to(instance: dg.DagsterInstance) -> None:
    run(instance, {FIRST: WARNING, SECOND: ERROR, THIRD: FINE})
    found = shown(instance)
    assert (found.passed, found.partition) == (False, None)
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.description == (
        "1 error (2026-11-02) and 1 warning (2026-11-01); every other date passes.  \n"
        "2026-11-02: 2026-11-02 says so."
    )


def test_a_run_of_several_dates_leaves_the_outcomes_of_the_others(
    instance: dg.DagsterInstance,
) -> None:
    """Its own outcome of no date stands between its end and the one before it."""
    run(instance, {FIRST: WARNING, SECOND: ERROR})
    run(instance, {SECOND: FINE, THIRD: ERROR})
    assert shown(instance).description == (
        "1 error (2026-11-03) and 1 warning (2026-11-01); every other date passes.  \n"
        "2026-11-03: 2026-11-03 says so."
    )


def test_lines_stay_lines_where_they_are_read() -> None:
    """In the UI, which reads Markdown, and in messages, which do not."""
    told = "a: held\nb: held"
    assert checks.in_ui(told) == "a: held  \nb: held"
    assert checks.out_of_ui(checks.in_ui(told)) == told
    assert checks.out_of_ui(None) == ""


def test_a_run_of_one_date_leaves_the_outcomes_of_the_others(instance: dg.DagsterInstance) -> None:
    run(instance, {FIRST: WARNING, SECOND: FINE})
    later = run(instance, {THIRD: FINE})
    found = shown(instance)
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == "1 warning (2026-11-01); every other date passes."
    # No outcome of that run: nobody is told of it again.
    assert read(instance, later.dagster_run).checks == ()
    assert later.success


def test_a_date_that_is_mended_counts_no_longer(instance: dg.DagsterInstance) -> None:
    run(instance, {FIRST: ERROR, SECOND: FINE})
    run(instance, {FIRST: FINE})
    found = shown(instance)
    assert found.passed
    assert found.description == ("Every date passes; checked last: 2026-11-01. 2026-11-01 says so.")


@pytest.mark.parametrize("asked", [[SECOND], [SECOND, THIRD]])
def test_a_date_whose_rows_another_run_has_moved_is_judged_anew(
    instance: dg.DagsterInstance, asked: list[date]
) -> None:
    run(instance, {FIRST: WARNING})
    run(instance, {FIRST: FINE, **dict.fromkeys(asked, FINE)}, asked)
    assert shown(instance).passed
    # The UI takes it for current: it judges the newest materialization of its date.
    [of_first] = [
        record
        for record in instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(KEY, "rule"), limit=9
        )
        if record.partition == str(FIRST) and record.evaluation and record.evaluation.passed
    ]
    assert of_first.evaluation
    assert of_first.evaluation.target_materialization_data


def test_only_audits_are_blocking() -> None:
    graph = job_of({}).resolve_asset_graph()
    blocking = {key.name: graph.get(key).blocking for key in graph.asset_check_keys}
    assert blocking == {"rule": False, "audit": True}


# ------------------------------------------------------------------------- the share of faulty rows

ORDERS = DATASETS["orders"]
FILE = FilePath("orders", FIRST, "o.csv")


class Refusing:
    """A runner whose jobs publish nothing."""

    def run(self, *_: Any, **__: Any) -> Result:
        raise AuditError("id 7 stands twice; nothing was published")


def test_an_audit_that_kept_everything_out_is_a_failed_check(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    """Of each date, though the step has no result."""
    storage = LocalStorage(str(tmp_path))
    lake = Lake(storage, storage, FIRST, THIRD, frozenset(DATASETS))
    key = dg.AssetKey(["silver", next(iter(DATASETS))])
    with checks.expected_previews():
        [asset] = [a for a in table_assets(lake, DAYS) if a.key == key]
    done = dg.materialize(
        [asset],
        instance=instance,
        partition_key=str(FIRST),
        resources={"runner": Refusing(), "lakehouse": SimpleNamespace(lake=lambda: lake)},
        raise_on_error=False,
    )
    [said] = read(instance, done.dagster_run).checks
    assert (said.name, said.day, said.severe) == ("keys_unique", str(FIRST), True)
    assert said.description == "id 7 stands twice; nothing was published"


def reject_rate(verdict: Judgement, *, accepted: bool = False) -> Check:
    state = State(paths={FILE: PathState(FILE, accepted={"d"} if accepted else set())})
    return bronze_checks.reject_rate(ORDERS, FIRST, {FILE: verdict}, state)


def test_the_share_is_always_said() -> None:
    found = reject_rate(Admitted(read=400, faulty=2))
    assert found.passed
    assert found.description == (
        "2 of 400 rows (0.5 %) broke a rule when read, no file above the limit of 5 %"
    )
    assert found.metadata["highest_share"] == 0.005


def test_a_small_file_beyond_the_limit_is_a_warning() -> None:
    found = reject_rate(Admitted(read=10, faulty=1))
    assert (found.passed, found.severity) == WARNING
    assert found.description == (
        f"{FILE}: 1 of 10 rows (10.0 %) broke a rule when read, above the limit of 5 %; "
        "a file below 100 rows is not held"
    )


def test_a_small_file_whose_rows_are_mended_warns_no_more() -> None:
    state, verdict = State(paths={FILE: PathState(FILE)}), {FILE: Admitted(read=10, faulty=1)}
    assert bronze_checks.reject_rate(ORDERS, FIRST, verdict, state, {FILE}).passed
    large = {FILE: Held(read=200, faulty=100, error="held: many")}
    assert not bronze_checks.reject_rate(ORDERS, FIRST, large, state, {FILE}).passed


def test_an_accepted_file_passes_and_says_by_what_right() -> None:
    found = reject_rate(Admitted(read=200, faulty=200), accepted=True)
    assert found.passed
    assert found.description == (
        f"{FILE}: 200 of 200 rows (100.0 %) broke a rule when read, above the limit of 5 %; "
        "accepted by a person"
    )


def test_a_held_file_is_an_error_with_its_line() -> None:
    error = "held: 55 of 200 rows break a rule; let it in with lakehouse accept"
    found = reject_rate(Held(read=200, faulty=55, error=error))
    assert (found.passed, found.severity) == ERROR
    assert found.description == f"{FILE}: {error} {FILE} --why REASON"
    assert found.metadata["held_rows"] == 200


# ------------------------------------------------------------------------------------------ volume


def test_a_date_without_a_file_warns_of_nothing() -> None:
    usual = {date(2026, 11, day): 100 for day in range(1, 6)}
    absent = bronze_checks.volume(usual, date(2026, 11, 7))
    assert (absent.passed, absent.description) == (True, "No file of this date is in force.")
    empty = bronze_checks.volume(usual | {date(2026, 11, 7): 0}, date(2026, 11, 7))
    assert not empty.passed
    assert empty.description == (
        "0 rows, where that is not usual: the median of 5 dates before is 100."
    )


@pytest.mark.parametrize(
    ("repairs", "without"), [(0, {FIRST: 10}), (4, {FIRST: 6}), (10, {})], ids=str
)
def test_mended_rows_do_not_count(repairs: int, without: dict[date, int]) -> None:
    """They come when somebody has mended them; a file of nothing else is none."""
    state = State()
    for seq, detail in enumerate([Landed("land", "", 1), Admitted(read=10, repairs=repairs)], 1):
        state.take(Fact(detail, FILE, "d", seq=seq))
    assert bronze_checks.rows_per_day(state, ORDERS, with_repairs=True) == {FIRST: 10}
    assert bronze_checks.rows_per_day(state, ORDERS, with_repairs=False) == without
