"""What a request needs: the actions and resources of an operation, and what comes with it.

Which action on which resource each operation asks for stands in AWS's Service Authorization
Reference, a page for each service: https://docs.aws.amazon.com/service-authorization/latest/
reference/list_amazons3.html, list_awsglue.html, list_amazonsqs.html, list_amazonsns.html,
list_amazonelasticcontainerservice.html, list_amazoncloudwatch.html, list_amazoncloudwatchlogs.html,
list_amazonathena.html, list_awscloudformation.html, list_awsstepfunctions.html. What comes with it
names its own page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from tests.support.iam import Context
from tests.support.recorded import Asked
from tests.support.resolved import Resolved

Found = Iterator["Need"]
"""What an operation needs."""


@dataclass(frozen=True)
class Need:
    """One right that a request takes; ``behind``: a service takes it on behalf of who asks."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)
    behind: bool = False


class Unmapped(Exception):  # noqa: N818 - said of an operation
    """An operation that nobody has said the rights of."""


def needs(asked: Asked, account: Resolved) -> list[Need]:
    """The rights that a request takes. Raises Unmapped."""
    service, operation = asked.request.service, asked.operation
    if asked.name in _FREE:
        return []
    of = _NEEDS.get(asked.name) or _NEEDS.get(service)
    if of is None:
        raise Unmapped(f"{asked.name}: say in tests/support/rights.py which rights it takes")
    return [*of(Asks(asked, account, _PREFIX.get(service, service) + ":" + operation))]


@dataclass(frozen=True)
class Asks:
    """A request beside the account that it is made in; ``action`` by the operation's name."""

    asked: Asked
    account: Resolved
    action: str

    @property
    def told(self) -> Mapping[str, Any]:
        return self.asked.told

    def arn(self, resource: str, service: str | None = None) -> str:
        """An ARN of the request's account and region."""
        request, number = self.asked.request, self.account.number
        return f"arn:aws:{service or request.service}:{request.region}:{number}:{resource}"

    def need(self, resource: str, **context: str) -> Need:
        """The action that has the operation's name."""
        return Need(self.action, resource, context)


# ------------------------------------------------------------------------------------------- S3


def _s3(asks: Asks) -> Found:
    told, operation = asks.told, asks.asked.operation
    bucket = f"arn:aws:s3:::{told['Bucket']}"
    if operation == "DeleteObjects":
        for key, version in told["Keys"]:
            yield Need(_deletes(version), f"{bucket}/{key}")
        return
    if action := _OF_BUCKETS.get(operation):
        prefix = {"s3:prefix": told["Prefix"]} if "Prefix" in told else {}
        yield Need(action, bucket, prefix)
        return
    of = f"{bucket}/{told['Key']}"
    if operation in {"CopyObject", "UploadPartCopy"}:
        yield from _reads(asks, told["CopySource"].lstrip("/").partition("?versionId="))
    if operation == "DeleteObject":
        yield Need(_deletes(told.get("VersionId")), of)
    elif operation in {"GetObject", "HeadObject"}:
        yield from _reads(asks, (f"{told['Bucket']}/{told['Key']}", "", told.get("VersionId", "")))
    elif operation == "AbortMultipartUpload":
        yield Need("s3:AbortMultipartUpload", of)
    else:
        yield Need(_OF_OBJECTS[operation], of)
        yield from _encrypts(asks, bucket, parts="Upload" in operation)


