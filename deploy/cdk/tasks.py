"""Dagster's tasks on ECS: which parts share one, how large each is, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager

from deploy.cdk.config import Profile
from deploy.cdk.parts import CODE, RUN, WAY_IN, WEB
from deploy.cdk.stack import Part, acknowledge

USER: Final = "10001"
"""The image's user."""
_SIZES: Final = {
    (Profile.FRUGAL, "dagster"): (512, 4096),
    (Profile.FRUGAL, RUN): (2048, 8192),  # the tables' own work
    (Profile.GUARDED, RUN): (1024, 4096),
}
_SIZE: Final = (512, 2048)
"""CPU units and MiB, of every other task."""
_HOSTS: Final = {Profile.FRUGAL: "127.0.0.1", Profile.GUARDED: "0.0.0.0"}  # noqa: S104 - in a private subnet, behind security groups
"""Whom the webserver listens to: its own task alone, where people come by Session Manager only."""

_LISTENS: Final = ecs.HealthCheck(
    command=["CMD", "python", "-c",
             f"import socket; socket.create_connection(('127.0.0.1', {CODE}), 5)"],
    interval=cdk.Duration.seconds(30),
    timeout=cdk.Duration.seconds(10),
    start_period=cdk.Duration.seconds(120),
)  # fmt: skip
"""The code location's server answers; asking it more, as Dagster's own check does, is a process
that loads Dagster each time."""


def _commands(profile: Profile) -> Mapping[str, list[str] | None]:
    return {
        "webserver": ["dagster-webserver", "--workspace", "workspace.yaml",
                      "--host", _HOSTS[profile], "--port", str(WEB)],
        "daemon": ["dagster-daemon", "run", "--workspace", "workspace.yaml"],
        "code": None,  # the image's own command
        RUN: ["dagster", "api", "execute_run"],  # the launcher's command takes its place
    }  # fmt: skip


class Tasks:
    """Makes the definitions of tasks: containers of one image, for what each part is told."""

    def __init__(
        self,
        stack: Part,
        image: ecs.ContainerImage,
        secret: secretsmanager.ISecret,
        log: logs.ILogGroup,
        execution: iam.Role,
        told: Mapping[str, str],
    ) -> None:
        self._stack, self._profile = stack, stack.settings.profile
        self._image, self._secret, self._log = image, secret, log
        self._execution, self._told = execution, told

    def run(self, role: iam.Role) -> ecs.FargateTaskDefinition:
        """What a run is started from."""
        definition = self._definition(RUN, role)
        # Its instance has a launcher, too, which it never asks.
        told = {"DAGSTER_RUN_TASK_DEFINITION": family(self._stack, RUN)}
        self._container(definition, RUN, _commands(self._profile)[RUN], told)
        return definition

    def service(
        self, name: str, parts: Sequence[str], role: iam.Role, run: str
    ) -> ecs.FargateTaskDefinition:
        """A service's task; ``run`` is the definition that runs are started from."""
        definition = self._definition(name, role)
        told = {"DAGSTER_RUN_TASK_DEFINITION": run}
        commands = _commands(self._profile)
        made = {p: self._container(definition, p, commands[p], told) for p in parts}
        if "code" in made and len(made) > 1:
            self._await_code(made)
        if "daemon" in made:
            self._migrate(definition, [c for part, c in made.items() if part != "code"], told)
        if "webserver" in made:
            made["webserver"].add_port_mappings(ecs.PortMapping(container_port=WEB))
            self._way_in(definition)
        if "code" in made:
            made["code"].add_port_mappings(ecs.PortMapping(container_port=CODE))
        return definition

    # --------------------------------------------------------------------------------- a task

    def _definition(self, name: str, role: iam.Role) -> ecs.FargateTaskDefinition:
        cpu, memory = _SIZES.get((self._profile, name), _SIZE)
        definition = ecs.FargateTaskDefinition(
            self._stack,
            f"Task-{name}",
            family=family(self._stack, name),
            cpu=cpu,
            memory_limit_mib=memory,
            task_role=role.without_policy_updates(),
            execution_role=self._execution.without_policy_updates(),
            volumes=[ecs.Volume(name="tmp")],
        )
        acknowledge(
            definition,
            "What is secret comes from Secrets Manager; the variables are names and places.",
            "AwsSolutions-ECS2",
        )
        return definition

    def _await_code(self, made: Mapping[str, ecs.ContainerDefinition]) -> None:
        """Within one task the code location answers before anybody asks it."""
        healthy = ecs.ContainerDependencyCondition.HEALTHY
        for part, container in made.items():
            if part != "code":
                container.add_container_dependencies(
                    ecs.ContainerDependency(container=made["code"], condition=healthy)
                )

    def _migrate(
        self,
        definition: ecs.FargateTaskDefinition,
        users: Sequence[ecs.ContainerDefinition],
        told: Mapping[str, str],
    ) -> None:
        """Bring the database to this release's schema, before its one daemon starts.

        Nothing else does it, and Dagster does not start a run on an older schema. Where there is
        nothing to do it takes seconds.
        """
        command = ["dagster", "instance", "migrate"]
        migrate = self._container(definition, "migrate", command, told, essential=False)
        done = ecs.ContainerDependencyCondition.SUCCESS
        for container in users:
            container.add_container_dependencies(
                ecs.ContainerDependency(container=migrate, condition=done)
            )

    def _way_in(self, definition: ecs.FargateTaskDefinition) -> None:
        """A container that does nothing: by it Session Manager forwards the webserver's port.

        The containers of a task share their network. The agent that ECS puts into each of them
        writes beside its program, and stops in those whose file system is read-only.
        https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html
        """
        definition.add_container(
            "WayIn",
            container_name=WAY_IN,
            essential=False,
            image=self._image,
            command=["sleep", "infinity"],
            user=USER,
            readonly_root_filesystem=False,
            logging=ecs.LogDrivers.aws_logs(stream_prefix=WAY_IN, log_group=self._log),
            linux_parameters=ecs.LinuxParameters(
                self._stack, f"Linux-{WAY_IN}", init_process_enabled=True
            ),
        )

    # ---------------------------------------------------------------------------- a container

    def _container(
        self,
        definition: ecs.FargateTaskDefinition,
        name: str,
        command: list[str] | None,
        more: Mapping[str, str] | None = None,
        *,
        essential: bool = True,
    ) -> ecs.ContainerDefinition:
        container = definition.add_container(
            f"Container-{name}",
            container_name=name,
            essential=essential,
            image=self._image,
            command=command,
            user=USER,
            readonly_root_filesystem=True,
            environment={**self._told, **(more or {})},
            secrets={
                "DAGSTER_PG_USERNAME": ecs.Secret.from_secrets_manager(self._secret, "username"),
                "DAGSTER_PG_PASSWORD": ecs.Secret.from_secrets_manager(self._secret, "password"),
            },
            health_check=_LISTENS if name == "code" else None,
            logging=ecs.LogDrivers.aws_logs(stream_prefix=name, log_group=self._log),
            linux_parameters=ecs.LinuxParameters(
                self._stack, f"Linux-{name}", init_process_enabled=True
            ),
        )
        container.add_mount_points(
            ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False)  # noqa: S108 - its own
        )
        return container


def family(stack: Part, name: str) -> str:
    """The name of a task's definitions."""
    return stack.named(f"dagster-{name}")
