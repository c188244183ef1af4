"""Who operates: people who look at the UI, run commands in a task, and land files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs

from deploy.cdk import names
from deploy.cdk.stack import WRITE_OBJECTS, Part, grant
from lakehouse_assets.tables.registry import DATASETS

_DOCUMENT: Final = "AWS-StartPortForwardingSession"
"""Forwards a port, and runs nothing."""


class Operators:
    """The operators' role, which whoever of the account is let to may take on.

    By it a run's task takes any command, and so has all rights of a run: it is for those who
    answer for the data.

    Attributes:
        role: of people.
        recovery: of the worst day (docs/recovery.md); a task's, or a person's.
    """

    def __init__(
        self, stack: Part, key: kms.IKey, log: logs.ILogGroup, cluster: ecs.ICluster
    ) -> None:
        self._stack, self._cluster = stack, cluster
        self.role = iam.Role(
            stack,
            "Operator",
            role_name=stack.named("operator"),
            description="Looks at the UI, runs commands as a run's task, lands files.",
            assumed_by=iam.AccountRootPrincipal(),
        )
        self._tasks = stack.format_arn(
            service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*"
        )
        self.recovery = self._recovery(key)
        self._let_in()
        self._let_land(key)
        grant(
            self.role,
            ["logs:GetLogEvents"],
            [log.log_group_arn],
            "Each task has a stream of its own in this group.",
        )

    def let_run(self, task: str, handed_on: Sequence[str]) -> None:
        """Start the run's task, with the roles that such a task has, and watch and end it."""
        stack = self._stack
        here = {"ArnEquals": {"ecs:cluster": self._cluster.cluster_arn}}
        grant(self.role, ["ecs:RunTask"], [task], conditions=here)
        grant(
            self.role,
            ["ecs:DescribeTasks", "ecs:StopTask"],
            [self._tasks],
            "Tasks' numbers are not known before; of this cluster alone.",
            here,
        )
        grant(
            self.role,
            ["ecs:ListTasks"],
            ["*"],
            "ECS lists tasks of container instances, of which there are none: the condition names "
            "the cluster.",
            here,
        )
        to = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        grant(self.role, ["iam:PassRole"], [*handed_on, self.recovery.role_arn], conditions=to)
        grant(
            self.role,
            ["cloudformation:DescribeStacks"],
            [
                stack.format_arn(
                    service="cloudformation",
                    resource="stack",
                    resource_name=f"{stack.named('orchestration')}/*",
                )
            ],
            "A stack's number is not known before.",
        )

    def _recovery(self, key: kms.IKey) -> iam.Role:
        """Whoever has it may bring back what was deleted, and read every copy in another region.

        A person's, too: where nothing leads out of a task's subnets, nor does anything lead to
        another region's bucket. Copies are of any environment: a region that is lost is brought up
        under another name, from the copies of the one that was there.
        """
        stack = self._stack
        account, partition = stack.account, stack.partition
        role = iam.Role(
            stack,
            "Recovery",
            role_name=stack.named("recovery"),
            description="Brings back what was lost; of whoever an administrator lets to it.",
            assumed_by=iam.CompositePrincipal(
                stack.service("ecs-tasks"), iam.AccountRootPrincipal()
            ),
        )
        buckets = [
            f"arn:{partition}:s3:::{names.bucket(stack.settings, zone, account)}"
            for zone in ("raw", "processed")
        ]
        copies = f"arn:{partition}:s3:::{names.PRODUCT}-*-replica-{account}"
        which = "Which objects there will be is not known; of these buckets alone."
        grant(role, ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketVersions"], buckets)
        grant(
            role,
            ["s3:GetObject", "s3:GetObjectVersion", *WRITE_OBJECTS, "s3:DeleteObjectVersion"],
            [f"{bucket}/*" for bucket in buckets],
            which,
        )
        any_copy = "Copies of this account's lakehouses, whatever their environment's name."
        grant(role, ["s3:ListBucket"], [copies], any_copy)
        grant(role, ["s3:GetObject"], [f"{copies}/*"], any_copy)
        grant(role, ["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn])
        grant(
            role,
            ["kms:Decrypt"],
            [f"arn:{partition}:kms:*:{account}:key/*"],
            "The copies' keys, each of its region, known by their aliases: the condition.",
            {"ForAnyValue:StringLike": {"kms:ResourceAliases": f"alias/{names.PRODUCT}-*-replica"}},
        )
        return role

    def _let_in(self) -> None:
        """Forward a port of a task, and nothing else that Session Manager can do.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-specify-session-document.html
        """
        stack = self._stack
        document = f"arn:{stack.partition}:ssm:{stack.region}::document/{_DOCUMENT}"
        grant(
            self.role,
            ["ssm:StartSession"],
            [self._tasks, document],
            "Tasks' numbers are not known before; of this cluster alone.",
            {"BoolIfExists": {"ssm:SessionDocumentAccessCheck": "true"}},
        )
        own = stack.format_arn(service="ssm", resource="session", resource_name="${aws:userid}-*")
        grant(
            self.role,
            ["ssm:ResumeSession", "ssm:TerminateSession"],
            [own],
            "Sessions of who asks, by the name that Session Manager gives them.",
        )

    def _let_land(self, key: kms.IKey) -> None:
        """Put files where they land; it reads none, and changes nothing else."""
        stack = self._stack
        bucket = names.bucket(stack.settings, "raw", stack.account)
        raw = f"arn:{stack.partition}:s3:::{bucket}"
        grant(self.role, ["s3:ListBucket"], [raw])
        grant(
            self.role,
            ["s3:AbortMultipartUpload", "s3:PutObject"],
            [f"{raw}/{dataset}/*" for dataset in DATASETS],
            "Which files there will be is not known; of the datasets' folders alone.",
        )
        # To upload in parts is to read them, too.
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
        grant(self.role, ["kms:Decrypt", "kms:GenerateDataKey"], [key.key_arn])
