"""Dagster's stack and the deploying roles, as their templates say."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from deploy.cdk.config import ENVIRONMENTS
from lakehouse_assets.tables.registry import table_ids
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.templates import Templates

GUARDED = {"dev": False, "staging": True, "prod": True}

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(300)]


class Written:
    """The two templates of an environment that are looked at here."""

    def __init__(self, templates: Templates) -> None:
        self.name = templates.name
        self.dagster, self.access = templates.part("orchestration"), templates.part("access")

    def all(self, kind: str, of: str = "dagster") -> list[dict[str, Any]]:
        """The properties of every resource of a type."""
        resources = getattr(self, of)["Resources"].values()
        return [r["Properties"] for r in resources if r["Type"] == kind]

    def task(self, part: str) -> dict[str, Any]:
        family = f"lakehouse-{self.name}-dagster-{part}"
        [found] = [t for t in self.all("AWS::ECS::TaskDefinition") if t["Family"] == family]
        return found

    def may(self, role: str, of: str = "dagster") -> dict[str, list[dict[str, Any]]]:
        """A role's statements by action."""
        template = getattr(self, of)["Resources"]
        found: dict[str, list[dict[str, Any]]] = {}
        for policy in (r for r in template.values() if r["Type"] == "AWS::IAM::Policy"):
            roles = [
                template[r["Ref"]]["Properties"]["RoleName"] for r in policy["Properties"]["Roles"]
            ]
            if roles == [f"lakehouse-{self.name}-{role}"]:
                for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                    actions = statement["Action"]
                    for action in [actions] if isinstance(actions, str) else actions:
                        found.setdefault(action, []).append(statement)
        assert found, role
        return found


@pytest.fixture(params=sorted(GUARDED))
def stack(request: pytest.FixtureRequest, written: dict[str, Templates]) -> Written:
    return Written(written[request.param])


