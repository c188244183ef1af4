"""The warehouse of an environment that asks for one; as they are written, none does."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from deploy.cdk.config import ENVIRONMENTS, WAREHOUSE_NODES, WAREHOUSE_RPUS, WarehouseKind
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.iam import Policies, Principal, Request, decide
from tests.support.resolved import ACCOUNT, Resolved, resolved
from tests.support.templates import Templates, prod_with, text

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

NAME = "lakehouse-prod-warehouse"
LINT_ACCEPTED = {
    "W3005": "CDK says twice what comes before what.",
    "W6001": "What a release's smoke batch must know is told by one stack, whosever it is.",
}
CHECKOV_ACCEPTED = {"CKV_AWS_71": "A cluster's logs are CloudWatch's, which the check knows not."}


@pytest.fixture(scope="module", params=WarehouseKind)
def kind(request: pytest.FixtureRequest) -> WarehouseKind:
    return WarehouseKind(request.param)


@pytest.fixture(scope="module")
def found(kind: WarehouseKind, tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Prod's templates with a warehouse; what the policy check finds fails the writing."""
    folder = tmp_path_factory.mktemp("warehouse") / kind
    return prod_with(f"warehouse=WarehouseKind({str(kind)!r}), zones=3", folder)


@pytest.fixture(scope="module")
def account(found: Templates) -> Resolved:
    return resolved(found)


def test_none_is_made_unless_it_is_asked_for(written: dict[str, Templates]) -> None:
    assert not [e for e in ENVIRONMENTS.values() if e.warehouse]
    for templates in written.values():
        assert "redshift" not in json.dumps([*templates.resources()]).lower()


def test_one_that_could_not_be_made_is_refused() -> None:
    with pytest.raises(ValueError, match="dev: a warehouse needs the guarded profile"):
        replace(ENVIRONMENTS["dev"], warehouse=WarehouseKind.PROVISIONED)
    with pytest.raises(ValueError, match="prod: Redshift Serverless needs 3 zones"):
        replace(ENVIRONMENTS["prod"], warehouse=WarehouseKind.SERVERLESS)


def test_linters_find_nothing(found: Templates, kind: WarehouseKind) -> None:
    from cfnlint.api import lint_file  # here: `make test` collects this file without it

    stacks = [s.template for s in found.stacks if s.name.endswith(("warehouse", "network"))]
    assert len(stacks) == 2
    problems = [str(m) for s in stacks for m in lint_file(s) if m.rule.id not in LINT_ACCEPTED]
    assert problems == []
    checkov = PROJECT / ".venv-checkov" / "bin" / "checkov"
    files = [part for stack in stacks for part in ("-f", str(stack))]
    asked = [
        str(checkov),
        "--framework",
        "cloudformation",
        "--compact",
        "--quiet",
        "-o",
        "json",
        *files,
    ]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert told["summary"]["passed"] > 50
    failed = {it["check_id"] for it in told["results"]["failed_checks"]}
    assert failed == ({*CHECKOV_ACCEPTED} if kind is WarehouseKind.PROVISIONED else set())


def test_it_is_encrypted_private_and_keeps_copies(found: Templates, kind: WarehouseKind) -> None:
    data_key = {"Fn::ImportValue"}
    if kind is WarehouseKind.SERVERLESS:
        [namespace] = found.all("warehouse", "AWS::RedshiftServerless::Namespace")
        [group] = found.all("warehouse", "AWS::RedshiftServerless::Workgroup")
        keys = [namespace["KmsKeyId"], namespace["AdminPasswordSecretKmsKeyId"]]
        assert namespace["ManageAdminPassword"]
        assert "AdminUserPassword" not in namespace
        assert namespace["FinalSnapshotName"] == f"{NAME}-last"
        assert namespace["FinalSnapshotRetentionPeriod"] == ENVIRONMENTS["prod"].backup_days
        assert group["ConfigParameters"] == [
            {"ParameterKey": "require_ssl", "ParameterValue": "true"}
        ]
        assert len({text(subnet) for subnet in group["SubnetIds"]}) == 3
        # What docs/cost.md reckons with.
        assert (group["BaseCapacity"], group["MaxCapacity"]) == WAREHOUSE_RPUS
    else:
        [group] = found.all("warehouse", "AWS::Redshift::Cluster")
        keys = [group["KmsKeyId"], group["MasterPasswordSecretKmsKeyId"]]
        assert (group["NodeType"], group["NumberOfNodes"]) == WAREHOUSE_NODES[::-1]
        assert group["Encrypted"]
        assert group["ManageMasterPassword"]
        assert "MasterUserPassword" not in group
        assert group["AutomatedSnapshotRetentionPeriod"] == ENVIRONMENTS["prod"].backup_days
        [parameters] = found.all("warehouse", "AWS::Redshift::ClusterParameterGroup")
        told = {p["ParameterName"]: p["ParameterValue"] for p in parameters["Parameters"]}
        assert told["require_ssl"] == "true"
        kept = [r for *_, r in found.resources() if r["Type"] == "AWS::Redshift::Cluster"]
        assert [r["DeletionPolicy"] for r in kept] == ["Snapshot"]
    assert {frozenset(key) for key in keys} == {frozenset(data_key)}
    assert {("Keydata" in text(key)) for key in keys} == {True}
    assert group["PubliclyAccessible"] is False
    assert group["EnhancedVpcRouting"] is True


