"""How people reach what is deployed: a command in a task, and the port that is forwarded."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deploy import operate
from deploy.cdk import parts
from deploy.operate import Deployed, OperateError, command, target, ui
from tests.support.ecs import CLUSTER, Cluster
from tests.support.object_store import Store

pytestmark = [pytest.mark.deploy, pytest.mark.aws]

GROUP = "/lakehouse/test/dagster"


@pytest.fixture
def deployed(cluster: Cluster, store: Store, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    for name, value in store.environment(failing=False).items():
        monkeypatch.setenv(name, value)
    return Deployed(
        {
            "Cluster": CLUSTER,
            "LogGroup": GROUP,
            "RunTaskDefinition": f"{CLUSTER}-run",
            "TaskPublicIp": "ENABLED",
            "TaskSecurityGroups": cluster.group,
            "TaskSubnets": cluster.subnet,
        }
    )


def test_a_command_is_a_run_s_task_and_prints_what_that_prints(
    deployed: Deployed,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Moto notes the task, and ends it after a few looks; its log is written here meanwhile."""
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    before = {task["taskArn"] for task in cluster.runs()}
    lines = iter(["two files wait", "", "nothing is pending"])

    def task() -> dict[str, Any]:
        [found] = [t for t in cluster.runs() if t["taskArn"] not in before]
        return found

    def write(_: float) -> None:
        stream = f"run/run/{task()['taskArn'].rpartition('/')[2]}"
        if line := next(lines, None):
            if line == "two files wait":
                logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
            event = {"timestamp": round(time.time() * 1000), "message": line}
            logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=[event])

    monkeypatch.setattr("deploy.operate.time.sleep", write)
    with cluster.ending():
        assert command(deployed, ["lakehouse", "status"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "two files wait"
    assert err.startswith("task ")
    found = task()
    assert found["overrides"] == {
        "containerOverrides": [{"name": "run", "command": ["lakehouse", "status"]}]
    }
    assert found["lastStatus"] == "STOPPED"


@pytest.fixture
def ecs(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Stubber:
    """ECS, as its model has its answers."""
    client = boto3.client("ecs")
    monkeypatch.setattr(boto3, "client", lambda _: client)
    return Stubber(client)


def test_the_target_is_the_container_beside_the_webserver(
    ecs: Stubber, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = f"arn:aws:ecs:us-east-1:123456789012:task/{CLUSTER}/0123abcd"
    containers = [
        {"name": "webserver", "runtimeId": "0123abcd-1"},
        {"name": operate.WAY_IN, "runtimeId": "0123abcd-2"},
    ]
    for _ in range(2):
        ecs.add_response("list_tasks", {"taskArns": [arn]})
        ecs.add_response("describe_tasks", {"tasks": [{"taskArn": arn, "containers": containers}]})
    with ecs:
        assert target(deployed) == f"ecs:{CLUSTER}_0123abcd_0123abcd-2"
        monkeypatch.setattr("deploy.operate.shutil.which", lambda _: "/usr/bin/it")
        words = ui(deployed, 3001)
    assert words[:5] == [
        "aws",
        "ssm",
        "start-session",
        "--target",
        f"ecs:{CLUSTER}_0123abcd_0123abcd-2",
    ]
    ports = json.loads(words[words.index("--parameters") + 1])
    assert ports == {"portNumber": ["3000"], "localPortNumber": ["3001"]}


def test_what_is_not_there_is_one_clear_line(
    ecs: Stubber, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecs.add_response("list_tasks", {"taskArns": []})
    with (
        ecs,
        pytest.raises(OperateError, match=rf"^{CLUSTER}: no webserver's task is at work"),
    ):
        target(deployed)
    monkeypatch.setattr("deploy.operate.shutil.which", lambda _: None)
    with pytest.raises(OperateError, match=r"^aws: is not installed; install the AWS CLI"):
        ui(deployed, 3000)


def test_a_task_that_did_not_run_is_one_clear_line(
    ecs: Stubber, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecs.add_response("run_task", {"tasks": [], "failures": [{"reason": "RESOURCE:ENI"}]})
    with ecs, pytest.raises(OperateError, match=r"the task did not start: RESOURCE:ENI$"):
        command(deployed, ["lakehouse"])
    task = {
        "taskArn": "arn:aws:ecs:us-east-1:123456789012:task/it/7",
        "lastStatus": "STOPPED",
        "stoppedReason": "CannotPullContainerError: no such tag",
        "containers": [{"name": "run"}],
    }
    ecs.add_response("run_task", {"tasks": [task]})
    ecs.add_response("describe_tasks", {"tasks": [task]})
    monkeypatch.setattr(operate._Lines, "new", lambda _: iter(()))
    with ecs, pytest.raises(OperateError, match=r"^task 7: CannotPullContainerError"):
        command(deployed, ["lakehouse"])


def test_a_recovery_is_a_task_with_a_role_of_its_own(
    ecs: Stubber, deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = "arn:aws:iam::123456789012:role/lakehouse-dev-recovery"
    told = {**deployed.outputs, "RecoveryRole": role}
    monkeypatch.setattr(Deployed, "of", lambda _: Deployed(told))
    asked = {
        "cluster": CLUSTER,
        "launchType": "FARGATE",
        "networkConfiguration": deployed.placed,
        "taskDefinition": told["RunTaskDefinition"],
        "overrides": {
            "containerOverrides": [
                {"name": "run", "command": ["python", "-m", "deploy.recovery", "check"]}
            ],
            "taskRoleArn": role,
        },
    }
    refused = {"tasks": [], "failures": [{"reason": "no more"}]}
    ecs.add_response("run_task", refused, asked)
    with ecs:
        assert operate.main(["dev", "recovery", "check"]) == 1
        ecs.assert_no_pending_responses()


def test_names_are_the_templates() -> None:
    assert (operate.WEB, operate.WAY_IN, operate.RUN) == (parts.WEB, parts.WAY_IN, parts.RUN)


def test_the_page_has_the_commands(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operation.md").read_text()
    assert "python -m deploy.operate dev ui" in page
    assert operate._DOCUMENT in page
