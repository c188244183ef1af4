"""Who deploys: roles that GitHub's workflows take on, without a key that could be lost."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.stack import Part, acknowledge, grant

ISSUER = "token.actions.githubusercontent.com"
_OURS = "Of this environment's name alone; which there will be is for the templates to say."


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
            allowed_pattern="[A-Za-z0-9-]+/[A-Za-z0-9._-]+",
            description="OWNER/NAME on GitHub, whose environments may deploy.",
        )
        self.execution = self._execution()
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
            assumed_by=iam.ServicePrincipal(
                "cloudformation.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": self.account}},
            ),
            managed_policies=[iam.ManagedPolicy.from_aws_managed_policy_name("PowerUserAccess")],
        )
        acknowledge(
            role,
            "It makes every kind of resource that the templates have, and is CloudFormation's "
            "alone; of roles it may touch only this environment's.",
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/PowerUserAccess]",
        )
        grant(
            role,
            [
                "iam:AttachRolePolicy",
                "iam:CreateRole",
                "iam:DeleteRole",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:GetRole",
                "iam:GetRolePolicy",
                "iam:ListRoleTags",
                "iam:PassRole",
                "iam:PutRolePolicy",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:UpdateRole",
                "iam:UpdateRoleDescription",
            ],
            [self._named_roles()],
            _OURS,
        )
        return role

    def _named_roles(self) -> str:
        return f"arn:{self.partition}:iam::{self.account}:role/{self.named('*')}"

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
                "cloudformation:CreateChangeSet",
                "cloudformation:DeleteChangeSet",
                "cloudformation:DeleteStack",
                "cloudformation:DescribeChangeSet",
                "cloudformation:DescribeStackEvents",
                "cloudformation:DescribeStacks",
                "cloudformation:ExecuteChangeSet",
                "cloudformation:TagResource",
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
            {"StringEquals": {"kms:ResourceAliases": f"alias/{self.named('data')}"}},
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
        """A smoke batch runs as a run's task: who deploys touches no data."""
        family = f"{self.named('dagster-run')}:*"
        cluster = self.format_arn(
            service="ecs", resource="cluster", resource_name=self.named("dagster")
        )
        tasks = self.format_arn(
            service="ecs", resource="task", resource_name=f"{self.named('dagster')}/*"
        )
        here = {"ArnEquals": {"ecs:cluster": cluster}}
        grant(
            self.deploy,
            ["ecs:RunTask"],
            [
                self.format_arn(service="ecs", resource="task-definition", resource_name=family),
                self.format_arn(
                    service="ecs",
                    resource="task-definition",
                    resource_name=self.named("dagster-run"),
                ),
            ],
            "Each deployment makes a new revision of it.",
            here,
        )
        grant(
            self.deploy,
            ["ecs:DescribeTasks"],
            [tasks],
            "The task that it started, whose number is not known before.",
            here,
        )
        roles = [
            f"arn:{self.partition}:iam::{self.account}:role/{self.named(f'dagster-{part}')}"
            for part in ("run", "execution")
        ]
        to = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        grant(self.deploy, ["iam:PassRole"], roles, conditions=to)

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