def test_nobody_is_let_in(found: Templates) -> None:
    """What loads and asks comes by the Data API, whose door there is then."""
    resources = found.part("network")["Resources"]
    [group] = [k for k, r in resources.items() if r["Type"].endswith("SecurityGroup") and
               r["Properties"]["GroupName"] == NAME]  # fmt: skip
    assert "SecurityGroupIngress" not in resources[group]["Properties"]
    for rule in found.all("network", "AWS::EC2::SecurityGroupIngress"):
        assert group not in json.dumps(rule["GroupId"])
    doors = [text(e["ServiceName"]) for e in found.all("network", "AWS::EC2::VPCEndpoint")]
    assert len([door for door in doors if door.endswith(".redshift-data")]) == 1


def may(account: Resolved, role: str, action: str, resource: str, **context: Any) -> bool:
    """Whether a role's own policies allow it."""
    principal = Principal("AWS", f"arn:aws:iam::{ACCOUNT}:role/{role}")
    request = Request(principal, action, resource, {k.lower(): v for k, v in context.items()})
    return decide(request, Policies(identity=account.identities[role])).allowed


def test_it_reads_its_folders_and_nothing_else(account: Resolved) -> None:
    tables = f"arn:aws:s3:::lakehouse-prod-processed-{ACCOUNT}"
    for path in ("stage/warehouse.dim_date/r/1/manifest.json", "spectrum/gold/daily_sales/manifest",
                 "silver/orders/x.parquet", "gold/daily_sales/x.parquet"):  # fmt: skip
        assert may(account, NAME, "s3:GetObject", f"{tables}/{path}"), path
        assert not may(account, NAME, "s3:PutObject", f"{tables}/{path}"), path
    for path in ("stage/silver.orders/r/1/x.parquet", "bronze/orders/x", "ledger/x", "rejected/x",
                 "athena_queries/analysts/x"):  # fmt: skip
        assert not may(account, NAME, "s3:GetObject", f"{tables}/{path}"), path
    raw = f"arn:aws:s3:::lakehouse-prod-raw-{ACCOUNT}/orders/2025-04-01/o.csv"
    assert not may(account, NAME, "s3:GetObject", raw)
    glue = f"arn:aws:glue:ap-south-1:{ACCOUNT}"
    assert may(account, NAME, "glue:GetTable", f"{glue}:table/lakehouse_prod_spectrum_gold/x")
    assert not may(account, NAME, "glue:GetTable", f"{glue}:table/lakehouse_prod_silver/orders")


def test_a_run_may_load_it_and_nobody_else(account: Resolved, found: Templates) -> None:
    run = "lakehouse-prod-dagster-run"
    [target] = {
        resource
        for statement in account.identities[run]
        if "redshift-data:BatchExecuteStatement" in statement.actions
        for resource in statement.resources
    }
    assert may(account, run, "redshift-data:BatchExecuteStatement", target)
    assert not may(account, run, "redshift-data:ExecuteStatement", f"{target}-another")
    look = "redshift-data:DescribeStatement"
    owner = "redshift-data:statement-owner-iam-userid"
    assert may(account, run, look, "*", **{owner: "me", "aws:userid": "me"})
    assert not may(account, run, look, "*", **{owner: "you", "aws:userid": "me"})
    secret = f"arn:aws:secretsmanager:ap-south-1:{ACCOUNT}:secret:redshift!{NAME}-loader"
    assert may(account, run, "secretsmanager:GetSecretValue", f"{secret}-aB3dE9")
    database = f"arn:aws:glue:ap-south-1:{ACCOUNT}:table/lakehouse_prod_spectrum_silver/orders"
    assert may(account, run, "glue:BatchCreatePartition", database)
    assert not account.all("AWS::IAM::ManagedPolicy")  # which CloudFormation's role may not make
    loads = {
        role
        for role, statements in account.identities.items()
        if any("redshift-data:ExecuteStatement" in s.actions for s in statements)
    }
    assert loads == {run}


def test_tasks_are_told_where_it_is(
    account: Resolved, kind: WarehouseKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, _ = account.task("run")
    for name, value in told.items():
        if name.startswith("LAKEHOUSE_WAREHOUSE"):
            monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.has_warehouse
    named = {"workgroup": settings.warehouse_workgroup, "cluster": settings.warehouse_cluster}
    mine = "workgroup" if kind is WarehouseKind.SERVERLESS else "cluster"
    assert {k for k, v in named.items() if v == NAME} == {mine}
    assert settings.warehouse_role == f"arn:aws:iam::{ACCOUNT}:role/{NAME}"
    assert settings.warehouse_secret == f"redshift!{NAME}-loader"
