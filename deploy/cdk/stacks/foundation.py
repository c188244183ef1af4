"""What outlives everything: keys, buckets, and the other region's copies of them."""

from __future__ import annotations

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from deploy.cdk.config import Environment
from deploy.cdk.names import Names

ZONES: Final = ("raw", "processed", "deployment")
REPLICATED: Final = ("raw", "processed")
"""The ledger, the raw files and the archive are the truth; the tables save the time to redo them."""


class Foundation(cdk.Stack):
    """Keys, the three zones' buckets, the bucket of their access logs, and replication."""

    def __init__(self, scope: Construct, id: str, environment: Environment, **more: object) -> None:  # noqa: A002 - CDK's own word
        super().__init__(scope, id, **more)  # type: ignore[arg-type]
        self.environment_ = environment
        self.names = Names(environment)
        self.key = kms.Key(
            self,
            "DataKey",
            alias=self.names.of("data"),
            description="Encrypts the lakehouse's files, queues and topics.",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        self.log_key = kms.Key(
            self,
            "LogKey",
            alias=self.names.of("logs"),
            description="Encrypts the lakehouse's logs.",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        _let_services_use(self.key, self.log_key, self)
        self.access_logs = access_log_bucket(self, self.names)
        self.buckets = {zone: self._bucket(zone) for zone in ZONES}
        self._replicate()

    def _bucket(self, zone: str) -> s3.Bucket:
        old = cdk.Duration.days(self.environment_.old_version_days)
        rules = [
            s3.LifecycleRule(
                id="unfinished", abort_incomplete_multipart_upload_after=cdk.Duration.days(7)
            ),
            s3.LifecycleRule(
                id="old-versions", noncurrent_version_expiration=old, expired_object_delete_marker=True
            ),
        ]
        if zone == "raw":
            cold = s3.Transition(
                storage_class=s3.StorageClass.INFREQUENT_ACCESS,
                transition_after=cdk.Duration.days(90),
            )
            rules.append(
                s3.LifecycleRule(id="archive-cools", prefix="archive/", transitions=[cold])
            )
        if zone == "processed":
            rules.append(
                s3.LifecycleRule(
                    id="answers-expire", prefix="athena_queries/", expiration=cdk.Duration.days(7)
                )
            )
        return s3.Bucket(
            self,
            f"{zone.title()}Bucket",
            bucket_name=self.names.bucket(zone),
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            versioned=True,
            event_bridge_enabled=zone == "raw",
            lifecycle_rules=rules,
            server_access_logs_bucket=self.access_logs,
            server_access_logs_prefix=f"{zone}/",
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )

    def _replicate(self) -> None:
        """Copy the replicated zones to the other region, as they come.

        Deletions are not copied: what a mistake empties here is whole there.
        """
        role = iam.Role(
            self,
            "ReplicationRole",
            role_name=self.names.of("replication"),
            description="Lets S3 copy the lakehouse's files to the other region.",
            assumed_by=iam.ServicePrincipal("s3.amazonaws.com"),
        )
        self.key.grant_decrypt(role)
        there = self.names.replica_key_arn(self.account)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["kms:Encrypt"],
                # A key is only told by its alias here: it is made in the other region later.
                resources=[f"arn:aws:kms:{self.environment_.replica_region}:{self.account}:key/*"],
                conditions={
                    "ForAnyValue:StringEquals": {
                        "kms:ResourceAliases": self.names.replica_key_alias
                    }
                },
            )
        )
        for zone in REPLICATED:
            bucket = self.buckets[zone]
            target = f"arn:aws:s3:::{self.names.bucket(f'replica-{zone}')}"
            role.add_to_policy(
                iam.PolicyStatement(
                    actions=["s3:GetReplicationConfiguration", "s3:ListBucket"],
                    resources=[bucket.bucket_arn],
                )
            )
            role.add_to_policy(
                iam.PolicyStatement(
                    actions=[
                        "s3:GetObjectVersionForReplication",
                        "s3:GetObjectVersionAcl",
                        "s3:GetObjectVersionTagging",
                    ],
                    resources=[bucket.arn_for_objects("*")],
                )
            )
            role.add_to_policy(
                iam.PolicyStatement(
                    actions=["s3:ReplicateObject", "s3:ReplicateTags"], resources=[f"{target}/*"]
                )
            )
            cfn = bucket.node.default_child
            assert isinstance(cfn, s3.CfnBucket)
            minutes = s3.CfnBucket.ReplicationTimeValueProperty(minutes=15)
            cfn.replication_configuration = s3.CfnBucket.ReplicationConfigurationProperty(
                role=role.role_arn,
                rules=[
                    s3.CfnBucket.ReplicationRuleProperty(
                        id="to-the-other-region",
                        status="Enabled",
                        priority=1,
                        filter=s3.CfnBucket.ReplicationRuleFilterProperty(prefix=""),
                        delete_marker_replication=s3.CfnBucket.DeleteMarkerReplicationProperty(
                            status="Disabled"
                        ),
                        source_selection_criteria=s3.CfnBucket.SourceSelectionCriteriaProperty(
                            sse_kms_encrypted_objects=s3.CfnBucket.SseKmsEncryptedObjectsProperty(
                                status="Enabled"
                            )
                        ),
                        destination=s3.CfnBucket.ReplicationDestinationProperty(
                            bucket=target,
                            encryption_configuration=s3.CfnBucket.EncryptionConfigurationProperty(
                                replica_kms_key_id=there
                            ),
                            metrics=s3.CfnBucket.MetricsProperty(
                                status="Enabled", event_threshold=minutes
                            ),
                            replication_time=s3.CfnBucket.ReplicationTimeProperty(
                                status="Enabled", time=minutes
                            ),
                        ),
                    )
                ],
            )


