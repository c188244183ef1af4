"""What a first deployment would stop at, or leave in the way of the next try.

Each was so once, or is said by AWS's documentation; the templates name the page.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deploy.cdk.config import ENVIRONMENTS
from tests.support import PROJECT
from tests.support.templates import Templates, listed, text

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

every = pytest.mark.parametrize("name", ENVIRONMENTS)
GUARDS = (
    "AWS::CloudTrail::Trail",
    "AWS::Config::ConfigurationRecorder",
    "AWS::Config::DeliveryChannel",
    "AWS::GuardDuty::Detector",
    "AWS::SecurityHub::Hub",
)


@pytest.fixture
def found(written: dict[str, Templates], name: str) -> Templates:
    return written[name]


def of_kind(found: Templates, kind: str) -> dict[str, dict[str, Any]]:
    """Every resource of a type, by its id."""
    return {logical: r for _, logical, r in found.resources() if r["Type"] == kind}


def test_what_an_account_has_once_is_one_environment_s(written: dict[str, Templates]) -> None:
    """The second GuardDuty, Security Hub or Config of an account is refused."""
    having = {name: [k for k in GUARDS if of_kind(it, k)] for name, it in written.items()}
    assert having == {"dev": [], "staging": [], "prod": [*GUARDS]}
    groups = {
        name: {text(g["LogGroupName"]) for g in it.all("foundation", "AWS::Logs::LogGroup")}
        for name, it in written.items()
    }
    assert [n for n, those in groups.items() if f"/lakehouse/{n}/trail" in those] == ["prod"]


def test_config_s_recorder_and_channel_do_not_wait_for_each_other(
    written: dict[str, Templates],
) -> None:
    for kind in GUARDS[1:]:
        [guard] = of_kind(written["prod"], kind).values()
        assert "DependsOn" not in guard, kind
        assert "Ref" not in json.dumps(guard["Properties"].get("Name", ""))
    assert not of_kind(written["prod"], "AWS::IAM::ServiceLinkedRole")


def test_the_trail_is_of_every_call_and_of_the_lakes_objects(
    written: dict[str, Templates],
) -> None:
    """In the account of several environments, of all their lakes."""
    prod = written["prod"]
    [trail] = of_kind(prod, "AWS::CloudTrail::Trail").values()
    management, objects = (
        {f["Field"]: f for f in selector["FieldSelectors"]}
        for selector in trail["Properties"]["AdvancedEventSelectors"]
    )
    assert management == {"eventCategory": {"Field": "eventCategory", "Equals": ["Management"]}}
    assert objects["eventCategory"]["Equals"] == ["Data"]
    assert objects["resources.type"]["Equals"] == ["AWS::S3::Object"]
    assert {text(arn) for arn in objects["resources.ARN"]["StartsWith"]} == {
        f"arn:<AWS::Partition>:s3:::lakehouse-{name}-{zone}-<AWS::AccountId>/"
        for name in ENVIRONMENTS
        for zone in ("raw", "processed", "deployment")
    }
    assert trail["Properties"]["IsMultiRegionTrail"]
    assert trail["Properties"]["EnableLogFileValidation"]
    # CloudTrail tries its role as the trail is made: the policy must be there.
    [policy] = [
        logical
        for logical, p in of_kind(prod, "AWS::IAM::Policy").items()
        if logical.startswith("TrailLogs") and p["Properties"]["Roles"]
    ]
    assert policy in trail["DependsOn"]


def test_cloudtrail_may_describe_its_key(written: dict[str, Templates]) -> None:
    keys = written["prod"].all("foundation", "AWS::KMS::Key")
    [logs] = [key for key in keys if "audit trail" in key["Description"]]
    [statement] = [
        s
        for s in logs["KeyPolicy"]["Statement"]
        if s["Principal"].get("Service") == "cloudtrail.amazonaws.com"
    ]
    assert {"kms:DescribeKey", "kms:GenerateDataKey*", "kms:Decrypt"} <= set(statement["Action"])


def test_what_services_write_into_at_once_is_not_taken_back_with_them(
    written: dict[str, Templates],
) -> None:
    """A bucket with something in it cannot be: the trail's is another stack's than the trail."""
    names = written["prod"].named("foundation", "AWS::S3::Bucket", "BucketName")
    assert "lakehouse-prod-trail-<AWS::AccountId>" in names
    assert not written["prod"].all("guards", "AWS::S3::Bucket")


@every
def test_nothing_of_a_failed_first_creation_stands_in_the_way(found: Templates) -> None:
    """What is kept is kept from its second day on: its name is free for the next try."""
    kept = {logical: r for _, logical, r in found.resources() if "Retain" in str(r)}
    policies = {r.get("DeletionPolicy") for r in kept.values()}
    assert policies == {"RetainExceptOnCreate"}
    kinds = {r["Type"] for r in kept.values()}
    assert kinds == {
        "AWS::Backup::BackupVault",
        "AWS::ECR::Repository",
        "AWS::KMS::Key",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
    }
    assert {r["UpdateReplacePolicy"] for r in kept.values()} == {"Retain"}


@every
def test_a_key_s_aliases_are_compared_as_the_several_that_they_are(found: Templates) -> None:
    conditions = [
        statement["Condition"]
        for policy in of_kind(found, "AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if "kms:ResourceAliases" in json.dumps(statement)
    ]
    assert {json.dumps(c) for c in conditions} == {
        json.dumps({"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}})
        for alias in (f"alias/lakehouse-{found.name}-{n}" for n in ("replica", "data"))
    } | {
        json.dumps({"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/lakehouse-*-replica"}})
    }


@every
def test_no_role_s_policies_are_longer_than_iam_takes(found: Templates) -> None:
    """10,240 characters for all of a role's own, with an account's number for each of its names."""
    sizes: dict[str, int] = {}
    for part in {part for part, *_ in found.resources()}:
        for policy in found.all(part, "AWS::IAM::Policy"):
            document = re.sub(r"<AWS::AccountId>", "1" * 12, json.dumps(flat(policy)))
            [role] = policy["Roles"]
            sizes[f"{part} {text(role)}"] = sizes.get(f"{part} {text(role)}", 0) + len(document)
    assert max(sizes.values()) < 10_240, sizes


def flat(value: Any) -> Any:
    """A value with CloudFormation's functions written out."""
    if isinstance(value, list):
        return [flat(it) for it in value]
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in {"Fn::Join", "Ref", "Fn::GetAtt"}:
            return text(value)
        return {key: flat(it) for key, it in value.items()}
    return value


