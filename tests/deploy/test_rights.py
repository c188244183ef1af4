"""Who may do what, where a right was missing or too many: by the words of each policy.

Nothing here evaluates policies: these are the rights that AWS's documentation asks for, each at
the place that it names.
"""

from __future__ import annotations

from typing import Any

import pytest

from deploy.cdk import names
from deploy.cdk.config import ENVIRONMENTS
from lakehouse_assets.queries.named import VIEWS, tables
from lakehouse_assets.tables.glue_entries import database_inputs
from lakehouse_assets.tables.registry import DATASETS, table_ids
from tests.support.templates import Templates, listed, text

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

every = pytest.mark.parametrize("name", ENVIRONMENTS)
guarded = pytest.mark.parametrize("name", [n for n, e in ENVIRONMENTS.items() if e.guarded])


@pytest.fixture
def found(written: dict[str, Templates], name: str) -> Templates:
    return written[name]


def may(found: Templates, part: str, role: str) -> dict[str, list[dict[str, Any]]]:
    """What a role may, by action: the statements, with their resources as text."""
    resources = found.part(part)["Resources"]
    name = f"lakehouse-{found.name}-{role}"
    allowed: dict[str, list[dict[str, Any]]] = {}
    for policy in (r["Properties"] for r in resources.values() if r["Type"] == "AWS::IAM::Policy"):
        roles = [text(resources[r["Ref"]]["Properties"]["RoleName"]) for r in policy["Roles"]]
        for statement in policy["PolicyDocument"]["Statement"] if roles == [name] else ():
            told = {**statement, "Resource": {text(r) for r in listed(statement["Resource"])}}
            for action in listed(statement["Action"]):
                allowed.setdefault(action, []).append(told)
    assert allowed, name
    return allowed


def glue(found: Templates, kind: str, name: str) -> str:
    region = ENVIRONMENTS[found.name].region
    return f"arn:<AWS::Partition>:glue:{region}:<AWS::AccountId>:{kind}/{name}"


# ---------------------------------------------------------------------------------- the catalog


@every
def test_a_run_may_do_to_each_database_what_the_catalog_asset_does(found: Templates) -> None:
    run = may(found, "orchestration", "dagster-run")
    prefix = f"lakehouse_{found.name}_"
    databases = {d["Name"] for d in database_inputs(tables(), prefix).values()}
    assert {d.removeprefix(prefix) for d in databases} == {
        "bronze", "silver", "gold", "mart", "rejected", "superseded", "history", "ledger",
    }  # fmt: skip
    for action in ("CreateDatabase", "DeleteDatabase", "UpdateDatabase", "CreateTable",
                   "DeleteTable", "GetTables", "UpdateTable"):  # fmt: skip
        [statement] = run[f"glue:{action}"]
        of = {r for r in statement["Resource"] if ":database/" in r}
        assert of == {glue(found, "database", d) for d in {*databases, f"{prefix}{VIEWS}"}}, action
        for kind in ("table", "userDefinedFunction"):
            inside = {r for r in statement["Resource"] if f":{kind}/" in r}
            assert inside == {glue(found, kind, f"{d}/*") for d in {*databases, f"{prefix}{VIEWS}"}}
    # Listing them, and Athena's look at `default`, ask for every database.
    assert any(glue(found, "database", "*") in s["Resource"] for s in run["glue:GetDatabases"])
    assert any(glue(found, "database", "*") in s["Resource"] for s in run["glue:GetDatabase"])


@every
def test_a_run_goes_on_where_lake_formation_decides(found: Templates) -> None:
    assert may(found, "orchestration", "dagster-run")["lakeformation:GetDataAccess"]
    granted: dict[str, set[tuple[str, ...]]] = {}
    for permission in found.all("analysts", "AWS::LakeFormation::PrincipalPermissions"):
        who = text(permission["Principal"]["DataLakePrincipalIdentifier"]).rpartition("/")[2]
        if table := permission["Resource"].get("Table"):
            assert table["TableWildcard"] == {}
            granted.setdefault(who, set()).add(
                (table["DatabaseName"].rpartition("_")[2], *permission["Permissions"])
            )
        elif database := permission["Resource"].get("Database"):
            granted.setdefault(who, set()).add(
                (database["Name"].rpartition("_")[2], *permission["Permissions"])
            )
        elif place := permission["Resource"].get("DataLocation"):
            assert permission["Permissions"] == ["DATA_LOCATION_ACCESS"]
            layer = text(place["ResourceArn"]).rpartition("/")[2]
            granted.setdefault(who, set()).add((layer,))
    changes = ("ALTER", "DESCRIBE", "DROP")
    # Whatever an account says of new databases and their tables: a run makes tables in each.
    layers = {
        it["DatabaseInput"]["Name"].rpartition("_")[2]
        for it in found.all("catalog", "AWS::Glue::Database")
    } - {"files"}
    assert {"ledger", "rejected", "views", *names.BY_COLUMN} < layers
    assert granted == {
        f"lakehouse-{found.name}-dagster-run": {
            *((layer,) for layer in names.BY_COLUMN),
            *((layer, "ALTER", "CREATE_TABLE", "DESCRIBE") for layer in layers),
            *((layer, *changes, "SELECT") for layer in layers),
        },
        f"lakehouse-{found.name}-cloudformation": {
            *((layer,) for layer in names.BY_COLUMN),
            *((layer, *changes) for layer in names.BY_COLUMN),
        },
    }  # fmt: skip


