"""What the templates say, exactly; what linters say of them; and what one column changes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.cdk.config import ENVIRONMENTS
from deploy.cdk.names import WILDCARDS
from lakehouse_assets.queries.named import named_queries
from lakehouse_assets.queries.named import tables as named_tables
from lakehouse_assets.tables.glue_entries import REGISTERED, database_inputs, table_input
from lakehouse_assets.tables.registry import DATASETS, DERIVED, queryable, table_ids
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.templates import Templates, listed, text

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

CHECKOV = PROJECT / ".venv-checkov" / "bin" / "checkov"
LINT_ACCEPTED = {
    "W3005": "CDK says twice what comes before what.",
    "W6001": "What a release's smoke batch must know is told by one stack, whosever it is.",
    "W3691": "It lists whole versions; the database is given the major one, and AWS the minor.",
}
CHECKOV_ACCEPTED = {
    ("CKV_AWS_18", "AWS::S3::Bucket.AccessLogs"): "Its own access log would fill itself.",
    ("CKV_AWS_18", "AWS::S3::Bucket.Accesslogs"): "The same, in the other region.",
    ("CKV_AWS_18", "AWS::S3::Bucket.Records"): "The trail records who reads it.",
    ("CKV_AWS_157", "AWS::RDS::DBInstance.Database"): "Of dev alone: what is lost is made anew.",
    ("CKV_AWS_118", "AWS::RDS::DBInstance.Database"): "Its figures each minute suffice.",
    ("CKV_AWS_161", "AWS::RDS::DBInstance.Database"): "Dagster knows passwords only.",
    ("CKV_AWS_65", "AWS::ECS::Cluster.Tasks"): "Of dev alone: its metrics cost as much as a task.",
    **{
        ("CKV_AWS_336", f"AWS::ECS::TaskDefinition.Task{service}"): "The way in alone: the agent "
        "of Session Manager writes beside its program."
        for service in ("dagster", "webserver")
    },
    ("CKV_AWS_333", "AWS::ECS::Service.Servicedagster"): "Of dev alone: no group lets anybody in.",
}

every = pytest.mark.parametrize("name", ENVIRONMENTS)
guarded = pytest.mark.parametrize("name", [n for n, e in ENVIRONMENTS.items() if e.guarded])
frugal = pytest.mark.parametrize("name", [n for n, e in ENVIRONMENTS.items() if not e.guarded])


@pytest.fixture
def found(written: dict[str, Templates], name: str) -> Templates:
    return written[name]


# ------------------------------------------------------------------------------------- linters


@every
def test_every_finding_of_the_policy_check_is_mended_or_acknowledged(
    found: Templates, counted: Callable[[str], None]
) -> None:
    report = json.loads((found.folder / "validation-report.json").read_text())
    assert report["pluginReports"] == []  # what is not acknowledged fails the writing
    acknowledged = sum("cdk_nag" in r.get("Metadata", {}) for *_, r in found.resources())
    assert acknowledged
    told = Counter(resource["Type"] for *_, resource in found.resources())
    counted(
        f"{found.name}: {sum(told.values())} resources of {len(told)} types; policy check clean, "
        f"with findings acknowledged at {acknowledged}"
    )


@every
def test_the_templates_are_valid(found: Templates) -> None:
    """By cfn-lint's schemas of every property."""
    from cfnlint.api import lint_file  # here: `make test` collects this file without it

    problems = [
        str(match)
        for stack in found.stacks
        for match in lint_file(stack.template)
        if match.rule.id not in LINT_ACCEPTED
    ]
    assert problems == []


