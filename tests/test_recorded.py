"""Requests as boto3 makes them, told back as the operations that they were; and what each takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from tests.support.recorded import Asked, Recorded, UnknownRequestError, asked
from tests.support.resolved import ACCOUNT, Resolved
from tests.support.rights import Need, Unmapped, needs

BUCKET = "arn:aws:s3:::lake"
KEY = "arn:aws:kms:ap-south-1:123456789012:key/1"
QUEUE = f"arn:aws:sqs:ap-south-1:{ACCOUNT}:hints"
ENCRYPTED = cast("Resolved", SimpleNamespace(number=ACCOUNT, keys={BUCKET: KEY, QUEUE: KEY}))


SOMEBODY = boto3.session.Session("somebody", "secret", region_name="ap-south-1")
NOWHERE = "http://127.0.0.1:1"


def made(service: str, operation: str, told: dict[str, Any], status: int = 200) -> Asked:
    """A request that boto3 makes, answered with this status and nothing else."""
    once = Config(retries={"total_max_attempts": 1})
    client = SOMEBODY.client(service, endpoint_url=NOWHERE, config=once)
    seen: list[Recorded] = []

    def record(request: Any, **_: Any) -> None:
        as_server = SimpleNamespace(
            headers={name: _text(value) for name, value in request.headers.items()},
            command=request.method,
            path=request.url.removeprefix(NOWHERE),
        )
        body = request.body if isinstance(request.body, str | bytes) else b""
        body = body.encode() if isinstance(body, str) else body
        seen.append(Recorded.of(cast("Any", as_server), body, status, b""))
        raise ConnectionAbortedError

    client.meta.events.register("before-send", record)
    with pytest.raises(ConnectionAbortedError):
        getattr(client, operation)(**told)
    [only] = seen
    assert (only.key, only.region) == ("somebody", "ap-south-1")
    return asked(only)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


OBJECTS = [{"Key": "a"}, {"Key": "b", "VersionId": "1"}]
OBJECT: dict[str, Any] = {"Bucket": "lake", "Key": "a/b c.csv"}


@pytest.mark.parametrize(
    ("operation", "told", "name", "found"),
    [
        ("get_object", OBJECT, "GetObject", OBJECT),
        ("get_object", {**OBJECT, "VersionId": "7"}, "GetObject", {"VersionId": "7"}),
        ("head_object", OBJECT, "HeadObject", OBJECT),
        ("put_object", {**OBJECT, "Body": b"x"}, "PutObject", OBJECT),
        (
            "copy_object",
            {**OBJECT, "CopySource": {"Bucket": "raw", "Key": "x"}},
            "CopyObject",
            {"CopySource": "raw/x"},
        ),
        (
            "upload_part",
            {**OBJECT, "UploadId": "u", "PartNumber": 1, "Body": b"x"},
            "UploadPart",
            OBJECT,
        ),
        ("create_multipart_upload", OBJECT, "CreateMultipartUpload", OBJECT),
        (
            "abort_multipart_upload",
            {**OBJECT, "UploadId": "u"},
            "AbortMultipartUpload",
            {"UploadId": "u"},
        ),
        ("delete_object", {**OBJECT, "VersionId": "7"}, "DeleteObject", {"VersionId": "7"}),
        (
            "delete_objects",
            {"Bucket": "lake", "Delete": {"Objects": OBJECTS}},
            "DeleteObjects",
            {"Keys": [("a", None), ("b", "1")]},
        ),
        ("list_objects_v2", {"Bucket": "lake", "Prefix": "p"}, "ListObjectsV2", {"Prefix": "p"}),
        ("list_object_versions", {"Bucket": "lake"}, "ListObjectVersions", {"Bucket": "lake"}),
        ("get_bucket_location", {"Bucket": "lake"}, "GetBucketLocation", {"Bucket": "lake"}),
        ("head_bucket", {"Bucket": "lake"}, "HeadBucket", {"Bucket": "lake"}),
    ],
)
def test_s3_s_operations_are_told_by_method_and_path(
    operation: str, told: dict[str, Any], name: str, found: dict[str, Any]
) -> None:
    request = made("s3", operation, told)
    assert request.name == f"s3:{name}"
    assert found.items() <= request.told.items()


@pytest.mark.parametrize(
    ("service", "operation", "told", "name"),
    [
        ("sqs", "receive_message", {"QueueUrl": "https://q/1/hints"}, "sqs:ReceiveMessage"),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:r:1:t", "Message": "m"}, "sns:Publish"),
        ("glue", "get_tables", {"DatabaseName": "gold"}, "glue:GetTables"),
        ("ecs", "describe_tasks", {"tasks": ["t"]}, "ecs:DescribeTasks"),
        ("ec2", "describe_network_interfaces", {}, "ec2:DescribeNetworkInterfaces"),
        ("logs", "get_log_events", {"logGroupName": "g", "logStreamName": "s"},
         "logs:GetLogEvents"),
        (
            "cloudwatch",
            "put_metric_data",
            {"Namespace": "Lakehouse", "MetricData": [{"MetricName": "m", "Value": 1.0}]},
            "monitoring:PutMetricData",
        ),
        ("stepfunctions", "start_execution", {"stateMachineArn": "a"}, "states:StartExecution"),
        ("cloudformation", "describe_stacks", {"StackName": "s"}, "cloudformation:DescribeStacks"),
    ],
)  # fmt: skip
def test_operations_of_every_protocol(
    service: str, operation: str, told: dict[str, Any], name: str
) -> None:
    request = made(service, operation, told)
    assert request.name == name
    given = {key: value for key, value in told.items() if isinstance(value, str)}
    assert given.items() <= request.told.items()


def test_what_is_no_operation_is_an_error() -> None:
    request = made("s3", "head_bucket", {"Bucket": "lake"}).request
    with pytest.raises(UnknownRequestError, match="s3: PATCH /lake"):
        asked(Recorded(**{**vars(request), "method": "PATCH"}))


# ---------------------------------------------------------------------------- what requests take


def taken(request: Asked, account: Resolved = ENCRYPTED) -> set[tuple[str, str]]:
    return {(need.action, need.resource) for need in needs(request, account)}


def test_bytes_take_the_key_that_they_are_encrypted_by() -> None:
    file = f"{BUCKET}/a/b c.csv"
    assert taken(made("s3", "get_object", OBJECT)) == {
        ("s3:GetObject", file), ("kms:Decrypt", KEY)
    }  # fmt: skip
    assert taken(made("s3", "head_object", OBJECT)) == {("s3:GetObject", file)}
    assert taken(made("s3", "put_object", {**OBJECT, "Body": b"x"})) == {
        ("s3:PutObject", file), ("kms:GenerateDataKey", KEY)
    }  # fmt: skip
    assert taken(made("s3", "create_multipart_upload", OBJECT)) == {
        ("s3:PutObject", file), ("kms:GenerateDataKey", KEY), ("kms:Decrypt", KEY)
    }  # fmt: skip
    [_, key] = needs(made("s3", "get_object", OBJECT), ENCRYPTED)
    assert key == Need(
        "kms:Decrypt",
        KEY,
        {
            "kms:viaservice": "s3.ap-south-1.amazonaws.com",
            "kms:calleraccount": ACCOUNT,
            "kms:encryptioncontext:aws:s3:arn": BUCKET,
        },
        behind=True,
    )


def test_a_copy_reads_its_source() -> None:
    source = {"Bucket": "lake", "Key": "raw/x", "VersionId": "7"}
    assert taken(
        made("s3", "copy_object", {"Bucket": "other", "Key": "y", "CopySource": source})
    ) == {
        ("s3:GetObjectVersion", f"{BUCKET}/raw/x"),
        ("kms:Decrypt", KEY),
        ("s3:PutObject", "arn:aws:s3:::other/y"),
    }


def test_what_is_not_there_is_told_to_who_may_list() -> None:
    assert taken(made("s3", "head_object", OBJECT, 404)) == {
        ("s3:GetObject", f"{BUCKET}/a/b c.csv"), ("s3:ListBucket", BUCKET)
    }  # fmt: skip


def test_versions_have_rights_of_their_own() -> None:
    told = {"Bucket": "lake", "Delete": {"Objects": OBJECTS}}
    assert taken(made("s3", "delete_objects", told)) == {
        ("s3:DeleteObject", f"{BUCKET}/a"), ("s3:DeleteObjectVersion", f"{BUCKET}/b")
    }  # fmt: skip


def test_messages_take_their_key() -> None:
    url = f"https://sqs.ap-south-1.amazonaws.com/{ACCOUNT}/hints"
    assert taken(made("sqs", "receive_message", {"QueueUrl": url})) == {
        ("sqs:ReceiveMessage", QUEUE), ("kms:Decrypt", KEY)
    }  # fmt: skip


def test_the_catalog_asks_for_whatever_is_above() -> None:
    here = f"arn:aws:glue:ap-south-1:{ACCOUNT}"
    table = {"DatabaseName": "gold", "TableInput": {"Name": "daily_sales"}}
    assert taken(made("glue", "update_table", table)) == {
        ("glue:UpdateTable", f"{here}:{it}")
        for it in ("catalog", "database/gold", "table/gold/daily_sales")
    }
    assert taken(made("glue", "delete_database", {"Name": "gold"})) == {
        ("glue:DeleteDatabase", f"{here}:{it}")
        for it in ("catalog", "database/gold", "table/gold/*", "userDefinedFunction/gold/*")
    }
    assert taken(made("glue", "get_databases", {})) == {
        ("glue:GetDatabases", f"{here}:{it}") for it in ("catalog", "database/*")
    }


def test_an_operation_that_nobody_has_looked_up_is_an_error() -> None:
    with pytest.raises(Unmapped, match="kms:ListKeys: say in"):
        taken(made("kms", "list_keys", {}))


def test_a_change_set_hands_a_role_over_and_reads_its_template() -> None:
    told = {
        "StackName": "shop",
        "ChangeSetName": "c",
        "RoleARN": "arn:aws:iam::000000000000:role/cloudformation",
        "TemplateURL": "https://s3.ap-south-1.amazonaws.com/lake/infrastructure/t.json",
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    stack = f"arn:aws:cloudformation:ap-south-1:{ACCOUNT}:stack/shop/id"
    assert taken(made("cloudformation", "create_change_set", told)) == {
        ("cloudformation:CreateChangeSet", stack),
        ("cloudformation:TagResource", stack),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/cloudformation"),
        ("s3:GetObject", f"{BUCKET}/infrastructure/t.json"),
        ("kms:Decrypt", KEY),
    }


def test_a_task_is_started_with_its_roles() -> None:
    roles: Mapping[str, str] = {"TaskRoleArn": "arn:run", "ExecutionRoleArn": "arn:execution"}
    account = cast("Resolved", SimpleNamespace(number=ACCOUNT, one=lambda kind, Family: roles))  # noqa: N803
    told = {"cluster": "c", "taskDefinition": "f:3", "tags": [{"key": "a", "value": "b"}]}
    request = made("ecs", "run_task", told)
    here = f"arn:aws:ecs:ap-south-1:{ACCOUNT}"
    assert taken(request, account) == {
        ("ecs:RunTask", f"{here}:task-definition/f:1"),
        ("iam:PassRole", "arn:run"),
        ("iam:PassRole", "arn:execution"),
        ("ecs:TagResource", f"{here}:task/c/*"),
    }
