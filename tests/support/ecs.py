"""An ECS cluster on moto: what Dagster launches is known, and carried out here by hand.

moto only notes that a task runs. A test takes the command that the task was given and runs it as
a process of its own, with the variables of the task's definition, as Fargate would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

import boto3
import requests

from tests.support.servers import at_work

CLUSTER: Final = "lakehouse"

_NEVER: Final = 1_000_000
"""Looks after which no task gets to its next state."""


class Cluster:
    """A cluster with a run's task definition, and a daemon's task: the one that asks.

    A context manager that ends what tells a task of itself. ``environment`` leads to it. ``name``
    is the cluster's, and begins the names of the definitions.
    """

    def __init__(self, environment: Mapping[str, str], name: str = CLUSTER) -> None:
        self.name = name
        self._session = boto3.session.Session(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_REGION"],
        )
        self._endpoint = environment["AWS_ENDPOINT_URL"]
        # A task runs until it is ended: left to itself moto ends it, a little with each look.
        self._steps_after(_NEVER)
        self.ecs = self._client("ecs")
        self.ecs.create_cluster(clusterName=name)
        for part in ("run", "daemon"):
            self.ecs.register_task_definition(
                family=f"{name}-{part}",
                networkMode="awsvpc",
                requiresCompatibilities=["FARGATE"],
                cpu="1024",
                memory="4096",
                containerDefinitions=[{"name": part, "image": "lakehouse", "memory": 4096}],
            )
        self.subnet, self.group = self._network()
        placed = {"subnets": [self.subnet], "securityGroups": [self.group]}
        [self.daemon] = self.ecs.run_task(
            cluster=name,
            taskDefinition=f"{name}-daemon",
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": placed},
        )["tasks"]
        told = {"Cluster": name, "TaskARN": self.daemon["taskArn"]}
        self._handler = _handler(json.dumps(told).encode())

    def __enter__(self) -> Self:
        self._serving = at_work(ThreadingHTTPServer(("127.0.0.1", 0), self._handler))
        self._url = self._serving.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._serving.__exit__(None, None, None)

    @property
    def environment(self) -> dict[str, str]:
        """What a task of the cluster knows of itself, and of what runs are made of."""
        return {
            "ECS_CONTAINER_METADATA_URI_V4": self._url,
            "DAGSTER_RUN_TASK_DEFINITION": f"{self.name}-run",
        }

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Let tasks end by themselves, after a few looks."""
        self._steps_after(1)
        try:
            yield
        finally:
            self._steps_after(_NEVER)

    def _steps_after(self, looks: int) -> None:
        told = {
            "model_name": "ecs::task",
            "transition": {"progression": "manual", "times": looks},
        }
        place = f"{self._endpoint}/moto-api/state-manager/set-transition"
        requests.post(place, json=told, timeout=60).raise_for_status()

    def runs(self) -> list[dict[str, Any]]:
        """The tasks that Dagster has launched."""
        arns = self.ecs.list_tasks(cluster=self.name, family=f"{self.name}-run")["taskArns"]
        if not arns:
            return []
        found: list[dict[str, Any]] = self.ecs.describe_tasks(
            cluster=self.name, tasks=arns, include=["TAGS"]
        )["tasks"]
        return found

    def _network(self) -> tuple[str, str]:
        ec2 = self._client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="dagster", Description="-", VpcId=vpc)
        return subnet, group["GroupId"]

    def _client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._endpoint)


def _handler(body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/task", self.path
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
