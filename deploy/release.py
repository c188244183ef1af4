"""Bring a release to an environment, see that it works, and go back where it does not.

    python -m deploy.release make build/release --templates T --glue G --name COMMIT
    python -m deploy.release publish build/release     # what was built, into the deployment bucket
    python -m deploy.release apply build/release       # its stacks alone, up to --through
    python -m deploy.release deploy build/release      # its stacks, then a smoke batch

A release is a folder: ``templates/`` as CDK wrote it for one environment (manifest.json says which
stacks, in what order), ``glue/`` with what jobs run, and ``release.json`` with the values of the
templates' parameters. The one that last came through is named by ``infrastructure/validated`` in
the deployment bucket; where a new one fails, that one is applied again. The data is not touched:
the tables are a function of the landed files, and no release changes those.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError, WaiterError

from deploy.cdk import names
from deploy.cdk.config import ENVIRONMENTS

PLACE: Final = "infrastructure"
"""Where releases lie in the deployment bucket."""
BY_HAND: Final = "-access"
"""Ends the name of the stack with the deploying roles, which they must not change themselves."""
_CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
_SENT_BYTES: Final = 51_200
"""The largest template that CloudFormation takes along with a request."""
_GONE: Final = frozenset({None, "DELETE_COMPLETE"})
_TO_BE_MADE: Final = "REVIEW_IN_PROGRESS"
"""Of a stack that has a change set, and nothing yet."""
_PAUSE_SECONDS: Final = 5.0


class ReleaseError(Exception):
    """A release that cannot be brought there, or does not work there: one clear line."""


@dataclass(frozen=True)
class Stack:
    """One stack of a release: its name, its region, and its template's file.

    A ``protected`` one cannot be deleted before somebody has said that it may.
    """

    name: str
    region: str
    template: Path
    tags: Mapping[str, str]
    protected: bool = False


@dataclass(frozen=True)
class Release:
    """A release's folder."""

    folder: Path

    @cached_property
    def told(self) -> dict[str, str]:
        """Values of the templates' parameters; ``Release`` is always among them."""
        found: dict[str, str] = json.loads((self.folder / "release.json").read_text())
        return found

    @property
    def name(self) -> str:
        """What tells it from others: a commit."""
        return self.told["Release"]

    @cached_property
    def stacks(self) -> list[Stack]:
        """Its stacks, each after those that it depends upon."""
        return stacks(self.folder / "templates")

    def files(self) -> Iterator[tuple[str, Path]]:
        """Every file with its key in the deployment bucket."""
        for file in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            within = file.relative_to(self.folder).as_posix()
            if within.startswith("glue/"):
                yield f"etl_scripts/{self.name}/{file.name}", file
            else:
                yield f"{PLACE}/{self.name}/{within}", file


def stacks(templates: Path) -> list[Stack]:
    """The stacks of an environment's templates, each after those that it depends upon."""
    artifacts = json.loads((templates / "manifest.json").read_text())["artifacts"]
    mine = {k: a for k, a in artifacts.items() if a["type"] == "aws:cloudformation:stack"}
    found: list[Stack] = []

    def add(name: str) -> None:
        artifact = mine[name]
        if any(stack.name == artifact["displayName"] for stack in found):
            return
        for other in artifact.get("dependencies", ()):
            if other in mine:
                add(other)
        properties = artifact["properties"]
        found.append(
            Stack(
                artifact["displayName"],
                artifact["environment"].rpartition("/")[2],
                templates / properties["templateFile"],
                properties.get("tags", {}),
                properties.get("terminationProtection", False),
            )
        )

    for name in mine:
        add(name)
    return found


