"""Sensors that tell of every run of the instance once it has ended, whoever started it."""

# No `from __future__ import annotations` here: Dagster reads the annotations of sensors.
import json
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import dagster as dg

from lakehouse_assets.defs import run_messages, run_metrics, run_report
from lakehouse_assets.defs.run_messages import Message
from lakehouse_assets.defs.run_metrics import Measure
from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.planning import pending_files
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS, GOLD
from resources.settings import Settings

_TOLD = "lakehouse/told"
"""Tag of a run that has been told of: a sensor's cursor may be lost, or set back by a person."""

_DELAY_SECONDS = 600
"""How often the plan is asked whether anything is late."""

_log = logging.getLogger("lakehouse.notifications")


class Alerts(Protocol):
    """Where messages for people go."""

    def send(self, message: Message) -> None:
        """Send one. Raises LakehouseError where that cannot be done."""
        ...


class Metrics(Protocol):
    """Where figures go."""

    def send(self, figures: Sequence[Measure], at: datetime) -> None:
        """Send the figures of one run. Raises LakehouseError where that cannot be done."""
        ...


def send(alerts: Alerts, found: Iterable[Message]) -> None:
    """Send messages, each for itself; one that cannot be sent is a line of the log, no failure."""
    for message in found:
        try:
            alerts.send(message)
        except LakehouseError as error:
            _log.error("not told (%s): %s", message.subject, error)


def tell(
    instance: dg.DagsterInstance, run: dg.DagsterRun, alerts: Alerts, metrics: Metrics
) -> bool:
    """Tell of a run that has ended, unless that has been done; returns whether it was new."""
    record = instance.get_run_by_id(run.run_id)
    if record is None or _TOLD in record.tags:
        return False
    report = run_report.read(instance, record)
    send(alerts, run_messages.of_run(report))
    try:
        metrics.send(run_metrics.of_run(report), report.ended)
    except LakehouseError as error:
        _log.error("no metrics of run %s: %s", run.run_id, error)
    instance.add_run_tags(run.run_id, {_TOLD: "true"})
    return True


def of_delay(settings: Settings) -> dg.SensorDefinition:
    """The sensor on files that stay pending: people are told of each once."""

    @dg.sensor(
        name="tell_of_delay",
        description="Tells people of files that no run has taken in for too long, each once.",
        minimum_interval_seconds=_DELAY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(
        context: dg.SensorEvaluationContext, alerts: dg.ResourceParam[Alerts]
    ) -> dg.SkipReason:
        ledger = Ledger(settings.lake())
        plan = pending_files.of(ledger, DATASETS, GOLD)
        late = {
            f"{path} ({why})": waited
            for path, why, waited in plan.overdue(
                datetime.now(UTC), timedelta(minutes=settings.delay_minutes)
            )
        }
        told = set(json.loads(context.cursor or "[]"))
        if news := {name: waited for name, waited in late.items() if name not in told}:
            send(alerts, [run_messages.delay(news)])
        context.update_cursor(json.dumps(sorted(late)))
        return dg.SkipReason(f"{len(late)} file(s) late, {len(news)} of them told of now")

    return sensor


def _sensor(status: dg.DagsterRunStatus) -> dg.RunStatusSensorDefinition:
    # Runs of the command line belong to no code location: only who looks at all sees them.
    @dg.run_status_sensor(
        run_status=status,
        name=f"tell_of_{status.value.lower()}",
        description=f"Tells people of every run that ends in {status.value.lower()}, once.",
        monitor_all_code_locations=True,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(
        context: dg.RunStatusSensorContext,
        alerts: dg.ResourceParam[Alerts],
        metrics: dg.ResourceParam[Metrics],
    ) -> dg.SkipReason | None:
        if tell(context.instance, context.dagster_run, alerts, metrics):
            return None
        return dg.SkipReason(f"run {context.dagster_run.run_id} has been told of")

    return sensor


SENSORS = [
    _sensor(status)
    for status in (
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.CANCELED,
    )
]
