"""Sensors that report every run of the instance once it has ended, whoever started it."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors.
import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from lakehouse_assets.defs import run_messages, run_metrics, run_report
from lakehouse_assets.defs.keys import REPORTED_TAG
from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.planning.repeated_look import RepeatedLook
from lakehouse_assets.ports import Alerts, Message, Metrics
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from resources.settings import Settings

_DELAY_SECONDS: Final = 600
"""How often the plan is asked whether anything is late."""

_log = logging.getLogger("lakehouse.notifications")


def send(alerts: Alerts, messages: Iterable[Message]) -> None:
    """Send messages, each for itself; one that cannot be sent is a line of the log, no failure."""
    for message in messages:
        try:
            alerts.send(message)
        except LakehouseError as error:
            _log.error("message not sent (%s): %s", message.subject, error)


def report(
    instance: dg.DagsterInstance, run: dg.DagsterRun, alerts: Alerts, metrics: Metrics
) -> bool:
    """Send the messages and figures of a run, unless that has been done; whether it was new."""
    record = instance.get_run_by_id(run.run_id)
    if record is None or REPORTED_TAG in record.tags:
        return False
    found = run_report.read(instance, record)
    send(alerts, run_messages.of_run(found))
    try:
        metrics.send(run_metrics.of_run(found), found.ended)
    except LakehouseError as error:
        _log.error("metrics of run %s not sent: %s", run.run_id, error)
    instance.add_run_tags(run.run_id, {REPORTED_TAG: "true"})
    return True


def delay_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor on files that stay pending: people get one message about each."""
    looks = RepeatedLook(DATASETS, DERIVED)

    @dg.sensor(
        name="report_delay",
        description="Reports files that no run has taken in for too long, each once.",
        minimum_interval_seconds=_DELAY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(
        context: dg.SensorEvaluationContext, alerts: dg.ResourceParam[Alerts]
    ) -> dg.SkipReason:
        now = datetime.now(UTC)
        plan = looks.plan(settings.lake(), now)
        late = {
            f"{path} ({why})": waited
            for path, why, waited in plan.overdue(now, timedelta(minutes=settings.delay_minutes))
        }
        misplaced = [str(found) for found in plan.misplaced]
        reported = set(json.loads(context.cursor or "[]"))
        news = {name: waited for name, waited in late.items() if name not in reported}
        astray = [line for line in misplaced if line not in reported]
        if news or astray:
            send(alerts, [run_messages.delay(news, astray)])
        context.update_cursor(json.dumps(sorted([*late, *misplaced])))
        return dg.SkipReason(f"{len(late)} file(s) late, {len(news)} of them reported now")

    return sensor


def _sensor(status: dg.DagsterRunStatus) -> dg.RunStatusSensorDefinition:
    # Whatever code location a run belongs to: those that people start elsewhere count as well.
    @dg.run_status_sensor(
        run_status=status,
        name=f"report_{status.value.lower()}",
        description=f"Reports every run that ends in {status.value.lower()}, once.",
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(
        context: dg.RunStatusSensorContext,
        alerts: dg.ResourceParam[Alerts],
        metrics: dg.ResourceParam[Metrics],
    ) -> dg.SkipReason | None:
        if report(context.instance, context.dagster_run, alerts, metrics):
            return None
        return dg.SkipReason(f"run {context.dagster_run.run_id} has been reported before")

    return sensor


SENSORS: Final = [
    _sensor(status)
    for status in (
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.CANCELED,
    )
]
