"""What starts runs: asks the plan, and has Dagster start exactly the runs that follow from it.

The thin shell around ``starts.decide``: the clock, the queue, the lake, and what Dagster knows
of earlier runs. The sensor looks all the time; once a day a look waits for nothing.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors.
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from lakehouse_assets.defs.keys import ATTEMPT_TAG, JOB, PLAN_TAG
from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.run_requests import (
    AT_ONCE,
    Attempt,
    Decision,
    Start,
    WaitTimes,
    decide,
    range_tags,
    seconds_to_look,
)
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS, GOLD
from resources.dagster_instance import bury_dead_runs
from resources.s3_events import Queue
from resources.settings import Settings

_POLL_SECONDS = 10
"""How often a queue is asked."""

# What is created and not yet submitted is not among them: that is what a daemon leaves behind
# that dies in between, and asking for it again makes Dagster submit it.
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_ASSET_JOB = "__ASSET_JOB"
"""What backfills and the UI's materialize button start; Dagster does not export the name."""


def raw_files(settings: Settings) -> dg.SensorDefinition:
    """The sensor on new raw files.

    While a run of its job, or of assets picked by hand, is queued or under way, it requests
    none: a run takes in all that it finds on its dates, so that what is pending is known only
    when it is through.
    """
    queue = Queue(settings.queue_url)
    interval = settings.sensor_interval_seconds

    @dg.sensor(
        name="raw_files",
        job_name=JOB,
        description=(
            "Starts what the plan says, for new, changed and withdrawn files and changed rules. "
            "What it waits for stands in each tick's skip message."
        ),
        minimum_interval_seconds=min(interval, _POLL_SECONDS) if settings.queue_url else interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        bury_dead_runs(context.instance, settings)
        if busy := _under_way(context.instance):
            return _nothing(
                f"run {busy} is queued or under way; the next look is after it", AT_ONCE
            )
        now = datetime.now(UTC)
        hints = queue.receive()
        wait = seconds_to_look(context.cursor, now, interval)
        if wait and not hints:
            return _nothing(f"the next look is in {wait:.0f} s", context.cursor or AT_ONCE)
        wait_times = WaitTimes(
            settle=timedelta(seconds=settings.settle_seconds),
            patience=timedelta(minutes=settings.patience_minutes),
        )
        decision = _look(settings, context.instance, now, wait_times)
        queue.delete(hints)
        cursor = decision.cursor(now, interval)
        if decision.starts:
            for line in decision.waits:  # a tick that starts something has no skip message
                context.log.info(line)
            requests = [_request(start) for start in decision.starts]
            return dg.SensorResult(run_requests=requests, cursor=cursor)
        return _nothing("; ".join(decision.waits) or "nothing is pending", cursor)

    return sensor


def daily(settings: Settings) -> dg.ScheduleDefinition:
    """At two in the morning: whatever is pending, half-landed days as well."""

    @dg.schedule(
        name="daily",
        job_name=JOB,
        cron_schedule="0 2 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Starts what the plan says and the sensor still waits with.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        if busy := _under_way(context.instance):
            return dg.SkipReason(f"run {busy} is queued or under way; the sensor looks after it")
        at_once = WaitTimes(settle=timedelta(), patience=timedelta())
        decision = _look(settings, context.instance, datetime.now(UTC), at_once)
        if decision.starts:
            return [_request(start) for start in decision.starts]
        return dg.SkipReason("; ".join(decision.waits) or "nothing is pending")

    return schedule


def _look(
    settings: Settings, instance: dg.DagsterInstance, now: datetime, wait_times: WaitTimes
) -> Decision:
    ledger = Ledger(settings.lake())
    plan = pending_files.of(ledger, DATASETS, GOLD)
    return decide(plan, DATASETS, lambda digest: list(_tried(instance, digest)), now, wait_times)


def _tried(instance: dg.DagsterInstance, digest: str) -> Iterator[Attempt]:
    wanted = dg.RunsFilter(tags={PLAN_TAG: digest}, statuses=_ENDED)
    for record in instance.get_run_records(wanted):
        number = int(record.dagster_run.tags.get(ATTEMPT_TAG, "1"))
        yield Attempt(number, record.end_time or record.update_timestamp.timestamp())


def _under_way(instance: dg.DagsterInstance) -> str | None:
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY))
    return next((run.run_id for run in runs if run.job_name in {JOB, _ASSET_JOB}), None)


def _nothing(why: str, cursor: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=why, cursor=cursor)


def _request(start: Start) -> dg.RunRequest:
    tags = {PLAN_TAG: start.plan, ATTEMPT_TAG: str(start.attempt)}
    return dg.RunRequest(
        run_key=start.key,
        partition_key=start.dates[0].isoformat() if len(start.dates) == 1 else None,
        tags=tags | range_tags(start.dates),
    )
