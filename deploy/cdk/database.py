"""What Dagster remembers by: PostgreSQL, in subnets that nothing leads out of.

In a stack of its own: a deployment of Dagster that fails is taken back without it, which protects
itself from deletion.
"""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import Network
from deploy.cdk.stack import Part, acknowledge

PORT: Final = 5432
NAME: Final = "dagster"
_LOGS: Final = ("postgresql", "upgrade")


class Database(Part):
    """The database of an environment.

    Attributes:
        instance: the database.
        secret: who reads it is let in, with the group's leave.
        group: whom it lets call is for the caller's stack to say.
    """

    def __init__(
        self, scope: Construct, environment: Environment, foundation: Foundation, network: Network
    ) -> None:
        super().__init__(scope, environment, "database", "What Dagster remembers by.")
        self.group = self.security_group(
            "Group-database", "database", network.vpc, "Database of Dagster"
        )
        # As they are: CDK would change them, in stacks that know nothing of this one.
        self._key = kms.Key.from_key_arn(self, "Key", foundation.data_key.key_arn)
        self._logs_key = kms.Key.from_key_arn(self, "LogsKey", foundation.logs_key.key_arn)
        self.instance = self._instance(network)
        assert self.instance.secret
        self.secret = self.instance.secret

    def _instance(self, network: Network) -> rds.DatabaseInstance:
        settings = self.settings
        guarded = settings.guarded
        # Not the minor version: AWS brings that up to date, and goes back to none that is named.
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
        engine = rds.DatabaseInstanceEngine.postgres(
            version=rds.PostgresEngineVersion.of("17", "17")
        )
        name = self.named("dagster")
        # Made by RDS they would be kept for ever, unencrypted.
        # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Concepts.PostgreSQL.PublishtoCloudWatchLogs.html
        groups = [
            self.log_group(
                f"Log-{kind}", f"/aws/rds/instance/{name}/{kind}", settings.log_days, self._logs_key
            )
            for kind in _LOGS
        ]
        # Dagster opens a connection for each question: a line for each is paid for.
        more = {"log_connections": "1"} if guarded else {}
        made = rds.DatabaseInstance(
            self,
            "Database",
            instance_identifier=name,
            engine=engine,
            instance_type=ec2.InstanceType("t4g.medium" if guarded else "t4g.micro"),
            vpc=network.vpc,
            vpc_subnets=network.private,
            security_groups=[self.group],
            database_name=NAME,
            credentials=rds.Credentials.from_generated_secret(
                "dagster",
                secret_name=self.named("dagster-database"),
                encryption_key=self._key,
            ),
            parameter_group=rds.ParameterGroup(
                self,
                "DatabaseParameters",
                engine=engine,
                parameters={"rds.force_ssl": "1", **more},
            ),
            allocated_storage=20,
            max_allocated_storage=200,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            storage_encryption_key=self._key,
            multi_az=guarded,
            backup_retention=cdk.Duration.days(settings.backup_days),
            copy_tags_to_snapshot=True,
            deletion_protection=guarded,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT,
            auto_minor_version_upgrade=True,
            cloudwatch_logs_exports=[*_LOGS],
            publicly_accessible=False,
        )
        made.node.add_dependency(*groups)
        acknowledge(
            made,
            "Tasks read it as they start: it is changed together with a new deployment.",
            "AwsSolutions-SMG4",
        )
        acknowledge(
            made,
            "Only the tasks' security group reaches it, in subnets without a way out.",
            "AwsSolutions-RDS11",
        )
        if not guarded:
            acknowledge(
                made,
                "What is lost here is made anew; its history is of no use to anyone.",
                "AwsSolutions-RDS3",
                "AwsSolutions-RDS10",
            )
        return made
