"""The platform's own templates on MiniStack, but for what that does not know.

Lenient where AWS is not (it takes misspelt properties): it shows that the stacks hang together, in
their order and with their values, and never replaces an assertion.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError

from deploy import release as releases
from deploy.release import BY_HAND, Release, apply, publish
from lakehouse_assets.queries.named import named_queries, tables
from lakehouse_assets.store.delta import folder_of
from lakehouse_assets.tables.glue_entries import entry_name
from lakehouse_assets.tables.registry import DATASETS, table_ids
from tests.support.held import hold
from tests.support.iam import Statement
from tests.support.ministack import UNKNOWN, MiniStack, without
from tests.support.recorded import Recorded
from tests.support.recorded import asked as told
from tests.support.resolved import resolved
from tests.support.templates import Templates

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

ACCOUNT: Final = "000000000000"
DEPLOYS: Final = "lakehouse-prod-deploy"
"""The role that brings releases; its key has its name here."""


@dataclass(frozen=True)
class Deployed:
    """What was deployed of an environment."""

    templates: Templates
    release: Release
    outputs: Mapping[str, str]
    made: Mapping[str, int]
    """Resources by type."""
    requests: Sequence[Recorded]
    """What was asked for it, by the key of the deploying role."""

    def client(self, service: str, *, replica: bool = False) -> Any:
        region = "ap-southeast-1" if replica else "ap-south-1"
        return boto3.client(service, region_name=region)


@pytest.fixture(scope="module")
def deployed(
    written: dict[str, Templates], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """The production environment, by the program that releases it."""
    templates = written["prod"]
    folder = tmp_path_factory.mktemp("release")
    shutil.copytree(templates.folder, folder / "templates")
    made: dict[str, int] = {}
    for stack in Templates("prod", folder / "templates").stacks:
        template = without(json.loads(stack.template.read_text()), UNKNOWN)
        stack.template.write_text(json.dumps(template))
        if stack.name.endswith(BY_HAND):
            continue
        for resource in template["Resources"].values():
            made[resource["Type"]] = made.get(resource["Type"], 0) + 1
    told = {
        "Release": "r1",
        "DeploymentBucket": f"lakehouse-prod-deployment-{ACCOUNT}",
        "ExecutionRole": f"arn:aws:iam::{ACCOUNT}:role/lakehouse-prod-cloudformation",
        "Repository": "shop/lakehouse",
    }
    (folder / "release.json").write_text(json.dumps(told))
    with pytest.MonkeyPatch.context() as patch, MiniStack(folder) as server:
        for name, value in (server.environment | {"AWS_ACCESS_KEY_ID": DEPLOYS}).items():
            patch.setenv(name, value)
        # boto3's default session keeps the key that another test was asked by.
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        patch.setattr(releases, "_PAUSE_SECONDS", 0.1)
        patch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
        release = Release(folder)
        apply(release, through="registry")  # as the workflow does, and so within what it can send
        publish(release)
        outputs = apply(release)
        asked = [request for request in server.recorded if request.key == DEPLOYS]
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield Deployed(templates, release, outputs, made, asked)


def test_what_ministack_does_not_know_is_told(deployed: Deployed) -> None:
    types = sorted({resource["Type"] for *_, resource in deployed.templates.resources()})
    asked = {f"R{n}": {"Type": kind} for n, kind in enumerate(types)}
    with pytest.raises(ClientError, match="Unrecognized resource types") as refused:
        deployed.client("cloudformation").create_change_set(
            StackName="types", ChangeSetName="types", ChangeSetType="CREATE",
            TemplateBody=json.dumps({"Resources": asked}),
        )  # fmt: skip
    assert set(re.findall(r"AWS::\w+::\w+", str(refused.value))) == UNKNOWN


def test_the_deploying_role_may_do_what_the_release_asks_for(
    deployed: Deployed, counted: Callable[[str], None]
) -> None:
    """Every request of it, by the templates' own policies; and what nobody allows is told."""
    account = resolved(deployed.templates, ACCOUNT)
    asked = [told(request) for request in deployed.requests]
    held = hold(asked, account)
    assert not held.refused, "\n".join(held.refused)
    assert {"cloudformation:CreateChangeSet", "s3:PutObject"} <= {it.name for it in asked}
    counted(f"{len(asked)} requests of the deploying role, none refused")
    for action in ("cloudformation:ExecuteChangeSet", "iam:PassRole", "kms:GenerateDataKey"):
        refused = hold(asked, account.without(DEPLOYS, action)).refused
        assert refused, action
        assert all(line.startswith(f"{DEPLOYS}: {action} on ") for line in refused)


