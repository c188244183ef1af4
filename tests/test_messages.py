"""What a run's messages and figures say, from what it reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest

from lakehouse_assets.defs import run_metrics, run_report
from lakehouse_assets.defs.closing_assets import _files_wait
from lakehouse_assets.defs.run_messages import of_run
from lakehouse_assets.defs.run_report import FailedCheck, RunReport, TableReport
from lakehouse_assets.ports import Topic

FILE = "orders/2025-04-15/o.csv: held: 9 of 100 rows break a rule; mend the file"
QUIET = RunReport(
    run_id="r1",
    job="lakehouse",
    outcome="success",
    ended=datetime(2025, 4, 15, tzinfo=UTC),
    dates=("2025-04-15",),
    tables={},
    checks=(),
    errors=(),
    files=(),
)


def check(description: str, day: str | None = "2025-04-15") -> FailedCheck:
    return FailedCheck("bronze.orders", "reject_rate", day, severe=True, description=description)


def test_nothing_wrong_is_one_message() -> None:
    [message] = of_run(QUIET)
    assert message.topic is Topic.SUCCESS


@pytest.mark.parametrize(
    ("failure", "files", "errors"),
    [
        (_files_wait([FILE, FILE]), (FILE, FILE), ()),
        (dg.Failure("orders: AWS says no"), (), ("receipts: orders: AWS says no",)),
    ],
)
def test_a_run_that_fails_for_files_is_told_from_one_that_went_wrong(
    failure: dg.Failure, files: tuple[str, ...], errors: tuple[str, ...]
) -> None:
    """Whatever the step: what waits for a person is no error, and the first words say so."""

    @dg.asset
    def receipts() -> None:
        raise failure

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([receipts], instance=instance, raise_on_error=False)
        told = run_report.read(instance, done.dagster_run)
    assert (told.outcome, told.files, told.errors) == ("failure", files, errors)
    [event] = [e for e in done.all_events if e.is_step_failure]
    said = str(event.step_failure_data.user_failure_data)
    assert ("Everything that can be read is published" in said) == bool(files)


def test_a_check_is_told_unless_a_files_line_says_the_same() -> None:
    told = replace(
        QUIET, checks=(check(FILE), check(f"{FILE}\n{FILE}"), check("keys repeat", None))
    )
    _, message = of_run(told)
    assert message.topic is Topic.DATA_QUALITY
    assert len(message.lines) == 3
    _, message = of_run(replace(told, files=(FILE,)))
    assert message.lines == (FILE, "bronze.orders: reject_rate (error): keys repeat")
    assert message.subject == "lakehouse 2025-04-15: 1 check(s) failed, 1 bad file(s)"


def test_a_long_story_is_cut() -> None:
    files = tuple(f"orders/2025-04-15/{i}.csv: unreadable" for i in range(25))
    failure, quality = of_run(replace(QUIET, outcome="failure", files=files))
    for message in (failure, quality):
        assert len(message.lines) == 21
        assert message.lines[-1] == "... and 5 more"
    assert failure.subject == "lakehouse 2025-04-15 failed: 25 bad file(s)"


def test_figures_are_defined_where_there_is_something_to_count() -> None:
    fates = {"read": 20, "published": 8, "superseded": 2, "duplicates": 1, "rejected": 4, "held": 5}
    days = {"2025-04-15": fates, "2025-04-16": dict.fromkeys(fates, 0)}
    tables = {
        "silver.orders": TableReport(days=days, rows_added=8, seconds=1.5),
        "silver.products": TableReport(days={"2025-04-15": {"read": 5, "held": 5}}),
        "silver.order_items": TableReport(days={"2025-04-15": {"read": 0}}),
        "bronze.orders": TableReport(days={"2025-04-15": {"read": 15, "held": 5}}),
        "gold.daily_sales": TableReport(days={"2025-04-15": {}}, rows_added=3),
    }
    found = {(m.table, m.name): m.value for m in run_metrics.of_run(replace(QUIET, tables=tables))}
    times = {name: found.pop((name, "ProcessingTime")) for name in tables}
    assert times == dict.fromkeys(tables, 0.0) | {"silver.orders": 1.5}
    assert found == {
        ("silver.orders", "RecordsProcessed"): 20,
        ("silver.orders", "ErrorRate"): 4 / 15,
        ("silver.orders", "DataQualityScore"): 11 / 20,
        ("silver.products", "RecordsProcessed"): 5,
        ("silver.products", "DataQualityScore"): 0,
        ("silver.order_items", "RecordsProcessed"): 0,
        ("bronze.orders", "RecordsProcessed"): 20,
        ("bronze.orders", "ErrorRate"): 0.25,
        ("gold.daily_sales", "RecordsProcessed"): 3,
    }


def test_a_run_without_silver_tables_says_how_many_it_brought_up_to_date() -> None:
    report = replace(QUIET, tables={"gold.daily_sales": TableReport()})
    [message, *_] = of_run(report)
    assert message.subject.endswith("succeeded: 1 table up to date")
