"""Where things run: subnets, the ways out of them, and none in."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
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
    "ssmmessages",  # how people come to the UI
    "sts",
)
_ACTIONS: Final = {"ecr.api": "ecr", "ecr.dkr": "ecr", "monitoring": "cloudwatch"}
"""What a service's actions begin by, where that is not its endpoint's name."""
HTTPS: Final = 443
_OWN_PRINCIPALS: Final = (
    "The door is for principals of this account alone; what each may do, and to what, "
    "is for its role to say."
)


_KNOWN_ZONES: Final = 2
"""How many CDK takes where it does not know the account."""


def _zones(count: int) -> dict[str, object]:
    """So many zones, in the words of a VPC."""
    if count <= _KNOWN_ZONES:
        return {"max_azs": count}
    there = cdk.Fn.get_azs()
    return {"availability_zones": [cdk.Fn.select(i, there) for i in range(count)]}


class Network(Part):
    """A VPC that nobody comes into, and nothing leaves but for AWS's services.

    Guarded, it has no way to the internet, and a door for each service, in each zone. Frugal, the
    tasks' subnets have one out, which costs an address for each task; their security group lets
    nobody in. The database is in subnets without any, whichever it is.

    Attributes:
        vpc: two zones.
        private: the subnets that nothing leads out of.
        subnets: those of the tasks; the same, where the environment is guarded.
        jobs: security group of Glue jobs.
        clients: security group of whatever else talks to AWS's services, such as Dagster's tasks.
        warehouse: security group of Redshift, which lets nobody in; None without a warehouse.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "network", "VPC, subnets and endpoints.")
        kinds = ec2.SubnetType
        private = ec2.SubnetConfiguration(
            name="private", subnet_type=kinds.PRIVATE_ISOLATED, cidr_mask=22
        )
        tasks = ec2.SubnetConfiguration(
            name="tasks", subnet_type=kinds.PUBLIC, cidr_mask=22, map_public_ip_on_launch=False
        )
        guarded = environment.guarded
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=self.named("vpc"),
            ip_addresses=ec2.IpAddresses.cidr(environment.cidr),
            **_zones(environment.zones),
            nat_gateways=0,
            # What comes from CDK for this is a Lambda function; the default group is never used.
            restrict_default_security_group=False,
            subnet_configuration=[private] if guarded else [tasks, private],
        )
        self.private = ec2.SubnetSelection(subnet_type=kinds.PRIVATE_ISOLATED)
        self.subnets = self.private if guarded else ec2.SubnetSelection(subnet_type=kinds.PUBLIC)
        self._log(foundation)
        self.clients = self._group("clients", "Whatever else talks to services of AWS")
        # S3 by its own route, or what the route out leads to.
        self.clients.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "Calls of AWS")
        self._door_of_s3()
        self.jobs = self._of_jobs() if guarded else None
        self.warehouse = self._of_warehouse() if environment.warehouse else None
        if self.jobs:
            more = [self.warehouse] if self.warehouse else []
            self._doors(self.jobs, self.clients, *more)

    def _of_jobs(self) -> ec2.SecurityGroup:
        jobs = self._group("jobs", "Glue jobs")
        # Spark's driver and executors talk to each other on ports that they choose.
        jobs.add_ingress_rule(jobs, ec2.Port.all_tcp(), "Between workers of a job")
        jobs.add_egress_rule(jobs, ec2.Port.all_tcp(), "Between workers of a job")
        jobs.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "Calls of S3")
        return jobs

    def _of_warehouse(self) -> ec2.SecurityGroup:
        warehouse = self._group("warehouse", "Redshift")
        warehouse.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS), "Reads of S3")
        return warehouse

    def _log(self, foundation: Foundation) -> None:
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                foundation.log_groups["network"]
            ),
            traffic_type=ec2.FlowLogTrafficType.ALL,
        )

    def _group(self, name: str, about: str) -> ec2.SecurityGroup:
        return self.security_group(name.capitalize(), name, self.vpc, about)

    def _door_of_s3(self) -> None:
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

    def _doors(self, *callers: ec2.SecurityGroup) -> None:
        """An endpoint for each service: beside S3's, the only ways out."""
        group = self._group("endpoints", "Endpoints of services")
        for caller in callers:
            group.add_ingress_rule(caller, ec2.Port.tcp(HTTPS), "Calls of AWS")
            caller.add_egress_rule(group, ec2.Port.tcp(HTTPS), "Calls of AWS")
        more = ["redshift-data"] if self.settings.warehouse else []
        for service in (*ENDPOINTS, *more):
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
