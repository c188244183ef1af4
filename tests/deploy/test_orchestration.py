"""Dagster's stack and the deploying roles, as their templates say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cdk.config import ENVIRONMENTS, Balancer
from deploy.cdk.parts import SERVICES
from lakehouse_assets.tables.registry import table_ids
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.templates import Templates, listed, prod_with, text

GUARDED = {"dev": False, "staging": True, "prod": True}
PARTS = ("webserver", "daemon", "code", "run")

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

    def service(self, part: str) -> str:
        """The service, or the run's task, that has this part of Dagster."""
        services = SERVICES[ENVIRONMENTS[self.name].profile]
        return next((name for name, parts in services.items() if part in parts), part)

    def task(self, part: str) -> dict[str, Any]:
        family = f"lakehouse-{self.name}-dagster-{self.service(part)}"
        [found] = [t for t in self.all("AWS::ECS::TaskDefinition") if t["Family"] == family]
        return found

    def container(self, part: str) -> dict[str, Any]:
        found: dict[str, Any]
        [found] = [c for c in self.task(part)["ContainerDefinitions"] if c["Name"] == part]
        return found

    def may(self, role: str, of: str = "dagster") -> dict[str, list[dict[str, Any]]]:
        """A role's statements by action; ``dagster-<part>`` is the role of that part's task."""
        kind, _, part = role.partition("-")
        role = f"dagster-{self.service(part)}" if kind == "dagster" else role
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
    guarded = GUARDED[stack.name]
    assert set(services) == ({"code", "daemon", "webserver"} if guarded else {"dagster"})
    daemon = services[stack.service("daemon")]
    assert daemon["DesiredCount"] == 1
    assert daemon["DeploymentConfiguration"]["MinimumHealthyPercent"] == 0
    assert daemon["DeploymentConfiguration"]["MaximumPercent"] == 100
    for service in services.values():
        # dagster-aws's launcher fails where a capacity provider has started the daemon.
        assert service["LaunchType"] == "FARGATE"
        assert "CapacityProviderStrategy" not in service
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == ("DISABLED" if guarded else "ENABLED")
        breaker = service["DeploymentConfiguration"]["DeploymentCircuitBreaker"]
        assert breaker == {"Enable": True, "Rollback": True}
    assert services[stack.service("webserver")]["DesiredCount"] == (2 if guarded else 1)


