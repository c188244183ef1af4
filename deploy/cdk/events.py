"""What wakes the sensor, and what tells people."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from deploy.cdk import names
from deploy.cdk.config import Environment
from deploy.cdk.foundation import Foundation
from deploy.cdk.stack import Part
from lakehouse_assets.ports import Topic
from lakehouse_assets.tables.registry import DATASETS

_TRIES = 5


class Events(Part):
    """The raw bucket's messages, and the topics.

    Attributes:
        hints: queue that wakes the sensor (LAKEHOUSE_QUEUE_URL).
        dead_letters: messages that nobody could take.
        topics: by kind of message.
        topics_prefix: LAKEHOUSE_SNS_TOPICS.
    """

    def __init__(self, scope: Construct, environment: Environment, foundation: Foundation) -> None:
        super().__init__(scope, environment, "events", "Messages for the sensor and for people.")
        self.dead_letters = self._queue("hints-dead-letters", foundation)
        self.hints = self._queue(
            "hints",
            foundation,
            sqs.DeadLetterQueue(max_receive_count=_TRIES, queue=self.dead_letters),
        )
        self._announce_raw_files(foundation)
        self.topics = {str(topic): self._topic(topic, foundation) for topic in Topic}
        self.topics_prefix = self.format_arn(
            service="sns", resource=names.topic_prefix(environment)
        )

    def _queue(
        self, name: str, foundation: Foundation, dead: sqs.DeadLetterQueue | None = None
    ) -> sqs.Queue:
        return sqs.Queue(
            self,
            name.capitalize(),
            queue_name=self.named(name),
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=foundation.messages_key,
            enforce_ssl=True,
            dead_letter_queue=dead,
            # Hints are answered by one look at everything: old ones say nothing new.
            retention_period=cdk.Duration.days(14 if dead is None else 1),
        )

    def _announce_raw_files(self, foundation: Foundation) -> None:
        """S3 tells EventBridge, which puts a message into the queue."""
        rule = events.CfnRule(
            self,
            "RawFiles",
            name=self.named("raw-files"),
            description="Tells the sensor of files that land.",
            event_pattern={
                "source": ["aws.s3"],
                "detail-type": ["Object Created"],
                "detail": {
                    "bucket": {"name": [foundation.raw.bucket_name]},
                    # Not of what the archive takes in.
                    "object": {"key": [{"prefix": f"{dataset}/"} for dataset in DATASETS]},
                },
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="hints",
                    arn=self.hints.queue_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(
                        arn=self.dead_letters.queue_arn
                    ),
                )
            ],
        )
        for queue in (self.hints, self.dead_letters):
            queue.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal("events.amazonaws.com")],
                    actions=["sqs:SendMessage"],
                    resources=[queue.queue_arn],
                    conditions={"ArnEquals": {"aws:SourceArn": rule.attr_arn}},
                )
            )

    def _topic(self, kind: Topic, foundation: Foundation) -> sns.Topic:
        topic = sns.Topic(
            self,
            f"Topic-{kind}",
            topic_name=f"{names.topic_prefix(self.settings)}-{kind}",
            master_key=foundation.messages_key,
            enforce_ssl=True,
        )
        for number, address in enumerate(self.settings.people, 1):
            sns.Subscription(
                self,
                f"Mail-{kind}-{number}",
                topic=topic,
                protocol=sns.SubscriptionProtocol.EMAIL,
                endpoint=address,
            )
        self._let_publish(topic, kind)
        return topic

    def _let_publish(self, topic: sns.Topic, kind: Topic) -> None:
        """Let this environment's alarms publish, and the rule of security findings.

        A topic's policy takes the place of SNS's own, by which the account's services may publish:
        with the refusal of plain HTTP alone, nothing that has no role of ours reaches anyone.
        https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
        """
        alarms = self.format_arn(
            service="cloudwatch",
            resource="alarm",
            resource_name=self.named("*"),
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        may = {
            "cloudwatch": {
                "ArnLike": {"aws:SourceArn": alarms},
                "StringEquals": {"aws:SourceAccount": self.account},
            }
        }
        if kind is Topic.FAILURE and self.settings.account_guards:
            rule = self.format_arn(
                service="events",
                resource="rule",
                resource_name=names.findings_rule(self.settings),
            )
            may["events"] = {"ArnEquals": {"aws:SourceArn": rule}}
        for service, conditions in may.items():
            topic.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=["sns:Publish"],
                    resources=[topic.topic_arn],
                    conditions=conditions,
                )
            )