def test_a_key_s_aliases_compared_as_one_value_let_nobody_deploy(deployed: Deployed) -> None:
    """As the policy once was: the key of the condition has several values."""

    def once(statement: Statement) -> Statement:
        told = json.dumps(statement.told).replace("ForAnyValue:", "")
        return replace(statement, told=json.loads(told))

    account = resolved(deployed.templates, ACCOUNT)
    refused = hold([told(it) for it in deployed.requests], account.changed(DEPLOYS, once)).refused
    assert refused
    assert all(line.startswith(f"{DEPLOYS}: kms:") for line in refused)


def test_every_stack_comes_up(deployed: Deployed, counted: Callable[[str], None]) -> None:
    for stack in deployed.templates.stacks:
        cloudformation = boto3.client("cloudformation", region_name=stack.region)
        if stack.name.endswith(BY_HAND):
            continue
        [found] = cloudformation.describe_stacks(StackName=stack.name)["Stacks"]
        assert found["StackStatus"] == "CREATE_COMPLETE", stack.name
    counted(f"{sum(deployed.made.values())} resources of {len(deployed.made)} types on MiniStack")


# ---------------------------------------------------------------------------------- read back


def test_buckets_are_private_and_versioned(deployed: Deployed) -> None:
    """How they are encrypted reads back as AES256, whatever the template says."""
    s3 = deployed.client("s3")
    for zone in ("raw", "processed", "deployment"):
        asked = {"Bucket": f"lakehouse-prod-{zone}-{ACCOUNT}"}
        assert s3.get_bucket_versioning(**asked)["Status"] == "Enabled"
        closed = s3.get_public_access_block(**asked)["PublicAccessBlockConfiguration"]
        assert set(closed.values()) == {True}
        policy = json.loads(s3.get_bucket_policy(**asked)["Policy"])
        assert any(
            it["Effect"] == "Deny" and it["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for it in policy["Statement"]
        )
    replicas = deployed.client("s3", replica=True)
    replicas.head_bucket(Bucket=f"lakehouse-prod-raw-replica-{ACCOUNT}")


def test_keys_turn(deployed: Deployed) -> None:
    kms = deployed.client("kms")
    keys = [key["KeyId"] for key in kms.list_keys()["Keys"]]
    ours = [kms.describe_key(KeyId=key)["KeyMetadata"] for key in keys]
    ours = [key for key in ours if key["KeyManager"] == "CUSTOMER"]
    assert len(ours) >= 2
    assert all(kms.get_key_rotation_status(KeyId=k["KeyId"])["KeyRotationEnabled"] for k in ours)


def test_every_table_is_in_the_catalog(deployed: Deployed) -> None:
    glue = deployed.client("glue")
    for name, table in tables().items():
        database = f"lakehouse_prod_{table.layer}"
        found = glue.get_table(DatabaseName=database, Name=entry_name(name))["Table"]
        columns = [c["Name"] for c in found["StorageDescriptor"]["Columns"]]
        columns += [c["Name"] for c in found.get("PartitionKeys", ())]
        assert sorted(columns) == sorted(table.names)
        place = f"s3://lakehouse-prod-processed-{ACCOUNT}/{folder_of(table)}"
        assert found["StorageDescriptor"]["Location"] == place


def test_every_table_has_a_job_and_a_role(deployed: Deployed) -> None:
    glue, iam = deployed.client("glue"), deployed.client("iam")
    capacity = {t.id: t.capacity for d in DATASETS.values() for t in (d.bronze, d.silver)}
    for name in table_ids():
        job = glue.get_job(JobName=f"lakehouse-prod-{name.replace('.', '-')}")["Job"]
        assert job["GlueVersion"] == "6.0"
        assert job["Command"]["ScriptLocation"].endswith("/etl_scripts/r1/job.py")
        if name in capacity:
            assert job["NumberOfWorkers"] == capacity[name].workers
        role = job["Role"].rpartition("/")[2]
        assert iam.list_role_policies(RoleName=role)["PolicyNames"]


def test_messages_have_a_way(deployed: Deployed) -> None:
    """From the raw bucket to the queue, and from the queue aside when nobody can read them."""
    sqs, events = deployed.client("sqs"), deployed.client("events")
    urls = sqs.list_queues(QueueNamePrefix="lakehouse-prod")["QueueUrls"]
    redrives = [
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls
    ]
    [hints] = [it for it in redrives if "RedrivePolicy" in it]
    dead = json.loads(hints["RedrivePolicy"])["deadLetterTargetArn"]
    assert dead in {it["QueueArn"] for it in redrives}
    rules = events.list_rules(NamePrefix="lakehouse-prod")["Rules"]
    targets = {
        target["Arn"]
        for rule in rules
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
    }
    assert hints["QueueArn"] in targets
    [rule] = [r for r in rules if "Object Created" in r.get("EventPattern", "")]
    for dataset in DATASETS:
        assert f"{dataset}/" in rule["EventPattern"]
    topics = {
        t["TopicArn"].rpartition(":")[2] for t in deployed.client("sns").list_topics()["Topics"]
    }
    assert {
        f"lakehouse-prod-{n}" for n in ("success", "failure", "data-quality", "delay")
    } <= topics


def test_alarms_tell_people(deployed: Deployed) -> None:
    alarms = deployed.client("cloudwatch").describe_alarms(AlarmNamePrefix="lakehouse-prod")
    found = {alarm["AlarmName"]: alarm for alarm in alarms["MetricAlarms"]}
    for dataset in DATASETS.values():
        alarm = found[f"lakehouse-prod-error-rate-silver-{dataset.name}"]
        assert alarm["Threshold"] == dataset.hold.share
        assert alarm["AlarmActions"]


def test_athena_asks_within_its_workgroup(deployed: Deployed) -> None:
    athena = deployed.client("athena")
    group = athena.get_work_group(WorkGroup="lakehouse-prod-lakehouse")["WorkGroup"]
    result = group["Configuration"]["ResultConfiguration"]
    assert result["OutputLocation"] == f"s3://lakehouse-prod-processed-{ACCOUNT}/athena_queries/"
    assert named_queries()  # which MiniStack does not make


def test_dagster_is_at_work(deployed: Deployed) -> None:
    ecs = deployed.client("ecs")
    cluster = deployed.outputs["Cluster"]
    services = ecs.describe_services(cluster=cluster, services=["webserver", "daemon", "code"])
    desired = {it["serviceName"]: it["desiredCount"] for it in services["services"]}
    assert desired == {"webserver": 2, "daemon": 1, "code": 1}
    task = ecs.describe_task_definition(taskDefinition=deployed.outputs["RunTaskDefinition"])
    [container] = task["taskDefinition"]["containerDefinitions"]
    told = {it["name"]: it["value"] for it in container["environment"]}
    assert told["LAKEHOUSE_RAW"] == f"s3://lakehouse-prod-raw-{ACCOUNT}"
    assert container["image"].endswith(":r1")
    [database] = deployed.client("rds").describe_db_instances(
        DBInstanceIdentifier="lakehouse-prod-dagster"
    )["DBInstances"]
    assert (database["PubliclyAccessible"], database["StorageEncrypted"]) == (False, True)


def test_nothing_is_reached_from_outside(deployed: Deployed) -> None:
    ec2 = deployed.client("ec2")
    [vpc] = [v for v in ec2.describe_vpcs()["Vpcs"] if v["CidrBlock"] == "10.40.0.0/16"]
    asked = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    subnets = ec2.describe_subnets(Filters=asked)["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 2
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    endpoints = ec2.describe_vpc_endpoints(Filters=asked)["VpcEndpoints"]
    services = {endpoint["ServiceName"].rpartition(".")[2] for endpoint in endpoints}
    assert {"s3", "glue", "athena", "kms", "sqs", "sns"} <= services


def test_backups_are_made(deployed: Deployed) -> None:
    backup = deployed.client("backup")
    [plan] = backup.list_backup_plans()["BackupPlansList"]
    assert plan["BackupPlanName"].startswith("lakehouse-prod")


def test_the_same_release_changes_nothing(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    apply(deployed.release)
    told = capsys.readouterr().out.splitlines()
    assert told
    assert all(line.endswith(": nothing changes") for line in told), told


# ----------------------------------------------------------------------------------- the page


_EXACT = (
    "test_first_deployment.py",
    "test_orchestration.py",
    "test_rights.py",
    "test_templates.py",
)


def test_the_page_says_how_far_each_type_was_tried(written: dict[str, Templates]) -> None:
    """Every type, with how many prod and dev have of it, and what was done with prod's."""
    here = Path(__file__)
    exact = "".join(here.with_name(name).read_text() for name in _EXACT)
    prod, dev = (
        Counter(resource["Type"] for *_, resource in written[name].resources())
        for name in ("prod", "dev")
    )
    kinds = {r["Type"] for templates in written.values() for *_, r in templates.resources()}
    assert kinds == {*prod, *dev}  # of all environments
    wanted = {
        kind.removeprefix("AWS::"): (
            str(prod[kind]),
            str(dev[kind]),
            "yes" if f'"{kind}"' in exact else "",
            "yes" if prod[kind] and kind not in UNKNOWN else "",
        )
        for kind in kinds
    }
    page = (here.parents[2] / "docs" / "deployment.md").read_text()
    row = r"^\| `(\w+::\w+)` \| (\d+) \| (\d+) \| (\w*) ?\| (\w*) ?\|$"
    rows = re.findall(row, page, re.MULTILINE)
    assert {kind: tuple(told) for kind, *told in rows} == wanted
