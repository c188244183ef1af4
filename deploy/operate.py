"""How people reach what is deployed: its UI, and its command line in a task (docs/operation.md).

    python -m deploy.operate dev ui [--port 3000]
    python -m deploy.operate dev lakehouse status
    python -m deploy.operate dev recovery check

works by the credentials that every AWS tool finds: those of the environment's operators' role.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

WEB, WAY_IN, RUN = 3000, "way-in", "run"
_SECONDS: Final = 5.0
_DOCUMENT: Final = "AWS-StartPortForwardingSession"


class OperateError(Exception):
    """What cannot be done, in one clear line."""


@dataclass(frozen=True)
class Deployed:
    """What an environment's stack says of the cluster and of where its tasks are placed."""

    outputs: Mapping[str, str]

    @classmethod
    def of(cls, environment: str) -> Deployed:
        """By the outputs of its stack. Raises OperateError where that is not there."""
        name = f"lakehouse-{environment}-orchestration"
        [stack] = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        told = {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())}
        if "Cluster" not in told:
            raise OperateError(f"{name}: is not deployed; deploy a release first")
        return cls(told)

    @property
    def cluster(self) -> str:
        """The cluster's name."""
        return self.outputs["Cluster"]

    @property
    def placed(self) -> dict[str, Any]:
        """Where a task is that nobody's service starts."""
        told = self.outputs
        return {
            "awsvpcConfiguration": {
                "subnets": told["TaskSubnets"].split(","),
                "securityGroups": told["TaskSecurityGroups"].split(","),
                "assignPublicIp": told["TaskPublicIp"],
            }
        }


# --------------------------------------------------------------------------------------- the UI


def ui(deployed: Deployed, port: int) -> list[str]:
    """The command that forwards the webserver's port to this machine's.

    Raises OperateError where no webserver is at work, or what the AWS CLI needs is missing.
    """
    for program in ("aws", "session-manager-plugin"):
        if shutil.which(program) is None:
            raise OperateError(
                f"{program}: is not installed; install the AWS CLI and its Session Manager plugin"
            )
    ports = {"portNumber": [str(WEB)], "localPortNumber": [str(port)]}
    return [
        "aws", "ssm", "start-session", "--target", target(deployed),
        "--document-name", _DOCUMENT, "--parameters", json.dumps(ports),
    ]  # fmt: skip


def target(deployed: Deployed) -> str:
    """The way in, as Session Manager names a container: ``ecs:<cluster>_<task>_<runtime id>``.

    As `aws ecs execute-command` makes it.
    """
    ecs = boto3.client("ecs")
    arns = ecs.list_tasks(cluster=deployed.cluster, desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster=deployed.cluster, tasks=arns)["tasks"] if arns else []
    for task in tasks:
        for container in task["containers"]:
            if container["name"] == WAY_IN and container.get("runtimeId"):
                number = task["taskArn"].rpartition("/")[2]
                return f"ecs:{deployed.cluster}_{number}_{container['runtimeId']}"
    raise OperateError(
        f"{deployed.cluster}: no webserver's task is at work; see the service's events in ECS"
    )


# ----------------------------------------------------------------------- a command as a run's task


def command(deployed: Deployed, words: Sequence[str], role: str | None = None) -> int:
    """Run a command as a run's task, print what it prints, and return how it ended.

    By the run's own role, or by another that the task has instead. Raises OperateError where the
    task does not start.
    """
    ecs = boto3.client("ecs")
    overrides: dict[str, Any] = {"containerOverrides": [{"name": RUN, "command": [*words]}]}
    if role:
        overrides["taskRoleArn"] = role
    asked = ecs.run_task(
        cluster=deployed.cluster,
        taskDefinition=deployed.outputs["RunTaskDefinition"],
        launchType="FARGATE",
        networkConfiguration=deployed.placed,
        overrides=overrides,
    )
    for failure in asked.get("failures", ()):
        raise OperateError(f"{deployed.cluster}: the task did not start: {failure['reason']}")
    arn = asked["tasks"][0]["taskArn"]
    number = arn.rpartition("/")[2]
    sys.stderr.write(f"task {number}\n")
    logs = _Lines(deployed.outputs["LogGroup"], f"{RUN}/{RUN}/{number}")
    while True:
        [task] = ecs.describe_tasks(cluster=deployed.cluster, tasks=[arn])["tasks"]
        for line in logs.new():
            sys.stdout.write(f"{line}\n")
        if task["lastStatus"] == "STOPPED":
            break
        time.sleep(_SECONDS)
    [container] = [c for c in task["containers"] if c["name"] == RUN]
    if "exitCode" not in container:
        raise OperateError(f"task {number}: {task.get('stoppedReason', 'ended without a code')}")
    code: int = container["exitCode"]
    return code


@dataclass
class _Lines:
    """What a task's container writes to its stream, line by line as it comes."""

    group: str
    stream: str
    _token: str | None = None

    def new(self) -> Iterator[str]:
        """The lines since the last time."""
        logs = boto3.client("logs")
        while True:
            more = {"nextToken": self._token} if self._token else {}
            try:
                page = logs.get_log_events(
                    logGroupName=self.group, logStreamName=self.stream, startFromHead=True, **more
                )
            except logs.exceptions.ResourceNotFoundException:
                return  # nothing has been written yet
            yield from (event["message"] for event in page["events"])
            if page["nextForwardToken"] == self._token:
                return
            self._token = page["nextForwardToken"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("environment", help="dev, staging or prod")
    what = parser.add_subparsers(dest="what", required=True)
    seen = what.add_parser("ui", help="forward the UI to this machine, until Ctrl-C")
    seen.add_argument("--port", type=int, default=WEB, help="of this machine")
    done = what.add_parser("lakehouse", help="run a command of the lakehouse in a task")
    done.add_argument("words", nargs=argparse.REMAINDER, metavar="...")
    mended = what.add_parser("recovery", help="run a command of docs/recovery.md in a task")
    mended.add_argument("words", nargs=argparse.REMAINDER, metavar="...")
    asked = parser.parse_args(arguments)
    try:
        deployed = Deployed.of(asked.environment)
        if asked.what == "lakehouse":
            return command(deployed, ["lakehouse", *asked.words])
        if asked.what == "recovery":
            recovery = ["python", "-m", "deploy.recovery", *asked.words]
            return command(deployed, recovery, deployed.outputs["RecoveryRole"])
        session = ui(deployed, asked.port)
    except (OperateError, ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"http://localhost:{asked.port}, until Ctrl-C\n")
    try:
        return subprocess.run(session, check=False).returncode  # noqa: S603 - the AWS CLI
    except KeyboardInterrupt:  # the plugin has had it, too, and has ended the session
        return 0


if __name__ == "__main__":
    sys.exit(main())
