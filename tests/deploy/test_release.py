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
from botocore.exceptions import ClientError
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


def test_what_is_guarded_cannot_be_deleted_by_mistake(account: None, tmp_path: Path) -> None:
    """The manifest says so of guarded environments; CloudFormation knows it from this program."""
    release = made(tmp_path, "r1", "works")
    manifest = release.folder / "templates" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["artifacts"]["first"]["properties"]["terminationProtection"] = True
    manifest.write_text(json.dumps(told))
    releases.apply(release)
    cloudformation = boto3.client("cloudformation")
    with pytest.raises(ClientError, match="TerminationProtection is enabled"):
        cloudformation.delete_stack(StackName="shop-first")
    cloudformation.update_termination_protection(
        StackName="shop-first", EnableTerminationProtection=False
    )


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


# ------------------------------------------------------------------ what an earlier failure left

_STACK = {"StackName": "shop-first"}


def _status(status: str) -> dict[str, Any]:
    return {"Stacks": [{**_STACK, "CreationTime": "2026-01-01T00:00:00Z", "StackStatus": status}]}


def _event(resource: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "StackId": "s",
        "EventId": resource,
        "StackName": "shop-first",
        "LogicalResourceId": resource,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
        "Timestamp": "2026-01-01T00:00:00Z",
    }


@pytest.fixture
def cloudformation() -> Any:
    return boto3.client(
        "cloudformation", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )


@pytest.fixture
def answers(cloudformation: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """CloudFormation's answers, as its model has them: MiniStack's stacks never fail halfway."""
    monkeypatch.setattr(releases, "_PAUSE_SECONDS", 0)
    with Stubber(cloudformation) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("before", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"])
def test_what_a_failed_creation_left_is_taken_away_first(
    cloudformation: Any, answers: Stubber, before: str
) -> None:
    answers.add_response("describe_stacks", _status(before), _STACK)
    answers.add_response("delete_stack", {}, _STACK)
    answers.add_response("describe_stacks", _status("DELETE_IN_PROGRESS"), _STACK)
    answers.add_client_error("describe_stacks", "ValidationError", "does not exist")
    assert releases.ready(cloudformation, "shop-first") is None


def test_what_cannot_be_taken_away_is_named(cloudformation: Any, answers: Stubber) -> None:
    answers.add_response("describe_stacks", _status("ROLLBACK_FAILED"), _STACK)
    answers.add_response("delete_stack", {}, _STACK)
    answers.add_response("describe_stacks", _status("DELETE_FAILED"), _STACK)
    events = [
        _event("shop-first", "DELETE_FAILED", "The following resource(s) failed to delete"),
        _event("Database", "DELETE_FAILED", "Cannot delete protected DB Instance"),
        _event("Service", "CREATE_FAILED", "no image"),
    ]
    answers.add_response("describe_stack_events", {"StackEvents": events}, _STACK)
    with pytest.raises(
        ReleaseError,
        match=r"^shop-first: DELETE_FAILED; Database: Cannot delete protected DB Instance; empty "
        r"it or take its protection away, delete the stack, then again$",
    ):
        releases.ready(cloudformation, "shop-first")


def test_a_change_that_could_not_be_taken_back_is_taken_back_now(
    cloudformation: Any, answers: Stubber
) -> None:
    answers.add_response("describe_stacks", _status("UPDATE_ROLLBACK_FAILED"), _STACK)
    answers.add_response("continue_update_rollback", {}, _STACK)
    answers.add_response("describe_stacks", _status("UPDATE_ROLLBACK_COMPLETE"), _STACK)
    assert releases.ready(cloudformation, "shop-first") == "UPDATE_ROLLBACK_COMPLETE"


def test_what_still_cannot_be_taken_back_is_named(cloudformation: Any, answers: Stubber) -> None:
    answers.add_response("describe_stacks", _status("UPDATE_ROLLBACK_FAILED"), _STACK)
    answers.add_response("continue_update_rollback", {}, _STACK)
    answers.add_response("describe_stacks", _status("UPDATE_ROLLBACK_FAILED"), _STACK)
    events = [_event("Service", "UPDATE_FAILED", "no image")]
    answers.add_response("describe_stack_events", {"StackEvents": events}, _STACK)
    with pytest.raises(ReleaseError, match=r"Service: no image; mend that, then again$"):
        releases.ready(cloudformation, "shop-first")


def test_a_change_under_way_is_awaited(cloudformation: Any, answers: Stubber) -> None:
    for status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"):
        answers.add_response("describe_stacks", _status(status), _STACK)
    assert releases.ready(cloudformation, "shop-first") == "UPDATE_COMPLETE"


def test_a_stack_with_nothing_but_a_change_set_is_made(
    cloudformation: Any, answers: Stubber
) -> None:
    answers.add_response("describe_stacks", _status("REVIEW_IN_PROGRESS"), _STACK)
    assert releases.ready(cloudformation, "shop-first") is None


# --------------------------------------------------------------------------- the smoke batch


@pytest.mark.parametrize(
    ("ended", "fails"),
    [
        ({"status": "SUCCEEDED"}, None),
        (
            {"status": "FAILED", "cause": '{"Containers": [{\n"ExitCode": 1}]}'},
            r'come through: execution:1 FAILED, \{"Containers": \[\{ "ExitCode": 1\}\]\}; its task',
        ),
        ({"status": "TIMED_OUT"}, "execution:1 TIMED_OUT, no reason given"),
    ],
)
def test_the_smoke_batch_is_started_and_awaited(
    monkeypatch: pytest.MonkeyPatch, ended: dict[str, str], fails: str | None
) -> None:
    """By its state machine alone: nothing is said of what it runs."""
    monkeypatch.setattr(releases, "_PAUSE_SECONDS", 0)
    states = boto3.client(
        "stepfunctions", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
    )
    monkeypatch.setattr(boto3, "client", lambda *_, **__: states)
    when = {"startDate": "2026-01-01T00:00:00Z"}
    execution = {"executionArn": "execution:1"}
    told = {**execution, **when, "stateMachineArn": "machine"}
    with Stubber(states) as stub:
        stub.add_response("start_execution", {**execution, **when}, {"stateMachineArn": "machine"})
        stub.add_response("describe_execution", {**told, "status": "RUNNING"}, execution)
        stub.add_response("describe_execution", {**told, **ended}, execution)
        if fails is None:
            releases.smoke({"SmokeBatch": "machine"})
        else:
            with pytest.raises(ReleaseError, match=fails):
                releases.smoke({"SmokeBatch": "machine"})
        stub.assert_no_pending_responses()


def test_the_image_has_the_smoke_batch_and_the_recovery() -> None:
    dockerfile = (Path(__file__).parents[2] / "deploy" / "dagster" / "Dockerfile").read_text()
    assert (
        "COPY deploy/__init__.py deploy/recovery.py deploy/smoke.py /opt/dagster/deploy/"
        in dockerfile
    )
