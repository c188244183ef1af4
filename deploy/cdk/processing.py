"""A Glue job for each table, as large as its contract says, and a role that reaches no other."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import Network
from deploy.cdk.stack import Part, acknowledge_glue, grant
from deploy.glue.definition import job_definition
from lakehouse_assets.tables.contract import Layer, Table
from lakehouse_assets.tables.jobs import jobs

SCRIPT, WHEELS = "job.py", "lakehouse.gluewheels.zip"
"""What jobs run and install; each release brings its own, ``etl_scripts/<release>/``."""

_OBJECTS = "Which objects there will be is not known; of these tables' folders alone."


class Processing(Part):
    """The jobs.

    Attributes:
        jobs: by the table whose work each does.
        roles: likewise.
    """

    def __init__(
        self, scope: Construct, environment: Environment, foundation: Foundation, network: Network
    ) -> None:
        super().__init__(scope, environment, "processing", "Glue jobs, one for each table.")
        self._foundation = foundation
        self.release = cdk.CfnParameter(
            self, "Release", type="String", description="The release: the folder of what jobs run."
        )
        self._connections = self._connect(network)
        self.roles: dict[str, iam.Role] = {}
        self.jobs: dict[str, glue.CfnJob] = {}
        for job in jobs().values():
            raw = job.table.name if job.table.layer == Layer.BRONZE else None
            self._job(job.table, job.writes, (*job.reads, *job.advice_reads), raw)

    def _connect(self, network: Network) -> list[str]:
        """A way into each zone's subnet: a job starts in another where one has no addresses."""
        found = []
        subnets = network.vpc.select_subnets(subnet_type=network.subnets.subnet_type)
        for number, subnet in enumerate(subnets.subnets, 1):
            name = self.named(f"subnet-{number}")
            glue.CfnConnection(
                self,
                f"Connection-{number}",
                catalog_id=self.account,
                connection_input=glue.CfnConnection.ConnectionInputProperty(
                    name=name,
                    connection_type="NETWORK",
                    physical_connection_requirements=(
                        glue.CfnConnection.PhysicalConnectionRequirementsProperty(
                            availability_zone=subnet.availability_zone,
                            subnet_id=subnet.subnet_id,
                            security_group_id_list=[network.jobs.security_group_id],
                        )
                    ),
                ),
            )
            found.append(name)
        return found

    def _job(
        self, table: Table, written: Sequence[Table], read: Sequence[Table], raw: str | None = None
    ) -> None:
        name = names.glue_job_prefix(self.settings) + table.id.replace(".", "-")
        role = self._role(table, written, read, raw)
        scripts = f"s3://{self._foundation.deployment.bucket_name}/etl_scripts"
        scripts += f"/{self.release.value_as_string}"
        told = job_definition(
            name, table, role.role_arn, f"{scripts}/{SCRIPT}", f"{scripts}/{WHEELS}"
        )
        self.roles[table.id] = role
        self.jobs[table.id] = glue.CfnJob(
            self,
            f"Job-{table.id.replace('.', '-')}",
            name=told["Name"],
            description=told["Description"],
            role=told["Role"],
            glue_version=told["GlueVersion"],
            command=glue.CfnJob.JobCommandProperty(
                name=told["Command"]["Name"],
                python_version=told["Command"]["PythonVersion"],
                script_location=told["Command"]["ScriptLocation"],
            ),
            worker_type=told["WorkerType"],
            number_of_workers=told["NumberOfWorkers"],
            timeout=told["Timeout"],
            execution_property=glue.CfnJob.ExecutionPropertyProperty(
                max_concurrent_runs=told["ExecutionProperty"]["MaxConcurrentRuns"]
            ),
            max_retries=told["MaxRetries"],
            default_arguments=told["DefaultArguments"],
            security_configuration=self._foundation.glue_security,
            connections=glue.CfnJob.ConnectionsListProperty(connections=self._connections),
        )
        acknowledge_glue(self.jobs[table.id], "AwsSolutions-GL1", "AwsSolutions-GL3")

    def _role(
        self, table: Table, written: Sequence[Table], read: Sequence[Table], raw: str | None
    ) -> iam.Role:
        role = iam.Role(
            self,
            f"Role-{table.id.replace('.', '-')}",
            role_name=self.named(f"job-{table.id.replace('.', '-')}"[:50]),
            description=f"What the job of {table.id} may do.",
            assumed_by=iam.ServicePrincipal(
                "glue.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            ),
        )
        zones = {zone: self._bucket(zone) for zone in names.ZONES}
        grant(role, ["s3:GetBucketLocation", "s3:ListBucket"], [*zones.values()])
        mine = [f"{t.layer}/{t.name}" for t in written]
        # Facts and receipts are everybody's; stages are the table's own.
        mine += ["ledger", "receipts", f"stage/{table.id}"]
        theirs = sorted({f"{t.layer}/{t.name}" for t in read})
        if raw:
            mine.append(f"aside/{raw}")
            grant(
                role,
                ["s3:GetObject"],
                [f"{zones['raw']}/{raw}/*", f"{zones['raw']}/archive/{raw}/*"],
                "Which files there will be is not known; of the dataset's own alone.",
            )
        whole = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        grant(role, whole, [f"{zones['processed']}/{f}/*" for f in sorted(mine)], _OBJECTS)
        if theirs:
            grant(role, ["s3:GetObject"], [f"{zones['processed']}/{f}/*" for f in theirs], _OBJECTS)
        grant(
            role,
            ["s3:GetObject"],
            [f"{zones['deployment']}/etl_scripts/*"],
            "Each release has a folder of its own.",
        )
        grant(
            role,
            ["s3:GetObject", "s3:PutObject"],
            [f"{zones['deployment']}/pipes/*"],
            "Each run exchanges messages with Dagster below a prefix of its own.",
        )
        grant(
            role,
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [self._foundation.data_key.key_arn],
        )
        self._let_log(role)
        self._let_connect(role)
        return role

    def _let_log(self, role: iam.Role) -> None:
        # With a security configuration Glue puts its name and the role's into the group's.
        logs = f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:/aws-glue/jobs"
        grant(
            role,
            [
                "logs:AssociateKmsKey",
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
            ],
            [f"{logs}*"],
            "Glue makes the group of a security configuration, and a stream for each run.",
        )

    def _let_connect(self, role: iam.Role) -> None:
        grant(
            role,
            ["glue:GetConnection"],
            [
                self.format_arn(service="glue", resource="catalog"),
                *(
                    self.format_arn(service="glue", resource="connection", resource_name=name)
                    for name in self._connections
                ),
            ],
        )
        grant(
            role,
            [
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcEndpoints",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeVpcAttribute",
                "ec2:DescribeRouteTables",
            ],
            ["*"],
            "EC2 knows no resource for these actions; they read.",
        )
        ec2 = f"arn:{self.partition}:ec2:{self.region}:{self.account}"
        grant(
            role,
            ["ec2:CreateNetworkInterface"],
            [f"{ec2}:{kind}/*" for kind in ("network-interface", "security-group", "subnet")],
            "Glue puts its workers into the job's subnets; the connections say into which.",
        )
        grant(
            role,
            ["ec2:CreateTags", "ec2:DeleteNetworkInterface"],
            [f"{ec2}:network-interface/*"],
            "A network interface has no name before Glue makes it, nor after it is gone.",
        )

    def _bucket(self, zone: str) -> str:
        """A bucket's ARN, by its name: the policy check cannot follow another stack's."""
        return f"arn:{self.partition}:s3:::{names.bucket(self.settings, zone, self.account)}"