def test_a_frugal_task_has_all_of_dagster_but_runs(stack: Written) -> None:
    """Its parts find each other within it; the webserver listens to nobody else."""
    if GUARDED[stack.name]:  # its parts have a task each
        assert len(stack.all("AWS::ECS::TaskDefinition")) == len(PARTS)
        return
    names = [c["Name"] for c in stack.task("daemon")["ContainerDefinitions"]]
    assert names == ["code", "daemon", "webserver", "migrate", "way-in"]
    told = {v["Name"]: v["Value"] for v in stack.container("daemon")["Environment"]}
    assert told["DAGSTER_CODE_HOST"] == "127.0.0.1"
    command = stack.container("webserver")["Command"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    for part in ("daemon", "webserver"):
        assert {"Condition": "HEALTHY", "ContainerName": "code"} in stack.container(part)[
            "DependsOn"
        ]
    assert not stack.all("AWS::ServiceDiscovery::PrivateDnsNamespace")


@pytest.mark.parametrize("part", PARTS)
def test_a_task_is_of_the_release_and_writes_nowhere_but_its_volume(
    stack: Written, part: str
) -> None:
    containers = [c for c in stack.task(part)["ContainerDefinitions"] if c["Name"] != "way-in"]
    assert part in [c["Name"] for c in containers]
    for container in containers:
        assert container["ReadonlyRootFilesystem"] is True
        assert container["User"] == "10001"
        assert [m["ContainerPath"] for m in container["MountPoints"]] == ["/tmp"]
        assert {"Ref": "Release"} in container["Image"]["Fn::Join"][1]
        assert {s["Name"] for s in container["Secrets"]} == {
            "DAGSTER_PG_PASSWORD",
            "DAGSTER_PG_USERNAME",
        }
        assert container["LogConfiguration"]["LogDriver"] == "awslogs"


def test_the_database_is_migrated_before_anything_of_the_release_uses_it(stack: Written) -> None:
    """The daemon waits for it, which is there once, and the webserver for the daemon."""
    [migrate] = [c for c in stack.task("daemon")["ContainerDefinitions"] if c["Name"] == "migrate"]
    assert migrate["Command"] == ["dagster", "instance", "migrate"]
    assert migrate["Essential"] is False  # it ends, and the task goes on
    done = {"Condition": "SUCCESS", "ContainerName": "migrate"}
    assert done in stack.container("daemon")["DependsOn"]
    if not GUARDED[stack.name]:
        assert done in stack.container("webserver")["DependsOn"]
        return
    services = {
        r["Properties"]["ServiceName"]: (name, r["DependsOn"])
        for name, r in stack.dagster["Resources"].items()
        if r["Type"] == "AWS::ECS::Service"
    }
    assert services["daemon"][0] in services["webserver"][1]
    assert services["code"][0] in services["daemon"][1]


def test_runs_are_started_from_this_release_s_own_revision(stack: Written) -> None:
    """By the family's name the daemon would find the newest, which may be taken back just then."""
    [run] = [
        name
        for name, r in stack.dagster["Resources"].items()
        if r["Type"] == "AWS::ECS::TaskDefinition" and r["Properties"] == stack.task("run")
    ]
    for part in ("daemon", "webserver", "code"):
        told = {v["Name"]: v["Value"] for v in stack.container(part)["Environment"]}
        assert told["DAGSTER_RUN_TASK_DEFINITION"] == {"Ref": run}
    assert stack.dagster["Outputs"]["RunTaskDefinition"]["Value"] == {"Ref": run}


def test_every_setting_is_one(stack: Written) -> None:
    """A misspelt variable would be passed over, and its default taken."""
    variables = {e["Name"]: e["Value"] for e in stack.container("run")["Environment"]}
    mine = {name for name in variables if name.startswith("LAKEHOUSE_")}
    known = {f"LAKEHOUSE_{name.upper()}" for name in Settings.model_fields}
    assert mine <= known
    assert {"LAKEHOUSE_RAW", "LAKEHOUSE_PROCESSED", "LAKEHOUSE_RUNNER"} <= mine
    # Each value is one that the product takes; what only AWS knows is in the place of a name.
    plain = {n.removeprefix("LAKEHOUSE_").lower(): v for n, v in variables.items() if n in mine}
    topics = plain.pop("sns_topics")
    assert f"lakehouse-{stack.name}" in json.dumps(topics)
    made = Settings.model_validate({n: v if isinstance(v, str) else "x" for n, v in plain.items()})
    assert made.runner == ("glue" if GUARDED[stack.name] else "local")
    # S3's messages wake the sensor; its own looks are what a lost one costs.
    assert made.sensor_interval_seconds == 900
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
    for part in PARTS:
        container = stack.container(part)
        given = {v["Name"] for v in [*container["Environment"], *container["Secrets"]]}
        assert wanted <= given


def test_the_database_is_guarded(stack: Written, written: dict[str, Templates]) -> None:
    """In a stack of its own: where Dagster's fails, it stays, as it is protected from deletion."""
    templates = written[stack.name]
    assert not stack.all("AWS::RDS::DBInstance")
    [database] = templates.all("database", "AWS::RDS::DBInstance")
    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    assert database["MultiAZ"] is GUARDED[stack.name]
    assert database["DeletionProtection"] is GUARDED[stack.name]
    assert database["BackupRetentionPeriod"] == ENVIRONMENTS[stack.name].backup_days
    [parameters] = templates.all("database", "AWS::RDS::DBParameterGroup")
    assert parameters["Parameters"]["rds.force_ssl"] == "1"
    [resource] = [r for _, _, r in templates.resources() if r["Type"] == "AWS::RDS::DBInstance"]
    assert resource["DeletionPolicy"] == "Snapshot"


def test_nothing_is_public(stack: Written) -> None:
    """Nothing listens for people, and no certificate is asked for: Session Manager is the way."""
    assert not stack.all("AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert "CertificateArn" not in stack.dagster["Parameters"]
    for group in stack.all("AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in group
    told = {it["Name"]: it["Value"] for it in stack.container("daemon")["Environment"]}
    assert told["LAKEHOUSE_UI_URL"] == "http://localhost:3000"


def test_people_reach_a_name_that_is_asked_for(tmp_path: Path) -> None:
    asked = "balancer=Balancer(host='lake.shop.com', people_from=('10.0.0.0/8', '172.16.0.0/12'))"
    stack = Written(prod_with(asked, tmp_path / "prod"))
    [balancer] = stack.all("AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert balancer["Scheme"] == "internal"
    attributes = {a["Key"]: a["Value"] for a in balancer["LoadBalancerAttributes"]}
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    # It keeps nothing: a deployment that fails is taken back, with it.
    assert attributes["deletion_protection.enabled"] == "false"
    [listener] = stack.all("AWS::ElasticLoadBalancingV2::Listener")
    assert listener["Protocol"] == "HTTPS"
    assert "TLS13" in listener["SslPolicy"]
    assert listener["Certificates"] == [{"CertificateArn": {"Ref": "CertificateArn"}}]
    ways = [
        (rule["CidrIp"], rule["FromPort"])
        for group in stack.all("AWS::EC2::SecurityGroup")
        for rule in group.get("SecurityGroupIngress", ())
    ]
    assert ways == [("10.0.0.0/8", 443), ("172.16.0.0/12", 443)]
    told = {it["Name"]: it["Value"] for it in stack.container("daemon")["Environment"]}
    assert told["LAKEHOUSE_UI_URL"] == "https://lake.shop.com"


def test_a_name_needs_the_guarded_profile() -> None:
    with pytest.raises(ValueError, match="dev: a load balancer needs the guarded profile"):
        replace(ENVIRONMENTS["dev"], balancer=Balancer(host="x.com", people_from=("10.0.0.0/8",)))


def test_who_deploys_pushes_to_the_repository_that_is_made(
    stack: Written, written: dict[str, Templates]
) -> None:
    [made] = written[stack.name].all("registry", "AWS::ECR::Repository")
    may = stack.may("deploy", of="access")
    for action in ("ecr:DescribeRepositories", "ecr:DescribeImages", "ecr:PutImage"):
        [statement] = may[action]
        assert text(statement["Resource"]).endswith(f":repository/{made['RepositoryName']}")


def test_only_the_daemon_starts_runs_and_only_as_runs(stack: Written) -> None:
    [start] = stack.may("dagster-daemon")["ecs:RunTask"]
    assert f"task-definition/lakehouse-{stack.name}-dagster-run:*" in json.dumps(start["Resource"])
    [handed_on] = stack.may("dagster-daemon")["iam:PassRole"]
    assert handed_on["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert len(handed_on["Resource"]) == 2
    for other in PARTS:
        if stack.service(other) == stack.service("daemon"):
            continue
        assert not {"ecs:RunTask", "iam:PassRole"} & set(stack.may(f"dagster-{other}"))


def test_a_run_starts_the_jobs_of_the_tables_and_no_others(stack: Written) -> None:
    if not GUARDED[stack.name]:  # there are none
        assert not [a for part in PARTS for a in stack.may(f"dagster-{part}") if "JobRun" in a]
        return
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


def test_the_smoke_batch_is_one_command(stack: Written) -> None:
    """Whoever starts it can say nothing: its definition has no value from its input."""
    [machine] = stack.all("AWS::StepFunctions::StateMachine")
    told = json.loads(text(machine["DefinitionString"]))
    assert told["StartAt"] == "Smoke"
    step = told["States"]["Smoke"]
    assert (step["Resource"], step["Next"]) == ("arn:aws:states:::ecs:runTask.sync", "Ended")
    asked = step["Parameters"]
    assert asked["Overrides"] == {
        "ContainerOverrides": [{"Name": "run", "Command": ["python", "-m", "deploy.smoke"]}]
    }
    assert set(asked) == {
        "Cluster", "LaunchType", "NetworkConfiguration", "Overrides", "TaskDefinition"
    }  # fmt: skip
    assert ".$" not in json.dumps(step)
    ended = told["States"]["Ended"]
    assert ended["Choices"] == [
        {"Variable": "$.Containers[0].ExitCode", "NumericEquals": 0, "Next": "Came through"}
    ]
    assert told["States"][ended["Default"]]["Type"] == "Fail"
    may = stack.may("smoke")
    [start] = may["ecs:RunTask"]
    assert start["Resource"] == stack.dagster["Outputs"]["RunTaskDefinition"]["Value"]
    [handed_on] = may["iam:PassRole"]
    assert len(handed_on["Resource"]) == 2
    assert set(may) == {
        "ecs:DescribeTasks", "ecs:RunTask", "ecs:StopTask", "events:DescribeRule",
        "events:PutRule", "events:PutTargets", "iam:PassRole",
    }  # fmt: skip
    assert stack.dagster["Outputs"]["SmokeBatch"]


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
            told = json.dumps(statements)
            assert "-raw-" not in told
            assert "-processed-" not in told
    may = stack.may("deploy", "access")
    [handed_on] = may["iam:PassRole"]
    to = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
    assert handed_on["Condition"] == to
    # It may start the smoke batch, and no task: a task takes any command.
    assert not {action for action in may if action.startswith("ecs:")}
    [smoke] = may["states:StartExecution"]
    machine = text(smoke["Resource"])
    assert machine.endswith(f":<AWS::AccountId>:stateMachine:lakehouse-{stack.name}-smoke")


def test_cloudformation_s_role_changes_no_role_of_who_deploys(stack: Written) -> None:
    """Nor its own: what is denied is all by which a role becomes another."""
    may = stack.may("cloudformation", "access")
    changes = {
        action
        for action in may
        if action.startswith("iam:") and not action.startswith(("iam:Get", "iam:List", "iam:Pass"))
    }
    assert {"iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy"} < changes
    for action in changes:
        [denied] = [s for s in may[action] if s["Effect"] == "Deny"]
        names = {text(r).rpartition("/")[2] for r in denied["Resource"]}
        own = ("cloudformation", "deploy", "drift")
        assert names == {f"lakehouse-{stack.name}-{role}" for role in own}
        assert "Condition" not in denied


def test_cloudformation_s_role_can_take_back_what_it_made(stack: Written) -> None:
    """By the handlers of AWS::IAM::Role and AWS::IAM::RolePolicy: of making, reading, deleting."""
    may = stack.may("cloudformation", "access")
    assert set(may) >= {
        "iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy",
        "iam:DetachRolePolicy", "iam:GetRole", "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:PutRolePolicy",
        "iam:TagRole", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
        "iam:UpdateRoleDescription",
    }  # fmt: skip
    handed_on = [text(r) for s in may["iam:PassRole"] for r in listed(s["Resource"])]
    config = "role/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
    guards = ENVIRONMENTS[stack.name].account_guards
    assert [r.partition(":<AWS::AccountId>:")[2] for r in handed_on] == [
        f"role/lakehouse-{stack.name}-*",
        *([config] if guards else []),
    ]


@pytest.mark.parametrize(
    ("repository", "taken"),
    [
        ("shop/lakehouse", True),
        ("shop@123456/lakehouse@456789", True),  # made or renamed since July 2026
        ("shop@123456/lakehouse", False),
        ("shop/lake*", False),
        ("shop/lakehouse:ref:refs/heads/main", False),
    ],
)
def test_a_repository_is_named_as_its_tokens_name_it(
    stack: Written, repository: str, taken: bool
) -> None:
    pattern = stack.access["Parameters"]["Repository"]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, repository)) is taken


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
