"""A pytest plugin: the Glue runner's tests against dagster-aws's own client, to see them fail.

python -m pytest -p tests.aws.plain_client tests/aws/test_glue_pipes.py
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import boto3
import dagster as dg
import pytest
from dagster_aws.pipes import PipesGlueClient, PipesS3ContextInjector, PipesS3MessageReader

from resources.glue_jobs import WORK
from resources.glue_pipes import Ended, GlueJob


def run(
    self: GlueJob, context: dg.OpExecutionContext, work: str, extras: Mapping[str, Any]
) -> Ended:
    """What `GlueJob.run` does, by the plain client: what it told, of a job that succeeded."""
    s3, glue = boto3.client("s3"), boto3.client("glue")
    bucket = self.exchange.removeprefix("s3://").partition("/")[0]
    done = PipesGlueClient(
        context_injector=PipesS3ContextInjector(bucket=bucket, client=s3),
        message_reader=PipesS3MessageReader(bucket=bucket, client=s3),
        client=glue,
    ).run(
        context=context,
        start_job_run_params={"JobName": self.name, "Arguments": {WORK: work}},
        extras=dict(extras),
    )
    told: dict[str, Any] = {}
    for message in done.get_custom_messages():
        told |= message
    newest = glue.get_job_runs(JobName=self.name)["JobRuns"][0]
    return Ended(newest, told, closed=True)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain client instead of ours; it looks every fifth of a second rather than every five."""
    monkeypatch.setattr(GlueJob, "run", run)
    soon = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 0.2)))
    monkeypatch.setattr("dagster_aws.pipes.clients.glue.time", soon)