# --------------------------------------------------------------------------------- the analysts


@every
def test_analysts_can_ask_and_read_no_object_but_their_answers(found: Templates) -> None:
    analysts = may(found, "analysts", "analysts")
    region = ENVIRONMENTS[found.name].region
    groups = f"arn:<AWS::Partition>:athena:{region}:<AWS::AccountId>:workgroup/lakehouse"
    [start] = analysts["athena:StartQueryExecution"]
    assert start["Resource"] == {f"{groups}-{found.name}-analysts"}
    assert {
        "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup",
        "athena:GetDataCatalog", "athena:GetTableMetadata", "athena:ListDatabases",
        "glue:GetDatabase", "glue:GetTable", "glue:GetTables", "glue:GetPartitions",
        "lakeformation:GetDataAccess", "s3:GetBucketLocation", "s3:ListBucket",
        "kms:Decrypt", "kms:GenerateDataKey",
    } <= set(analysts)  # fmt: skip
    prefix = f"lakehouse_{found.name}_"
    [find] = analysts["glue:GetTable"]
    assert {r.rpartition("database/")[2] for r in find["Resource"] if ":database/" in r} == {
        *(f"{prefix}{layer}" for layer in names.BY_COLUMN), f"{prefix}views", "default"
    }  # fmt: skip
    # With a right of their own on the tables' objects, no column would be hidden.
    answers = (
        f"arn:<AWS::Partition>:s3:::lakehouse-{found.name}-processed-<AWS::AccountId>"
        "/athena_queries/analysts/*"
    )
    for action in ("s3:GetObject", "s3:PutObject"):
        [statement] = analysts[action]
        assert statement["Resource"] == {answers}
    assert not {a for a in analysts if a.startswith("s3:") and "Delete" in a}
    for action in ("s3:ListBucket", "s3:ListBucketMultipartUploads"):
        [listing] = analysts[action]
        assert listing["Condition"] == {
            "StringLike": {"s3:prefix": ["athena_queries/analysts/", "athena_queries/analysts/*"]}
        }


@every
def test_lake_formation_reads_the_registered_places(found: Templates) -> None:
    reads = may(found, "analysts", "lakeformation")
    bucket = f"arn:<AWS::Partition>:s3:::lakehouse-{found.name}-processed-<AWS::AccountId>"
    [objects] = reads["s3:GetObject"]
    assert objects["Resource"] == {f"{bucket}/{layer}/*" for layer in names.BY_COLUMN}
    assert {"kms:Decrypt", "s3:ListBucket"} < set(reads)
    [role] = [
        r
        for r in found.all("analysts", "AWS::IAM::Role")
        if r["RoleName"] == f"lakehouse-{found.name}-lakeformation"
    ]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "lakeformation.amazonaws.com"}


# ------------------------------------------------------------------------------------- messages


