"""What keeps copies: backups, and the other region."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.database import Database
from deploy.cdk.foundation import REPLICATED, Foundation
from deploy.cdk.stack import KEPT, Part, acknowledge, explain


class Protection(Part):
    """AWS Backup.

    Attributes:
        vault: where AWS Backup keeps recovery points.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        foundation: Foundation,
        database: Database,
    ) -> None:
        super().__init__(scope, environment, "protection", "Backups.")
        self._foundation = foundation
        self.vault = self._back_up(database)

    def _back_up(self, database: Database) -> backup.BackupVault:
        """Once a day: Dagster's database, and the buckets that hold the truth."""
        vault = backup.BackupVault(
            self,
            "Backups",
            backup_vault_name=self.named("backups"),
            encryption_key=kms.Key.from_key_arn(self, "DataKey", self._foundation.data_key.key_arn),
            removal_policy=KEPT,
            block_recovery_point_deletion=self.settings.guarded,
        )
        role = iam.Role(
            self,
            "BackupRole",
            role_name=self.named("backup"),
            description="Makes and restores backups.",
            assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(policy)
                for policy in _BACKUP_POLICIES
            ],
        )
        acknowledge(
            role,
            "What AWS Backup needs for a kind of resource is AWS's to say; the role is its alone.",
            *(
                f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}]"
                for policy in _BACKUP_POLICIES
            ),
        )
        of = backup.CfnBackupPlan
        plan = of(
            self,
            "Daily",
            backup_plan=of.BackupPlanResourceTypeProperty(
                backup_plan_name=self.named("daily"),
                backup_plan_rule=[
                    of.BackupRuleResourceTypeProperty(
                        rule_name="daily",
                        target_backup_vault=vault.backup_vault_name,
                        # After the night's runs and maintenance.
                        schedule_expression="cron(0 5 * * ? *)",
                        start_window_minutes=60,
                        completion_window_minutes=360,
                        lifecycle=of.LifecycleResourceTypeProperty(
                            delete_after_days=self.settings.backup_days
                        ),
                    )
                ],
            ),
        )
        of_selection = backup.CfnBackupSelection
        of_selection(
            self,
            "Selection",
            backup_plan_id=plan.ref,
            backup_selection=of_selection.BackupSelectionResourceTypeProperty(
                selection_name=self.named("daily"),
                iam_role_arn=role.role_arn,
                resources=[
                    database.instance.instance_arn,
                    self._foundation.raw.bucket_arn,
                    self._foundation.processed.bucket_arn,
                ],
            ),
        )
        return vault


_BACKUP_POLICIES = (
    "service-role/AWSBackupServiceRolePolicyForBackup",
    "service-role/AWSBackupServiceRolePolicyForRestores",
    "AWSBackupServiceRolePolicyForS3Backup",
    "AWSBackupServiceRolePolicyForS3Restore",
)


class Replica(Part):
    """The other region: a key, and a bucket for each zone that is copied. Deployed first.

    Attributes:
        buckets: by zone.
    """

    def __init__(self, scope: Construct, environment: Environment) -> None:
        super().__init__(
            scope,
            environment,
            "replica",
            "Copies of the lake's buckets in a second region.",
            environment.replica_region,
        )
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{self.named('replica')}",
            description="Encrypts the copies of the lake.",
            enable_key_rotation=True,
            removal_policy=KEPT,
        )
        explain(key, "In a key's own policy, * is the key; the account's roles decide the rest.")
        logs = self._bucket("access-logs", None, None)
        self.buckets = {zone: self._bucket(zone, key, logs) for zone in REPLICATED}

    def _bucket(self, zone: str, key: kms.Key | None, logs: s3.Bucket | None) -> s3.Bucket:
        """Log delivery knows no KMS key, so the bucket of access logs has none."""
        bucket = self.bucket(
            zone.capitalize(),
            names.bucket(self.settings, zone, self.account, replica=True),
            [
                s3.LifecycleRule(
                    id="old-versions",
                    noncurrent_version_expiration=cdk.Duration.days(self.settings.old_version_days),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                )
            ],
            key,
            logs,
            f"s3/{zone}/" if logs else None,
        )
        if logs is None:
            acknowledge(
                bucket, "It holds the access logs; its own would fill itself.", "AwsSolutions-S1"
            )
        return bucket
