"""The workflows, as far as they can be read here: what they may do, and that what they call exists.

actionlint and zizmor read them for the rest (`make lint-workflows`). None of them was ever run.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import audit
from deploy.cdk import names
from deploy.cdk.config import ENVIRONMENTS
from tests.support import PROJECT

FILES = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
MINE = re.compile(r"\./\.github/workflows/[a-z-]+\.yml")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def jobs(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    return found


def steps() -> Iterator[dict[str, Any]]:
    for file in FILES:
        for job in jobs(file).values():
            yield from job.get("steps", ())


def commands() -> str:
    return "\n".join(step.get("run", "") for step in steps())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_nothing_is_allowed_but_what_a_job_asks_for(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert "permissions" in job, name
        writes = {scope for scope, level in job["permissions"].items() if level == "write"}
        assert writes <= {"id-token", "attestations"}, name
    assert "secrets." not in file.read_text()
    assert "pull_request_target" not in file.read_text()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_others_wrote_is_pinned_by_commit(file: Path) -> None:
    used = re.findall(r"uses: (\S+)(.*)", file.read_text())
    assert used
    for action, comment in used:
        assert MINE.fullmatch(action) or PINNED.fullmatch(action), action
        assert MINE.fullmatch(action) or re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action


def test_an_action_has_one_version_everywhere() -> None:
    used = {step["uses"] for step in steps() if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)


def test_no_checkout_leaves_a_token_behind() -> None:
    checkouts = [s for s in steps() if s.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_every_command_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    asked = re.findall(r"(?<!release )\bmake (?:-C \S+ )?((?:[a-z-]+ ?)+)", commands())
    assert asked
    assert {target for words in asked for target in words.split()} <= targets
    programs = set(re.findall(r"python -m (deploy[.\w]*)", commands()))
    assert programs == {"deploy.release", "deploy.drift", "deploy.difference"}
    assert all(importlib.util.find_spec(program) for program in programs)


def test_environments_follow_each_other_up_to_prod() -> None:
    found = jobs(PROJECT / ".github" / "workflows" / "deploy.yml")
    chain = {name: (job.get("needs"), job.get("with")) for name, job in found.items()}
    assert chain == {
        "where": (None, None),
        "build": (None, None),
        "dev": ("build", {"environment": "dev"}),
        "staging": (["build", "dev"], {"environment": "staging"}),
        "prod": (["build", "dev", "staging"], {"environment": "prod"}),
    }
    [deploy] = jobs(PROJECT / ".github" / "workflows" / "environment.yml").values()
    # By this a role trusts the job, and GitHub asks people before it begins.
    assert deploy["environment"] == "${{ inputs.environment }}"


def test_a_fork_without_environments_does_nothing_and_says_so(tmp_path: Path) -> None:
    """What asks for AWS asks for DEPLOY_TO first; what tells so is run here."""
    deploy = jobs(PROJECT / ".github" / "workflows" / "deploy.yml")
    # A whole word of it: `prod-eu` does not ask for prod.
    asked_for = "contains(format(' {{0}} ', vars.DEPLOY_TO), ' {} ')"
    assert {name: job.get("if") for name, job in deploy.items()} == {
        "where": None,
        "build": "vars.DEPLOY_TO != ''",
        "dev": asked_for.format("dev"),
        # One that is skipped before it stops nothing, one that failed does.
        "staging": f"${{{{ !cancelled() && !failure() && {asked_for.format('staging')} }}}}",
        "prod": f"${{{{ !cancelled() && !failure() && {asked_for.format('prod')} }}}}",
    }
    nightly = jobs(PROJECT / ".github" / "workflows" / "nightly.yml")
    assert nightly["drift"]["needs"] == "where"
    assert nightly["drift"]["if"] == "needs.where.outputs.environments != '[]'"
    matrix = nightly["drift"]["strategy"]["matrix"]["environment"]
    assert matrix == "${{ fromJson(needs.where.outputs.environments) }}"
    page, output = tmp_path / "page", tmp_path / "output"
    for asked, told, environments in (
        ("", "Nothing is ", "[]"),
        ("prod", "prod", '["prod"]'),
        ("dev  staging prod", "dev  staging prod", '["dev","staging","prod"]'),
    ):
        for job in (deploy["where"], nightly["where"]):
            [step] = job["steps"]
            assert step["env"] == {"DEPLOY_TO": "${{ vars.DEPLOY_TO }}"}
            page.unlink(missing_ok=True)
            output.write_text("")
            given = {
                "GITHUB_STEP_SUMMARY": str(page),
                "GITHUB_OUTPUT": str(output),
                "DEPLOY_TO": asked,
            }
            subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                env={**os.environ, **given},
                check=True,
                stdout=subprocess.DEVNULL,
            )
            assert page.read_text().startswith(told)
        assert output.read_text() == f"environments={environments}\n"


def test_the_image_is_pushed_to_the_repository_that_the_stack_makes() -> None:
    [deploy] = jobs(PROJECT / ".github" / "workflows" / "environment.yml").values()
    [push] = [step["run"] for step in deploy["steps"] if step.get("name") == "The image"]
    named = re.findall(r'--repository-names? "([^"]+)"', push)
    made = names.of(ENVIRONMENTS["dev"], "dagster").replace("-dev-", "-$ENVIRONMENT-")
    assert named == [made, made]


def test_what_a_private_repository_may_lack_is_not_asked_for_there() -> None:
    attesting = [
        step
        for step in steps()
        if step.get("uses", "").startswith("actions/attest")
        or "gh attestation" in step.get("run", "")
    ]
    assert len(attesting) == 3
    condition = "${{ !github.event.repository.private || vars.ATTEST == 'true' }}"
    assert {step["if"] for step in attesting} == {condition}


def test_every_suite_is_run() -> None:
    ci = (PROJECT / ".github" / "workflows" / "ci.yml").read_text()
    for suite in ("test", "test-long", "test-athena", "test-deploy", "aws-local", "lint"):
        assert re.search(rf"make {suite}$", ci, re.MULTILINE), suite
    assert '["3.11", "3.13"]' in ci


def test_a_package_that_cannot_be_looked_up_is_no_clean_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An audit that could look at nothing must not pass: the program is told to be strict."""
    pip_audit = tmp_path / "pip-audit"
    pip_audit.write_text(
        '#!/bin/sh\ncase "$*" in *--strict*bad.lock) exit 1;; *--strict*) exit 0;; esac\nexit 3\n'
    )
    pip_audit.chmod(0o755)
    monkeypatch.setattr(audit, "PROJECT", tmp_path)
    (tmp_path / "deploy").mkdir()
    (tmp_path / "requirements.lock").touch()
    assert audit.main(str(pip_audit)) == 0
    (tmp_path / "deploy" / "bad.lock").touch()
    assert audit.main(str(pip_audit)) == 1
    assert "deploy/bad.lock" in capfd.readouterr().out


def test_every_lock_is_audited() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "*.lock"], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(tracked) - {".terraform.lock.hcl"} <= {
        lock.relative_to(PROJECT).as_posix() for lock in audit.locks()
    }