@every
def test_checkov_finds_nothing_but_what_is_accepted(
    found: Templates, counted: Callable[[str], None]
) -> None:
    done = subprocess.run(
        [CHECKOV, "--framework", "cloudformation", "--compact", "--quiet", "-o", "json",
         *(part for stack in found.stacks for part in ("-f", str(stack.template)))],
        capture_output=True, text=True, check=False, env={**os.environ, "LOG_LEVEL": "CRITICAL"},
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["summary"]["parsing_errors"] == 0
    assert told["summary"]["passed"] > 300
    failed = {
        (f["check_id"], re.sub(r"[0-9A-F]{8}$", "", f["resource"]))
        for f in told["results"]["failed_checks"]
    }
    assert failed - {*CHECKOV_ACCEPTED} == set()
    counted(f"{found.name}: checkov {told['summary']['passed']} passed, {len(failed)} accepted")


@every
def test_no_wildcard_without_a_reason(found: Templates) -> None:
    """In a role's policy the reason is an acknowledgement; elsewhere it is metadata."""
    for part, logical, resource in found.resources():
        properties = resource.get("Properties", {})
        document = properties.get("PolicyDocument") or properties.get("KeyPolicy") or {}
        for statement in document.get("Statement", ()):
            allowed = statement["Effect"] == "Allow"
            if not allowed or not any("*" in text(a) for a in listed(statement["Action"])):
                continue
            reasons = json.dumps(resource.get("Metadata", {}))
            assert WILDCARDS in reasons or "IAM5" in reasons, (part, logical, statement)


# ---------------------------------------------------------------------------------- exact words


@every
def test_buckets(found: Templates) -> None:
    """Encrypted by their key, private, versioned, logged, copied, and cleaned up as reckoned."""
    settings = ENVIRONMENTS[found.name]
    for zone, rules, copied in (
        ("raw", {"old-versions", "cold"}, True),
        ("processed", {"old-versions", "expire-stage", "expire-athena_queries"}, True),
        ("deployment", {"old-versions", "expire-pipes"}, True),
    ):
        name = f"lakehouse-{found.name}-{zone}-<AWS::AccountId>"
        bucket = found.named("foundation", "AWS::S3::Bucket", "BucketName")[name]
        [encryption] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert encryption["BucketKeyEnabled"]
        assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["LoggingConfiguration"]["LogFilePrefix"] == f"s3/{zone}/"
        lifecycle = {r["Id"]: r for r in bucket["LifecycleConfiguration"]["Rules"]}
        assert set(lifecycle) == rules
        kept = lifecycle["old-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"]
        assert kept == settings.old_version_days >= 30
        rules_of_copies = bucket["ReplicationConfiguration"]["Rules"]
        assert copied
        assert {r["Status"] for r in rules_of_copies} == {"Enabled"}
        assert {r["DeleteMarkerReplication"]["Status"] for r in rules_of_copies} == {"Disabled"}
        targets = {text(r["Destination"]["Bucket"]) for r in rules_of_copies}
        replica = f"lakehouse-{found.name}-{zone}-replica-<AWS::AccountId>"
        assert targets == {f"arn:<AWS::Partition>:s3:::{replica}"}
        assert replica in found.named("replica", "AWS::S3::Bucket", "BucketName")
    raw = found.named("foundation", "AWS::S3::Bucket", "BucketName")[
        f"lakehouse-{found.name}-raw-<AWS::AccountId>"
    ]
    told = raw["NotificationConfiguration"]["EventBridgeConfiguration"]
    assert told == {"EventBridgeEnabled": True}
    assert all(k["EnableKeyRotation"] for k in found.all("foundation", "AWS::KMS::Key"))


@guarded
def test_jobs_are_as_large_as_their_contracts_say(found: Templates) -> None:
    jobs = found.named("processing", "AWS::Glue::Job", "Name")
    tables = [t for d in DATASETS.values() for t in (d.bronze, d.silver)]
    tables += [t.table for t in DERIVED.values()]
    prefix = f"lakehouse-{found.name}-"
    assert set(jobs) == {prefix + name.replace(".", "-") for name in table_ids()}
    for table in tables:
        job = jobs[prefix + table.id.replace(".", "-")]
        assert job["GlueVersion"] == "6.0"
        assert job["WorkerType"] == table.capacity.worker_type
        assert job["NumberOfWorkers"] == table.capacity.workers
        assert job["Timeout"] == table.capacity.timeout_minutes
        assert (job["ExecutionProperty"], job["MaxRetries"]) == ({"MaxConcurrentRuns": 1}, 0)
        assert job["SecurityConfiguration"] == f"lakehouse-{found.name}-glue"
        assert len(job["Connections"]["Connections"]) == ENVIRONMENTS[found.name].zones


@guarded
def test_jobs_write_their_own_tables_only(found: Templates) -> None:
    policies = [
        (text(policy["Roles"][0]), policy["PolicyDocument"]["Statement"])
        for policy in found.all("processing", "AWS::IAM::Policy")
    ]
    of_jobs = [(role, statements) for role, statements in policies if "standby" not in role]
    assert len(of_jobs) == len(table_ids())
    for _, statements in (it for it in policies if it not in of_jobs):
        asked = {a for s in statements for a in listed(s["Action"])}
        assert not {a for a in asked if a.startswith(("s3:", "kms:"))}  # they start jobs
    for role, statements in of_jobs:
        written = {
            re.sub(r".*:::[^/]+/", "", text(resource))
            for statement in statements
            if "s3:DeleteObject" in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        }
        own = {key for key in written if key.split("/")[0] in {"bronze", "silver", "gold", "mart"}}
        assert len(own) == 1, role
        assert {"ledger/*", "receipts/*"} < written
        asked = {a for s in statements for a in listed(s["Action"])}
        assert not {a for a in asked if a.endswith("*")}, role


@every
def test_the_catalog_is_the_contracts(found: Templates) -> None:
    """What CloudFormation makes is what the product registers, but for its note of that."""
    tables = {
        (t["DatabaseName"], t["TableInput"]["Name"]): t["TableInput"]
        for t in found.all("catalog", "AWS::Glue::Table")
    }
    assert len(tables) == len(named_tables())
    lake = Settings().lake()
    for name, table in named_tables().items():
        wanted = table_input(name, table, "s3://bucket/folder")
        del wanted["Parameters"][REGISTERED]
        mine = tables[f"lakehouse_{found.name}_{table.layer}", wanted["Name"]]
        descriptor = mine["StorageDescriptor"]
        place = text(descriptor["Location"])
        assert place.partition(">/")[2] == lake.path(table)
        assert text(descriptor["SerdeInfo"]["Parameters"]["path"]) == place
        descriptor = {**descriptor, "Location": "s3://bucket/folder"}
        info = descriptor["SerdeInfo"]
        descriptor["SerdeInfo"] = {
            **info, "Parameters": {**info["Parameters"], "path": "s3://bucket/folder"}
        }  # fmt: skip
        assert {**mine, "StorageDescriptor": descriptor} == wanted
    databases = {
        d["DatabaseInput"]["Name"]: d["DatabaseInput"]
        for d in found.all("catalog", "AWS::Glue::Database")
    }
    prefix = f"lakehouse_{found.name}_"
    registered = {d["Name"] for d in database_inputs(named_tables(), prefix).values()}
    assert set(databases) == registered | {f"{prefix}views", f"{prefix}raw_files"}
    [crawler] = found.all("catalog", "AWS::Glue::Crawler")
    assert crawler["DatabaseName"] == f"lakehouse_{found.name}_raw_files"
    assert crawler["SchemaChangePolicy"] == {"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"}


@every
def test_analysts_see_no_restricted_column(found: Templates) -> None:
    """Lake Formation decides: of registered places, of tables that are not everybody's."""
    permissions = found.all("analysts", "AWS::LakeFormation::PrincipalPermissions")
    sees = [p for p in permissions if "TableWithColumns" in p["Resource"]]
    tables = {n: t for n, t in queryable().items() if t.layer in {"silver", "gold", "mart"}}
    assert len(sees) == len(tables)
    databases = found.all("catalog", "AWS::Glue::Database")
    by_iam = {
        d["DatabaseInput"]["Name"].removeprefix(f"lakehouse_{found.name}_")
        for d in databases
        if d["DatabaseInput"].get("CreateTableDefaultPermissions") != []
    }
    assert by_iam == {
        "bronze", "rejected", "superseded", "history", "ledger", "views", "raw_files",
    }  # fmt: skip
    places = {
        text(r["ResourceArn"]).rpartition("/")[2]
        for r in found.all("analysts", "AWS::LakeFormation::Resource")
    }
    assert places == {"silver", "gold", "mart"}
    for permission in sees:
        of = permission["Resource"]["TableWithColumns"]
        layer = of["DatabaseName"].rsplit("_", 1)[1]
        columns = set(tables[f"{layer}.{of['Name']}"].names)
        hidden = set(of["ColumnWildcard"].get("ExcludedColumnNames", ()))
        assert hidden == columns & {"user_id"}
        assert permission["Permissions"] == ["SELECT"]
        assert permission["Principal"] == {
            "DataLakePrincipalIdentifier": {"Fn::GetAtt": ["Analysts9E5870EE", "Arn"]}
        }


def test_every_column_type_is_one_of_sparks(
    written: dict[str, Templates], spark: SparkSession
) -> None:
    kinds = {
        column["Type"]
        for table in written["prod"].all("catalog", "AWS::Glue::Table")
        for column in [
            *table["TableInput"]["StorageDescriptor"]["Columns"],
            *table["TableInput"].get("PartitionKeys", ()),
        ]
    }
    assert len(kinds) > 5
    for kind in kinds:
        [field] = spark.createDataFrame([], f"c {kind}").schema.fields
        assert field.dataType.simpleString() == kind


@every
def test_alarms_have_the_contracts_thresholds(found: Templates) -> None:
    alarms = found.named("watch", "AWS::CloudWatch::Alarm", "AlarmName")
    for dataset in DATASETS.values():
        share = dataset.hold.share
        name = f"lakehouse-{found.name}-error-rate-silver-{dataset.name}"
        assert alarms[name]["Threshold"] == share
        alarm = alarms[name]
        assert (alarm["Namespace"], alarm["MetricName"]) == ("Lakehouse", "ErrorRate")
        assert {d["Name"]: d["Value"] for d in alarm["Dimensions"]} == {
            "Table": f"silver.{dataset.name}",
            "Environment": found.name,
        }
        quality = alarms[f"lakehouse-{found.name}-quality-silver-{dataset.name}"]
        assert quality["Threshold"] == pytest.approx(1 - share)
        assert quality["ComparisonOperator"] == "LessThanThreshold"
    assert all(alarm["AlarmActions"] for alarm in alarms.values())
    boards = found.all("watch", "AWS::CloudWatch::Dashboard")
    assert len(boards) == 2


@every
def test_athena_asks_what_the_product_asks(found: Templates) -> None:
    queries = found.named("query", "AWS::Athena::NamedQuery", "Name")
    assert {n: q["Description"] for n, q in queries.items()} == {
        n: q.purpose for n, q in named_queries().items()
    }
    groups = found.named("query", "AWS::Athena::WorkGroup", "Name")
    places = {}
    for name, workgroup in groups.items():
        told = workgroup["WorkGroupConfiguration"]
        assert told["EnforceWorkGroupConfiguration"]
        places[name] = text(told["ResultConfiguration"]["OutputLocation"]).partition(">/")[2]
        encryption = told["ResultConfiguration"]["EncryptionConfiguration"]
        assert encryption["EncryptionOption"] == "SSE_KMS"
    assert places == {
        f"lakehouse-{found.name}-lakehouse": "athena_queries/",
        f"lakehouse-{found.name}-analysts": "athena_queries/analysts/",
    }


@every
def test_protection(found: Templates) -> None:
    """A backup each day."""
    [vault] = found.all("protection", "AWS::Backup::BackupVault")
    assert "key" in text(vault["EncryptionKeyArn"]).lower()
    assert ("AccessPolicy" in vault) == ENVIRONMENTS[found.name].guarded
    for denied in vault.get("AccessPolicy", {}).get("Statement", ()):
        assert denied["Effect"] == "Deny"
        assert "backup:DeleteRecoveryPoint" in denied["Action"]
    [selection] = found.all("protection", "AWS::Backup::BackupSelection")
    kept = {text(it) for it in selection["BackupSelection"]["Resources"]}
    assert len(kept) == 3  # the database, and the two buckets that nothing else brings back
    [plan] = found.all("protection", "AWS::Backup::BackupPlan")
    [rule] = plan["BackupPlan"]["BackupPlanRule"]
    days = ENVIRONMENTS[found.name].backup_days
    assert rule["Lifecycle"] == {"DeleteAfterDays": days}
    assert rule["ScheduleExpression"] == "cron(0 5 * * ? *)"


@guarded
def test_nothing_leads_to_the_internet(found: Templates) -> None:
    kinds = {resource["Type"] for *_, resource in found.resources()}
    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway"}
    for endpoint in found.all("network", "AWS::EC2::VPCEndpoint"):
        for statement in endpoint["PolicyDocument"]["Statement"]:
            ours = statement.get("Condition", {}).get("StringEquals", {})
            layers = "starport-layer-bucket" in text(statement["Resource"])
            assert ours == {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}} or layers

    for rule in found.all("network", "AWS::EC2::SecurityGroupIngress"):
        assert "SourceSecurityGroupId" in rule
    for rule in found.all("network", "AWS::EC2::SecurityGroupEgress"):
        assert "DestinationSecurityGroupId" in rule or "DestinationPrefixListId" in rule
    subnets = found.all("network", "AWS::EC2::Subnet")
    assert len(subnets) == ENVIRONMENTS[found.name].zones
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    [flows] = found.all("network", "AWS::EC2::FlowLog")
    assert (flows["ResourceType"], flows["TrafficType"]) == ("VPC", "ALL")


