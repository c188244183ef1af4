"""Who deploys: roles that GitHub's workflows take on, without a key that could be lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lakeformation as lakeformation
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.guards import CONFIG_ROLE
from deploy.cdk.stack import Part, acknowledge, grant, of_alias

_OWNER, _NAME, _ID = "[A-Za-z0-9-]+", "[A-Za-z0-9._-]+", "@[0-9]+"
_REPOSITORY: Final = f"{_OWNER}/{_NAME}|{_OWNER}{_ID}/{_NAME}{_ID}"
"""Whole, in the one form or the other: a subject is compared exactly.
https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
"""
ISSUER = "token.actions.githubusercontent.com"
_OURS = "Of this environment's name alone; which there will be is for the templates to say."
# What CloudFormation asks of IAM for a role and its policies, by the handlers of their schemas:
# https://github.com/aws-cloudformation/aws-cloudformation-resource-providers-iam
_READ_ROLES: Final = (
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:ListRoleTags",
)
_CHANGE_ROLES: Final = (
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
)


class Access(Part):
    """Roles of the workflows. Deployed by a person, once for an environment.

    Attributes:
        deploy: brings releases (deploy/release.py); trusts the GitHub environment of that name.
        drift: compares stacks with their templates; trusts ``<environment>-drift``.
        execution: what CloudFormation makes resources with; nobody else can take it on.
    """

    def __init__(self, scope: Construct, environment: Environment) -> None:
        super().__init__(scope, environment, "access", "Roles of the workflows that deploy.")
        self._repository = cdk.CfnParameter(
            self,
            "Repository",
            type="String",
            allowed_pattern=_REPOSITORY,
            description="Repository on GitHub whose environments may deploy, as its tokens name "
            "it: OWNER/NAME, or OWNER@ID/NAME@ID if it was made or renamed since July 2026.",
        )
        self.execution = self._execution()
        self._administer()
        self.deploy = self._of_workflows("deploy", environment.name, "Brings releases.", hours=6)
        self.drift = self._of_workflows(
            "drift", f"{environment.name}-drift", "Compares stacks with their templates.", hours=1
        )
        self._let_deploy()
        self._let_compare()
        self.output("DeployRole", self.deploy.role_arn, "AWS_DEPLOY_ROLE of the environment.")
        self.output("DriftRole", self.drift.role_arn, "AWS_DRIFT_ROLE of <environment>-drift.")

    def _of_workflows(self, name: str, environment: str, about: str, *, hours: int) -> iam.Role:
        """A role for jobs of one GitHub environment of one repository, and for nothing else."""
        subject = f"repo:{self._repository.value_as_string}:environment:{environment}"
        # The provider is there once in an account, whatever else of GitHub's is deployed to it.
        provider = f"arn:{self.partition}:iam::{self.account}:oidc-provider/{ISSUER}"
        return iam.Role(
            self,
            f"Role-{name}",
            role_name=self.named(name),
            description=about,
            max_session_duration=cdk.Duration.hours(hours),
            assumed_by=iam.FederatedPrincipal(
                provider,
                {"StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": subject}},
                "sts:AssumeRoleWithWebIdentity",
            ),
        )

    def _execution(self) -> iam.Role:
        role = iam.Role(
            self,
            "Role-cloudformation",
            role_name=self.named("cloudformation"),
            description="What CloudFormation makes this environment's resources with.",
            assumed_by=self.service("cloudformation"),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name("PowerUserAccess")],
        )
        acknowledge(
            role,
            "It makes every kind of resource that the templates have, and is CloudFormation's "
            "alone; of roles it may touch only this environment's.",
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/PowerUserAccess]",
        )
        grant(role, [*_READ_ROLES, *_CHANGE_ROLES, "iam:PassRole"], [self._roles("*")], _OURS)
        # Who may change these may do anything: a person does.
        own = [self._roles(name) for name in ("cloudformation", "deploy", "drift")]
        role.add_to_policy(
            iam.PolicyStatement(effect=iam.Effect.DENY, actions=[*_CHANGE_ROLES], resources=own)
        )
        if self.settings.account_guards:
            grant(
                role,
                ["iam:PassRole"],
                [f"arn:{self.partition}:iam::{self.account}:role/{CONFIG_ROLE}"],
                conditions={"StringEquals": {"iam:PassedToService": "config.amazonaws.com"}},
            )
            # Who turns GuardDuty on looks whether its service-linked role is there.
            grant(
                role,
                ["iam:GetRole"],
                [f"arn:{self.partition}:iam::{self.account}:role/{names.GUARDDUTY_ROLE}"],
            )
        return role

    def _administer(self) -> None:
        """Let CloudFormation say who sees which columns; other administrators stay what they are.

        Who registers a place with Lake Formation, and grants rights on tables that somebody else
        has made, must be an administrator.
        https://docs.aws.amazon.com/lake-formation/latest/dg/implicit-permissions.html
        """
        of = lakeformation.CfnDataLakeSettings
        of(
            self,
            "Administrators",
            mutation_type="APPEND",
            admins=[
                of.DataLakePrincipalProperty(data_lake_principal_identifier=self.execution.role_arn)
            ],
        )

    def _roles(self, name: str) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{self.named(name)}"

    def _stacks(self) -> Sequence[str]:
        """This environment's stacks, in both of its regions."""
        regions = (self.settings.region, self.settings.replica_region)
        return [
            f"arn:{self.partition}:cloudformation:{region}:{self.account}:stack/{self.named('*')}"
            for region in regions
        ]

    def _let_deploy(self) -> None:
        grant(
            self.deploy,
            [
                "cloudformation:ContinueUpdateRollback",
                "cloudformation:CreateChangeSet",
                "cloudformation:DeleteChangeSet",
                "cloudformation:DeleteStack",
                "cloudformation:DescribeChangeSet",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DescribeStacks",
                "cloudformation:ExecuteChangeSet",
                "cloudformation:TagResource",
                "cloudformation:UpdateTerminationProtection",
            ],
            self._stacks(),
            _OURS,
        )
        to = {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
        grant(self.deploy, ["iam:PassRole"], [self.execution.role_arn], conditions=to)
        bucket = f"arn:{self.partition}:s3:::" + names.bucket(
            self.settings, "deployment", self.account
        )
        grant(self.deploy, ["s3:ListBucket"], [bucket])
        grant(
            self.deploy,
            ["s3:GetObject", "s3:PutObject"],
            [f"{bucket}/etl_scripts/*", f"{bucket}/infrastructure/*"],
            "Each release lies under its own name.",
        )
        grant(
            self.deploy,
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [f"arn:{self.partition}:kms:{self.region}:{self.account}:key/*"],
            "The key is made later, and known by its alias: the condition.",
            of_alias(self.named("data")),
        )
        self._let_push()
        self._let_smoke()

    def _let_push(self) -> None:
        grant(
            self.deploy,
            ["ecr:GetAuthorizationToken"],
            ["*"],
            "A token is of the account; ECR knows no resource of it.",
        )
        grant(
            self.deploy,
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:DescribeRepositories",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
            [
                self.format_arn(
                    service="ecr", resource="repository", resource_name=self.named("dagster")
                )
            ],
        )

    def _let_smoke(self) -> None:
        """Starts the smoke batch, whose state machine says what is run and with which rights.

        Not the task itself: whoever may start a task may give it any command.
        """
        machine = self.named("smoke")
        grant(self.deploy, ["states:StartExecution"], [self._state("stateMachine", machine)])
        grant(
            self.deploy,
            ["states:DescribeExecution"],
            [self._state("execution", f"{machine}:*")],
            "The execution that it started, whose name is not known before.",
        )

    def _state(self, resource: str, name: str) -> str:
        return self.format_arn(
            service="states",
            resource=resource,
            resource_name=name,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )

    def _let_compare(self) -> None:
        grant(
            self.drift,
            [
                "cloudformation:DescribeStackResourceDrifts",
                "cloudformation:DescribeStacks",
                "cloudformation:DetectStackDrift",
                "cloudformation:DetectStackResourceDrift",
            ],
            self._stacks(),
            _OURS,
        )
        grant(
            self.drift,
            ["cloudformation:DescribeStackDriftDetectionStatus"],
            ["*"],
            "CloudFormation knows no resource for this action.",
        )
        # What it compares it reads as who asks; this policy reads settings, and no data.
        self.drift.add_managed_policy(
            iam.ManagedPolicy.from_aws_managed_policy_name("job-function/ViewOnlyAccess")
        )
        self.drift.add_managed_policy(
            iam.ManagedPolicy.from_aws_managed_policy_name("SecurityAudit")
        )
        policies = ("job-function/ViewOnlyAccess", "SecurityAudit")
        acknowledge(
            self.drift,
            "Drift is found by reading every resource's settings; these read no data.",
            *(
                f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}]"
                for policy in policies
            ),
        )
