"""An environment's templates as one account has them: names and ARNs in place of functions.

CloudFormation's functions are carried out as far as the templates use them; what nothing here
reads (the id of a subnet) stands as its logical id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cache, cached_property
from typing import Any, Final

from moto.iam.aws_managed_policies import aws_managed_policies_data

from tests.support.iam import Statement, statements
from tests.support.templates import Templates

RELEASE: Final = "r1"
ACCOUNT: Final = "123456789012"
"""moto's."""
MANAGED: Final = "AWS's "
"""Stands before the names of policies that AWS manages."""
_NAMED_BY: Final = {
    "AWS::Athena::WorkGroup": "Name",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::ECS::Cluster": "ClusterName",
    "AWS::ECS::TaskDefinition": "Family",
    "AWS::Events::Rule": "Name",
    "AWS::Glue::Job": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
_ARNS: Final = {
    "AWS::CloudWatch::Alarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::ECR::Repository": "ecr:{region}:{account}:repository/{name}",
    "AWS::ECS::Cluster": "ecs:{region}:{account}:cluster/{name}",
    "AWS::ECS::TaskDefinition": "ecs:{region}:{account}:task-definition/{name}:1",
    "AWS::Events::Rule": "events:{region}:{account}:rule/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::KMS::Key": "kms:{region}:{account}:key/{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SNS::Topic": "sns:{region}:{account}:{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::SecretsManager::Secret": "secretsmanager:{region}:{account}:secret:{name}",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{name}",
}
_REF_IS_ARN: Final = frozenset(
    {
        "AWS::ECS::TaskDefinition",
        "AWS::SNS::Topic",
        "AWS::SecretsManager::Secret",
        "AWS::StepFunctions::StateMachine",
    }
)


class Resolved:
    """One environment in an account, by its number; ``values`` are the templates' parameters'."""

    def __init__(self, templates: Templates, number: str, **values: str) -> None:
        self.name, self.number = templates.name, number
        self._values = values
        self._regions = {
            stack.name.removeprefix(f"lakehouse-{templates.name}-"): stack.region
            for stack in templates.stacks
        }
        self._parts = {part: templates.part(part) for part in self._regions}

    # ------------------------------------------------------------------------------ what there is

    @cache  # noqa: B019 - there are as many of these as environments
    def everything(self) -> Sequence[tuple[str, str, str, Mapping[str, Any]]]:
        """Every resource: its stack's part and region, its type, and its properties.

        With its ``Arn``, where that is known.
        """
        found = []
        for part, template in self._parts.items():
            for logical, it in template["Resources"].items():
                arn = self._arn(part, logical) if it["Type"] in _ARNS else None
                told = {**self._value(part, it.get("Properties", {})), "Arn": arn}
                found.append((part, self._regions[part], it["Type"], told))
        return found

    def all(self, kind: str) -> Sequence[Mapping[str, Any]]:
        """The properties of every resource of a type; with its ``Arn``, where that is known."""
        return [told for _, _, found, told in self.everything() if found == kind]

    def one(self, kind: str, **told: str) -> Mapping[str, Any]:
        """The one resource of a type that has these properties."""
        [found] = [it for it in self.all(kind) if told.items() <= it.items()]
        return found

    def task(self, part: str) -> tuple[dict[str, str], str]:
        """What a part's container is told, and its task's role: webserver, daemon, code, run."""
        [(told, role)] = (
            (container["Environment"], definition["TaskRoleArn"])
            for definition in self.all("AWS::ECS::TaskDefinition")
            for container in definition["ContainerDefinitions"]
            if container["Name"] == part
        )
        return {it["Name"]: it["Value"] for it in told}, role.rpartition("/")[2]

    # ------------------------------------------------------------------------------- its policies

    @cached_property
    def identities(self) -> Mapping[str, Sequence[Statement]]:
        """What each role's own policies say, by its name."""
        found: dict[str, list[Statement]] = {}
        for role in self.all("AWS::IAM::Role"):
            name = role["Arn"].rpartition("/")[2]
            mine = found.setdefault(name, [])
            for policy in role.get("Policies", ()):
                mine += statements(f"{name}: {policy['PolicyName']}", policy["PolicyDocument"])
            for arn in role.get("ManagedPolicyArns", ()):
                managed = arn.rpartition("/")[2]
                mine += statements(f"{name}: {MANAGED}{managed}", _managed(managed))
        for policy in self.all("AWS::IAM::Policy"):
            for name in policy["Roles"]:
                place = f"{name}: {policy['PolicyName']}"
                found[name] += statements(place, policy["PolicyDocument"])
        return found

    def without(self, role: str, action: str) -> Resolved:
        """The same, but a role's policies do not name this action."""
        return self.changed(role, lambda statement: statement.without(action))

    def changed(self, role: str, change: Callable[[Statement], Statement]) -> Resolved:
        """The same, but for how a role's statements read."""
        found = copy(self)
        mine = [change(statement) for statement in self.identities[role]]
        found.__dict__["identities"] = {**self.identities, role: mine}
        return found

    @cached_property
    def resources(self) -> Mapping[str, Sequence[Statement]]:
        """What the policies of buckets, keys, queues and topics say, by their ARN."""
        found: dict[str, list[Statement]] = {}
        for kind in ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::KMS::Key"):
            found |= {it["Arn"]: [] for it in self.all(kind)}
        for key in self.all("AWS::KMS::Key"):
            found[key["Arn"]] += statements(key["Description"], key["KeyPolicy"])
        for policy in self.all("AWS::S3::BucketPolicy"):
            bucket = f"arn:aws:s3:::{policy['Bucket']}"
            found[bucket] += statements(bucket, policy["PolicyDocument"])
        for policy in self.all("AWS::SQS::QueuePolicy"):
            for queue in map(queue_arn, policy["Queues"]):
                found[queue] += statements(queue, policy["PolicyDocument"])
        for policy in self.all("AWS::SNS::TopicPolicy"):
            for topic in policy["Topics"]:
                found[topic] += statements(topic, policy["PolicyDocument"])
        return found

    @cached_property
    def endpoints(self) -> Mapping[str, Sequence[Statement]]:
        """What the policies of the VPC's endpoints say, by their service: ``s3``, ``ecr.api``."""
        return {
            service: [*statements(f"endpoint of {service}", endpoint["PolicyDocument"])]
            for endpoint in self.all("AWS::EC2::VPCEndpoint")
            for service in [endpoint["ServiceName"].split(".", 3)[3]]
        }

    @cached_property
    def inside(self) -> frozenset[str]:
        """The roles of what runs within the VPC: of Glue's jobs and of tasks."""
        roles = [job["Role"] for job in self.all("AWS::Glue::Job")]
        roles += [task["TaskRoleArn"] for task in self.all("AWS::ECS::TaskDefinition")]
        return frozenset(arn.rpartition("/")[2] for arn in roles)

    @property
    def has_way_out(self) -> bool:
        """Whether the VPC has a way to services without an endpoint."""
        return bool(self.all("AWS::EC2::NatGateway") or self.all("AWS::EC2::InternetGateway"))

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """The key by which a bucket, queue or topic is encrypted, by its ARN; by its ARN."""
        found = {}
        for bucket in self.all("AWS::S3::Bucket"):
            for rule in bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]:
                by = rule["ServerSideEncryptionByDefault"]
                if by["SSEAlgorithm"] == "aws:kms":
                    found[bucket["Arn"]] = by["KMSMasterKeyID"]
        for kind in ("AWS::SQS::Queue", "AWS::SNS::Topic"):
            found |= {it["Arn"]: it["KmsMasterKeyId"] for it in self.all(kind)}
        return found

    @cached_property
    def aliases(self) -> Mapping[str, Sequence[str]]:
        """The aliases of each key, by its ARN."""
        found: dict[str, list[str]] = {}
        for alias in self.all("AWS::KMS::Alias"):
            found.setdefault(alias["TargetKeyId"], []).append(alias["AliasName"])
        return found

    # ---------------------------------------------------------------------------------- functions

    def _value(self, part: str, value: Any) -> Any:
        match value:
            case {"Ref": name}:
                return self._ref(part, name)
            case {"Fn::GetAtt": [name, attribute]}:
                return self._attribute(part, name, attribute)
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(map(str, self._value(part, parts)))
            case {"Fn::Split": [separator, text]}:
                return self._value(part, text).split(separator)
            case {"Fn::Select": [number, of]}:
                return self._value(part, of)[int(number)]
            case {"Fn::GetAZs": _}:
                return [f"{self._regions[part]}{letter}" for letter in "abc"]
            case {"Fn::ImportValue": name}:
                return self._exports[name]
            case dict():
                assert not [key for key in value if key.startswith("Fn::")], value
                return {key: self._value(part, it) for key, it in value.items()}
            case list():
                return [self._value(part, it) for it in value]
        return value

    @cached_property
    def _exports(self) -> Mapping[str, Any]:
        return {
            output["Export"]["Name"]: self._value(part, output["Value"])
            for part, template in self._parts.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    def _ref(self, part: str, name: str) -> str:
        known = {
            "AWS::AccountId": self.number,
            "AWS::Partition": "aws",
            "AWS::Region": self._regions[part],
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": f"lakehouse-{self.name}-{part}",
            **self._values,
        }
        if name in known:
            return known[name]
        kind = self._parts[part]["Resources"][name]["Type"]
        if kind == "AWS::SQS::Queue":
            queue = self._named(part, name)
            return f"https://sqs.{self._regions[part]}.amazonaws.com/{self.number}/{queue}"
        if kind == "AWS::SecretsManager::SecretTargetAttachment":
            return str(self._value(part, self._told(part, name)["SecretId"]))
        return self._arn(part, name) if kind in _REF_IS_ARN else self._named(part, name)

    def _attribute(self, part: str, name: str, attribute: str) -> str:
        kind = self._parts[part]["Resources"][name]["Type"]
        if attribute == "Arn" and kind in _ARNS:
            return self._arn(part, name)
        return f"{name}.{attribute}"

    def _arn(self, part: str, name: str) -> str:
        kind = self._parts[part]["Resources"][name]["Type"]
        where = {
            "region": self._regions[part],
            "account": self.number,
            "name": self._named(part, name),
        }
        return "arn:aws:" + _ARNS[kind].format(**where)

    def _named(self, part: str, name: str) -> str:
        kind = self._parts[part]["Resources"][name]["Type"]
        key, told = _NAMED_BY.get(kind, ""), self._told(part, name)
        if key in told:
            return str(self._value(part, told[key]))
        # CloudFormation names what has no name.
        return f"lakehouse-{self.name}-{part}-{name}" if kind == "AWS::IAM::Role" else name

    def _told(self, part: str, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._parts[part]["Resources"][name].get("Properties", {})
        return found


def resolved(templates: Templates, number: str = ACCOUNT) -> Resolved:
    """An environment's templates in an account, with a value for each parameter."""
    return Resolved(
        templates,
        number,
        Release=RELEASE,
        CertificateArn=f"arn:aws:acm:ap-south-1:{number}:certificate/1",
        Repository="shop/lakehouse",
    )


def queue_arn(url: str) -> str:
    """A queue's ARN, by its URL on AWS."""
    host, account, name = url.split("/")[-3:]
    return f"arn:aws:sqs:{host.split('.')[1]}:{account}:{name}"


def _managed(name: str) -> Mapping[str, Any]:
    """A policy that AWS manages, as moto knows it."""
    found: Mapping[str, Any] = json.loads(aws_managed_policies_data)[name]["Document"]
    return found
