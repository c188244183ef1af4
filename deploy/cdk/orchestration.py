"""Dagster on ECS Fargate: webserver, daemon, code location, and a task for each run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.balancer import balance
from deploy.cdk.config import Environment
from deploy.cdk.database import NAME, PORT, Database
from deploy.cdk.events import Events
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import Network
from deploy.cdk.operators import Operators
from deploy.cdk.parts import CODE, RUN, SERVICES
from deploy.cdk.registry import Registry
from deploy.cdk.rights import Rights
from deploy.cdk.smoke import SmokeBatch
from deploy.cdk.stack import Part, acknowledge, grant
from deploy.cdk.tasks import Tasks, family
from deploy.cdk.warehouse import Warehouse

_TWICE: Final = frozenset({"webserver"})
"""Services of which a guarded environment has two tasks."""


class Orchestration(Part):
    """Dagster.

    Attributes:
        cluster: where the tasks are.
        roles: a part's role: webserver, daemon, code, run. Parts that share a task share it.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        foundation: Foundation,
        network: Network,
        database: Database,
        events: Events,
        registry: Registry,
        warehouse: Warehouse | None,
    ) -> None:
        super().__init__(scope, environment, "orchestration", "Dagster on ECS Fargate.")
        self._foundation, self._network = foundation, network
        self._events, self._registry = events, registry
        self._warehouse = warehouse
        self.release = cdk.CfnParameter(
            self, "Release", type="String", description="The release: the tag of its image."
        )
        # As they are: CDK would change them, in stacks that know nothing of this one.
        self._key = kms.Key.from_key_arn(self, "Key", foundation.data_key.key_arn)
        self._log = logs.LogGroup.from_log_group_name(
            self, "Log", names.log_group(environment, "dagster")
        )
        self._clients = ec2.SecurityGroup.from_security_group_id(
            self, "Clients", network.clients.security_group_id, mutable=False
        )
        self._tasks_group = self.security_group(
            "Group-tasks", "tasks", network.vpc, "Tasks of Dagster"
        )
        self._database = database
        self.connect(
            self._tasks_group,
            ec2.SecurityGroup.from_security_group_id(
                self, "Group-database", database.group.security_group_id
            ),
            PORT,
            "Dagster's storage",
        )
        self.cluster = self._cluster()
        self._services = SERVICES[environment.profile]
        by_service = {name: self._role(name) for name in (*self._services, RUN)}
        self.roles = {RUN: by_service[RUN]} | {
            part: by_service[name] for name, parts in self._services.items() for part in parts
        }
        self._execution = self._execution_role()
        self._names = self._code_s_name()
        tasks = self._tasks()
        # By its revision: that of the family's name is asked for once, as the daemon starts, and
        # may be one that a deployment which is taken back deregisters a minute later.
        self._run = tasks.run(by_service[RUN]).task_definition_arn
        rights = Rights(
            self, foundation, events, self._key, self._log, self.cluster, self._execution
        )
        rights.give(self.roles)
        if warehouse:
            rights.let_load(self.roles[RUN], warehouse)
        services: dict[str, ecs.FargateService] = {}
        for name, parts in self._services.items():
            task = tasks.service(name, parts, by_service[name], self._run)
            service = self._service(name, task)
            # The webserver comes last: the daemon's task has brought the database up to date.
            service.node.add_dependency(*services.values())
            services[name] = service
        if asked := environment.balancer:
            balance(self, asked, network, foundation, self._tasks_group, services["webserver"])
        handed_on = [self.roles[RUN].role_arn, self._execution.role_arn]
        smoke = SmokeBatch(self, self.cluster.cluster_arn, self._run, self._placed())
        smoke.let_run(handed_on)
        operators = Operators(self, self._key, self._log, self.cluster)
        operators.let_run(self._run, handed_on)
        self._tell(smoke, operators)

    # ------------------------------------------------------------------------------ the network

    def connect(
        self, caller: ec2.ISecurityGroup, called: ec2.ISecurityGroup, port: int, why: str
    ) -> None:
        """Let a group call another at a port."""
        called.add_ingress_rule(caller, ec2.Port.tcp(port), why)
        caller.add_egress_rule(called, ec2.Port.tcp(port), why)

    def _cluster(self) -> ecs.Cluster:
        insights = ecs.ContainerInsights
        guarded = self.settings.guarded
        cluster = ecs.Cluster(
            self,
            "Tasks",
            cluster_name=self.named("dagster"),
            vpc=self._network.vpc,
            container_insights_v2=insights.ENABLED if guarded else insights.DISABLED,
        )
        if not guarded:
            acknowledge(
                cluster,
                "Its metrics cost as much as a task; what ECS tells of a service costs nothing.",
                "AwsSolutions-ECS4",
            )
        return cluster

    def _code_s_name(self) -> discovery.PrivateDnsNamespace | None:
        """Where other tasks find the code location; nobody does whose parts share one."""
        if "code" not in self._services:
            return None
        self.connect(
            self._tasks_group,
            self._tasks_group,
            CODE,
            "Webserver and daemon ask the code location",
        )
        return discovery.PrivateDnsNamespace(
            self,
            "Names",
            name=f"{self.settings.name}.lakehouse.internal",
            vpc=self._network.vpc,
        )

    # -------------------------------------------------------------------------------- the tasks

    def _role(self, name: str) -> iam.Role:
        return iam.Role(
            self,
            f"Role-{name}",
            role_name=family(self, name),
            assumed_by=self.service("ecs-tasks"),
            description=f"What Dagster's {name} task may do.",
        )

    def _execution_role(self) -> iam.Role:
        """What ECS may do to start a task: its image, its secret, its log."""
        role = self._role("execution")
        grant(
            role,
            ["ecr:GetAuthorizationToken"],
            ["*"],
            "A token is of the account; ECR knows no resource of it.",
        )
        grant(
            role,
            ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            [self._registry.images.repository_arn],
        )
        grant(role, ["secretsmanager:GetSecretValue"], [self._database.secret.secret_arn])
        grant(role, ["kms:Decrypt"], [self._key.key_arn])
        log = self._log.log_group_arn
        grant(
            role,
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [log],
            "Each task has a stream of its own in this group.",
        )
        return role

    def _tasks(self) -> Tasks:
        image = ecs.ContainerImage.from_ecr_repository(
            self._registry.images, self.release.value_as_string
        )
        told = {**self._environment(), **self.settings_of_the_product()}
        return Tasks(self, image, self._database.secret, self._log, self._execution, told)

    def _environment(self) -> dict[str, str]:
        """What dagster.yaml and workspace.yaml ask for."""
        return {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "DAGSTER_PG_HOST": self._database.instance.db_instance_endpoint_address,
            "DAGSTER_PG_PORT": str(PORT),
            "DAGSTER_PG_DB": NAME,
            "DAGSTER_CODE_HOST": f"code.{self._names.namespace_name}"
            if self._names
            else "127.0.0.1",
            "DAGSTER_LOGS_BUCKET": self._foundation.deployment.bucket_name,
            "PGSSLMODE": "require",
        }

    def settings_of_the_product(self) -> Mapping[str, str]:
        """``LAKEHOUSE_*``: the same for every task."""
        environment, foundation = self.settings, self._foundation
        lake = foundation.settings_of_the_lake
        return {
            **{f"LAKEHOUSE_{name.upper()}": value for name, value in lake.items()},
            "LAKEHOUSE_DEPLOYMENT": f"s3://{foundation.deployment.bucket_name}",
            "LAKEHOUSE_HOME": "/tmp/lakehouse",  # noqa: S108 - a volume of the task's own
            **(
                {
                    "LAKEHOUSE_RUNNER": "glue",
                    "LAKEHOUSE_GLUE_JOB_PREFIX": names.glue_job_prefix(environment),
                }
                if environment.guarded
                else {"LAKEHOUSE_RUNNER": "local"}
            ),
            "LAKEHOUSE_ARCHIVE": "true",
            "LAKEHOUSE_CATALOG": "glue",
            "LAKEHOUSE_CATALOG_PREFIX": names.catalog_prefix(environment),
            "LAKEHOUSE_QUERY_ENGINE": "athena",
            "LAKEHOUSE_ATHENA_WORKGROUP": names.of(environment, "lakehouse"),
            "LAKEHOUSE_QUEUE_URL": self._events.hints.queue_url,
            # S3's messages wake the sensor; a lost one costs no more than this.
            "LAKEHOUSE_SENSOR_INTERVAL_SECONDS": "900",
            "LAKEHOUSE_SNS_TOPICS": self._events.topics_prefix,
            "LAKEHOUSE_METRICS_NAMESPACE": names.METRICS,
            "LAKEHOUSE_ENVIRONMENT": environment.name,
            "LAKEHOUSE_UI_URL": environment.ui_url,
            "LAKEHOUSE_DELAY_MINUTES": str(environment.delay_minutes),
            **(self._warehouse.settings_of_the_product if self._warehouse else {}),
        }

    def _service(self, name: str, task: ecs.FargateTaskDefinition) -> ecs.FargateService:
        # Least and most percent of its tasks while it is deployed: never two daemons.
        least, most = (0, 100) if "daemon" in self._services[name] else (100, 200)
        return ecs.FargateService(
            self,
            f"Service-{name}",
            service_name=name,
            cluster=self.cluster,
            task_definition=task,
            desired_count=2 if name in _TWICE and self.settings.guarded else 1,
            min_healthy_percent=least,
            max_healthy_percent=most,
            # By launch type, which dagster-aws's launcher hands on; it fails on the other kind.
            capacity_provider_strategies=None,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            # What Session Manager asks for; the way in alone takes it up.
            enable_execute_command="webserver" in self._services[name],
            security_groups=[self._tasks_group, self._clients],
            vpc_subnets=self._network.subnets,
            assign_public_ip=not self.settings.guarded,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            cloud_map_options=ecs.CloudMapOptions(
                cloud_map_namespace=self._names,
                name="code",
                dns_ttl=cdk.Duration.seconds(10),
            )
            if self._names and name == "code"
            else None,
        )

    def _placed(self) -> dict[str, str | list[str]]:
        """Where a task is that nobody's service starts, in the words of ``AwsvpcConfiguration``."""
        subnets = self._network.vpc.select_subnets(subnet_type=self._network.subnets.subnet_type)
        groups = [self._tasks_group, self._clients]
        return {
            "Subnets": subnets.subnet_ids,
            "SecurityGroups": [group.security_group_id for group in groups],
            "AssignPublicIp": "DISABLED" if self.settings.guarded else "ENABLED",
        }

    def _tell(self, smoke: SmokeBatch, operators: Operators) -> None:
        """What a release (deploy/release.py) and people who run a task need to know."""
        placed = self._placed()
        self.output("Cluster", self.cluster.cluster_name, "ECS cluster of Dagster.")
        self.output("TaskSubnets", ",".join(placed["Subnets"]), "Subnets of its tasks.")
        self.output(
            "TaskSecurityGroups",
            ",".join(placed["SecurityGroups"]),
            "Security groups of its tasks.",
        )
        self.output(
            "TaskPublicIp", str(placed["AssignPublicIp"]), "Whether its tasks have an address."
        )
        self.output("RunTaskDefinition", self._run, "What a run is started from.")
        self.output("LogGroup", self._log.log_group_name, "Where its tasks write.")
        self.output("SmokeBatch", smoke.arn, "State machine that sends a smoke batch through.")
        self.output("OperatorRole", operators.role.role_arn, "Role of people who operate it.")
        self.output("RecoveryRole", operators.recovery.role_arn, "Role of the worst day.")
