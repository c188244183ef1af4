"""The page of the first deployment, walked: its commands on MiniStack print what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from deploy import release
from tests.support import PROJECT
from tests.support.ministack import UNKNOWN, MiniStack, without
from tests.support.templates import Templates

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

PAGE = (PROJECT / "docs" / "first_deployment.md").read_text()
NOT_HERE = UNKNOWN | {"AWS::Budgets::Budget"}
ACCOUNT = "000000000000"


@pytest.fixture
def there(
    written: dict[str, Templates], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Dev's templates where `make templates` puts them, and what jobs run; an empty account."""
    templates = tmp_path / "build" / "templates" / "dev"
    shutil.copytree(written["dev"].folder, templates)
    for stack in Templates("dev", templates).stacks:
        known = without(json.loads(stack.template.read_text()), NOT_HERE)
        stack.template.write_text(json.dumps(known))
    glue = tmp_path / "build" / "glue"
    glue.mkdir()
    for name in ("job.py", "lakehouse.gluewheels.zip"):
        (glue / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    with MiniStack(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "ap-south-1")
        monkeypatch.setattr(release, "_PAUSE_SECONDS", 0.1)
        yield tmp_path


def commands(of: str) -> list[str]:
    """The page's commands that begin so."""
    return [line for line in PAGE.splitlines() if line.startswith(of)]


def printed_after(command: str) -> list[str]:
    """The block of text that follows the block of a command."""
    _, _, after = PAGE.partition(command)
    block = re.search(r"```\n.*?```text\n(.*?)```", after, re.DOTALL)
    assert block, command
    return block[1].splitlines()


def run(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """A command of `deploy.release`, as it stands on the page: what it prints."""
    words = command.replace("COMMIT", "r1").split()[3:]
    if words[0] == "deploy":  # whose smoke batch needs Dagster at work
        words[0] = "apply"
    assert release.main(words) == 0
    return capsys.readouterr().out.splitlines()


def test_the_stacks_come_as_the_page_says(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, first, publish, second = commands("python -m deploy.release")
    assert there
    run(make, capsys)
    assert run(first, capsys) == printed_after(first)
    assert all(line.endswith(": published") for line in run(publish, capsys))
    assert run(second, capsys) == printed_after(second)


def test_the_account_s_commands_are_taken(there: Path) -> None:
    """By the AWS CLI itself, where it is installed; what they make is looked at in any case."""
    aws = shutil.which("aws")
    provider, access = (
        commands("aws iam create-open-id")[0],
        commands("aws cloudformation deploy")[0],
    )
    assert "--parameter-overrides Repository=OWNER/NAME" in access
    if aws is None:
        assert "TESTS_DEMAND_ALL" not in os.environ
        return
    for command in (provider, access.replace("OWNER/NAME", "shop/lakehouse")):
        subprocess.run([aws, *command.split()[1:]], check=True, cwd=there, capture_output=True)
    [found] = boto3.client("iam").list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert found["Arn"].endswith("token.actions.githubusercontent.com")
    [stack] = boto3.client("cloudformation").describe_stacks(StackName="lakehouse-dev-access")[
        "Stacks"
    ]
    outputs = [f"{o['OutputKey']}\t{o['OutputValue']}" for o in stack["Outputs"]]
    assert [o.replace(ACCOUNT, "ACCOUNT") for o in outputs] == printed_after(
        commands("aws cloudformation describe-stacks")[0]
    )


def test_every_step_says_how_far_it_was_walked() -> None:
    steps = re.split(r"^## \d+\. ", PAGE, flags=re.MULTILINE)[1:]
    assert len(steps) == 10
    for step in steps:
        assert re.search(r"\*\*(Run here|Not run here|run here)", step), step.splitlines()[0]
