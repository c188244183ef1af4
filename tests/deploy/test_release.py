"""Releases on an AWS of this machine: applied in order, and taken back where they do not work.

The templates are of parameters in a store: what is shown is what this program does with stacks,
not what the platform's own templates make.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from deploy import release as releases
from deploy.release import Release, ReleaseError, deploy, main, publish, validated
from tests.support.ministack import MiniStack

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(120)]

BUCKET = "shop-deployment"


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    with MiniStack(tmp_path_factory.mktemp("ministack")) as server:
        yield server


@pytest.fixture
def account(ministack: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account with an empty deployment bucket and no stacks; smoke batches go where told."""
    for name, value in ministack.environment.items():
        monkeypatch.setenv(name, value)
    s3, cloudformation = boto3.client("s3"), boto3.client("cloudformation")
    s3.create_bucket(Bucket=BUCKET)
    for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        s3.delete_object(Bucket=BUCKET, Key=found["Key"])
    for name in ("shop-second", "shop-first"):
        cloudformation.delete_stack(StackName=name)
    monkeypatch.setattr(releases, "_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(releases, "smoke", _smoke)


def _smoke(outputs: Mapping[str, str]) -> None:
    """Works where what is deployed does: the value says so."""
    if parameter("/value") != "works":
        raise ReleaseError("the smoke batch did not come through")


def made(folder: Path, name: str, value: str, second: Mapping[str, Any] | None = None) -> Release:
    """A release of two stacks; the first named depends on the other."""

    def store(key: str, text: Any) -> dict[str, Any]:
        properties = {"Type": "String", "Name": key, "Value": text}
        return {"Type": "AWS::SSM::Parameter", "Properties": properties}

    first = {
        "Parameters": {"Release": {"Type": "String"}},
        "Resources": {"P": store("/release", {"Ref": "Release"})},
        "Outputs": {"Deployed": {"Value": {"Ref": "Release"}}},
    }
    second = second or {"Resources": {"P": store("/value", value)}}
    root = folder / name
    (root / "templates").mkdir(parents=True)
    (root / "glue").mkdir()
    (root / "glue" / "job.py").write_text(f"# {name}")
    told = {"Release": name, "DeploymentBucket": BUCKET, "Unknown": "not for any template"}
    (root / "release.json").write_text(json.dumps(told))
    artifacts: dict[str, Any] = {"tree": {"type": "cdk:tree"}}
    for part, template, needs in (("second", second, ["first"]), ("first", first, [])):
        (root / "templates" / f"{part}.json").write_text(json.dumps(template))
        artifacts[part] = {
            "type": "aws:cloudformation:stack",
            "environment": "aws://unknown-account/us-east-1",
            "properties": {"templateFile": f"{part}.json", "tags": {"Part": part}},
            "dependencies": needs,
            "displayName": f"shop-{part}",
        }
    (root / "templates" / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    return Release(root)


def parameter(name: str) -> str:
    found: str = boto3.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    return found


def test_stacks_come_after_what_they_depend_on(tmp_path: Path) -> None:
    release = made(tmp_path, "r1", "works")
    assert [stack.name for stack in release.stacks] == ["shop-first", "shop-second"]


def test_a_release_that_works_is_remembered(account: None, tmp_path: Path) -> None:
    release = made(tmp_path, "r1", "works")
    assert validated(BUCKET) is None
    publish(release)
    deploy(release)
    assert validated(BUCKET) == "r1"
    assert (parameter("/release"), parameter("/value")) == ("r1", "works")
    kept = boto3.client("s3").get_object(Bucket=BUCKET, Key="etl_scripts/r1/job.py")
    assert kept["Body"].read() == b"# r1"


def test_a_stack_that_stays_as_it_is_is_no_error(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(release := made(tmp_path, "r1", "works"))
    deploy(release)
    deploy(release)
    assert validated(BUCKET) == "r1"


def test_a_release_that_does_not_work_is_taken_back(
    account: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(good := made(tmp_path, "r1", "works"))
    deploy(good)
    publish(bad := made(tmp_path, "r2", "fails"))
    assert main(["deploy", str(bad.folder)]) == 1
    assert capsys.readouterr().err == (
        "release: r2: the smoke batch did not come through; r1 is at work again\n"
    )
    assert validated(BUCKET) == "r1"
    assert (parameter("/release"), parameter("/value")) == ("r1", "works")


def test_a_stack_that_cannot_be_made_is_taken_back(account: None, tmp_path: Path) -> None:
    publish(good := made(tmp_path, "r1", "works"))
    deploy(good)
    broken = {"Resources": {"P": {"Type": "AWS::No::Such", "Properties": {"Name": "/value"}}}}
    publish(bad := made(tmp_path, "r2", "", second=broken))
    with pytest.raises(ReleaseError, match=r"^r2: shop-second: .*; r1 is at work again$"):
        deploy(bad)
    assert (parameter("/release"), parameter("/value")) == ("r1", "works")


def test_the_first_release_has_nothing_to_go_back_to(account: None, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="there is no release to go back to"):
        deploy(made(tmp_path, "r1", "fails"))
    assert validated(BUCKET) is None


def test_going_back_can_fail_and_says_so(account: None, tmp_path: Path) -> None:
    publish(good := made(tmp_path, "r1", "works"))
    deploy(good)
    boto3.client("s3").delete_object(Bucket=BUCKET, Key="infrastructure/r1/release.json")
    with pytest.raises(ReleaseError, match=r"going back to r1 failed as well: .*no such release"):
        deploy(made(tmp_path, "r2", "fails"))
    assert validated(BUCKET) == "r1"


def test_apply_can_end_early(account: None, tmp_path: Path) -> None:
    release = made(tmp_path, "r1", "works")
    assert main(["apply", str(release.folder), "--through", "first"]) == 0
    assert parameter("/release") == "r1"
    with pytest.raises(boto3.client("ssm").exceptions.ParameterNotFound):
        parameter("/value")


def test_a_release_leaves_the_deploying_roles_alone(account: None, tmp_path: Path) -> None:
    release = made(tmp_path, "r1", "works")
    manifest = release.folder / "templates" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("shop-second", "shop-access"))
    releases.apply(release)
    assert parameter("/release") == "r1"
    with pytest.raises(boto3.client("ssm").exceptions.ParameterNotFound):
        parameter("/value")


# ------------------------------------------------------------------- the smoke batch's own task

_OUTPUTS = {
    "Cluster": "shop",
    "TaskSubnets": "subnet-1,subnet-2",
    "TaskSecurityGroups": "sg-1,sg-2",
    "RunTaskDefinition": "shop-run:7",
}


@pytest.mark.parametrize(
    ("containers", "fails"),
    [
        ([{"exitCode": 0}], None),
        ([{"exitCode": 1}], r"ended with \[1\], Essential container"),
        ([{}], r"ended with \[None\]"),  # it never started: the image is not there
        ([], r"ended with \[\]"),
    ],
)
def test_the_smoke_batch_is_a_task_of_the_deployed_image(
    monkeypatch: pytest.MonkeyPatch, containers: list[dict[str, int]], fails: str | None
) -> None:
    monkeypatch.setattr(releases, "_PAUSE_SECONDS", 0)
    ecs = boto3.client("ecs", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setattr(boto3, "client", lambda *_, **__: ecs)
    placed = {
        "subnets": ["subnet-1", "subnet-2"],
        "securityGroups": ["sg-1", "sg-2"],
        "assignPublicIp": "DISABLED",
    }
    command = ["python", "-m", "deploy.smoke"]
    with Stubber(ecs) as stub:
        stub.add_response(
            "run_task",
            {"tasks": [{"taskArn": "t"}]},
            {
                "cluster": "shop",
                "taskDefinition": "shop-run:7",
                "launchType": "FARGATE",
                "networkConfiguration": {"awsvpcConfiguration": placed},
                "overrides": {"containerOverrides": [{"name": "run", "command": command}]},
                "startedBy": "smoke",
            },
        )
        asked = {"cluster": "shop", "tasks": ["t"]}
        ended = {
            "lastStatus": "STOPPED",
            "containers": containers,
            "stoppedReason": "Essential container in task exited",
        }
        stub.add_response("describe_tasks", {"tasks": [{"lastStatus": "RUNNING"}]}, asked)
        stub.add_response("describe_tasks", {"tasks": [ended]}, asked)
        if fails is None:
            releases.smoke(_OUTPUTS)
        else:
            with pytest.raises(ReleaseError, match=fails):
                releases.smoke(_OUTPUTS)
        stub.assert_no_pending_responses()


def test_the_image_has_the_smoke_batch() -> None:
    dockerfile = (Path(__file__).parents[2] / "deploy" / "dagster" / "Dockerfile").read_text()
    assert "COPY deploy/__init__.py deploy/smoke.py /opt/dagster/deploy/" in dockerfile
