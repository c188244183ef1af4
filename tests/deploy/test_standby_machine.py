"""The standby's state machine and what starts it, as prod's template has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse_assets.tables.jobs import jobs
from lakehouse_assets.tables.registry import table_ids
from resources.glue_jobs import SETTINGS, TABLE, glue_job
from resources.settings import Settings
from tests.support.templates import Templates, prod_with, text

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]


@pytest.fixture
def prod(written: dict[str, Templates]) -> Templates:
    return written["prod"]


@pytest.fixture
def machine(prod: Templates) -> dict[str, Any]:
    """Its definition, with CloudFormation's values written out."""
    [found] = prod.all("processing", "AWS::StepFunctions::StateMachine")
    definition: dict[str, Any] = json.loads(text(found["DefinitionString"]))
    return definition


def steps(machine: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its jobs' states in their order, by their tables."""
    found, table = {}, machine["StartAt"]
    while table:
        found[table] = machine["States"][table]
        table = found[table].get("Next")
    return found


def test_every_table_comes_once_and_after_those_that_it_reads(machine: dict[str, Any]) -> None:
    there: set[str] = set()
    for table in steps(machine):
        assert {read.id for read in jobs()[table].reads} <= there, table
        there |= {written.id for written in jobs()[table].writes}
    assert sorted(steps(machine)) == sorted(machine["States"]) == sorted(table_ids())


def test_each_job_is_told_its_table_and_where_the_lake_is(
    prod: Templates, machine: dict[str, Any]
) -> None:
    """The same of the lake as a run of Dagster tells its jobs."""
    tasks = prod.all("orchestration", "AWS::ECS::TaskDefinition")
    [run] = [t for t in tasks if t["Family"] == "lakehouse-prod-dagster-run"]
    [container] = run["ContainerDefinitions"]
    told = {it["Name"]: text(it["Value"]) for it in container["Environment"]}
    for table, state in steps(machine).items():
        asked = state["Parameters"]
        assert asked["JobName"] == glue_job("lakehouse-prod-", table)
        assert asked["Arguments"][TABLE] == table
        settings = json.loads(asked["Arguments"][SETTINGS])
        assert Settings.model_validate(settings).raw
        assert settings.keys() >= {"raw", "processed", "bucket_owner", "kms_key", "first_date"}
        for name, value in settings.items():
            assert told[f"LAKEHOUSE_{name.upper()}"] == value


def test_a_person_starts_it_and_the_alarm_only_where_the_environment_says_so(
    prod: Templates,
) -> None:
    [rule] = prod.all("processing", "AWS::Events::Rule")
    assert rule["State"] == "DISABLED"
    [name] = rule["EventPattern"]["detail"]["alarmName"]
    # Without a sign of life, too: of a queue that nobody asks there is no figure.
    heartbeat = prod.named("watch", "AWS::CloudWatch::Alarm", "AlarmName")[name]
    assert heartbeat["MetricName"] == "NumberOfEmptyReceives"
    assert "lakehouse-prod-events" in text(heartbeat["Dimensions"][0]["Value"])
    assert heartbeat["ComparisonOperator"] == "LessThanThreshold"
    assert (heartbeat["Threshold"], heartbeat["Statistic"], heartbeat["Period"]) == (1, "Sum", 1800)
    assert heartbeat["TreatMissingData"] == "breaching"


def test_where_it_says_so_the_alarm_starts_it(tmp_path: Path) -> None:
    asked = prod_with("standby_by_alarm=True", tmp_path / "prod")
    [rule] = asked.all("processing", "AWS::Events::Rule")
    assert rule["State"] == "ENABLED"
