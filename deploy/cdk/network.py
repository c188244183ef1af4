"""Where things run: private subnets, the ways out of them, and nothing public."""

from __future__ import annotations

from typing import Final

from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from constructs import Construct

from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import Part, explain

# Each service of AWS that something in the subnets talks to. There is no other way out.
ENDPOINTS: Final = (
    "athena",
    "ec2",  # Dagster's launcher asks for the addresses of its tasks
    "ecr.api",
    "ecr.dkr",
    "ecs",
    "glue",
    "kms",
    "lakeformation",
    "logs",
    "monitoring",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
)
_ACTIONS: Final = {"ecr.api": "ecr", "ecr.dkr": "ecr", "monitoring": "cloudwatch"}
"""What a service's actions begin by, where that is not its endpoint's name."""
HTTPS: Final = 443
_OWN_PRINCIPALS: Final = (
    "The door is for principals of this account alone; what each may do, and to what, "
    "is for its role to say."
)


class Network(Part):
    """A VPC without a way to the internet.

    Attributes:
        vpc: private subnets in two zones.
        subnets: the selection of all of them.
        jobs: security group of Glue jobs.
        clients: security group of whatever else talks to AWS's services, such as Dagster's tasks.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "network", "VPC, private subnets and endpoints.")
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=self.named("vpc"),
            ip_addresses=ec2.IpAddresses.cidr(environment.cidr),
            max_azs=environment.zones,
            nat_gateways=0,
            # What comes from CDK for this is a Lambda function; the default group is never used.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=22
                )
            ],
        )
        self.subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        self._log(foundation)
        self.jobs = self._group("jobs", "Glue jobs")
        # Spark's driver and executors talk to each other on ports that they choose.
        self.jobs.add_ingress_rule(self.jobs, ec2.Port.all_tcp(), "Between workers of a job")
        self.jobs.add_egress_rule(self.jobs, ec2.Port.all_tcp(), "Between workers of a job")
        self.clients = self._group("clients", "Whatever else talks to services of AWS")
        self._endpoints()

    def _log(self, foundation: Foundation) -> None:
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                foundation.log_groups["network"]
            ),
            traffic_type=ec2.FlowLogTrafficType.ALL,
        )

    def _group(self, name: str, about: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            name.capitalize(),
            vpc=self.vpc,
            security_group_name=self.named(name),
            description=f"{about}.",
            allow_all_outbound=False,
        )

    def _endpoints(self) -> None:
        s3 = self.vpc.add_gateway_endpoint(
            "S3", service=ec2.GatewayVpcEndpointAwsService.S3, subnets=[self.subnets]
        )
        s3.add_to_policy(self._only_ours(["s3:*"]))
        explain(s3, _OWN_PRINCIPALS)
        # ECR keeps the layers of images in a bucket of its own.
        s3.add_to_policy(
            iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[f"arn:{self.partition}:s3:::prod-{self.region}-starport-layer-bucket/*"],
            )
        )
        group = self._group("endpoints", "Endpoints of services")
        for caller in (self.jobs, self.clients):
            group.add_ingress_rule(caller, ec2.Port.tcp(HTTPS), "Calls of AWS")
            caller.add_egress_rule(group, ec2.Port.tcp(HTTPS), "Calls of AWS")
            # The only route that leaves the VPC is the one to S3.
            caller.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "Calls of S3")
        for service in ENDPOINTS:
            endpoint = self.vpc.add_interface_endpoint(
                service.replace(".", "-").capitalize(),
                service=ec2.InterfaceVpcEndpointAwsService(service),
                subnets=self.subnets,
                security_groups=[group],
                open=False,
            )
            endpoint.add_to_policy(self._only_ours([f"{_ACTIONS.get(service, service)}:*"]))
            explain(endpoint, _OWN_PRINCIPALS)

    def _only_ours(self, actions: list[str]) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            principals=[iam.AnyPrincipal()],
            actions=actions,
            resources=["*"],
            conditions={"StringEquals": {"aws:PrincipalAccount": self.account}},
        )
