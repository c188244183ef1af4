"""Dagster on ECS Fargate: webserver, daemon, code location, and a task for each run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.events import Events
from deploy.cdk.foundation import Foundation
from deploy.cdk.network import HTTPS, Network
from deploy.cdk.registry import Registry
from deploy.cdk.rights import Rights
from deploy.cdk.stack import Part, acknowledge, grant

WEB, CODE, DATABASE = 3000, 4000, 5432
DATABASE_NAME: Final = "dagster"
USER: Final = "10001"
"""The image's user."""
COMMANDS: Final = {
    "webserver": ["dagster-webserver", "--workspace", "workspace.yaml", "--host", "0.0.0.0",  # noqa: S104 - in a private subnet, behind security groups
                  "--port", str(WEB)],
    "daemon": ["dagster-daemon", "run", "--workspace", "workspace.yaml"],
    "code": None,  # the image's own command
    "run": ["dagster", "api", "execute_run"],  # the launcher's command takes its place
}  # fmt: skip
_SIZES: Final = {
    "webserver": (512, 2048),
    "daemon": (512, 2048),
    "code": (512, 2048),
    "run": (1024, 4096),
}
"""CPU units and MiB."""
_SERVICE_KEEPS: Final = {"daemon": (0, 100)}
"""Least and most percent of a service's tasks while it is deployed: never two daemons."""


