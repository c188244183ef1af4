"""What an account has once in a region: the trail, Config, GuardDuty, Security Hub."""

from __future__ import annotations

from typing import Final

from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_config as config
from aws_cdk import aws_events as eventbridge
from aws_cdk import aws_guardduty as guardduty
from aws_cdk import aws_iam as iam
from aws_cdk import aws_securityhub as securityhub
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import ENVIRONMENTS, Environment
from deploy.cdk.events import Events
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import Part, grant
from lakehouse_assets.ports import Topic

CONFIG_ROLE: Final = "aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig"
"""Made by a person once in an account (docs/deployment.md): a template fails where it is there."""


class Guards(Part):
    """CloudTrail with data events, Config, GuardDuty and Security Hub.

    Only where ``account_guards`` says that this environment has them for its account: a second
    Config, GuardDuty or Security Hub in an account and region is refused.
    """

    def __init__(
        self, scope: Construct, environment: Environment, foundation: Foundation, events: Events
    ) -> None:
        super().__init__(scope, environment, "guards", "What an account has once: trail, guards.")
        self._foundation = foundation
        assert foundation.records is not None
        self._bucket = foundation.records.bucket_name
        self._trail()
        self._guard()
        self._tell_findings(events)

    def _trail(self) -> None:
        """Every call, and every read and write of the lakes' objects."""
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
        # Of every environment that may share the account: one that does not has no such bucket.
        objects = [
            f"arn:{self.partition}:s3:::{names.bucket(environment, zone, self.account)}/"
            for environment in ENVIRONMENTS.values()
            for zone in names.ZONES
        ]
        field = of.AdvancedFieldSelectorProperty
        trail = of(
            self,
            "Trail",
            trail_name=self.named("trail"),
            is_logging=True,
            is_multi_region_trail=True,
            include_global_service_events=True,
            enable_log_file_validation=True,
            s3_bucket_name=self._bucket,
            kms_key_id=self._foundation.logs_key.key_arn,
            cloud_watch_logs_log_group_arn=group.log_group_arn,
            cloud_watch_logs_role_arn=role.role_arn,
            advanced_event_selectors=[
                of.AdvancedEventSelectorProperty(
                    name="management",
                    field_selectors=[field(field="eventCategory", equal_to=["Management"])],
                ),
                of.AdvancedEventSelectorProperty(
                    name="objects",
                    field_selectors=[
                        field(field="eventCategory", equal_to=["Data"]),
                        field(field="resources.type", equal_to=["AWS::S3::Object"]),
                        field(field="resources.ARN", starts_with=objects),
                    ],
                ),
            ],
        )
        # CloudTrail tries as it is made whether the role may write: the role alone may nothing.
        trail.node.add_dependency(role)

    def _guard(self) -> None:
        of = guardduty.CfnDetector
        of(
            self,
            "GuardDuty",
            enable=True,
            finding_publishing_frequency="FIFTEEN_MINUTES",
            features=[of.CFNFeatureConfigurationProperty(name="S3_DATA_EVENTS", status="ENABLED")],
        )
        # Neither waits for the other: the recorder is there only once the channel is, and the
        # channel is refused without a recorder. CloudFormation tries both until both are there.
        # https://github.com/aws/aws-cdk/issues/9001
        config.CfnConfigurationRecorder(
            self,
            "Config",
            name=self.named("config"),
            role_arn=f"arn:{self.partition}:iam::{self.account}:role/{CONFIG_ROLE}",
            recording_group=config.CfnConfigurationRecorder.RecordingGroupProperty(
                all_supported=True, include_global_resource_types=True
            ),
        )
        config.CfnDeliveryChannel(
            self,
            "ConfigDelivery",
            name=self.named("config"),
            s3_bucket_name=self._bucket,
            s3_kms_key_arn=self._foundation.logs_key.key_arn,
        )
        securityhub.CfnHub(
            self, "SecurityHub", enable_default_standards=True, auto_enable_controls=True
        )

    def _tell_findings(self, on: Events) -> None:
        """Serious findings of the guards go where failures go."""
        topic = on.topics[str(Topic.FAILURE)]
        eventbridge.CfnRule(
            self,
            "Findings",
            name=names.findings_rule(self.settings),
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
            targets=[eventbridge.CfnRule.TargetProperty(id="people", arn=topic.topic_arn)],
        )
