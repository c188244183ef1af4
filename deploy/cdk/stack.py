"""What all stacks share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from deploy.cdk import names
from deploy.cdk.config import Environment


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

    def bucket(
        self,
        logical: str,
        name: str,
        lifecycle: Sequence[s3.LifecycleRule],
        key: kms.IKey | None = None,
        logs: s3.IBucket | None = None,
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
            removal_policy=cdk.RemovalPolicy.RETAIN,
            server_access_logs_bucket=logs,
            server_access_logs_prefix=logs_prefix,
            lifecycle_rules=[*lifecycle],
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
    role: iam.Role,
    actions: Sequence[str],
    resources: Sequence[str],
    why: str | None = None,
    conditions: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Let a role do something; ``why`` is asked for where an action or a resource has a ``*``."""
    role.add_to_policy(
        iam.PolicyStatement(actions=[*actions], resources=[*resources], conditions=conditions)
    )
    stack = cdk.Stack.of(role)
    wild = [f"Action::{a}" for a in actions if "*" in a]
    wild += [f"Resource::{text}" for r in resources if "*" in (text := _flat(stack.resolve(r)))]
    if wild and not why:
        raise ValueError(f"{role.node.path}: say why it may use {', '.join(wild)}")
    acknowledge(role, why or "", *(f"AwsSolutions-IAM5[{finding}]" for finding in wild))


def _flat(resolved: Any) -> str:
    """A resolved token as the policy check writes it: ``arn:<AWS::Partition>:s3:::x/*``."""
    match resolved:
        case str():
            return resolved
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(map(_flat, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::ImportValue": name}:
            return f"<{name}>" if isinstance(name, str) else f"<{_flat(name)}>"
    return json.dumps(resolved)