@frugal
def test_nobody_comes_in_where_a_way_leads_out(found: Templates) -> None:
    """Tasks have addresses, and no group lets anybody in but the tasks to their database."""
    subnets = {
        (s["MapPublicIpOnLaunch"], next(t["Value"] for t in s["Tags"] if "subnet-name" in t["Key"]))
        for s in found.all("network", "AWS::EC2::Subnet")
    }
    assert subnets == {(False, "tasks"), (False, "private")}
    routes = found.all("network", "AWS::EC2::Route")
    assert {r["DestinationCidrBlock"] for r in routes} == {"0.0.0.0/0"}
    tables = {r["RouteTableId"]["Ref"] for r in routes}
    assert all("tasksSubnet" in table for table in tables)  # the private ones have none
    [database] = found.all("database", "AWS::RDS::DBSubnetGroup")
    assert all("privateSubnet" in json.dumps(s) for s in database["SubnetIds"])
    endpoints = found.all("network", "AWS::EC2::VPCEndpoint")
    assert [e["VpcEndpointType"] for e in endpoints] == ["Gateway"]
    for part in ("network", "database", "orchestration"):
        for group in found.all(part, "AWS::EC2::SecurityGroup"):
            assert "SecurityGroupIngress" not in group
    lets_in = [
        rule
        for part in ("network", "database", "orchestration")
        for rule in found.all(part, "AWS::EC2::SecurityGroupIngress")
    ]
    assert [(r["FromPort"], "SourceSecurityGroupId" in r) for r in lets_in] == [(5432, True)]
    kinds = {resource["Type"] for *_, resource in found.resources()}
    assert not {k for k in kinds if "NatGateway" in k or "LoadBalancing" in k}
    [flows] = found.all("network", "AWS::EC2::FlowLog")
    assert (flows["ResourceType"], flows["TrafficType"]) == ("VPC", "ALL")


