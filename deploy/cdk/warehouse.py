"""Redshift beside the lake, for an environment that asks for it.

Nobody connects to it: what loads and asks does so by the Data API, as its IAM role.
"""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_redshift as redshift
from aws_cdk import aws_redshiftserverless as serverless
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import WAREHOUSE_NODES, WAREHOUSE_RPUS, Environment, WarehouseKind
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import Network
from deploy.cdk.stack import Part, acknowledge, grant
from lakehouse_assets.tables import spectrum

DATABASE: Final = "lakehouse"
_ADMINISTRATOR: Final = "loader"
_PORT: Final = 5440
_FOLDERS: Final = (
    "stage/warehouse.*",
    f"{spectrum.FOLDER}/*",
    *(f"{n}/*" for n in spectrum.LAYERS),
)
"""What it reads of the tables' bucket: rows on their way, manifests, and what those list."""


class Warehouse(Part):
    """A Serverless workgroup, or a provisioned cluster, encrypted by the lake's key.

    Attributes:
        arn: of the workgroup or cluster.
        settings_of_the_product: ``LAKEHOUSE_WAREHOUSE_*`` of whatever loads it.
        secret_arn: of the administrator's password, which Redshift makes and changes itself; with
            ``*`` for what AWS adds to its name.
    """

    def __init__(
        self, scope: Construct, environment: Environment, foundation: Foundation, network: Network
    ) -> None:
        super().__init__(scope, environment, "warehouse", "Redshift, for the marts.")
        self._foundation, self._network = foundation, network
        self._name = self.named("warehouse")
        self._subnets = network.vpc.select_subnets(
            subnet_type=network.private.subnet_type
        ).subnet_ids
        self.role = self._role()
        made = environment.warehouse is WarehouseKind.SERVERLESS
        self.arn = self._serverless() if made else self._provisioned()
        # https://docs.aws.amazon.com/redshift/latest/mgmt/redshift-secrets-manager-integration.html
        secret = f"redshift!{self._name}-{_ADMINISTRATOR}"
        self.secret_arn = self.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{secret}-*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        self.settings_of_the_product = {
            f"LAKEHOUSE_WAREHOUSE_{'WORKGROUP' if made else 'CLUSTER'}": self._name,
            "LAKEHOUSE_WAREHOUSE_DATABASE": DATABASE,
            "LAKEHOUSE_WAREHOUSE_SECRET": secret,
            "LAKEHOUSE_WAREHOUSE_ROLE": self.role.role_arn,
        }

    def _role(self) -> iam.Role:
        """What it reads the lake by: some folders of one bucket, and Spectrum's databases."""
        role = iam.Role(
            self,
            "Reads",
            role_name=self._name,
            description="What Redshift reads of the lake.",
            assumed_by=iam.CompositePrincipal(
                self.service("redshift"), self.service("redshift-serverless")
            ),
        )
        name = names.bucket(self.settings, "processed", self.account)
        bucket = f"arn:{self.partition}:s3:::{name}"
        grant(role, ["s3:GetBucketLocation"], [bucket])
        grant(
            role, ["s3:ListBucket"], [bucket], conditions={"StringLike": {"s3:prefix": [*_FOLDERS]}}
        )
        grant(
            role,
            ["s3:GetObject"],
            [f"{bucket}/{folder}" for folder in _FOLDERS],
            "Which objects there will be is not known; of these folders alone.",
        )
        grant(role, ["kms:Decrypt"], [self._foundation.data_key.key_arn])
        grant(
            role,
            [
                "glue:BatchGetPartition",
                "glue:GetDatabase",
                "glue:GetPartition",
                "glue:GetPartitions",
                "glue:GetTable",
                "glue:GetTables",
            ],
            spectrum_databases(self),
            "Of Spectrum's databases every table: which there are is for the contracts to say.",
        )
        return role

    def _serverless(self) -> str:
        """Paid for while it works, and for what it keeps. Its recovery points are kept for a day.

        https://docs.aws.amazon.com/redshift/latest/mgmt/serverless-snapshots-recovery-points.html
        """
        key = self._foundation.data_key.key_arn
        namespace = serverless.CfnNamespace(
            self,
            "Namespace",
            namespace_name=self._name,
            db_name=DATABASE,
            admin_username=_ADMINISTRATOR,
            manage_admin_password=True,
            admin_password_secret_kms_key_id=key,
            kms_key_id=key,
            default_iam_role_arn=self.role.role_arn,
            iam_roles=[self.role.role_arn],
            log_exports=["connectionlog", "useractivitylog", "userlog"],
            final_snapshot_name=f"{self._name}-last",
            final_snapshot_retention_period=self.settings.backup_days,
        )
        of = serverless.CfnWorkgroup
        group = of(
            self,
            "Workgroup",
            workgroup_name=self._name,
            namespace_name=self._name,
            base_capacity=WAREHOUSE_RPUS[0],
            max_capacity=WAREHOUSE_RPUS[1],
            enhanced_vpc_routing=True,
            publicly_accessible=False,
            security_group_ids=self._groups(),
            subnet_ids=self._subnets,
            config_parameters=[
                of.ConfigParameterProperty(parameter_key="require_ssl", parameter_value="true")
            ],
        )
        group.add_resource_dependency(namespace)
        return group.attr_workgroup_workgroup_arn

    def _provisioned(self) -> str:
        key = self._foundation.data_key.key_arn
        subnets = redshift.CfnClusterSubnetGroup(
            self, "Subnets", description="Where nothing leads out of.", subnet_ids=self._subnets
        )
        of = redshift.CfnClusterParameterGroup
        parameters = of(
            self,
            "Parameters",
            description="By TLS only, and what is asked is logged.",
            parameter_group_family="redshift-2.0",
            parameters=[
                of.ParameterProperty(parameter_name=name, parameter_value="true")
                for name in ("enable_user_activity_logging", "require_ssl")
            ],
        )
        cluster = redshift.CfnCluster(
            self,
            "Cluster",
            cluster_identifier=self._name,
            cluster_type="multi-node",
            node_type=WAREHOUSE_NODES[1],
            number_of_nodes=WAREHOUSE_NODES[0],
            db_name=DATABASE,
            master_username=_ADMINISTRATOR,
            manage_master_password=True,
            master_password_secret_kms_key_id=key,
            encrypted=True,
            kms_key_id=key,
            port=_PORT,
            publicly_accessible=False,
            enhanced_vpc_routing=True,
            cluster_subnet_group_name=subnets.ref,
            cluster_parameter_group_name=parameters.ref,
            vpc_security_group_ids=self._groups(),
            iam_roles=[self.role.role_arn],
            allow_version_upgrade=True,
            automated_snapshot_retention_period=self.settings.backup_days,
            logging_properties=redshift.CfnCluster.LoggingPropertiesProperty(
                log_destination_type="cloudwatch",
                log_exports=["connectionlog", "useractivitylog", "userlog"],
            ),
        )
        cluster.apply_removal_policy(cdk.RemovalPolicy.SNAPSHOT)
        acknowledge(
            cluster,
            "It logs to CloudWatch, which the check does not know; no bucket of logs is needed.",
            "AwsSolutions-RS5",
        )
        return self.format_arn(
            service="redshift",
            resource="cluster",
            resource_name=self._name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def _groups(self) -> list[str]:
        assert self._network.warehouse  # made where an environment has one
        return [self._network.warehouse.security_group_id]


def spectrum_databases(stack: Part) -> list[str]:
    """The ARNs of what Spectrum reads by: catalog, databases, and all tables in them."""
    prefix = names.catalog_prefix(stack.settings)
    found = [stack.format_arn(service="glue", resource="catalog")]
    for layer in spectrum.LAYERS:
        name = spectrum.database(layer, prefix)
        found += [
            stack.format_arn(service="glue", resource="database", resource_name=name),
            stack.format_arn(service="glue", resource="table", resource_name=f"{name}/*"),
        ]
    return found
