"""Where things run: two zones without a way out, and the doors to AWS's own services."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from deploy.cdk.config import Environment
from deploy.cdk.names import Names

SERVICES: Final = {
    "Athena": ec2.InterfaceVpcEndpointAwsService.ATHENA,
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Ecs": ec2.InterfaceVpcEndpointAwsService.ECS,
    "Glue": ec2.InterfaceVpcEndpointAwsService.GLUE,
    "Kms": ec2.InterfaceVpcEndpointAwsService.KMS,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Metrics": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
    "Secrets": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Sns": ec2.InterfaceVpcEndpointAwsService.SNS,
    "Sqs": ec2.InterfaceVpcEndpointAwsService.SQS,
    "Sts": ec2.InterfaceVpcEndpointAwsService.STS,
}
"""What Dagster and Glue jobs ask; nothing else can be reached."""


class Network(cdk.Stack):
    """A VPC without an internet gateway, its endpoints, security groups and flow log."""

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - CDK's own word
        environment: Environment,
        log_key: kms.IKey,
        **more: object,
    ) -> None:
        super().__init__(scope, id, **more)  # type: ignore[arg-type]
        names = Names(environment)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=names.prefix,
            ip_addresses=ec2.IpAddresses.cidr("10.20.0.0/16"),
            availability_zones=[f"{environment.region}{zone}" for zone in "abc"[: environment.zones]],
            nat_gateways=0,
            create_internet_gateway=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=20
                )
            ],
            restrict_default_security_group=False,
        )
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                logs.LogGroup(
                    self,
                    "FlowLogGroup",
                    log_group_name=f"/{names.prefix}/flow",
                    encryption_key=log_key,
                    retention=logs.RetentionDays.ONE_MONTH,
                    removal_policy=cdk.RemovalPolicy.DESTROY,
                )
            ),
        )
        self.endpoints = self._group("Endpoints", "AWS's services, asked from within.")
        self.endpoints.add_ingress_rule(
            ec2.Peer.ipv4(self.vpc.vpc_cidr_block), ec2.Port.tcp(443), "from this network"
        )
        self.jobs = self._group("Jobs", "Glue's workers.")
        # Glue asks that its workers may talk to each other on every port.
        self.jobs.add_ingress_rule(self.jobs, ec2.Port.all_tcp(), "between workers")
        self.jobs.add_egress_rule(self.jobs, ec2.Port.all_tcp(), "between workers")
        self.services = self._group("Services", "Dagster's services and runs.")
        storage = self.vpc.add_gateway_endpoint(
            "Storage", service=ec2.GatewayVpcEndpointAwsService.S3
        )
        self._restrict(storage, names)
        for group in (self.jobs, self.services):
            group.add_egress_rule(self.endpoints, ec2.Port.tcp(443), "AWS's services")
            group.add_egress_rule(
                # By the gateway, which has no group; the name server answers within the network.
                ec2.Peer.any_ipv4(),
                ec2.Port.tcp(443),
                "S3, by its gateway endpoint",
            )
        for name, service in SERVICES.items():
            endpoint = self.vpc.add_interface_endpoint(
                name, service=service, security_groups=[self.endpoints], open=False
            )
            endpoint.add_to_policy(
                iam.PolicyStatement(
                    principals=[iam.AnyPrincipal()],
                    # Of whom and what, the condition says; the roles say the rest.
                    actions=["*"],
                    resources=["*"],
                    conditions={"StringEquals": {"aws:PrincipalAccount": self.account}},
                )
            )

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=description, allow_all_outbound=False
        )

    def _restrict(self, storage: ec2.GatewayVpcEndpoint, names: Names) -> None:
        """Let only this account's buckets be reached, and those that AWS's services read from."""
        storage.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=["s3:*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:ResourceAccount": self.account}},
            )
        )
        storage.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[f"arn:aws:s3:::prod-{self.region}-starport-layer-bucket/*"],
            )
        )
