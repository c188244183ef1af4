"""Alarms with the contracts' thresholds, and two dashboards: the pipeline, and its operation."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as watch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.events import Events
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import Part
from lakehouse_assets.ports import Topic
from lakehouse_assets.tables.registry import DATASETS, DERIVED

_HOUR, _DAY = cdk.Duration.hours(1), cdk.Duration.days(1)


class Watch(Part):
    """Who is told when, and what there is to look at.

    Attributes:
        alarms: by name.
    """

    def __init__(
        self, scope: Construct, environment: Environment, foundation: Foundation, events: Events
    ) -> None:
        super().__init__(scope, environment, "watch", "Alarms and dashboards.")
        self._events = events
        self.alarms: dict[str, watch.Alarm] = {}
        for dataset in DATASETS.values():
            share = dataset.hold.share
            for layer in ("bronze", "silver"):
                self._alarm(
                    f"error-rate-{layer}-{dataset.name}",
                    self._of_table(f"{layer}.{dataset.name}", "ErrorRate", "Maximum"),
                    above=share,
                    why=f"More than {share:.0%} of the rows that a run read are held or rejected.",
                    topic=Topic.DATA_QUALITY,
                )
            self._alarm(
                f"quality-silver-{dataset.name}",
                self._of_table(f"silver.{dataset.name}", "DataQualityScore", "Minimum"),
                below=1 - share,
                why=f"Less than {1 - share:.0%} of the rows read are good.",
                topic=Topic.DATA_QUALITY,
            )
        self._alarm(
            "hints-not-taken",
            events.dead_letters.metric_approximate_number_of_messages_visible(period=_HOUR),
            above=0,
            why="Messages went unread.",
            topic=Topic.FAILURE,
        )
        # A heartbeat: in each tick the sensor asks its queue until that is empty.
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
        self._alarm(
            names.DAEMON_IS_STILL,
            events.hints.metric_number_of_empty_receives(period=cdk.Duration.minutes(30)),
            below=1,
            silence=watch.TreatMissingData.BREACHING,
            why="Nobody asks for new files: the sensor is stopped, or Dagster's daemon is still.",
            topic=Topic.FAILURE,
        )
        for zone in ("raw", "processed") if environment.guarded else ():
            self._alarm(
                f"replication-behind-{zone}",
                watch.Metric(
                    namespace="AWS/S3",
                    metric_name="ReplicationLatency",
                    dimensions_map={
                        "SourceBucket": names.bucket(environment, zone, self.account),
                        "DestinationBucket": names.bucket(
                            environment, zone, self.account, replica=True
                        ),
                        "RuleId": "all" if zone == "raw" else "ledger",
                    },
                    statistic="Maximum",
                    period=_HOUR,
                ),
                above=3600,
                why="The copy in the other region is an hour behind.",
                topic=Topic.FAILURE,
            )
        self._pipeline()
        self._operation(foundation)
        if environment.budget_usd:
            self._budget(environment.budget_usd)

    def _budget(self, dollars: int) -> None:
        """Tell people by mail where the account's month costs more, or will by its forecast."""
        of = budgets.CfnBudget
        mail = [
            of.SubscriberProperty(subscription_type="EMAIL", address=address)
            for address in self.settings.people
        ]
        of(
            self,
            "Budget",
            budget=of.BudgetDataProperty(
                budget_name=self.named("month"),
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=of.SpendProperty(amount=dollars, unit="USD"),
            ),
            notifications_with_subscribers=[
                of.NotificationWithSubscribersProperty(
                    notification=of.NotificationProperty(
                        notification_type=kind,
                        comparison_operator="GREATER_THAN",
                        threshold=percent,
                        threshold_type="PERCENTAGE",
                    ),
                    subscribers=mail,
                )
                for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
            ],
        )

    def _of_table(self, table: str, name: str, statistic: str) -> watch.Metric:
        dimensions = {"Table": table, "Environment": self.settings.name}
        return watch.Metric(
            namespace=names.METRICS,
            metric_name=name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=_HOUR,
        )

    def _alarm(
        self,
        name: str,
        metric: watch.Metric,
        *,
        why: str,
        topic: Topic,
        above: float | None = None,
        below: float | None = None,
        # No figure is no run, which the delay's message is for.
        silence: watch.TreatMissingData = watch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        of = watch.ComparisonOperator
        threshold = above if above is not None else below
        assert threshold is not None
        alarm = watch.Alarm(
            self,
            f"Alarm-{name}",
            alarm_name=self.named(name),
            alarm_description=why,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=of.LESS_THAN_THRESHOLD
            if above is None
            else of.GREATER_THAN_THRESHOLD,
            treat_missing_data=silence,
        )
        alarm.add_alarm_action(actions.SnsAction(self._events.topics[str(topic)]))
        self.alarms[name] = alarm

    def _pipeline(self) -> None:
        board = watch.Dashboard(
            self,
            "Pipeline",
            dashboard_name=self.named("pipeline"),
            default_interval=cdk.Duration.days(7),
        )
        tables = [t.id for d in DATASETS.values() for t in (d.bronze, d.silver)]
        tables += [*DERIVED]
        for title, name, statistic, of in (
            ("Rows processed", "RecordsProcessed", "Sum", tables),
            ("Seconds of work", "ProcessingTime", "Maximum", tables),
            (
                "Share of faulty rows",
                "ErrorRate",
                "Maximum",
                [t for t in tables if t not in DERIVED],
            ),
            (
                "Data quality",
                "DataQualityScore",
                "Minimum",
                [d.silver.id for d in DATASETS.values()],
            ),
        ):
            board.add_widgets(
                watch.GraphWidget(
                    title=title,
                    width=12,
                    left=[
                        self._of_table(table, name, statistic).with_(label=f"{table} {name}")
                        for table in of
                    ],
                )
            )
        board.add_widgets(
            watch.AlarmStatusWidget(title="Alarms", width=24, alarms=[*self.alarms.values()])
        )

    def _operation(self, foundation: Foundation) -> None:
        """Deployments, security findings, backups, and what all of it keeps."""
        board = watch.Dashboard(
            self,
            "Operation",
            dashboard_name=self.named("operation"),
            default_interval=cdk.Duration.days(30),
        )
        board.add_widgets(
            self._graph(
                "Deployments: tasks that run",
                "ECS/ContainerInsights",
                ["RunningTaskCount", "PendingTaskCount"],
                {"ClusterName": names.of(self.settings, "dagster")},
            )
            if self.settings.guarded
            else self._graph(
                "Deployments: how busy Dagster's task is",
                "AWS/ECS",
                ["CPUUtilization", "MemoryUtilization"],
                {"ClusterName": names.of(self.settings, "dagster"), "ServiceName": "dagster"},
                "Maximum",
            )
        )
        if trail := foundation.log_groups.get("trail"):
            self._from_trail(board, trail.log_group_name)
        board.add_widgets(
            self._graph(
                "Backups",
                "AWS/Backup",
                ["NumberOfBackupJobsCompleted", "NumberOfBackupJobsFailed"],
                {"BackupVaultName": self.named("backups")},
            ),
            watch.GraphWidget(
                title="Bytes in the buckets",
                width=12,
                left=[
                    watch.Metric(
                        namespace="AWS/S3",
                        metric_name="BucketSizeBytes",
                        dimensions_map={
                            "BucketName": names.bucket(self.settings, zone, self.account),
                            "StorageType": "StandardStorage",
                        },
                        statistic="Average",
                        period=_DAY,
                        label=zone,
                    )
                    for zone in names.ZONES
                ],
            ),
        )

    def _from_trail(self, board: watch.Dashboard, trail: str) -> None:
        """What the account's trail and guards say, where this environment has them."""
        for title, fields, which in (
            (
                "Deployments: who changed stacks",
                "userIdentity.arn, eventName, requestParameters.stackName",
                "eventSource = 'cloudformation.amazonaws.com' and readOnly = 0",
            ),
            (
                "Security: what was refused",
                "userIdentity.arn, eventSource, eventName, errorCode",
                "errorCode like /AccessDenied|Unauthorized/",
            ),
        ):
            board.add_widgets(
                watch.LogQueryWidget(
                    title=title,
                    width=12,
                    log_group_names=[trail],
                    query_string=f"fields @timestamp, {fields}\n| filter {which}\n"
                    "| sort @timestamp desc | limit 20",
                )
            )
        board.add_widgets(
            self._graph(
                "Security: findings told",
                "AWS/Events",
                ["MatchedEvents", "FailedInvocations"],
                {"RuleName": names.findings_rule(self.settings)},
            )
        )

    def _graph(
        self,
        title: str,
        namespace: str,
        metrics: Sequence[str],
        dimensions: dict[str, str],
        statistic: str = "Sum",
    ) -> watch.GraphWidget:
        return watch.GraphWidget(
            title=title,
            width=12,
            left=[
                watch.Metric(
                    namespace=namespace,
                    metric_name=name,
                    dimensions_map=dimensions,
                    statistic=statistic,
                    period=_DAY,
                )
                for name in metrics
            ],
        )