@frugal
def test_people_are_told_where_a_month_costs_more(found: Templates) -> None:
    settings = ENVIRONMENTS[found.name]
    [budget] = found.all("watch", "AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": settings.budget_usd, "Unit": "USD"}
    told = {
        (n["Notification"]["NotificationType"], n["Notification"]["Threshold"]): [
            s["Address"] for s in n["Subscribers"]
        ]
        for n in budget["NotificationsWithSubscribers"]
    }
    assert told == {(k, p): [*settings.people] for k, p in (("ACTUAL", 80), ("FORECASTED", 100))}


@every
def test_messages_are_encrypted_and_none_is_lost(found: Templates) -> None:
    """What the queue cannot deliver is kept, and everybody who is to know is told."""
    queues = found.named("events", "AWS::SQS::Queue", "QueueName")
    dead = queues.pop(f"lakehouse-{found.name}-hints-dead-letters")
    assert dead["MessageRetentionPeriod"] == 14 * 24 * 3600
    [hints] = queues.values()
    assert "deadLetterTargetArn" in hints["RedrivePolicy"]
    topics = found.named("events", "AWS::SNS::Topic", "TopicName")
    assert {name.removeprefix(f"lakehouse-{found.name}-") for name in topics} == {
        "success", "failure", "data-quality", "delay"
    }  # fmt: skip
    assert all(it["KmsMasterKeyId"] for it in (dead, hints, *topics.values()))
    people = found.all("events", "AWS::SNS::Subscription")
    assert {it["Endpoint"] for it in people} == set(ENVIRONMENTS[found.name].people)
    assert len(people) == len(topics) * len(ENVIRONMENTS[found.name].people)
    [landed] = [
        rule
        for rule in found.all("events", "AWS::Events::Rule")
        if rule["EventPattern"]["source"] == ["aws.s3"]
    ]
    keys = landed["EventPattern"]["detail"]["object"]["key"]
    assert {it["prefix"] for it in keys} == {f"{dataset}/" for dataset in DATASETS}
    [target] = landed["Targets"]
    assert target["DeadLetterConfig"]