def _reads(asks: Asks, of: tuple[str, str, str]) -> Found:
    """An object's, or a version's, bytes: and the key that they are encrypted by.

    Who may not list a bucket is told 403 of a key that is not there, not 404:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    place, _, version = of
    bucket = f"arn:aws:s3:::{place.partition('/')[0]}"
    yield Need("s3:GetObjectVersion" if version else "s3:GetObject", f"arn:aws:s3:::{place}")
    if asks.asked.request.status == 404:
        yield Need("s3:ListBucket", bucket)
    elif asks.asked.operation != "HeadObject":
        yield from _with_key(asks, bucket, "Decrypt")


def _encrypts(asks: Asks, bucket: str, *, parts: bool) -> Found:
    """Bytes that are encrypted by a bucket's key; who uploads parts must decrypt as well.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuAndPermissions.html
    """
    yield from _with_key(asks, bucket, "GenerateDataKey")
    if parts:
        yield from _with_key(asks, bucket, "Decrypt")


def _deletes(version: str | None) -> str:
    return "s3:DeleteObjectVersion" if version else "s3:DeleteObject"


_OF_BUCKETS: Final = {
    "GetBucketLocation": "s3:GetBucketLocation",
    "HeadBucket": "s3:ListBucket",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjects": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
}
_OF_OBJECTS: Final = dict.fromkeys(
    (
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateMultipartUpload",
        "PutObject",
        "UploadPart",
        "UploadPartCopy",
    ),
    "s3:PutObject",
)

# ----------------------------------------------------------------------------------------- keys


def _with_key(asks: Asks, arn: str, *operations: str) -> Found:
    """What is done with the key that a bucket, queue or topic is encrypted by, if it is.

    https://docs.aws.amazon.com/kms/latest/developerguide/services-s3.html: with a bucket's key the
    context of the encryption is the bucket.
    """
    if key := asks.account.keys.get(arn):
        service = arn.split(":")[2]
        context = {
            "kms:viaservice": f"{service}.{asks.asked.request.region}.amazonaws.com",
            "kms:calleraccount": asks.account.number,
            f"kms:encryptioncontext:aws:{service}:arn": arn,
        }
        for operation in operations:
            yield Need(f"kms:{operation}", key, context, behind=True)


# ------------------------------------------------------------------------------------- messages


def _sqs(asks: Asks) -> Found:
    """A batch takes the right of one.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    """
    name = asks.told["QueueUrl"].rpartition("/")[2] if "QueueUrl" in asks.told else "*"
    queue = asks.arn(asks.told.get("QueueName", name))
    yield Need(asks.action.removesuffix("Batch"), queue)
    if asks.asked.operation == "ReceiveMessage":
        yield from _with_key(asks, queue, "Decrypt")


def _sns(asks: Asks) -> Found:
    """https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html."""
    yield asks.need(asks.told["TopicArn"])
    if asks.asked.operation == "Publish":
        yield from _with_key(asks, asks.told["TopicArn"], "GenerateDataKey", "Decrypt")


def _cloudwatch(asks: Asks) -> Found:
    yield asks.need("*", **{"cloudwatch:namespace": asks.told["Namespace"]})


def _logs(asks: Asks) -> Found:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html."""
    group, stream = asks.told["logGroupName"], asks.told.get("logStreamName", "")
    yield asks.need(asks.arn(f"log-group:{group}:log-stream:{stream}"))


# ----------------------------------------------------------------------------------------- Glue


def _glue(asks: Asks) -> Found:
    """Of a job, or of the catalog: there whatever is above, and at a deletion below, too.

    https://docs.aws.amazon.com/glue/latest/dg/glue-specifying-resource-arns.html
    """
    told, operation = asks.told, asks.asked.operation
    if "JobName" in told:
        yield asks.need(asks.arn(f"job/{told['JobName']}"))
        return
    of_database = operation.endswith(("Database", "Databases"))
    given = told.get("DatabaseInput") or told.get("TableInput") or {}
    name = (given or told).get("Name", "*")
    database = told.get("DatabaseName") or (name if of_database else "*")
    yield asks.need(asks.arn("catalog"))
    yield asks.need(asks.arn(f"database/{database}"))
    if not of_database:
        table = told.get("TableName") or name
        yield asks.need(asks.arn(f"table/{database}/{table}"))
    elif operation == "DeleteDatabase":
        yield asks.need(asks.arn(f"table/{database}/*"))
        yield asks.need(asks.arn(f"userDefinedFunction/{database}/*"))


# ------------------------------------------------------------------------------------------ ECS


def _ecs(asks: Asks) -> Found:
    told, operation = asks.told, asks.asked.operation
    cluster = told.get("cluster", "default")
    name = cluster.rpartition("/")[2]
    here = {"ecs:cluster": asks.arn(f"cluster/{name}")}
    tasks = [told["task"]] if "task" in told else told.get("tasks", ())
    if operation == "DescribeTaskDefinition":
        yield asks.need("*")
    elif operation == "RunTask":
        yield from _starts_task(asks, told["taskDefinition"], here)
    elif operation == "ListTagsForResource":
        yield asks.need(told["resourceArn"])
    elif tasks:
        for task in tasks:
            yield asks.need(
                task if task.startswith("arn:") else asks.arn(f"task/{name}/{task}"), **here
            )
    else:
        raise Unmapped(f"ecs:{operation}: say in tests/support/rights.py which rights it takes")


