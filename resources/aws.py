"""AWS as its SDK finds it: credentials, region and endpoint are never ours to name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from lakehouse_assets.errors import LakehouseError

CONNECTIONS: Final = 64
"""How many requests a client can have under way at once."""


class AwsError(LakehouseError):
    """AWS cannot do, or refuses, what is asked of it."""


def client(service: str, region: str | None = None, *, patient: bool = True) -> Any:
    """A client of a service, one for as long as its environment stays the same.

    It tries again what fails in passing; not ``patient``, only once and with little waiting.
    """
    return _client(service, region, patient, _environment())


def _environment() -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith("AWS_")))


@cache
def _client(
    service: str, region: str | None, patient: bool, _environment: tuple[tuple[str, str], ...]
) -> Any:
    import boto3  # noqa: PLC0415 - half a second that only who is on AWS pays
    from botocore.config import Config  # noqa: PLC0415

    retries = Config(retries={"mode": "standard"}, max_pool_connections=CONNECTIONS)
    at_once = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 2})
    config = retries if patient else at_once
    return boto3.session.Session().client(service, region_name=region, config=config)


@dataclass(frozen=True)
class Access:
    """What who is no AWS tool, or finds less than the SDK does, must be told of S3."""

    key_id: str
    secret: str
    token: str
    region: str
    endpoint: str


def access_to_s3() -> Access:
    """The credentials, region and endpoint that the SDK finds. Raises AwsError without any."""
    found = _credentials(_environment())
    if found is None:
        raise AwsError("S3: no AWS credentials found; sign in, or name them as for every AWS tool")
    now, meta = found.get_frozen_credentials(), client("s3").meta
    return Access(
        now.access_key or "",
        now.secret_key or "",
        now.token or "",
        # As the SDK signs what goes to S3's endpoint of no region.
        meta.region_name.replace("aws-global", "us-east-1"),
        meta.endpoint_url,
    )


@cache
def _credentials(_environment: tuple[tuple[str, str], ...]) -> Any:
    """What the SDK finds, kept: it renews what ends."""
    import boto3  # noqa: PLC0415 - as above

    return boto3.session.Session().get_credentials()


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
