"""A role's credentials as AWS serves them to who works for it: a Glue job, a task of ECS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tests.support.servers import at_work

_ROLE: Final = "/latest/meta-data/iam/security-credentials/"
_HOURS: Final = 6


@contextmanager
def serving_role(name: str) -> Iterator[dict[str, str]]:
    """Serve a role's credentials as Glue does: what leads every SDK to them.

    The key's id is the role's name. A look-alike of EC2's metadata service, it answers the first
    version of the protocol alone: whoever asks for a token first, as the second version has it, is
    told that there is no such thing. boto3 and Java's SDK go on without one; Rust's SDK does not
    (https://github.com/delta-io/delta-rs/issues/3188,
    https://docs.aws.amazon.com/sdk-for-rust/latest/dg/credproviders.html).
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
    """
    with _answering({_ROLE: name, f"{_ROLE}{name}": json.dumps(_credentials(name))}) as (url, _):
        yield {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": url,
            # An endpoint beside AWS's own makes delta-rs look in its own way; here as on AWS.
            "AWS_FORCE_CREDENTIAL_LOAD": "true",
        }


@contextmanager
def serving_task(name: str) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Serve the credentials of a task's role as ECS does; and which paths were asked for.

    By a whole address: ECS names only the path, at 169.254.170.2, which cannot be here.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
    """
    told = {"RoleArn": f"arn:aws:iam::123456789012:role/{name}", **_credentials(name)}
    path = f"/v2/credentials/{name}"
    with _answering({path: json.dumps(told)}) as (url, asked):
        yield {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}{path}"}, asked


@contextmanager
def _answering(answers: Mapping[str, str]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers these paths, and no other; its address, and what it was asked for."""
    asked: list[str] = []

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self._answer(answers.get(self.path))

        def do_PUT(self) -> None:
            self._answer(None)

        def _answer(self, text: str | None) -> None:
            body = (text or "").encode()
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), Metadata)) as url:
        yield url, asked


def _credentials(name: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": _text(now),
        "AccessKeyId": name,
        "SecretAccessKey": "secret",
        "Token": "token",
        "Expiration": _text(now + timedelta(hours=_HOURS)),
    }


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