def _starts_task(asks: Asks, definition: str, here: Mapping[str, str]) -> Found:
    """A task is started with its definition's roles, and perhaps with tags.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html,
    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/supported-iam-actions-tagging.html
    """
    family = definition.rpartition("/")[2].partition(":")[0]
    yield asks.need(asks.arn(f"task-definition/{family}:1"), **here)
    found = asks.account.one("AWS::ECS::TaskDefinition", Family=family)
    for role in ("TaskRoleArn", "ExecutionRoleArn"):
        to = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
        yield Need("iam:PassRole", found[role], to, behind=True)
    if asks.told.get("tags"):
        cluster = here["ecs:cluster"].rpartition("/")[2]
        yield Need(
            "ecs:TagResource", asks.arn(f"task/{cluster}/*"), {"ecs:createaction": "RunTask"}
        )


# ------------------------------------------------------------------------------- CloudFormation


def _cloudformation(asks: Asks) -> Found:
    """A stack, the role that its resources are made with, and the template that S3 has.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/control-access-with-iam.html
    """
    told, operation = asks.told, asks.asked.operation
    if operation in _OF_NO_STACK:
        yield asks.need("*")
        return
    stack = told["StackName"]
    name = stack.split("/")[1] if stack.startswith("arn:") else stack
    of = asks.arn(f"stack/{name}/id")
    yield asks.need(of)
    if "RoleARN" in told:
        role = f"arn:aws:iam::{asks.account.number}:role/{told['RoleARN'].rpartition('/')[2]}"
        to = {"iam:passedtoservice": "cloudformation.amazonaws.com"}
        yield Need("iam:PassRole", role, to, behind=True)
    if any(parameter.startswith("Tags.") for parameter in told):
        yield Need("cloudformation:TagResource", of)
    if url := told.get("TemplateURL"):
        place = urlsplit(url).path.lstrip("/")
        yield Need("s3:GetObject", f"arn:aws:s3:::{place}")
        yield from _with_key(asks, f"arn:aws:s3:::{place.partition('/')[0]}", "Decrypt")


_OF_NO_STACK: Final = frozenset({"DescribeStackDriftDetectionStatus", "ListStacks"})


# ------------------------------------------------------------------------------- state machines


def _states(asks: Asks) -> Found:
    yield asks.need(asks.told.get("stateMachineArn") or asks.told["executionArn"])


# --------------------------------------------------------------------------------------- Athena


def _athena(asks: Asks) -> Found:
    """A workgroup; and of a question what Athena does as who asks: catalog, places, answers.

    https://docs.aws.amazon.com/athena/latest/ug/security-iam-athena.html
    https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html
    https://docs.aws.amazon.com/lake-formation/latest/dg/access-control-underlying-data.html
    """
    # An execution's group is not told again: each role here asks in one.
    own = "analysts" if asks.asked.request.key.endswith("-analysts") else "lakehouse"
    group = asks.told.get("WorkGroup") or f"lakehouse-{asks.account.name}-{own}"
    yield asks.need(asks.arn(f"workgroup/{group}"))
    told = asks.account.one("AWS::Athena::WorkGroup", Name=group)["WorkGroupConfiguration"]
    place = told["ResultConfiguration"]["OutputLocation"].removeprefix("s3://")
    bucket, answer = f"arn:aws:s3:::{place.partition('/')[0]}", f"arn:aws:s3:::{place}answer.csv"
    if asks.asked.operation == "StartQueryExecution":
        yield Need("s3:GetBucketLocation", bucket, behind=True)
        yield Need("s3:PutObject", answer, behind=True)
        yield from _with_key(asks, bucket, "GenerateDataKey", "Decrypt")
        for resource in ("catalog", "database/default"):
            yield Need("glue:GetDatabase", asks.arn(resource, "glue"), behind=True)
        yield Need("lakeformation:GetDataAccess", "*", behind=True)
    elif asks.asked.operation == "GetQueryResults":
        yield Need("s3:GetObject", answer, behind=True)
        yield from _with_key(asks, bucket, "Decrypt")


# --------------------------------------------------------------------------------------- others


def _everything(asks: Asks) -> Found:
    """Of operations that know no resource."""
    yield asks.need("*")


_FREE: Final = frozenset({"sts:GetCallerIdentity"})
"""What nobody needs a right for.
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
"""
_PREFIX: Final = {"monitoring": "cloudwatch"}
"""What a service's actions begin by, where that is not its signing name."""
_NEEDS: Final[Mapping[str, Callable[[Asks], Found]]] = {
    "athena": _athena,
    "cloudformation": _cloudformation,
    "ec2": _everything,
    "ecs": _ecs,
    "glue": _glue,
    "logs": _logs,
    "monitoring:PutMetricData": _cloudwatch,
    "s3": _s3,
    "sns": _sns,
    "sqs": _sqs,
    "states": _states,
}