@every
def test_alarms_and_findings_reach_the_topics(found: Templates) -> None:
    """The policy that refuses plain HTTP takes the place of the default: it must allow, too."""
    environment = ENVIRONMENTS[found.name]
    topics = found.part("events")["Resources"]
    here = f"arn:<AWS::Partition>:{{}}:{environment.region}:<AWS::AccountId>"
    publishers: dict[str, dict[str, Any]] = {}
    for policy in found.all("events", "AWS::SNS::TopicPolicy"):
        [topic] = policy["Topics"]
        name = topics[topic["Ref"]]["Properties"]["TopicName"]
        statements = policy["PolicyDocument"]["Statement"]
        denied = [s for s in statements if s["Effect"] == "Deny"]
        assert [s["Condition"] for s in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]
        publishers[name.removeprefix(f"lakehouse-{found.name}-")] = {
            s["Principal"]["Service"]: s for s in statements if s["Effect"] == "Allow"
        }
    services = {"cloudwatch.amazonaws.com"}
    assert {n: set(p) for n, p in publishers.items()} == {
        "success": services,
        "delay": services,
        "data-quality": services,
        "failure": services | ({"events.amazonaws.com"} if environment.account_guards else set()),
    }
    for those in publishers.values():
        alarms = those["cloudwatch.amazonaws.com"]
        assert alarms["Action"] == "sns:Publish"
        source = alarms["Condition"]["ArnLike"]["aws:SourceArn"]
        assert text(source) == f"{here.format('cloudwatch')}:alarm:lakehouse-{found.name}-*"
        assert text(alarms["Condition"]["StringEquals"]["aws:SourceAccount"]) == "<AWS::AccountId>"
    if rule := publishers["failure"].get("events.amazonaws.com"):
        [findings] = found.all("guards", "AWS::Events::Rule")
        source = text(rule["Condition"]["ArnEquals"]["aws:SourceArn"])
        assert source == f"{here.format('events')}:rule/{findings['Name']}"


@every
def test_the_messages_key_serves_who_sends_messages(found: Templates) -> None:
    """EventBridge names no source to KMS: with a condition, nothing of its reaches the queue."""
    keys = found.all("foundation", "AWS::KMS::Key")
    [key] = [k for k in keys if k["Description"] == "Encrypts queues and topics."]
    services = {
        s["Principal"]["Service"]: s
        for s in key["KeyPolicy"]["Statement"]
        if "Service" in s["Principal"]
    }
    assert set(services) == {"events.amazonaws.com", "cloudwatch.amazonaws.com"}
    assert "Condition" not in services["events.amazonaws.com"]
    assert services["cloudwatch.amazonaws.com"]["Condition"]
    for statement in services.values():
        assert {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(statement["Action"])


# ----------------------------------------------------------------------------------------- jobs


@guarded
def test_a_job_s_logs_are_where_they_end_some_day(found: Templates) -> None:
    """In groups that are there before it runs, under the names that Glue gives them."""
    groups = {
        text(g["LogGroupName"]): g["RetentionInDays"]
        for g in found.all("processing", "AWS::Logs::LogGroup")
    }
    prefix = f"/lakehouse/{found.name}/glue"
    jobs = found.named("processing", "AWS::Glue::Job", "Name")
    roles = found.part("processing")["Resources"]
    wanted = set()
    for job in jobs.values():
        assert job["DefaultArguments"]["--custom-logGroup-prefix"] == prefix
        role = roles[job["Role"]["Fn::GetAtt"][0]]["Properties"]["RoleName"]
        wanted |= {
            f"{prefix}/{job['SecurityConfiguration']}-role/{role}/{kind}"
            for kind in ("error", "output")
        }
    assert set(groups) == wanted
    assert len(wanted) == 2 * len(table_ids())
    assert set(groups.values()) == {ENVIRONMENTS[found.name].log_days}
    region = ENVIRONMENTS[found.name].region
    place = f"arn:<AWS::Partition>:logs:{region}:<AWS::AccountId>:log-group:{prefix}/*"
    for table in table_ids():
        [write] = may(found, "processing", f"job-{table.replace('.', '-')}"[:50])[
            "logs:PutLogEvents"
        ]
        assert write["Resource"] == {place}
    run = may(found, "orchestration", "dagster-run")
    assert any(place in s["Resource"] for s in run["logs:GetLogEvents"])


@guarded
def test_a_job_may_tell_its_figures_and_take_back_uploads(found: Templates) -> None:
    for table in table_ids():
        job = may(found, "processing", f"job-{table.replace('.', '-')}"[:50])
        [figures] = job["cloudwatch:PutMetricData"]
        assert figures["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Glue"}}
        [aborts], deletes = job["s3:AbortMultipartUpload"], job["s3:DeleteObject"]
        assert [aborts] == deletes


@every
def test_who_writes_objects_may_take_back_uploads(found: Templates) -> None:
    for part, role in (("orchestration", "dagster-run"), ("analysts", "analysts")):
        allowed = may(found, part, role)
        written = {r for s in allowed["s3:PutObject"] for r in s["Resource"]}
        taken_back = {r for s in allowed["s3:AbortMultipartUpload"] for r in s["Resource"]}
        assert written == taken_back


