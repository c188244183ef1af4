"""Where figures of runs go: CloudWatch, or the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from lakehouse_assets.ports import Measure, Metrics
from resources.aws import clear_errors, client
from resources.settings import Settings

_MOST_AT_ONCE = 1000

_log = logging.getLogger("lakehouse.metrics")


class LogMetrics(dg.ConfigurableResource["LogMetrics"]):
    """Figures in the log, a line each, at DEBUG: each table's metadata have them too."""

    def send(self, figures: Sequence[Measure], at: datetime) -> None:
        """Log them."""
        for f in figures:
            _log.debug(
                "%s %s = %g",
                f.table,
                f.name,
                f.value,
                extra={"table": f.table, "metric": f.name, "value": f.value, "at": at.isoformat()},
            )


class CloudWatchMetrics(dg.ConfigurableResource["CloudWatchMetrics"]):
    """Figures in a CloudWatch namespace, by table and, where it has a name, environment."""

    namespace: str
    environment: str | None = None

    def send(self, figures: Sequence[Measure], at: datetime) -> None:
        """Put them. Raises AwsError."""
        if not figures:
            return
        own = {"Environment": self.environment} if self.environment else {}
        data = [
            {
                "MetricName": f.name,
                "Dimensions": [
                    {"Name": name, "Value": value}
                    for name, value in ({"Table": f.table} | own).items()
                ],
                "Timestamp": at,
                "Value": f.value,
                "Unit": f.unit,
            }
            for f in figures
        ]
        with clear_errors(f"CloudWatch namespace {self.namespace}"):
            cloudwatch = client("cloudwatch")
            for i in range(0, len(data), _MOST_AT_ONCE):
                some = data[i : i + _MOST_AT_ONCE]
                cloudwatch.put_metric_data(Namespace=self.namespace, MetricData=some)


def metrics(settings: Settings) -> Metrics:
    """What the settings name."""
    if settings.metrics_namespace:
        return CloudWatchMetrics(
            namespace=settings.metrics_namespace, environment=settings.environment
        )
    return LogMetrics()
