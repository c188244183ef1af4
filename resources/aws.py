"""AWS as its SDK finds it: credentials, region and endpoint are never ours to name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lakehouse_assets.errors import LakehouseError


class AwsError(LakehouseError):
    """AWS cannot do, or refuses, what is asked of it."""


def client(service: str, region: str | None = None) -> Any:
    """A client of a service; as its environment is now, not when another was made."""
    import boto3  # noqa: PLC0415 - half a second that only who is on AWS pays
    from botocore.config import Config  # noqa: PLC0415

    config = Config(retries={"mode": "standard"})
    return boto3.session.Session().client(service, region_name=region, config=config)


@contextmanager
def clear_errors(resource: str) -> Iterator[None]:
    """Turn what the SDK raises into one clear line about this resource. Raises AwsError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        yield
    except ClientError as error:
        told = error.response["Error"]
        problem = f"{error.operation_name} refused: {told['Code']}: {told['Message']}"
        advice = _advice(told["Code"], error.operation_name)
        raise AwsError(f"{resource}: {' '.join(problem.split())}; {advice}") from None
    except (BotoCoreError, ResponseParserError) as error:
        advice = "check the AWS credentials, AWS_DEFAULT_REGION and the network"
        raise AwsError(f"{resource}: {' '.join(str(error).split())}; {advice}") from None


def _advice(code: str, operation: str) -> str:
    cases = (
        (("AccessDenied", "AuthorizationError"), f"allow the role {operation} on it"),
        (("Throttl", "TooManyRequests", "SlowDown"), "try again later"),
        (("Expired", "InvalidClientTokenId", "Unrecognized"), "renew the AWS credentials"),
        (("NotFound", "EntityNotFound", "NoSuch"), "check its name, account and region"),
    )
    for marks, advice in cases:
        if any(mark in code for mark in marks):
            return advice
    return "check its name, account, region and permissions"