def make(
    folder: Path, templates: Path, glue: Path, name: str, values: Mapping[str, str]
) -> Release:
    """A release of what was built, for the account that this process belongs to."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(templates, folder / "templates")
    (folder / "glue").mkdir()
    for file in (glue / "job.py", glue / "lakehouse.gluewheels.zip"):
        shutil.copyfile(file, folder / "glue" / file.name)
    environment = ENVIRONMENTS[templates.name]
    account = boto3.client("sts").get_caller_identity()["Account"]
    bucket = names.bucket(environment, "deployment", account)
    role = f"arn:aws:iam::{account}:role/{names.of(environment, 'cloudformation')}"
    told = {**values, "Release": name, "DeploymentBucket": bucket, "ExecutionRole": role}
    (folder / "release.json").write_text(json.dumps(told))
    return Release(folder)


# ---------------------------------------------------------------------------------- the stacks


def apply(release: Release, through: str | None = None) -> dict[str, str]:
    """Create or change every stack (up to one of them); returns all their outputs.

    Raises ReleaseError where one fails; CloudFormation has rolled that one back.
    """
    outputs: dict[str, str] = {}
    for stack in release.stacks:
        if stack.name.endswith(BY_HAND):
            continue
        outputs |= _apply(stack, release)
        if through and stack.name.endswith(f"-{through}"):
            break
    return outputs


def _apply(stack: Stack, release: Release) -> dict[str, str]:
    """One stack, as the release has it; returns its outputs. Raises ReleaseError."""
    try:
        return _changed(boto3.client("cloudformation", region_name=stack.region), stack, release)
    except ClientError as error:
        raise ReleaseError(f"{stack.name}: {error}") from error


def _changed(cloudformation: Any, stack: Stack, release: Release) -> dict[str, str]:
    before = ready(cloudformation, stack.name)
    change = f"r{release.name[:12]}-{time.time_ns()}"
    cloudformation.create_change_set(
        StackName=stack.name,
        ChangeSetName=change,
        ChangeSetType="UPDATE" if before else "CREATE",
        Capabilities=_CAPABILITIES,
        Tags=[{"Key": key, "Value": value} for key, value in stack.tags.items()],
        Parameters=_parameters(stack, release),
        **({"RoleARN": role} if (role := release.told.get("ExecutionRole")) else {}),
        **_template(stack, release),
    )
    asked = {"StackName": stack.name, "ChangeSetName": change}
    if not _is_change(cloudformation, asked):
        cloudformation.delete_change_set(**asked)
        say(f"{stack.name}: nothing changes")
        return _outputs(cloudformation, stack.name)
    cloudformation.execute_change_set(**asked)
    ended = _await(cloudformation, stack.name)
    if ended not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise ReleaseError(f"{stack.name}: {ended}; {_why(cloudformation, stack.name)}")
    if stack.protected:
        cloudformation.update_termination_protection(
            StackName=stack.name, EnableTerminationProtection=True
        )
    say(f"{stack.name}: {ended}")
    return _outputs(cloudformation, stack.name)


def ready(cloudformation: Any, name: str) -> str | None:
    """The status of a stack that can be changed, after what an earlier failure left is mended.

    None where it must be made. Raises ReleaseError where a person must look.
    """
    status = _status(cloudformation, name)
    if status and status.endswith("_IN_PROGRESS") and status != _TO_BE_MADE:
        status = _await(cloudformation, name)
    if status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}:
        # Its first creation failed, or its deletion: there is nothing to be changed.
        cloudformation.delete_stack(StackName=name)
        status = _await(cloudformation, name)
        if status not in _GONE:
            why = _why(cloudformation, name, "DELETE_FAILED")
            raise ReleaseError(
                f"{name}: {status}; {why}; empty it or take its protection away, delete the stack, "
                "then again"
            )
    if status == "UPDATE_ROLLBACK_FAILED":
        cloudformation.continue_update_rollback(StackName=name)
        status = _await(cloudformation, name)
        if status != "UPDATE_ROLLBACK_COMPLETE":
            why = _why(cloudformation, name)
            raise ReleaseError(f"{name}: {status}; {why}; mend that, then again")
    return None if status in {*_GONE, _TO_BE_MADE} else status


def _template(stack: Stack, release: Release) -> dict[str, str]:
    """The template itself, or where it lies if it is too large to be sent along."""
    body = json.dumps(json.loads(stack.template.read_text()), separators=(",", ":"))
    if len(body.encode()) <= _SENT_BYTES:
        return {"TemplateBody": body}
    bucket = release.told["DeploymentBucket"]
    key = f"{PLACE}/{release.name}/templates/{stack.template.name}"
    region = boto3.client("s3").meta.region_name  # the bucket's; the stack's may be another
    return {"TemplateURL": f"https://s3.{region}.amazonaws.com/{bucket}/{key}"}


def _parameters(stack: Stack, release: Release) -> list[dict[str, str]]:
    declared = json.loads(stack.template.read_text()).get("Parameters", {})
    return [
        {"ParameterKey": name, "ParameterValue": release.told[name]}
        for name in declared
        if name in release.told
    ]


def _is_change(cloudformation: Any, asked: Mapping[str, str]) -> bool:
    """Whether a change set, once made, changes anything. Raises ReleaseError if it cannot be."""
    try:
        cloudformation.get_waiter("change_set_create_complete").wait(**asked)
    except WaiterError:
        reason = cloudformation.describe_change_set(**asked).get("StatusReason", "")
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return False
        raise ReleaseError(f"{asked['StackName']}: its change cannot be made: {reason}") from None
    return True


def _await(cloudformation: Any, name: str) -> str:
    while (status := _status(cloudformation, name) or "DELETE_COMPLETE").endswith("_IN_PROGRESS"):
        time.sleep(_PAUSE_SECONDS)
    return status


def _status(cloudformation: Any, name: str) -> str | None:
    try:
        status: str = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return status


def _why(cloudformation: Any, name: str, status: str = "_FAILED") -> str:
    """The first resource that failed, as CloudFormation says it."""
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [
        e
        for e in events
        if e["ResourceStatus"].endswith(status)
        and e["LogicalResourceId"] != name  # the stack itself only repeats it
    ]
    if not failed:
        return "see its events"
    first = failed[-1]
    return f"{first['LogicalResourceId']}: {first.get('ResourceStatusReason', 'no reason given')}"


def _outputs(cloudformation: Any, name: str) -> dict[str, str]:
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    return {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())}


# ------------------------------------------------------------------------- what lies in the bucket


def publish(release: Release) -> None:
    """Put a release's files into the deployment bucket, each under the release's own name."""
    s3 = boto3.client("s3")
    for key, file in release.files():
        s3.put_object(Bucket=release.told["DeploymentBucket"], Key=key, Body=file.read_bytes())
        say(f"{key}: published")


def validated(bucket: str) -> str | None:
    """The release that last came through here; None before the first."""
    try:
        found = boto3.client("s3").get_object(Bucket=bucket, Key=f"{PLACE}/validated")
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
    name: str = found["Body"].read().decode()
    return name


def fetched(bucket: str, name: str, folder: Path) -> Release:
    """A release as it was published, in a folder. Raises ReleaseError where it is gone."""
    s3, prefix = boto3.client("s3"), f"{PLACE}/{name}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    for found in (found for page in pages for found in page.get("Contents", ())):
        target = folder / found["Key"].removeprefix(prefix)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
    if not (folder / "release.json").exists():
        raise ReleaseError(f"s3://{bucket}/{prefix}: there is no such release; deploy one by hand")
    return Release(folder)


# --------------------------------------------------------------------------------- the smoke batch


def smoke(outputs: Mapping[str, str]) -> None:
    """Send a smoke batch through, from a task of the deployed image with a run's own rights.

    Raises ReleaseError where it does not come through. Who deploys needs no right on the data:
    it starts a state machine, and that alone says what the task does.
    """
    states = boto3.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=outputs["SmokeBatch"])["executionArn"]
    say(f"smoke: {arn}")
    while (ended := states.describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(_PAUSE_SECONDS)
    if ended["status"] != "SUCCEEDED":
        reason = " ".join(ended.get("cause", "no reason given").split())
        raise ReleaseError(
            f"the smoke batch did not come through: {arn} {ended['status']}, {reason}; its task's "
            "log says why"
        )


# -------------------------------------------------------------------------------------- all of it


def deploy(release: Release) -> None:
    """Apply a release and send a smoke batch through; go back where either fails.

    Raises ReleaseError where the release is not at work in the end.
    """
    bucket = release.told["DeploymentBucket"]
    before = validated(bucket)
    try:
        smoke(apply(release))
    except ReleaseError as error:
        raise ReleaseError(f"{release.name}: {error}; {_back(bucket, before)}") from error
    key = f"{PLACE}/validated"
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=release.name.encode())
    say(f"{release.name}: at work")


def _back(bucket: str, before: str | None) -> str:
    """Apply the release that last came through; returns what came of it."""
    if before is None:
        return "there is no release to go back to"
    say(f"going back to {before}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            earlier = fetched(bucket, before, Path(folder))
            smoke(apply(earlier))
        except ReleaseError as error:
            return f"going back to {before} failed as well: {error}"
    return f"{before} is at work again"


def say(line: str) -> None:
    """Tell who watches."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments name; 1 where the release is not at work in the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("make", "publish", "apply", "deploy"))
    parser.add_argument("folder", type=Path, help="the release")
    parser.add_argument("--through", help="with apply: the last stack, such as foundation")
    parser.add_argument("--templates", type=Path, help="with make: an environment's, by its name")
    parser.add_argument("--glue", type=Path, help="with make: the folder of what jobs run")
    parser.add_argument("--name", help="with make: the commit")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PARAMETER=VALUE", help="with make"
    )
    asked = parser.parse_args(arguments)
    release = Release(asked.folder)
    try:
        if asked.what == "make":
            values = dict(word.split("=", 1) for word in asked.set)
            make(asked.folder, asked.templates, asked.glue, asked.name, values)
        elif asked.what == "publish":
            publish(release)
        elif asked.what == "apply":
            apply(release, asked.through)
        else:
            deploy(release)
    except ReleaseError as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
