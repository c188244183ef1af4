"""What outlives everything else: keys, buckets, log groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.stack import KEPT, Part, acknowledge, explain, grant, of_alias

# What a second region must hold, by zone; "" is all. Stages, answers of queries and what Pipes
# says are of no use there.
REPLICATED: Final = {
    "raw": ("",),
    "processed": (
        "aside/",
        "bronze/",
        "gold/",
        "history/",
        "ledger/",
        "mart/",
        "receipts/",
        "rejected/",
        "silver/",
        "superseded/",
    ),
    "deployment": ("config/", "etl_scripts/", "infrastructure/"),
}
_LEAST_LIVE_DAYS: Final = 7


class Foundation(Part):
    """Keys, buckets and log groups.

    Attributes:
        data_key: encrypts the lake's buckets and what Glue and Athena write.
        messages_key: encrypts queues and topics.
        logs_key: encrypts log groups and the audit trail.
        raw: bucket of what lands, and of the archive.
        processed: bucket of the tables and the ledger.
        deployment: bucket of what jobs run, and of what they say.
        glue_security: name of how Glue encrypts.
        access_logs: where S3 and the load balancer write who came.
        records: bucket of the trail and of Config, where this environment has the account's guards.
        log_groups: by source: ``dagster``, ``network``, and ``trail`` with the guards. Those of
            Glue's jobs are made with the jobs, whose names are in theirs.
    """

    def __init__(self, scope: Construct, environment: Environment) -> None:
        super().__init__(scope, environment, "foundation", "Keys, buckets and log groups.")
        self.data_key = self._key("data", "Encrypts the lake.")
        self.messages_key = self._key("messages", "Encrypts queues and topics.")
        self.logs_key = self._key("logs", "Encrypts logs and the audit trail.")
        self._let_services_use_keys()
        for key in (self.data_key, self.messages_key, self.logs_key):
            explain(
                key, "In a key's own policy, * is the key; the account's roles decide the rest."
            )
        self.access_logs = self._access_logs()
        self.raw = self._bucket("raw", [self._cold("archive/")])
        self.processed = self._bucket(
            "processed",
            [_expire("stage/", 2), _expire("athena_queries/", environment.old_version_days)],
        )
        self.deployment = self._bucket("deployment", [_expire("pipes/", _LEAST_LIVE_DAYS)])
        self._announce_raw_files()
        self._replicate()
        self.glue_security = self._secure_glue()
        days = dict.fromkeys(("dagster", "network"), environment.log_days)
        self.records = None
        if environment.account_guards:
            self.records = self._records()
            days["trail"] = environment.audit_days
        self.log_groups = {source: self._log_group(source, n) for source, n in days.items()}

    # -------------------------------------------------------------------------------- keys

    @property
    def settings_of_the_lake(self) -> Mapping[str, str]:
        """The product's settings, by their fields' names, for whatever works on this lake."""
        return {
            "raw": f"s3://{self.raw.bucket_name}",
            "processed": f"s3://{self.processed.bucket_name}",
            "bucket_owner": self.account,
            "kms_key": self.data_key.key_arn,
            "first_date": self.settings.first_date,
            "log_format": "json",
        }

    def _key(self, purpose: str, about: str) -> kms.Key:
        return kms.Key(
            self,
            f"Key-{purpose}",
            alias=f"alias/{self.named(purpose)}",
            description=about,
            enable_key_rotation=True,
            removal_policy=KEPT,
        )

    def _let_services_use_keys(self) -> None:
        """Let services encrypt that act for nobody in particular: roles have policies."""
        here = {"StringEquals": {"aws:SourceAccount": self.account}}
        # EventBridge names no source in its requests to KMS: with a condition nothing would reach
        # an encrypted queue or topic. Their own policies say whose rules may.
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
        self.messages_key.add_to_resource_policy(
            _use(iam.ServicePrincipal("events.amazonaws.com"), {})
        )
        self.messages_key.add_to_resource_policy(
            _use(iam.ServicePrincipal("cloudwatch.amazonaws.com"), here)
        )
        self.logs_key.add_to_resource_policy(
            _use(
                iam.ServicePrincipal(f"logs.{self.region}.amazonaws.com"),
                {
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": self.format_arn(
                            service="logs",
                            resource="log-group",
                            resource_name="*",
                            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                        )
                    }
                },
                # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
                "kms:DescribeKey",
            )
        )
        if self.settings.account_guards:
            # A trail is refused whose key CloudTrail cannot describe.
            # https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html
            self.logs_key.add_to_resource_policy(
                _use(iam.ServicePrincipal("cloudtrail.amazonaws.com"), here, "kms:DescribeKey")
            )
            self.logs_key.add_to_resource_policy(
                _use(iam.ServicePrincipal("config.amazonaws.com"), here)
            )

    # ------------------------------------------------------------------------------ buckets

    def _access_logs(self) -> s3.Bucket:
        """Where S3 and load balancers say who came. Log delivery knows no KMS key."""
        bucket = self.bucket(
            "AccessLogs",
            names.bucket(self.settings, "access-logs", self.account),
            [
                _old_versions(self.settings.old_version_days),
                _expire("", self.settings.audit_days),
            ],
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("logdelivery.elasticloadbalancing.amazonaws.com")],
                actions=["s3:PutObject"],
                resources=[
                    bucket.arn_for_objects(f"load-balancer/AWSLogs/{self.account}/*"),
                ],
            )
        )
        acknowledge(
            bucket, "It holds the access logs; its own would fill itself.", "AwsSolutions-S1"
        )
        return bucket

    def _records(self) -> s3.Bucket:
        """The bucket of the trail and of Config's snapshots.

        Here and not with them: both write into it as they are made, and a bucket with something
        in it cannot be taken back where their stack fails.
        """
        bucket = self.bucket(
            "Records",
            names.bucket(self.settings, "trail", self.account),
            [
                s3.LifecycleRule(
                    id="expire",
                    expiration=cdk.Duration.days(self.settings.audit_days),
                    noncurrent_version_expiration=cdk.Duration.days(30),
                )
            ],
            self.logs_key,
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

    def _bucket(self, zone: str, lifecycle: Sequence[s3.LifecycleRule]) -> s3.Bucket:
        return self.bucket(
            zone.capitalize(),
            names.bucket(self.settings, zone, self.account),
            [_old_versions(self.settings.old_version_days), *lifecycle],
            self.data_key,
            self.access_logs,
            f"s3/{zone}/",
        )

    def _cold(self, prefix: str) -> s3.LifecycleRule:
        """Cheaper, but read at once: reinstating a file needs its bytes."""
        return s3.LifecycleRule(
            id="cold",
            prefix=prefix,
            transitions=[
                s3.Transition(
                    storage_class=s3.StorageClass.GLACIER_INSTANT_RETRIEVAL,
                    transition_after=cdk.Duration.days(self.settings.archive_cold_days),
                )
            ],
        )

    def _announce_raw_files(self) -> None:
        # By property: CDK's own way is a Lambda function that sets it.
        bucket = self.raw.node.default_child
        assert isinstance(bucket, s3.CfnBucket)
        bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(
                event_bridge_enabled=True
            )
        )

    # -------------------------------------------------------------------------- replication

    def _replicate(self) -> None:
        """Copy what matters into the second region's buckets (the stack ``replica`` makes them)."""
        role = iam.Role(
            self,
            "Replication",
            role_name=self.named("replication"),
            assumed_by=iam.ServicePrincipal("s3.amazonaws.com"),
            description="Copies objects into the second region.",
        )
        there = {
            zone: f"arn:{self.partition}:s3:::"
            + names.bucket(self.settings, zone, self.account, replica=True)
            for zone in REPLICATED
        }
        buckets = {"raw": self.raw, "processed": self.processed, "deployment": self.deployment}
        for zone, prefixes in REPLICATED.items():
            bucket = buckets[zone].node.default_child
            assert isinstance(bucket, s3.CfnBucket)
            bucket.replication_configuration = s3.CfnBucket.ReplicationConfigurationProperty(
                role=role.role_arn,
                rules=[
                    self._replication_rule(prefix, number, there[zone])
                    for number, prefix in enumerate(prefixes, 1)
                ],
            )
        self._let_replicate(role, list(buckets.values()), list(there.values()))

    def _replication_rule(
        self, prefix: str, priority: int, bucket: str
    ) -> s3.CfnBucket.ReplicationRuleProperty:
        of = s3.CfnBucket
        # 15 minutes, watched: what the targets for recovery are reckoned with. Each rule's
        # metrics are paid for like anybody's: not where that is most of what the lake costs.
        minutes = of.ReplicationTimeValueProperty(minutes=15)
        watched = {
            "replication_time": of.ReplicationTimeProperty(status="Enabled", time=minutes),
            "metrics": of.MetricsProperty(status="Enabled", event_threshold=minutes),
        }
        return of.ReplicationRuleProperty(
            id=prefix.rstrip("/") or "all",
            status="Enabled",
            priority=priority,
            filter=of.ReplicationRuleFilterProperty(prefix=prefix),
            # What is deleted here, by mistake or malice, stays there.
            delete_marker_replication=of.DeleteMarkerReplicationProperty(status="Disabled"),
            source_selection_criteria=of.SourceSelectionCriteriaProperty(
                sse_kms_encrypted_objects=of.SseKmsEncryptedObjectsProperty(status="Enabled")
            ),
            destination=of.ReplicationDestinationProperty(
                bucket=bucket,
                encryption_configuration=of.EncryptionConfigurationProperty(
                    replica_kms_key_id=self._key_there("alias/" + self.named("replica"))
                ),
                **(watched if self.settings.guarded else {}),
            ),
        )

    def _key_there(self, resource: str) -> str:
        return f"arn:{self.partition}:kms:{self.settings.replica_region}:{self.account}:{resource}"

    def _let_replicate(
        self, role: iam.Role, here: Sequence[s3.Bucket], there: Sequence[str]
    ) -> None:
        objects = "Which objects there will be is not known; it is these buckets' alone."
        grant(
            role, ["s3:GetReplicationConfiguration", "s3:ListBucket"], [b.bucket_arn for b in here]
        )
        grant(
            role,
            [
                "s3:GetObjectVersionAcl",
                "s3:GetObjectVersionForReplication",
                "s3:GetObjectVersionTagging",
            ],
            [b.arn_for_objects("*") for b in here],
            objects,
        )
        grant(role, ["s3:ReplicateObject", "s3:ReplicateTags"], [f"{a}/*" for a in there], objects)
        grant(role, ["kms:Decrypt"], [self.data_key.key_arn])
        grant(
            role,
            ["kms:Encrypt", "kms:GenerateDataKey"],
            [self._key_there("key/*")],
            "The other region's key is made there, and known here by its alias: the condition.",
            of_alias(self.named("replica")),
        )

    def _secure_glue(self) -> str:
        """How Glue encrypts what its jobs and crawlers write and log."""
        of = glue.CfnSecurityConfiguration
        name = self.named("glue")
        data = self.data_key.key_arn
        of(
            self,
            "Security",
            name=name,
            encryption_configuration=of.EncryptionConfigurationProperty(
                cloud_watch_encryption=of.CloudWatchEncryptionProperty(
                    cloud_watch_encryption_mode="SSE-KMS",
                    kms_key_arn=self.logs_key.key_arn,
                ),
                job_bookmarks_encryption=of.JobBookmarksEncryptionProperty(
                    job_bookmarks_encryption_mode="CSE-KMS", kms_key_arn=data
                ),
                s3_encryptions=[
                    of.S3EncryptionProperty(s3_encryption_mode="SSE-KMS", kms_key_arn=data)
                ],
            ),
        )
        return name

    # ---------------------------------------------------------------------------- log groups

    def _log_group(self, source: str, days: int) -> logs.LogGroup:
        name = names.log_group(self.settings, source)
        return self.log_group(f"Log-{source}", name, days, self.logs_key)


def _use(
    principal: iam.IPrincipal, conditions: dict[str, dict[str, str]], *more: str
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        principals=[principal],
        actions=["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", *more],
        # In a key's own policy, this is the key.
        resources=["*"],
        conditions=conditions,
    )


def _old_versions(days: int) -> s3.LifecycleRule:
    """Old versions go once time travel no longer reaches them; so do uploads never finished."""
    return s3.LifecycleRule(
        id="old-versions",
        noncurrent_version_expiration=cdk.Duration.days(days),
        abort_incomplete_multipart_upload_after=cdk.Duration.days(_LEAST_LIVE_DAYS),
        expired_object_delete_marker=True,
    )


def _expire(prefix: str, days: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=f"expire-{prefix.rstrip('/') or 'all'}",
        prefix=prefix or None,
        expiration=cdk.Duration.days(days),
    )
