"""What all stacks share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from deploy.cdk import names
from deploy.cdk.config import Environment
from resources.glue_jobs import glue_job

KEPT: Final = cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""What outlives its stack, but for a first creation that failed: kept then, its name would be in
the way of the next try. https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
"""

WRITE_OBJECTS: Final = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject")
"""Of what is large, parts are uploaded; an upload that fails is taken back, or paid for ever."""

RUN_JOBS: Final = (
    "glue:BatchStopJobRun", "glue:GetJobRun", "glue:GetJobRuns", "glue:StartJobRun",
)  # fmt: skip
"""Start a Glue job, see how it goes, and stop it."""


class Part(cdk.Stack):
    """One stack of an environment: what lives and dies together.

    It needs no bootstrapped account and has no assets: its template is all there is, so that
    CloudFormation, Terraform and a local AWS can deploy it alike.
    """

    def __init__(
        self, scope: Construct, environment: Environment, part: str, about: str, region: str = ""
    ) -> None:
        super().__init__(
            scope,
            names.of(environment, part),
            env=cdk.Environment(region=region or environment.region),
            description=about,
            synthesizer=cdk.BootstraplessSynthesizer(),
            termination_protection=environment.guarded,
        )
        self.settings = environment
        self.part = part
        for key, value in names.tags(environment, part).items():
            cdk.Tags.of(self).add(key, value)

    def named(self, thing: str) -> str:
        """The name of a thing that is there once in the environment."""
        return names.of(self.settings, thing)

    def glue_jobs(self, tables: Iterable[str]) -> list[str]:
        """The ARNs of the Glue jobs that do these tables' work."""
        prefix = names.glue_job_prefix(self.settings)
        return [
            self.format_arn(service="glue", resource="job", resource_name=glue_job(prefix, table))
            for table in tables
        ]

    def service(self, name: str) -> iam.ServicePrincipal:
        """An AWS service, as it works for this account and for no other."""
        return iam.ServicePrincipal(
            f"{name}.amazonaws.com",
            conditions={"StringEquals": {"aws:SourceAccount": self.account}},
        )

    def bucket(
        self,
        logical: str,
        name: str,
        lifecycle: Sequence[s3.LifecycleRule],
        key: kms.IKey | None = None,
        access_logs: s3.IBucket | None = None,
        logs_prefix: str | None = None,
    ) -> s3.Bucket:
        """A bucket as all of them are: private, versioned, by TLS only, and never deleted.

        Encrypted by ``key``; by S3's own where there is none, for log delivery knows no other.
        """
        return s3.Bucket(
            self,
            logical,
            bucket_name=name,
            encryption=s3.BucketEncryption.KMS if key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=key,
            bucket_key_enabled=True if key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            removal_policy=KEPT,
            server_access_logs_bucket=access_logs,
            server_access_logs_prefix=logs_prefix,
            lifecycle_rules=[*lifecycle],
        )

    def log_group(self, logical: str, name: str, days: int, key: kms.IKey) -> logs.LogGroup:
        """A log group as all of them are: encrypted, and never kept longer than its days."""
        group = logs.LogGroup(
            self, logical, log_group_name=name, encryption_key=key, removal_policy=KEPT
        )
        found = group.node.default_child
        assert isinstance(found, logs.CfnLogGroup)
        found.retention_in_days = days
        return group

    def security_group(
        self, logical: str, name: str, vpc: ec2.IVpc, about: str
    ) -> ec2.SecurityGroup:
        """A security group as all of them are: named, and it lets nothing in or out by itself."""
        return ec2.SecurityGroup(
            self,
            logical,
            vpc=vpc,
            security_group_name=self.named(name),
            description=f"{about}.",
            allow_all_outbound=False,
        )

    def output(self, name: str, value: str, about: str) -> None:
        """What people and workflows read from the deployed stack."""
        cdk.CfnOutput(self, name, value=value, description=about)


def acknowledge(of: IConstruct, reason: str, *rules: str) -> None:
    """Say why findings of the policy check do not matter at a resource; ends up in the template."""
    for rule in rules:
        cdk.Validations.of(of).acknowledge(cdk.Acknowledgment(id=rule, reason=reason))


def acknowledge_glue(of: IConstruct, *rules: str) -> None:
    """Say that a job or crawler encrypts as the foundation's security configuration says."""
    acknowledge(
        of,
        "It has the foundation's security configuration, which encrypts all that Glue can; the "
        "check does not follow it into another stack, and a test does.",
        *rules,
    )


def explain(of: Construct, reason: str) -> None:
    """Say why a policy at a resource has a ``*``; a test asks for it wherever there is one."""
    found = of.node.default_child or of
    assert isinstance(found, cdk.CfnResource)
    found.add_metadata(names.WILDCARDS, reason)


def grant(
    role: iam.Role | iam.Policy,
    actions: Sequence[str],
    resources: Sequence[str],
    why: str | None = None,
    conditions: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Let a role do something; ``why`` is asked for where an action or a resource has a ``*``.

    By its default policy, or by one that is given in its place.
    """
    allowed = iam.PolicyStatement(actions=[*actions], resources=[*resources], conditions=conditions)
    if isinstance(role, iam.Policy):
        role.add_statements(allowed)
    else:
        role.add_to_policy(allowed)
    stack = cdk.Stack.of(role)
    wild = [f"Action::{a}" for a in actions if "*" in a]
    wild += [f"Resource::{text}" for r in resources if "*" in (text := _flat(stack.resolve(r)))]
    if wild and not why:
        raise ValueError(f"{role.node.path}: say why it may use {', '.join(wild)}")
    acknowledge(role, why or "", *(f"AwsSolutions-IAM5[{finding}]" for finding in wild))


def of_alias(alias: str) -> Mapping[str, Mapping[str, object]]:
    """A condition: the key has this alias, whatever others it has.

    A key has several aliases, so the condition's key has several values, and a comparison without
    a set operator matches none of them.
    https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
    """
    return {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{alias}"}}


def _flat(resolved: Any) -> str:
    """A resolved token as the policy check writes it: ``arn:<AWS::Partition>:s3:::x/*``."""
    match resolved:
        case str():
            return re.sub(r"\$\{(.*?)\}", r"<\1>", resolved)  # as it writes IAM's own variables
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_flat, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::ImportValue": name}:
            return f"<{name}>" if isinstance(name, str) else f"<{_flat(name)}>"
    return json.dumps(resolved)