class Replica(cdk.Stack):
    """The other region: a key, and a bucket for each replicated zone. Deployed first."""

    def __init__(self, scope: Construct, id: str, environment: Environment, **more: object) -> None:  # noqa: A002 - CDK's own word
        super().__init__(scope, id, **more)  # type: ignore[arg-type]
        names = Names(environment)
        key = kms.Key(
            self,
            "ReplicaKey",
            alias=names.of("replica"),
            description="Encrypts the copies of the lakehouse's files.",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        logs = access_log_bucket(self, names, "replica-access-logs")
        for zone in REPLICATED:
            s3.Bucket(
                self,
                f"{zone.title()}Bucket",
                bucket_name=names.bucket(f"replica-{zone}"),
                encryption=s3.BucketEncryption.KMS,
                encryption_key=key,
                bucket_key_enabled=True,
                enforce_ssl=True,
                minimum_tls_version=1.2,
                block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
                object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
                versioned=True,
                server_access_logs_bucket=logs,
                server_access_logs_prefix=f"{zone}/",
                lifecycle_rules=[
                    s3.LifecycleRule(
                        id="old-versions",
                        noncurrent_version_expiration=cdk.Duration.days(
                            environment.old_version_days
                        ),
                        abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
                    )
                ],
                removal_policy=cdk.RemovalPolicy.RETAIN,
            )


def access_log_bucket(scope: cdk.Stack, names: Names, zone: str = "access-logs") -> s3.Bucket:
    """The bucket of other buckets' access logs, which S3 delivers by its own key only."""
    return s3.Bucket(
        scope,
        "AccessLogBucket",
        bucket_name=names.bucket(zone),
        encryption=s3.BucketEncryption.S3_MANAGED,
        enforce_ssl=True,
        minimum_tls_version=1.2,
        block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
        object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
        versioned=True,
        lifecycle_rules=[
            s3.LifecycleRule(
                id="expire",
                expiration=cdk.Duration.days(365),
                noncurrent_version_expiration=cdk.Duration.days(30),
                abort_incomplete_multipart_upload_after=cdk.Duration.days(7),
            )
        ],
        removal_policy=cdk.RemovalPolicy.RETAIN,
    )


def _let_services_use(key: kms.Key, log_key: kms.Key, stack: cdk.Stack) -> None:
    """Let AWS's own services encrypt for this account, and for no other."""
    for service in ("events", "cloudwatch", "sns", "sqs", "athena"):
        key.grant_encrypt_decrypt(
            iam.ServicePrincipal(
                f"{service}.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
            )
        )
    log_key.grant_encrypt_decrypt(
        iam.ServicePrincipal(
            f"logs.{stack.region}.amazonaws.com",
            conditions={
                "ArnLike": {
                    "kms:EncryptionContext:aws:logs:arn": (
                        f"arn:aws:logs:{stack.region}:{stack.account}:*"
                    )
                }
            },
        )
    )
