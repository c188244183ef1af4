"""What starts runs: asks the plan, and has Dagster start exactly the runs that follow from it.

The thin shell around ``run_requests.decide``: the clock, the queue, the lake, and what Dagster
knows of earlier runs. The sensor looks all the time; once a day a look waits for nothing, and
trusts nothing that an earlier one has seen.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors.
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from lakehouse_assets.defs.keys import ASSET_JOB, ATTEMPT_TAG, JOB, PLAN_TAG, QUIET
from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.pending_files import Plan
from lakehouse_assets.planning.repeated_look import RepeatedLook
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
from lakehouse_assets.tables import registry
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from resources.dagster_instance import bury_dead_runs
from resources.s3_events import Queue
from resources.settings import Settings

_POLL_SECONDS = 10
"""How often a queue is asked."""

_RELOAD = (
    "a contract has changed since the code location was loaded; reload it "
    "(Deployment, Reload): until then nothing is started"
)
"""Runs load the contracts anew and the sensor does not: each would find the other's work undone."""

_EVERY_TICK = "the next look is in"
_log = logging.getLogger("lakehouse.sensor")

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


def raw_files(settings: Settings) -> dg.SensorDefinition:
    """The sensor on new raw files.

    While a run of its job, or of assets picked by hand, is queued or under way, it requests
    none: a run takes in all that it finds on its dates, so that what is pending is known only
    when it is through.
    """
    queue = Queue(settings.queue_url)
    reasons = _Reasons()
    looks = RepeatedLook(DATASETS, DERIVED)
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
        # In every tick, for an alarm hears by it that this sensor is alive (deploy/cdk/watch.py).
        hints = queue.receive()
        # Where there is no look now, the next one, at once, sees what they tell of.
        if registry.changed_on_disk():
            queue.delete(hints)
            return reasons.skip(_RELOAD, AT_ONCE)
        if busy := _under_way(context.instance):
            looks.forget()
            queue.delete(hints)
            return reasons.skip(
                f"run {busy} is queued or under way; the next look is after it", AT_ONCE
            )
        now = datetime.now(UTC)
        wait = seconds_to_look(context.cursor, now, interval)
        if wait and not hints:
            return reasons.skip(f"{_EVERY_TICK} {wait:.0f} s", context.cursor or AT_ONCE)
        wait_times = WaitTimes(
            settle=timedelta(seconds=settings.settle_seconds),
            patience=timedelta(minutes=settings.patience_minutes),
        )
        plan = looks.plan(settings.lake(), now)
        decision = _decide(plan, context.instance, now, wait_times)
        queue.delete(hints)
        cursor = decision.cursor(now, interval)
        if decision.starts:
            for line in decision.waits:  # a tick that starts something has no skip message
                context.log.info(line)
            requests = [_request(start, settings) for start in decision.starts]
            return dg.SensorResult(run_requests=requests, cursor=cursor)
        return reasons.skip("; ".join(decision.waits) or "nothing is pending", cursor)

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
        if registry.changed_on_disk():
            return dg.SkipReason(_RELOAD)
        if busy := _under_way(context.instance):
            return dg.SkipReason(f"run {busy} is queued or under way; the sensor looks after it")
        at_once = WaitTimes(settle=timedelta(), patience=timedelta())
        plan = pending_files.of(Ledger(settings.lake()), DATASETS, DERIVED)
        decision = _decide(plan, context.instance, datetime.now(UTC), at_once)
        if decision.starts:
            return [_request(start, settings) for start in decision.starts]
        return dg.SkipReason("; ".join(decision.waits) or "nothing is pending")

    return schedule


class _Reasons:
    """Why nothing is started, logged when it is news: Dagster's own lines about ticks are quiet."""

    def __init__(self) -> None:
        self._logged = ""

    def skip(self, why: str, cursor: str) -> dg.SensorResult:
        """A tick that starts nothing."""
        what = re.sub(r"[0-9]+ (s|min)\b", "", why)  # that time passes is nothing new
        if what != self._logged and not why.startswith(_EVERY_TICK):
            self._logged = what
            (_log.warning if why == _RELOAD else _log.info)("raw_files: %s", why)
        return dg.SensorResult(skip_reason=why, cursor=cursor)


def _decide(
    plan: Plan, instance: dg.DagsterInstance, now: datetime, wait_times: WaitTimes
) -> Decision:
    return decide(plan, DATASETS, lambda digest: list(_tried(instance, digest)), now, wait_times)


def _tried(instance: dg.DagsterInstance, digest: str) -> Iterator[Attempt]:
    wanted = dg.RunsFilter(tags={PLAN_TAG: digest}, statuses=_ENDED)
    for record in instance.get_run_records(wanted):
        number = int(record.dagster_run.tags.get(ATTEMPT_TAG, "1"))
        yield Attempt(number, record.end_time or record.update_timestamp.timestamp())


def _under_way(instance: dg.DagsterInstance) -> str | None:
    runs = instance.get_runs(dg.RunsFilter(statuses=_UNDER_WAY))
    return next((run.run_id for run in runs if run.job_name in {JOB, ASSET_JOB}), None)


def _request(start: Start, settings: Settings) -> dg.RunRequest:
    tags = {PLAN_TAG: start.plan, ATTEMPT_TAG: str(start.attempt)}
    return dg.RunRequest(
        run_key=start.key,
        # In the cloud, what a run prints is kept; where alerts go to a terminal it fills that.
        run_config=None if settings.sns_topics else QUIET,
        partition_key=start.dates[0].isoformat() if len(start.dates) == 1 else None,
        tags=tags | range_tags(start.dates),
    )
