"""A job's credentials: served as Glue serves them, and taken by whoever asks S3 in the job."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from lakehouse_assets.store.facts import FACTS
from resources.settings import Settings
from tests.support.aws import Aws
from tests.support.glue_runtime import LocalGlue

pytestmark = pytest.mark.aws

FINDS = """
import os
import boto3

told = {name for name in os.environ if name.startswith("AWS_")}
assert not any("KEY" in name or "TOKEN" in name or "REGION" in name for name in told), told
found = boto3.session.Session()
assert found.region_name is None
assert found.get_credentials().method == "iam-role"
assert found.get_credentials().access_key == "glue"
assert "Buckets" in found.client("s3").list_buckets()
"""
DELTA_RS_ALONE = """
from deltalake import DeltaTable

DeltaTable("s3://lake/nothing", storage_options={"aws_region": "us-east-1"})
"""
THE_PRODUCT = """
import os
from datetime import date

os.environ["AWS_REGION"] = "us-east-1"
from lakehouse_assets.store.facts import FACTS
from resources.settings import Settings

lake = Settings(root="s3://lake").lake()
lake.create(FACTS)
assert lake.version(FACTS) == 0
assert lake.fresh().rows(FACTS) == []
"""


@pytest.fixture
def ended(glue: LocalGlue) -> Callable[[str], dict[str, Any]]:
    """Runs a script as a job of the role ``glue``; how it ended."""

    def run(script: str) -> dict[str, Any]:
        at = glue.put("deployment/etl_scripts/job.py", script.encode())
        client = glue.client("glue")
        client.create_job(
            Name="one",
            Role="arn:aws:iam::123456789012:role/glue",
            Command={"Name": "glueetl", "ScriptLocation": at},
            DefaultArguments={
                "--additional-python-modules": (
                    "s3://lake/deployment/etl_scripts/lakehouse.gluewheels.zip"
                ),
                "--python-modules-installer-option": "--no-index --no-deps",
            },
        )
        asked = {"JobName": "one", "RunId": client.start_job_run(JobName="one")["JobRunId"]}
        while glue.running:
            time.sleep(0.05)
        found: dict[str, Any] = client.get_job_run(**asked)["JobRun"]
        return found

    return run


def test_a_job_has_no_keys_and_no_region_but_boto3_finds_its_role(
    ended: Callable[[str], dict[str, Any]],
) -> None:
    assert ended(FINDS)["JobRunState"] == "SUCCEEDED"


def test_delta_rs_finds_no_credentials_by_itself(ended: Callable[[str], dict[str, Any]]) -> None:
    """When this fails, delta-rs has learned it, and `S3Storage.storage_options` may forget it."""
    run = ended(DELTA_RS_ALONE)
    assert run["JobRunState"] == "FAILED"
    assert "token response" in run["ErrorMessage"]  # it asked for one, and nothing else


def test_delta_rs_gets_through_with_what_boto3_finds(
    ended: Callable[[str], dict[str, Any]],
) -> None:
    run = ended(THE_PRODUCT)
    assert run["JobRunState"] == "SUCCEEDED", run


def test_what_is_open_is_opened_anew_with_new_credentials(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a role end; the SDK renews them in time, and nobody else does."""
    lake = Settings.load().lake()
    lake.create(FACTS)
    first = lake.delta(FACTS)
    assert lake.delta(FACTS) is first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    assert lake.storage.storage_options["aws_access_key_id"] == "another"
    assert lake.delta(FACTS) is not first


def test_without_a_region_s3_is_signed_for_as_the_sdk_does(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/none")
    assert boto3.session.Session().region_name is None
    assert Settings.load().lake().storage.storage_options["aws_region"] == "us-east-1"
