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
from deploy.cdk.stack import RUN_JOBS, WRITE_OBJECTS, Part, grant
from deploy.cdk.warehouse import Warehouse, spectrum_databases
from lakehouse_assets.queries.named import VIEWS, tables
from lakehouse_assets.tables.glue_entries import database_inputs
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
        """Each part's role: webserver, daemon, code, run. Those of one task are one role."""
        for part, role in roles.items():
            writes = part != "webserver"
            keys = ["kms:Decrypt", "kms:GenerateDataKey"] if writes else ["kms:Decrypt"]
            grant(role, keys, [self._key.key_arn])
            self._let_on_objects(
                role,
                ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
                if writes
                else ["s3:GetObject"],
                self._objects("deployment", "dagster/logs/*"),
            )
        self._let_launch(roles)
        self._let_in(roles["webserver"])
        self._let_look(roles["code"])
        self._let_run(roles["run"])

    def let_load(self, role: iam.Role, warehouse: Warehouse) -> None:
        """A run loads marts into the warehouse, and lets it read the lake's other tables."""
        # A policy of its own: CDK reckons that one would be too long for both, and what it makes
        # then is a managed policy, which CloudFormation's role may not make.
        run = iam.Policy(self._stack, "LoadsWarehouse", roles=[role])
        grant(
            run,
            ["redshift-data:BatchExecuteStatement", "redshift-data:ExecuteStatement"],
            [warehouse.arn],
        )
        grant(
            run,
            ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult"],
            ["*"],
            "The Data API knows no resource of a statement; the condition: one's own alone.",
            {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}},
        )
        grant(
            run,
            ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
            [warehouse.secret_arn],
            "Redshift makes the secret, and AWS adds letters to its name.",
        )
        grant(
            run,
            [
                "glue:BatchCreatePartition",
                "glue:BatchDeletePartition",
                "glue:CreateDatabase",
                "glue:CreateTable",
                "glue:GetDatabase",
                "glue:GetPartitions",
                "glue:GetTable",
                "glue:UpdateTable",
            ],
            spectrum_databases(self._stack),
            "Of Spectrum's databases every table: which there are is for the contracts to say.",
        )

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

    def _let_in(self, webserver: iam.Role) -> None:
        """Session Manager's agent opens its channels from within: no port is open to anybody.

        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
        """
        grant(
            webserver,
            [
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            ["*"],
            "Session Manager knows no resource for these actions.",
        )

    def _let_look(self, code: iam.Role) -> None:
        """The code location's sensors look at the lake, and tell."""
        for zone in ("raw", "processed"):
            grant(code, ["s3:ListBucket"], [self._bucket(zone)])
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
        """A run does its tables' work or starts their jobs, archives, registers tables."""
        for zone in names.ZONES:
            grant(
                run,
                ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"],
                [self._bucket(zone)],
            )
        whole = ["s3:GetObject", *WRITE_OBJECTS]
        # The archive copies a version, and then removes that one.
        versions = ["s3:DeleteObjectVersion", "s3:GetObjectVersion"]
        self._let_on_objects(run, [*whole, *versions], self._objects("raw", "*"))
        self._let_on_objects(run, whole, self._objects("processed", "*"))
        if self._stack.settings.guarded:
            self._let_start_jobs(run)
        self._let_catalog(run)
        self._let_query(run)

    def _let_start_jobs(self, run: iam.Role) -> None:
        whole = ["s3:GetObject", *WRITE_OBJECTS]
        self._let_on_objects(run, whole, self._objects("deployment", "pipes/*"))
        grant(run, RUN_JOBS, self._stack.glue_jobs(table_ids()))
        grant(
            run,
            ["logs:GetLogEvents"],
            [
                self._stack.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=names.log_group(self._stack.settings, "glue") + "/*",
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            "Each job run has streams of its own.",
        )

    def _let_catalog(self, run: iam.Role) -> None:
        """The `catalog` asset registers every table that people can name, and makes the views."""
        arn, prefix = self._stack.format_arn, names.catalog_prefix(self._stack.settings)
        catalog = arn(service="glue", resource="catalog")
        databases = [*(it["Name"] for it in database_inputs(tables(), prefix).values())]
        databases.append(f"{prefix}{VIEWS}")
        found = [catalog]
        for database in databases:
            # Whoever deletes a database must be allowed to delete all that is in it.
            # https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
            found += [
                arn(service="glue", resource="database", resource_name=database),
                arn(service="glue", resource="table", resource_name=f"{database}/*"),
                arn(service="glue", resource="userDefinedFunction", resource_name=f"{database}/*"),
            ]
        grant(
            run,
            [
                "glue:CreateDatabase",
                "glue:CreateTable",
                "glue:DeleteDatabase",
                "glue:DeleteTable",
                "glue:GetDatabase",
                "glue:GetPartitions",
                "glue:GetTable",
                "glue:GetTables",
                "glue:UpdateDatabase",
                "glue:UpdateTable",
            ],
            found,
            "Of these databases every table: which there are is for the contracts to say.",
        )
        # All are listed, to find ours among them; and Athena looks for `default` whatever is asked.
        # https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
        everyones = arn(service="glue", resource="database", resource_name="*")
        grant(
            run,
            ["glue:GetDatabase", "glue:GetDatabases"],
            [catalog, everyones],
            "Which databases there are besides ours is not known; it reads their names.",
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
                "athena:GetQueryRuntimeStatistics",
                "athena:StartQueryExecution",
                "athena:StopQueryExecution",
            ],
            [workgroup],
        )
        grant(
            run,
            ["lakeformation:GetDataAccess"],
            ["*"],
            "Lake Formation knows no resource for this action; its permissions name them.",
        )
