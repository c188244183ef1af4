"""What AWS's services do for the platform, held against the policies of what they do it to.

No test can make a service ask: what each asks for is what AWS's documentation says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from deploy.cdk.config import ENVIRONMENTS
from tests.support.iam import Policies, Principal, Request, decide
from tests.support.resolved import Resolved, resolved
from tests.support.templates import Templates

pytestmark = [pytest.mark.deploy, pytest.mark.timeout(600)]

every = pytest.mark.parametrize("name", ENVIRONMENTS)
USE = ("kms:Decrypt", "kms:GenerateDataKey")


@pytest.fixture
def account(written: dict[str, Templates], name: str) -> Resolved:
    return resolved(written[name])


def refused(
    account: Resolved, service: str, actions: tuple[str, ...], arn: str, **context: str
) -> Iterator[str]:
    """What the resource's own policy does not let a service do; ``a__b`` is the key ``a:b``."""
    told = {"aws:securetransport": "true", "s3:tlsversion": "1.3"}
    told |= {key.replace("__", ":"): value for key, value in context.items()}
    owner = arn.partition("/")[0] if arn.startswith("arn:aws:s3:::") else arn
    for action in actions:
        request = Request(Principal("Service", f"{service}.amazonaws.com"), action, arn, told)
        found = decide(request, Policies(resource=account.resources[owner]))
        if not found.allowed:
            yield f"{service}: {action} on {arn}: {found.refused}"


def sources(account: Resolved, arn: str) -> Mapping[str, str]:
    """The keys by which a service says for whom it works."""
    return {"aws__sourcearn": arn, "aws__sourceaccount": account.number}


@every
def test_events_reach_the_queue(account: Resolved) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html."""
    [rule] = [it for it in account.all("AWS::Events::Rule") if "raw-files" in it["Name"]]
    for queue in (rule["Targets"][0]["Arn"], rule["Targets"][0]["DeadLetterConfig"]["Arn"]):
        mine = {"aws__sourcearn": rule["Arn"]}
        assert not [*refused(account, "events", ("sqs:SendMessage",), queue, **mine)]
        assert not [*refused(account, "events", USE, account.keys[queue])]
        other = {"aws__sourcearn": rule["Arn"] + "-other"}
        assert [*refused(account, "events", ("sqs:SendMessage",), queue, **other)]


@every
def test_every_alarm_reaches_its_topic(account: Resolved) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html."""
    told = [
        (alarm, topic)
        for alarm in account.all("AWS::CloudWatch::Alarm")
        for topic in alarm.get("AlarmActions", ())
    ]
    assert told
    for alarm, topic in told:
        mine = sources(account, alarm["Arn"])
        assert not [*refused(account, "cloudwatch", ("sns:Publish",), topic, **mine)]
        assert not [*refused(account, "cloudwatch", USE, account.keys[topic], **mine)]


@every
def test_a_topic_that_only_refuses_plain_http_lets_no_alarm_through(account: Resolved) -> None:
    """As its policy once was: one of one's own takes the place of the one that AWS gives."""
    alarm = account.all("AWS::CloudWatch::Alarm")[0]
    [topic] = alarm["AlarmActions"]
    policies = account.resources
    refusals = [it for it in policies[topic] if it.effect == "Deny"]
    assert refusals
    account.__dict__["resources"] = {**policies, topic: refusals}
    mine = sources(account, alarm["Arn"])
    assert [*refused(account, "cloudwatch", ("sns:Publish",), topic, **mine)]


@every
def test_logs_are_encrypted_by_their_key(account: Resolved) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html."""
    use = (*USE, "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:DescribeKey")
    groups = [it for it in account.all("AWS::Logs::LogGroup") if "KmsKeyId" in it]
    assert groups
    for group in groups:
        region = group["Arn"].split(":")[3]
        context = {"kms__encryptioncontext:aws:logs:arn": group["Arn"].removesuffix(":*")}
        assert not [*refused(account, f"logs.{region}", use, group["KmsKeyId"], **context)]


@every
def test_access_logs_are_delivered(account: Resolved) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html."""
    logged = [it for it in account.all("AWS::S3::Bucket") if "LoggingConfiguration" in it]
    assert logged
    for bucket in logged:
        told = bucket["LoggingConfiguration"]
        file = f"arn:aws:s3:::{told['DestinationBucketName']}/{told['LogFilePrefix']}2026-01-01"
        mine = sources(account, bucket["Arn"])
        assert not [*refused(account, "logging.s3", ("s3:PutObject",), file, **mine)]
