"""What watches the account and keeps copies: trail, guards, backups, and the other region."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_config as config
from aws_cdk import aws_events as events
from aws_cdk import aws_guardduty as guardduty
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_securityhub as securityhub
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.events import Events
from deploy.cdk.foundation import REPLICATED, Foundation
from deploy.cdk.orchestration import Orchestration
from deploy.cdk.stack import Part, acknowledge, explain, grant
from lakehouse_assets.ports import Topic

_TRAIL_BUCKET = "trail"


class Protection(Part):
    """CloudTrail with data events, Config, GuardDuty, Security Hub, and AWS Backup.

    What an account has once in a region is made by one of the environments that share it.

    Attributes:
        vault: where AWS Backup keeps recovery points.
    """

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        foundation: Foundation,
        events: Events,
        orchestration: Orchestration,
    ) -> None:
        super().__init__(scope, environment, "protection", "Trail, guards and backups.")
        self._foundation = foundation
        records = self._records()
        self._trail(records)
        if environment.account_guards:
            self._guard(records)
        self._tell_findings(events)
        self.vault = self._back_up(orchestration)

    def _records(self) -> s3.Bucket:
        """The bucket of the trail and of Config's snapshots."""
        bucket = self.bucket(
            "Records",
            names.bucket(self.settings, _TRAIL_BUCKET, self.account),
            [
                s3.LifecycleRule(
                    id="expire",
                    expiration=cdk.Duration.days(self.settings.audit_days),
                    noncurrent_version_expiration=cdk.Duration.days(30),
                )
            ],
            kms.Key.from_key_arn(self, "Key", self._foundation.logs_key.key_arn),
        )
        acknowledge(
            bucket,
            "The trail itself records who reads it, object by object.",
            "AwsSolutions-S1",
        )
        here = {"StringEquals": {"aws:SourceAccount": self.account}}
        for service in ("cloudtrail", "config"):
            principal = iam.ServicePrincipal(f"{service}.amazonaws.com", conditions=here)
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[principal],
                    actions=["s3:GetBucketAcl", "s3:ListBucket"],
                    resources=[bucket.bucket_arn],
                )
            )
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[principal],
                    actions=["s3:PutObject"],
                    resources=[bucket.arn_for_objects(f"AWSLogs/{self.account}/*")],
                )
            )
        return bucket

    def _trail(self, records: s3.Bucket) -> None:
        """Every call, and every read and write of the lake's objects."""
        role = iam.Role(
            self,
            "TrailLogs",
            role_name=self.named("trail"),
            description="Writes the trail into its log group.",
            assumed_by=iam.ServicePrincipal("cloudtrail.amazonaws.com"),
        )
        group = self._foundation.log_groups["trail"]
        log = f"arn:{self.partition}:logs:{self.region}:{self.account}:log-group:"
        log += names.log_group(self.settings, "trail")
        grant(
            role,
            ["logs:CreateLogStream", "logs:PutLogEvents"],
            [f"{log}:log-stream:*"],
            "CloudTrail names the streams of this one group.",
        )
        of = cloudtrail.CfnTrail
        zones = [
            f"arn:{self.partition}:s3:::{names.bucket(self.settings, zone, self.account)}/"
            for zone in names.ZONES
        ]
        trail = of(
            self,
            "Trail",
            trail_name=self.named("trail"),
            is_logging=True,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            s3_bucket_name=records.bucket_name,
            kms_key_id=self._foundation.logs_key.key_arn,
            cloud_watch_logs_log_group_arn=group.log_group_arn,
            cloud_watch_logs_role_arn=role.role_arn,
            event_selectors=[
                of.EventSelectorProperty(
                    include_management_events=True,
                    read_write_type="All",
                    data_resources=[of.DataResourceProperty(type="AWS::S3::Object", values=zones)],
                )
            ],
        )
        if records.policy is not None:  # CloudTrail tries to write as it is made
            trail.node.add_dependency(records.policy)

    def _guard(self, records: s3.Bucket) -> None:
        """GuardDuty, Security Hub and Config, once in an account and region."""
        of = guardduty.CfnDetector
        of(
            self,
            "GuardDuty",
            enable=True,
            finding_publishing_frequency="FIFTEEN_MINUTES",
            features=[of.CFNFeatureConfigurationProperty(name="S3_DATA_EVENTS", status="ENABLED")],
        )
        role = iam.CfnServiceLinkedRole(self, "ConfigRole", aws_service_name="config.amazonaws.com")
        recorder = config.CfnConfigurationRecorder(
            self,
            "Config",
            name=self.named("config"),
            role_arn=(
                f"arn:{self.partition}:iam::{self.account}:role/aws-service-role/"
                "config.amazonaws.com/AWSServiceRoleForConfig"
            ),
            recording_group=config.CfnConfigurationRecorder.RecordingGroupProperty(
                all_supported=True, include_global_resource_types=True
            ),
        )
        recorder.add_resource_dependency(role)
        config.CfnDeliveryChannel(
            self,
            "ConfigDelivery",
            name=self.named("config"),
            s3_bucket_name=records.bucket_name,
            s3_kms_key_arn=self._foundation.logs_key.key_arn,
        ).add_resource_dependency(recorder)
        hub = securityhub.CfnHub(
            self, "SecurityHub", enable_default_standards=True, auto_enable_controls=True
        )
        hub.add_resource_dependency(recorder)

    def _tell_findings(self, on: Events) -> None:
        """Serious findings of the guards go where failures go."""
        topic = on.topics[str(Topic.FAILURE)]
        events.CfnRule(
            self,
            "Findings",
            name=self.named("findings"),
            description="Tells people of serious security findings.",
            event_pattern={
                "source": ["aws.securityhub"],
                "detail-type": ["Security Hub Findings - Imported"],
                "detail": {
                    "findings": {
                        "Severity": {"Label": ["HIGH", "CRITICAL"]},
                        "Workflow": {"Status": ["NEW"]},
                    }
                },
            },
            targets=[events.CfnRule.TargetProperty(id="people", arn=topic.topic_arn)],
        )

    def _back_up(self, orchestration: Orchestration) -> backup.BackupVault:
        """Once a day: Dagster's database, and the buckets that hold the truth."""
        vault = backup.BackupVault(
            self,
            "Backups",
            backup_vault_name=self.named("backups"),
            encryption_key=kms.Key.from_key_arn(self, "DataKey", self._foundation.data_key.key_arn),
            removal_policy=cdk.RemovalPolicy.RETAIN,
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
                    orchestration.database.instance_arn,
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
            removal_policy=cdk.RemovalPolicy.RETAIN,
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
