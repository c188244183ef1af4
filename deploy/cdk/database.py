"""What Dagster remembers by: PostgreSQL, in subnets that nothing leads out of."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds

from deploy.cdk.network import Network
from deploy.cdk.stack import Part, acknowledge

PORT: Final = 5432
NAME: Final = "dagster"
_LOGS: Final = ("postgresql", "upgrade")


def database(
    stack: Part, network: Network, key: kms.IKey, logs_key: kms.IKey, group: ec2.ISecurityGroup
) -> rds.DatabaseInstance:
    """The database of an environment, which only ``group`` lets anybody reach."""
    settings = stack.settings
    guarded = settings.guarded
    # Not the minor version: AWS brings that up to date, and goes back to none that is named.
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbinstance.html
    engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.of("17", "17"))
    name = stack.named("dagster")
    # Made by RDS they would be kept for ever, unencrypted.
    # https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Concepts.PostgreSQL.PublishtoCloudWatchLogs.html
    groups = [
        stack.log_group(
            f"Log-{kind}", f"/aws/rds/instance/{name}/{kind}", settings.log_days, logs_key
        )
        for kind in _LOGS
    ]
    # Dagster opens a connection for each question: a line for each is paid for.
    more = {"log_connections": "1"} if guarded else {}
    made = rds.DatabaseInstance(
        stack,
        "Database",
        instance_identifier=name,
        engine=engine,
        instance_type=ec2.InstanceType("t4g.medium" if guarded else "t4g.micro"),
        vpc=network.vpc,
        vpc_subnets=network.private,
        security_groups=[group],
        database_name=NAME,
        credentials=rds.Credentials.from_generated_secret(
            "dagster",
            secret_name=stack.named("dagster-database"),
            encryption_key=key,
        ),
        parameter_group=rds.ParameterGroup(
            stack,
            "DatabaseParameters",
            engine=engine,
            parameters={"rds.force_ssl": "1", **more},
        ),
        allocated_storage=20,
        max_allocated_storage=200,
        storage_type=rds.StorageType.GP3,
        storage_encrypted=True,
        storage_encryption_key=key,
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
    assert made.secret
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