@every
def test_cloudformation_decides_who_sees_columns(found: Templates) -> None:
    """As one administrator of Lake Formation more: whoever is one already stays one."""
    [settings] = found.all("access", "AWS::LakeFormation::DataLakeSettings")
    assert settings["MutationType"] == "APPEND"
    [admin] = settings["Admins"]
    execution = of_kind(found, "AWS::IAM::Role")[
        admin["DataLakePrincipalIdentifier"]["Fn::GetAtt"][0]
    ]
    assert execution["Properties"]["RoleName"] == f"lakehouse-{found.name}-cloudformation"
    assert set(settings) == {"MutationType", "Admins"}


# ------------------------------------------------------------------------------------ Terraform

TERRAFORM = PROJECT / "deploy" / "terraform"


@every
def test_terraform_has_a_value_for_whatever_a_template_asks(found: Templates) -> None:
    asked = {
        name
        for stack in found.stacks
        for name, about in json.loads(stack.template.read_text()).get("Parameters", {}).items()
        if "Default" not in about
    }
    given = re.search(
        r"values = \{\n.*?merge\(\{(.*?)\}", (TERRAFORM / "main.tf").read_text(), re.DOTALL
    )
    assert given
    values = dict(re.findall(r"(\w+)\s*= var\.(\w+)", given[1]))
    assert asked <= set(values)
    variables = re.findall(
        r'^variable "(\w+)"', (TERRAFORM / "variables.tf").read_text(), re.MULTILINE
    )
    assert set(values.values()) <= set(variables)


@every
def test_terraform_awaits_image_and_wheels_before_what_runs_them(found: Templates) -> None:
    """Its ranks, counted as main.tf counts them: what asks for a release is in rank 4 or later."""
    artifacts = json.loads((found.folder / "manifest.json").read_text())["artifacts"]
    needs = {
        name: {n for n in a.get("dependencies", ()) if not n.endswith(".assets")}
        for name, a in artifacts.items()
        if a["type"] == "aws:cloudformation:stack"
    }
    access = f"lakehouse-{found.name}-access"
    for name in set(needs) - {access}:
        needs[name].add(access)  # whose role makes them

    def rank(name: str) -> int:
        return 1 + max(map(rank, needs[name]), default=-1)

    ranks = {name: rank(name) for name in needs}
    main = (TERRAFORM / "main.tf").read_text()
    modules = {
        int(n): listed(body)
        for n, body in re.findall(r'^module "rank(\d)" \{(.*?)^\}', main, re.MULTILINE | re.DOTALL)
    }
    assert max(ranks.values()) == max(modules)
    for stack in found.stacks:
        if "Release" in json.loads(stack.template.read_text()).get("Parameters", {}):
            assert ranks[stack.name] >= 4
    assert ranks[f"lakehouse-{found.name}-registry"] == 3
    awaited = "depends_on = [module.rank3, aws_s3_object.glue, data.aws_ecr_image.release]"
    assert awaited in modules[4][0]
    for needed, what in (("module.rank2", 'resource "aws_s3_object" "glue"'),
                         ("module.rank3", 'data "aws_ecr_image" "release"')):  # fmt: skip
        body = main.partition(what)[2].partition("\n}")[0]
        assert f"depends_on = [{needed}]" in body
    assert ranks[f"lakehouse-{found.name}-foundation"] == 2