class Orchestration(Part):
    """Dagster, and the database that it remembers by.

    Attributes:
        database: PostgreSQL.
        cluster: where the tasks are.
        roles: a task's role, by its part: webserver, daemon, code, run.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        foundation: Foundation,
        network: Network,
        events: Events,
        registry: Registry,
    ) -> None:
        super().__init__(scope, environment, "orchestration", "Dagster on ECS Fargate.")
        self._foundation, self._network = foundation, network
        self._events, self._registry = events, registry
        self.release = cdk.CfnParameter(
            self, "Release", type="String", description="The release: the tag of its image."
        )
        self.certificate = cdk.CfnParameter(
            self,
            "CertificateArn",
            type="String",
            description=f"Certificate of {environment.ui_url}, from ACM in this region.",
        )
        # As they are: CDK would change them, in stacks that know nothing of this one.
        self._key = kms.Key.from_key_arn(self, "Key", foundation.data_key.key_arn)
        self._log = logs.LogGroup.from_log_group_name(
            self, "Log", names.log_group(environment, "dagster")
        )
        self._clients = ec2.SecurityGroup.from_security_group_id(
            self, "Clients", network.clients.security_group_id, mutable=False
        )
        self._tasks_group = self._group("tasks", "Tasks of Dagster")
        self.database = self._database()
        self.cluster = ecs.Cluster(
            self,
            "Tasks",
            cluster_name=self.named("dagster"),
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )
        self._names = discovery.PrivateDnsNamespace(
            self, "Names", name=f"{environment.name}.lakehouse.internal", vpc=network.vpc
        )
        self.roles = {part: self._role(part) for part in COMMANDS}
        self._execution = self._execution_role()
        self._definitions = {part: self._definition(part) for part in COMMANDS}
        self._connect(
            self._tasks_group,
            self._tasks_group,
            CODE,
            "Webserver and daemon ask the code location",
        )
        rights = Rights(
            self, foundation, events, self._key, self._log, self.cluster, self._execution
        )
        rights.give(self.roles)
        services = {part: self._service(part) for part in ("code", "webserver", "daemon")}
        for part in ("webserver", "daemon"):
            services[part].node.add_dependency(services["code"])
        self._load_balancer(services["webserver"])
        self._tell()

    # ------------------------------------------------------------------------------ the network

    def _group(self, name: str, about: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self,
            f"Group-{name}",
            vpc=self._network.vpc,
            security_group_name=self.named(name),
            description=f"{about}.",
            allow_all_outbound=False,
        )

    def _connect(
        self, caller: ec2.SecurityGroup, called: ec2.SecurityGroup, port: int, why: str
    ) -> None:
        called.add_ingress_rule(caller, ec2.Port.tcp(port), why)
        caller.add_egress_rule(called, ec2.Port.tcp(port), why)

    # ----------------------------------------------------------------------------- the database

    def _database(self) -> rds.DatabaseInstance:
        group = self._group("database", "Database of Dagster")
        self._connect(self._tasks_group, group, DATABASE, "Dagster's storage")
        engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_17_9)
        guarded = self.settings.guarded
        database = rds.DatabaseInstance(
            self,
            "Database",
            instance_identifier=self.named("dagster"),
            engine=engine,
            instance_type=ec2.InstanceType("t4g.medium" if guarded else "t4g.small"),
            vpc=self._network.vpc,
            vpc_subnets=self._network.subnets,
            security_groups=[group],
            database_name=DATABASE_NAME,
            credentials=rds.Credentials.from_generated_secret(
                "dagster",
                secret_name=self.named("dagster-database"),
                encryption_key=self._key,
            ),
            parameter_group=rds.ParameterGroup(
                self,
                "DatabaseParameters",
                engine=engine,
                parameters={"rds.force_ssl": "1", "log_connections": "1"},
            ),
            allocated_storage=20,
            max_allocated_storage=200,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            storage_encryption_key=self._key,
            multi_az=guarded,
            backup_retention=cdk.Duration.days(self.settings.backup_days),
            copy_tags_to_snapshot=True,
            deletion_protection=guarded,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT,
            auto_minor_version_upgrade=True,
            cloudwatch_logs_exports=["postgresql", "upgrade"],
            publicly_accessible=False,
        )
        assert database.secret
        acknowledge(
            database,
            "Tasks read it as they start: it is changed together with a new deployment.",
            "AwsSolutions-SMG4",
        )
        acknowledge(
            database,
            "Only the tasks' security group reaches it, in subnets without a way out.",
            "AwsSolutions-RDS11",
        )
        if not guarded:
            acknowledge(
                database,
                "What is lost here is made anew; its history is of no use to anyone.",
                "AwsSolutions-RDS3",
                "AwsSolutions-RDS10",
            )
        return database

    # -------------------------------------------------------------------------------- the tasks

    def _role(self, part: str) -> iam.Role:
        return iam.Role(
            self,
            f"Role-{part}",
            role_name=self.named(f"dagster-{part}"),
            assumed_by=iam.ServicePrincipal(
                "ecs-tasks.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            ),
            description=f"What Dagster's {part} task may do.",
        )

    def _execution_role(self) -> iam.Role:
        """What ECS may do to start a task: its image, its secret, its log."""
        role = self._role("execution")
        assert self.database.secret
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
        grant(role, ["secretsmanager:GetSecretValue"], [self.database.secret.secret_arn])
        grant(role, ["kms:Decrypt"], [self._key.key_arn])
        log = self._log.log_group_arn
        grant(
            role,
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [log],
            "Each task has a stream of its own in this group.",
        )
        return role

    def _definition(self, part: str) -> ecs.FargateTaskDefinition:
        cpu, memory = _SIZES[part]
        definition = ecs.FargateTaskDefinition(
            self,
            f"Task-{part}",
            family=self.named(f"dagster-{part}"),
            cpu=cpu,
            memory_limit_mib=memory,
            task_role=self.roles[part].without_policy_updates(),
            execution_role=self._execution.without_policy_updates(),
            volumes=[ecs.Volume(name="tmp")],
        )
        assert self.database.secret
        secret = self.database.secret
        container = definition.add_container(
            "Container",
            container_name=part,
            image=ecs.ContainerImage.from_ecr_repository(
                self._registry.images, self.release.value_as_string
            ),
            command=COMMANDS[part],
            user=USER,
            readonly_root_filesystem=True,
            environment={**self._environment(), **self.settings_of_the_product()},
            secrets={
                "DAGSTER_PG_USERNAME": ecs.Secret.from_secrets_manager(secret, "username"),
                "DAGSTER_PG_PASSWORD": ecs.Secret.from_secrets_manager(secret, "password"),
            },
            logging=ecs.LogDrivers.aws_logs(stream_prefix=part, log_group=self._log),
            linux_parameters=ecs.LinuxParameters(self, f"Linux-{part}", init_process_enabled=True),
        )
        container.add_mount_points(
            ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False)  # noqa: S108 - its own
        )
        port = {"webserver": WEB, "code": CODE}.get(part)
        if port:
            container.add_port_mappings(ecs.PortMapping(container_port=port))
        acknowledge(
            definition,
            "What is secret comes from Secrets Manager; the variables are names and places.",
            "AwsSolutions-ECS2",
        )
        return definition

    def _environment(self) -> dict[str, str]:
        """What dagster.yaml and workspace.yaml ask for."""
        return {
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "DAGSTER_PG_HOST": self.database.db_instance_endpoint_address,
            "DAGSTER_PG_PORT": str(DATABASE),
            "DAGSTER_PG_DB": DATABASE_NAME,
            "DAGSTER_CODE_HOST": f"code.{self._names.namespace_name}",
            "DAGSTER_LOGS_BUCKET": self._foundation.deployment.bucket_name,
            # By its family: the newest revision, which is this stack's.
            "DAGSTER_RUN_TASK_DEFINITION": self.named("dagster-run"),
            "PGSSLMODE": "require",
        }

    def settings_of_the_product(self) -> Mapping[str, str]:
        """``LAKEHOUSE_*``: the same for every task."""
        environment, foundation = self.settings, self._foundation
        return {
            "LAKEHOUSE_RAW": f"s3://{foundation.raw.bucket_name}",
            "LAKEHOUSE_PROCESSED": f"s3://{foundation.processed.bucket_name}",
            "LAKEHOUSE_DEPLOYMENT": f"s3://{foundation.deployment.bucket_name}",
            "LAKEHOUSE_BUCKET_OWNER": self.account,
            "LAKEHOUSE_KMS_KEY": self._key.key_arn,
            "LAKEHOUSE_HOME": "/tmp/lakehouse",  # noqa: S108 - a volume of the task's own
            "LAKEHOUSE_RUNNER": "glue",
            "LAKEHOUSE_GLUE_JOB_PREFIX": names.glue_job_prefix(environment),
            "LAKEHOUSE_ARCHIVE": "true",
            "LAKEHOUSE_CATALOG": "glue",
            "LAKEHOUSE_CATALOG_PREFIX": names.catalog_prefix(environment),
            "LAKEHOUSE_QUERY_ENGINE": "athena",
            "LAKEHOUSE_ATHENA_WORKGROUP": names.of(environment, "lakehouse"),
            "LAKEHOUSE_QUEUE_URL": self._events.hints.queue_url,
            "LAKEHOUSE_SNS_TOPICS": self._events.topics_prefix,
            "LAKEHOUSE_METRICS_NAMESPACE": names.METRICS,
            "LAKEHOUSE_ENVIRONMENT": environment.name,
            "LAKEHOUSE_UI_URL": environment.ui_url,
            "LAKEHOUSE_FIRST_DATE": environment.first_date,
            "LAKEHOUSE_DELAY_MINUTES": str(environment.delay_minutes),
            "LAKEHOUSE_LOG_FORMAT": "json",
        }

    def _service(self, part: str) -> ecs.FargateService:
        least, most = _SERVICE_KEEPS.get(part, (100, 200))
        count = 2 if part == "webserver" and self.settings.guarded else 1
        return ecs.FargateService(
            self,
            f"Service-{part}",
            service_name=part,
            cluster=self.cluster,
            task_definition=self._definitions[part],
            desired_count=count,
            min_healthy_percent=least,
            max_healthy_percent=most,
            # By launch type, which dagster-aws's launcher hands on; it fails on the other kind.
            capacity_provider_strategies=None,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            security_groups=[self._tasks_group, self._clients],
            vpc_subnets=self._network.subnets,
            assign_public_ip=False,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            cloud_map_options=ecs.CloudMapOptions(
                cloud_map_namespace=self._names,
                name="code",
                dns_ttl=cdk.Duration.seconds(10),
            )
            if part == "code"
            else None,
        )

    # ------------------------------------------------------------------------ the load balancer

    def _load_balancer(self, webserver: ecs.FargateService) -> None:
        """The UI, for who is in the VPC or connected to it; nothing of it is public."""
        group = self._group("ui", "Load balancer of the UI")
        group.add_ingress_rule(
            ec2.Peer.ipv4(self.settings.cidr), ec2.Port.tcp(HTTPS), "People, from within"
        )
        self._connect(group, self._tasks_group, WEB, "The UI")
        balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            load_balancer_name=self.named("ui"),
            vpc=self._network.vpc,
            vpc_subnets=self._network.subnets,
            internet_facing=False,
            security_group=group,
            drop_invalid_header_fields=True,
            deletion_protection=self.settings.guarded,
        )
        attributes = {
            "access_logs.s3.enabled": "true",
            "access_logs.s3.bucket": self._foundation.access_logs.bucket_name,
            "access_logs.s3.prefix": "load-balancer",
        }
        for key, value in attributes.items():
            balancer.set_attribute(key, value)
        listener = balancer.add_listener(
            "Https",
            port=HTTPS,
            protocol=elb.ApplicationProtocol.HTTPS,
            ssl_policy=elb.SslPolicy.TLS13_RES,
            open=False,
            certificates=[
                acm.Certificate.from_certificate_arn(
                    self, "Certificate", self.certificate.value_as_string
                )
            ],
        )
        listener.add_targets(
            "Webserver",
            port=WEB,
            protocol=elb.ApplicationProtocol.HTTP,
            targets=[webserver],
            deregistration_delay=cdk.Duration.seconds(30),
            health_check=elb.HealthCheck(path="/server_info", healthy_threshold_count=2),
        )

    def _tell(self) -> None:
        """What a release's smoke batch needs to know (deploy/release.py)."""
        subnets = self._network.vpc.select_subnets(
            subnet_type=ec2.SubnetType.PRIVATE_ISOLATED
        ).subnet_ids
        groups = [self._tasks_group, self._clients]
        self.output("Cluster", self.cluster.cluster_name, "ECS cluster of Dagster.")
        self.output("TaskSubnets", ",".join(subnets), "Subnets of its tasks.")
        self.output(
            "TaskSecurityGroups",
            ",".join(group.security_group_id for group in groups),
            "Security groups of its tasks.",
        )
        self.output("RunTaskDefinition", self.named("dagster-run"), "What a run is started from.")