def test_there_are_never_two_daemons(stack: Written) -> None:
    services = {s["ServiceName"]: s for s in stack.all("AWS::ECS::Service")}
    assert set(services) == {"code", "daemon", "webserver"}
    daemon = services["daemon"]
    assert daemon["DesiredCount"] == 1
    assert daemon["DeploymentConfiguration"]["MinimumHealthyPercent"] == 0
    assert daemon["DeploymentConfiguration"]["MaximumPercent"] == 100
    for service in services.values():
        # dagster-aws's launcher fails where a capacity provider has started the daemon.
        assert service["LaunchType"] == "FARGATE"
        assert "CapacityProviderStrategy" not in service
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
        breaker = service["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
        assert breaker == {"Enable": True, "Rollback": True}
    assert services["webserver"]["DesiredCount"] == (2 if GUARDED[stack.name] else 1)


@pytest.mark.parametrize("part", ["webserver", "daemon", "code", "run"])
def test_a_task_is_of_the_release_and_writes_nowhere_but_its_volume(
    stack: Written, part: str
) -> None:
    [container] = stack.task(part)["ContainerDefinitions"]
    assert container["ReadonlyRootFilesystem"] is True
    assert container["User"] == "10001"
    assert [m["ContainerPath"] for m in container["MountPoints"]] == ["/tmp"]
    assert {"Ref": "Release"} in container["Image"]["Fn::Join"][1]
    assert {s["Name"] for s in container["Secrets"]} == {
        "DAGSTER_PG_PASSWORD",
        "DAGSTER_PG_USERNAME",
    }
    assert container["LogConfiguration"]["LogDriver"] == "awslogs"


def test_every_setting_is_one(stack: Written) -> None:
    """A misspelt variable would be passed over, and its default taken."""
    variables = {
        e["Name"]: e["Value"] for e in stack.task("run")["ContainerDefinitions"][0]["Environment"]
    }
    mine = {name for name in variables if name.startswith("LAKEHOUSE_")}
    known = {f"LAKEHOUSE_{name.upper()}" for name in Settings.model_fields}
    assert mine <= known
    assert {"LAKEHOUSE_RAW", "LAKEHOUSE_PROCESSED", "LAKEHOUSE_RUNNER"} <= mine
    # Each value is one that the product takes; what only AWS knows is in the place of a name.
    plain = {n.removeprefix("LAKEHOUSE_").lower(): v for n, v in variables.items() if n in mine}
    topics = plain.pop("sns_topics")
    assert f"lakehouse-{stack.name}" in json.dumps(topics)
    made = Settings.model_validate({n: v if isinstance(v, str) else "x" for n, v in plain.items()})
    assert made.runner == "glue"
    assert made.archive is True


def test_what_the_instance_asks_for_is_there(stack: Written) -> None:
    """Each variable of dagster.yaml and workspace.yaml is in every task."""

    def asked(value: Any) -> set[str]:
        match value:
            case {"env": name}:
                return {name}
            case dict():
                return set().union(*map(asked, value.values())) if value else set()
            case list():
                return set().union(*map(asked, value)) if value else set()
        return set()

    wanted = set()
    for name in ("dagster.yaml", "workspace.yaml"):
        wanted |= asked(yaml.safe_load((PROJECT / "deploy" / "dagster" / name).read_text()))
    for part in ("webserver", "daemon", "code", "run"):
        [container] = stack.task(part)["ContainerDefinitions"]
        given = {v["Name"] for v in [*container["Environment"], *container["Secrets"]]}
        assert wanted <= given
    values = {
        v["Name"]: v["Value"]
        for v in stack.task("daemon")["ContainerDefinitions"][0]["Environment"]
    }
    assert values["DAGSTER_RUN_TASK_DEFINITION"] == stack.task("run")["Family"]


def test_the_database_is_guarded(stack: Written) -> None:
    [database] = stack.all("AWS::RDS::DBInstance")
    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    assert database["MultiAZ"] is GUARDED[stack.name]
    assert database["DeletionProtection"] is GUARDED[stack.name]
    assert database["BackupRetentionPeriod"] == ENVIRONMENTS[stack.name].backup_days
    [parameters] = stack.all("AWS::RDS::DBParameterGroup")
    assert parameters["Parameters"]["rds.force_ssl"] == "1"
    [resource] = [
        r for r in stack.dagster["Resources"].values() if r["Type"] == "AWS::RDS::DBInstance"
    ]
    assert resource["DeletionPolicy"] == "Snapshot"


def test_nothing_is_public(stack: Written) -> None:
    [balancer] = stack.all("AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert balancer["Scheme"] == "internal"
    attributes = {a["Key"]: a["Value"] for a in balancer["LoadBalancerAttributes"]}
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    [listener] = stack.all("AWS::ElasticLoadBalancingV2::Listener")
    assert listener["Protocol"] == "HTTPS"
    assert "TLS13" in listener["SslPolicy"]
    assert listener["Certificates"] == [{"CertificateArn": {"Ref": "CertificateArn"}}]
    for group in stack.all("AWS::EC2::SecurityGroup"):
        for rule in group.get("SecurityGroupIngress", ()):
            assert rule["CidrIp"] == ENVIRONMENTS[stack.name].cidr


def test_only_the_daemon_starts_runs_and_only_as_runs(stack: Written) -> None:
    [start] = stack.may("dagster-daemon")["ecs:RunTask"]
    assert f"task-definition/lakehouse-{stack.name}-dagster-run:*" in json.dumps(start["Resource"])
    [handed_on] = stack.may("dagster-daemon")["iam:PassRole"]
    assert handed_on["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert len(handed_on["Resource"]) == 2
    for other in ("webserver", "code", "run"):
        assert not {"ecs:RunTask", "iam:PassRole"} & set(stack.may(f"dagster-{other}"))


def test_a_run_starts_the_jobs_of_the_tables_and_no_others(stack: Written) -> None:
    [jobs] = stack.may("dagster-run")["glue:StartJobRun"]
    named = {
        json.dumps(resource).partition("job/")[2].rstrip('"]} ') for resource in jobs["Resource"]
    }
    prefix = f"lakehouse-{stack.name}-"
    assert named == {prefix + table.replace(".", "-") for table in table_ids()}
    for part in ("webserver", "daemon", "code"):
        assert "glue:StartJobRun" not in stack.may(f"dagster-{part}")


def test_only_a_run_changes_the_lake(stack: Written) -> None:
    for part in ("webserver", "daemon", "code"):
        writes = stack.may(f"dagster-{part}").get("s3:PutObject", [])
        assert all("dagster/logs/*" in json.dumps(s["Resource"]) for s in writes)
        assert "s3:DeleteObject" not in stack.may(f"dagster-{part}")


def test_the_smoke_batch_finds_what_it_needs(stack: Written) -> None:
    assert set(stack.dagster["Outputs"]) >= {
        "Cluster",
        "RunTaskDefinition",
        "TaskSecurityGroups",
        "TaskSubnets",
    }


@pytest.mark.parametrize(("role", "suffix"), [("deploy", ""), ("drift", "-drift")])
def test_a_role_trusts_one_environment_of_one_repository(
    stack: Written, role: str, suffix: str
) -> None:
    name = f"lakehouse-{stack.name}-{role}"
    [found] = [r for r in stack.all("AWS::IAM::Role", "access") if r["RoleName"] == name]
    [trust] = found["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Action"] == "sts:AssumeRoleWithWebIdentity"
    issuer = "token.actions.githubusercontent.com"
    assert trust["Condition"] == {
        "StringEquals": {
            f"{issuer}:aud": "sts.amazonaws.com",
            f"{issuer}:sub": {
                "Fn::Join": [
                    "",
                    ["repo:", {"Ref": "Repository"}, f":environment:{stack.name}{suffix}"],
                ]
            },
        }
    }
    workflows = PROJECT / ".github" / "workflows"
    if suffix:
        assert (
            "environment: ${{ matrix.environment }}-drift"
            in (workflows / "nightly.yml").read_text()
        )


def test_who_deploys_reaches_no_data(stack: Written) -> None:
    for role in ("deploy", "drift"):
        for statements in stack.may(role, "access").values():
            text = json.dumps(statements)
            assert "-raw-" not in text
            assert "-processed-" not in text
    [handed_on, to_tasks] = stack.may("deploy", "access")["iam:PassRole"]
    services = [
        s["Condition"]["StringEquals"]["iam:PassedToService"] for s in (handed_on, to_tasks)
    ]
    assert services == ["cloudformation.amazonaws.com", "ecs-tasks.amazonaws.com"]


def test_every_star_has_its_reason(stack: Written) -> None:
    """What the policy check was told: no acknowledgement without words."""
    for template in (stack.dagster, stack.access):
        for name, resource in template["Resources"].items():
            if resource["Type"] != "AWS::IAM::Policy":
                continue
            for statement in resource["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                assert not any(
                    "*" in a for a in ([actions] if isinstance(actions, str) else actions)
                ), name
