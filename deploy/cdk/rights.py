"""What Dagster's tasks may do: start runs, look at the lake, work on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs

from deploy.cdk import names
from deploy.cdk.events import Events
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import Part, grant
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.registry import table_ids

_OBJECTS = "Which objects there will be is not known; it is this prefix of this bucket alone."


class Rights:
    """Gives the roles of a stack's tasks what each part of Dagster needs, and no more."""

    def __init__(
        self,
        stack: Part,
        foundation: Foundation,
        events: Events,
        key: kms.IKey,
        log: logs.ILogGroup,
        cluster: ecs.ICluster,
        execution: iam.Role,
    ) -> None:
        self._stack, self._foundation, self._events = stack, foundation, events
        self._key, self._log, self._cluster, self._execution = key, log, cluster, execution

    def give(self, roles: Mapping[str, iam.Role]) -> None:
        """Each task's role, by its part: webserver, daemon, code, run."""
        for part, role in roles.items():
            self._let_use_key(role)
            self._let_on_objects(
                role,
                ["s3:GetObject", "s3:PutObject"] if part != "webserver" else ["s3:GetObject"],
                self._objects("deployment", "dagster/logs/*"),
            )
        self._let_launch(roles)
        self._let_look(roles["code"])
        self._let_run(roles["run"])

    def _let_use_key(self, role: iam.Role) -> None:
        keys = [self._key.key_arn]
        grant(role, ["kms:Decrypt", "kms:GenerateDataKey"], keys)

    def _let_on_objects(self, role: iam.Role, actions: Sequence[str], objects: str) -> None:
        grant(role, actions, [objects], _OBJECTS)

    def _bucket(self, zone: str) -> str:
        """A bucket's ARN, by its name: the policy check cannot follow another stack's."""
        name = names.bucket(self._stack.settings, zone, self._stack.account)
        return f"arn:{self._stack.partition}:s3:::{name}"

    def _objects(self, zone: str, keys: str) -> str:
        return f"{self._bucket(zone)}/{keys}"

    def _let_launch(self, roles: Mapping[str, iam.Role]) -> None:
        """The daemon starts and watches runs; the webserver ends them where a person says so."""
        run = self._stack.format_arn(
            service="ecs",
            resource="task-definition",
            resource_name=f"{self._stack.named('dagster-run')}:*",
        )
        tasks = self._stack.format_arn(
            service="ecs", resource="task", resource_name=f"{self._cluster.cluster_name}/*"
        )
        here = {"ArnEquals": {"ecs:cluster": self._cluster.cluster_arn}}
        for part in ("daemon", "webserver"):
            role = roles[part]
            grant(
                role,
                ["ecs:DescribeTaskDefinition"],
                ["*"],
                "ECS knows no resource for this action; it reads, and nothing secret is in one.",
            )
            grant(
                role,
                ["ecs:DescribeTasks", "ecs:StopTask"],
                [tasks],
                "A run is a task, whose number is not known before; of this cluster alone.",
                here,
            )
        daemon = roles["daemon"]
        grant(daemon, ["ecs:RunTask"], [run], "Each deployment makes a new revision of it.", here)
        grant(
            daemon,
            ["ecs:TagResource"],
            [tasks],
            "Only as it starts a task: the run's number.",
            {"StringEquals": {"ecs:CreateAction": "RunTask"}},
        )
        grant(
            daemon,
            ["iam:PassRole"],
            [roles["run"].role_arn, self._execution.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        )
        grant(
            daemon,
            ["ec2:DescribeNetworkInterfaces"],
            ["*"],
            "EC2 knows no resource for this action; the launcher asks where it is itself.",
        )
        grant(
            daemon,
            ["logs:GetLogEvents"],
            [self._log.log_group_arn],
            "The last lines of a run's task that died; its stream is not known before.",
        )

    def _let_look(self, code: iam.Role) -> None:
        """The code location's sensors look at the lake, and tell."""
        for zone in ("raw", "processed"):
            grant(code, ["s3:GetBucketLocation", "s3:ListBucket"], [self._bucket(zone)])
            self._let_on_objects(code, ["s3:GetObject"], self._objects(zone, "*"))
        grant(
            code,
            ["sqs:DeleteMessage", "sqs:ReceiveMessage"],
            [self._events.hints.queue_arn],
        )
        grant(code, ["sns:Publish"], [topic.topic_arn for topic in self._events.topics.values()])
        messages = [self._foundation.messages_key.key_arn]
        grant(code, ["kms:Decrypt", "kms:GenerateDataKey"], messages)
        grant(
            code,
            ["cloudwatch:PutMetricData"],
            ["*"],
            "CloudWatch knows no resource for this action; the condition names the namespace.",
            {"StringEquals": {"cloudwatch:namespace": names.METRICS}},
        )

    def _let_run(self, run: iam.Role) -> None:
        """A run starts its tables' Glue jobs, keeps the ledger, archives, registers tables."""
        for zone in names.ZONES:
            grant(
                run,
                ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"],
                [self._bucket(zone)],
            )
        whole = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject"]
        self._let_on_objects(run, [*whole, "s3:DeleteObjectVersion"], self._objects("raw", "*"))
        self._let_on_objects(run, whole, self._objects("processed", "*"))
        self._let_on_objects(run, whole, self._objects("deployment", "pipes/*"))
        prefix = names.glue_job_prefix(self._stack.settings)
        jobs = [
            self._stack.format_arn(
                service="glue", resource="job", resource_name=prefix + table.replace(".", "-")
            )
            for table in table_ids()
        ]
        grant(
            run,
            ["glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun"],
            jobs,
        )
        grant(
            run,
            ["logs:GetLogEvents"],
            [
                self._stack.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name="/aws-glue/jobs/*",
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            "Each job run has streams of its own.",
        )
        self._let_catalog(run)
        self._let_query(run)

    def _let_catalog(self, run: iam.Role) -> None:
        arn, prefix = self._stack.format_arn, names.catalog_prefix(self._stack.settings)
        found = [arn(service="glue", resource="catalog")]
        for database in [prefix + name for name in [*map(str, Layer), "views"]]:
            found.append(arn(service="glue", resource="database", resource_name=database))
            found.append(arn(service="glue", resource="table", resource_name=f"{database}/*"))
        grant(
            run,
            [
                "glue:CreateDatabase",
                "glue:CreateTable",
                "glue:DeleteTable",
                "glue:GetDatabase",
                "glue:GetDatabases",
                "glue:GetTable",
                "glue:GetTables",
                "glue:UpdateTable",
            ],
            found,
            "Of these databases every table: which there are is for the contracts to say.",
        )

    def _let_query(self, run: iam.Role) -> None:
        """A smoke batch asks for its own rows, as a run's task."""
        workgroup = self._stack.format_arn(
            service="athena",
            resource="workgroup",
            resource_name=names.of(self._stack.settings, "lakehouse"),
        )
        grant(
            run,
            [
                "athena:GetQueryExecution",
                "athena:GetQueryResults",
                "athena:StartQueryExecution",
            ],
            [workgroup],
        )