@every
def test_nothing_is_written_in_the_clear(found: Templates) -> None:
    """Logs, what jobs write, images; and no bucket answers without TLS."""
    for part in ("foundation", "replica"):
        policies = found.all(part, "AWS::S3::BucketPolicy")
        assert len(policies) == len(found.all(part, "AWS::S3::Bucket"))
        for policy in policies:
            conditions = [it.get("Condition") for it in policy["PolicyDocument"]["Statement"]]
            assert {"Bool": {"aws:SecureTransport": "false"}} in conditions
    settings = ENVIRONMENTS[found.name]
    groups = [
        it
        for _, _, r in found.resources()
        if r["Type"] == "AWS::Logs::LogGroup"
        for it in [r["Properties"]]
    ]
    assert all(group["KmsKeyId"] for group in groups)
    trail = f"/lakehouse/{found.name}/trail"
    days = {text(g["LogGroupName"]): g["RetentionInDays"] for g in groups}
    assert days.pop(trail, settings.audit_days) == settings.audit_days
    assert set(days.values()) == {settings.log_days}
    # What a service would make by itself, to be kept for ever.
    database = f"/aws/rds/instance/lakehouse-{found.name}-dagster"
    crawls = f"/aws-glue/crawlers-role/lakehouse-{found.name}-crawler-lakehouse-{found.name}-glue"
    assert {f"{database}/postgresql", f"{database}/upgrade", crawls} <= {*days}
    [glue] = found.all("foundation", "AWS::Glue::SecurityConfiguration")
    told = glue["EncryptionConfiguration"]
    assert told["CloudWatchEncryption"]["CloudWatchEncryptionMode"] == "SSE-KMS"
    assert told["JobBookmarksEncryption"]["JobBookmarksEncryptionMode"] == "CSE-KMS"
    assert [it["S3EncryptionMode"] for it in told["S3Encryptions"]] == ["SSE-KMS"]
    [images] = found.all("registry", "AWS::ECR::Repository")
    assert images["ImageTagMutability"] == "IMMUTABLE"
    assert images["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert images["EncryptionConfiguration"]["EncryptionType"] == "KMS"


# ------------------------------------------------------------------------------------ one column

_WITH_A_COLUMN = """
import dataclasses, sys
from pathlib import Path
import aws_cdk as cdk
from deploy.cdk.app import CONTEXT
from deploy.cdk.catalog import Catalog
from deploy.cdk.config import ENVIRONMENTS
from deploy.cdk.foundation import Foundation
from lakehouse_assets.tables.contract import Column
from lakehouse_assets.tables.registry import DATASETS

if sys.argv[2] == "more":
    before = DATASETS["products"]
    column = Column(name="colour", type="STRING", description="Its colour.")
    DATASETS["products"] = dataclasses.replace(before, columns=(*before.columns, column))
app = cdk.App(outdir=sys.argv[1], context=CONTEXT)
dev = ENVIRONMENTS["dev"]
Catalog(app, dev, Foundation(app, dev))
app.synth()
"""


def test_one_column_is_one_edit(tmp_path: Path, counted: Callable[[str], None]) -> None:
    """A column in one contract adds itself to its tables' entries, and changes nothing else."""
    columns = {}
    for which in ("as it is", "more"):
        out = tmp_path / which
        program = [sys.executable, "-O", "-c", _WITH_A_COLUMN, str(out), which]
        done = subprocess.run(program, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        template = json.loads((out / "lakehouse-dev-catalog.template.json").read_text())
        columns[which] = {
            f"{r['Properties']['DatabaseName']}.{r['Properties']['TableInput']['Name']}": [
                (c["Name"], c["Type"], c.get("Comment"))
                for c in r["Properties"]["TableInput"]["StorageDescriptor"].pop("Columns")
            ]
            for r in template["Resources"].values()
            if r["Type"] == "AWS::Glue::Table"
        }
        columns[f"{which}, rest"] = template
    assert columns["as it is, rest"] == columns["more, rest"]
    more = {
        name: [c for c in found if c not in columns["as it is"][name]]
        for name, found in columns["more"].items()
    }
    new = ("colour", "string", "Its colour.")
    layers = ("bronze", "history", "rejected", "silver")  # what is superseded has places only
    changed = {name: added for name, added in more.items() if added}
    assert {n: [c[:2] for c in added] for n, added in changed.items()} == {
        f"lakehouse_dev_{layer}.products": [new[:2]] for layer in layers
    }
    assert changed["lakehouse_dev_silver.products"] == [new]
    for name in changed:
        counted(f"one column in one contract: + {name}: {new[0]} {new[1]}")