@every
def test_the_crawler_may_ask_for_what_it_finds(found: Templates) -> None:
    crawler = may(found, "catalog", "crawler")
    assert {
        "glue:BatchCreatePartition", "glue:BatchGetPartition", "glue:GetPartition",
        "glue:GetPartitions", "glue:UpdatePartition",
    } < set(crawler)  # fmt: skip


# ------------------------------------------------------------------------------------ operators


@every
def test_operators_forward_a_port_and_start_a_run_s_task(found: Templates) -> None:
    """Session Manager by one document, which runs nothing; a task of a run's definition alone."""
    operator = may(found, "orchestration", "operator")
    region = ENVIRONMENTS[found.name].region
    cluster = text(found.part("orchestration")["Outputs"]["Cluster"]["Value"])
    tasks = f"arn:<AWS::Partition>:ecs:{region}:<AWS::AccountId>:task/{cluster}/*"
    document = f"arn:<AWS::Partition>:ssm:{region}::document/AWS-StartPortForwardingSession"
    [session] = operator["ssm:StartSession"]
    assert session["Resource"] == {tasks, document}
    # Without it whoever names no document gets a shell.
    assert session["Condition"] == {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}}
    assert not {a for a in operator if a in {"ecs:ExecuteCommand", "ssm:SendCommand"}}
    [start] = operator["ecs:RunTask"]
    run = found.part("orchestration")["Outputs"]["RunTaskDefinition"]["Value"]
    assert start["Resource"] == {text(run)}
    [handed_on] = operator["iam:PassRole"]
    assert len(handed_on["Resource"]) == 3  # of a run, of its start, of a recovery
    raw = f"arn:<AWS::Partition>:s3:::lakehouse-{found.name}-raw-<AWS::AccountId>"
    [lands] = operator["s3:PutObject"]
    assert lands["Resource"] == {f"{raw}/{dataset}/*" for dataset in DATASETS}
    assert "s3:GetObject" not in operator


@every
def test_the_way_in_is_a_container_beside_the_webserver(found: Templates) -> None:
    """In it alone the agent can write; the task may open Session Manager's channels."""
    service = "webserver" if ENVIRONMENTS[found.name].guarded else "dagster"
    [webserver] = [
        s for s in found.all("orchestration", "AWS::ECS::Service") if s.get("EnableExecuteCommand")
    ]
    assert webserver["ServiceName"] == service
    [task] = [
        t
        for t in found.all("orchestration", "AWS::ECS::TaskDefinition")
        if t["Family"] == f"lakehouse-{found.name}-dagster-{service}"
    ]
    writable = [c["Name"] for c in task["ContainerDefinitions"] if not c["ReadonlyRootFilesystem"]]
    assert writable == ["way-in"]
    [way_in] = [c for c in task["ContainerDefinitions"] if c["Name"] == "way-in"]
    assert way_in["Command"] == ["sleep", "infinity"]
    assert not {"Secrets", "Environment", "MountPoints"} & set(way_in)
    channels = may(found, "orchestration", f"dagster-{service}")
    assert {
        f"ssmmessages:{v}{c}Channel" for v in ("Create", "Open") for c in ("Control", "Data")
    } <= set(channels)


@every
def test_a_recovery_may_bring_back_versions_and_read_any_copy(found: Templates) -> None:
    """What docs/recovery.md's commands ask for, in a task or on a person's machine."""
    recovery = may(found, "orchestration", "recovery")
    mine = {
        f"arn:<AWS::Partition>:s3:::lakehouse-{found.name}-{zone}-<AWS::AccountId>"
        for zone in ("raw", "processed")
    }
    copies = "arn:<AWS::Partition>:s3:::lakehouse-*-replica-<AWS::AccountId>"
    [undelete] = recovery["s3:DeleteObjectVersion"]
    assert undelete["Resource"] == {f"{bucket}/*" for bucket in mine}
    [versions] = recovery["s3:ListBucketVersions"]
    assert versions["Resource"] == mine
    reads = {r for s in recovery["s3:GetObject"] for r in s["Resource"]}
    assert reads == {f"{bucket}/*" for bucket in (*mine, copies)}
    lists = {r for s in recovery["s3:ListBucket"] for r in s["Resource"]}
    assert lists == {*mine, copies}
    [keys] = [s for s in recovery["kms:Decrypt"] if "Condition" in s]
    assert keys["Condition"] == {
        "ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/lakehouse-*-replica"}
    }
    roles = found.named("orchestration", "AWS::IAM::Role", "RoleName")
    trusted = roles[f"lakehouse-{found.name}-recovery"]["AssumeRolePolicyDocument"]["Statement"]
    assert [next(iter(s["Principal"])) for s in trusted] == ["Service", "AWS"]
