"""A Glue job for each table, as large as its contract says, and a role that reaches no other."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import Network
from deploy.cdk.stack import WRITE_OBJECTS, Part, acknowledge_glue, grant
from deploy.cdk.standby import Standby
from deploy.glue.definition import job_definition
from lakehouse_assets.tables.contract import Layer, Table
from lakehouse_assets.tables.jobs import jobs
from resources.glue_jobs import glue_job

SCRIPT, WHEELS = "job.py", "lakehouse.gluewheels.zip"
"""What jobs run and install; each release brings its own, ``etl_scripts/<release>/``."""

_OBJECTS = "Which objects there will be is not known; of these tables' folders alone."


class Processing(Part):
    """The jobs.

    Attributes:
        jobs: by the table whose work each does. The standby starts them all.
        roles: likewise.
    """

    def __init__(
        self, scope: Construct, environment: Environment, foundation: Foundation, network: Network
    ) -> None:
        super().__init__(scope, environment, "processing", "Glue jobs, one for each table.")
        self._foundation = foundation
        assert network.jobs is not None  # jobs are a guarded environment's
        self._security_group = network.jobs.security_group_id
        self.release = cdk.CfnParameter(
            self, "Release", type="String", description="The release: the folder of what jobs run."
        )
        self._connections = self._connect(network)
        # As it is: CDK would change its policy, in a stack that knows nothing of this one.
        self._logs_key = kms.Key.from_key_arn(self, "LogsKey", foundation.logs_key.key_arn)
        self.roles: dict[str, iam.Role] = {}
        self.jobs: dict[str, glue.CfnJob] = {}
        for job in jobs().values():
            raw = job.table.name if job.table.layer == Layer.BRONZE else None
            self._job(job.table, job.writes, (*job.reads, *job.checks_read), raw)
        standby = Standby(self, self.jobs, foundation.settings_of_the_lake)
        self.output("Standby", standby.arn, "State machine: start it while Dagster is down.")

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
                            security_group_id_list=[self._security_group],
                        )
                    ),
                ),
            )
            found.append(name)
        return found

    def _job(
        self, table: Table, written: Sequence[Table], read: Sequence[Table], raw: str | None = None
    ) -> None:
        name = glue_job(names.glue_job_prefix(self.settings), table.id)
        role = self._role(table, written, read, raw)
        self._log_groups(table)
        scripts = f"s3://{self._foundation.deployment.bucket_name}/etl_scripts"
        scripts += f"/{self.release.value_as_string}"
        told = job_definition(
            name, table, role.role_arn, self.region, f"{scripts}/{SCRIPT}", f"{scripts}/{WHEELS}"
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
            default_arguments={
                **told["DefaultArguments"],
                "--custom-logGroup-prefix": names.log_group(self.settings, "glue"),
            },
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
            role_name=self._role_name(table),
            description=f"What the job of {table.id} may do.",
            assumed_by=self.service("glue"),
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
        whole = ["s3:GetObject", *WRITE_OBJECTS]
        grant(role, whole, [f"{zones['processed']}/{f}/*" for f in sorted(mine)], _OBJECTS)
        # Spark asks for a new folder's own key, and for those above it, before it makes one. Nobody
        # has them; but who may not read them is told 403 and not 404, and Spark ends there.
        stage = f"{zones['processed']}/stage"
        grant(role, ["s3:GetObject"], [stage, f"{stage}/{table.id}"])
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
        grant(
            role,
            ["cloudwatch:PutMetricData"],
            ["*"],
            "CloudWatch knows no resource for this action; the condition names Glue's namespace.",
            {"StringEquals": {"cloudwatch:namespace": "Glue"}},
        )
        self._let_connect(role)
        return role

    def _role_name(self, table: Table) -> str:
        return self.named(f"job-{table.id.replace('.', '-')}"[:50])

    def _log_groups(self, table: Table) -> None:
        """The job's two log groups, as Glue names them; made by Glue they would be kept for ever.

        With a security configuration that encrypts logs, its name and the role's are in theirs.
        https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
        """
        prefix = names.log_group(self.settings, "glue")
        for kind in ("error", "output"):
            self.log_group(
                f"Log-{table.id.replace('.', '-')}-{kind}",
                f"{prefix}/{self._foundation.glue_security}-role/{self._role_name(table)}/{kind}",
                self.settings.log_days,
                self._logs_key,
            )

    def _let_log(self, role: iam.Role) -> None:
        logs = f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:"
        logs += names.log_group(self.settings, "glue")
        grant(
            role,
            [
                "logs:AssociateKmsKey",
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:PutLogEvents",
            ],
            [f"{logs}/*"],
            "Glue asks whether the job's groups are there, and makes a stream for each run.",
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
