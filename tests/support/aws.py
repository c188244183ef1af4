"""AWS on this machine: an account on moto's server, and a server that refuses everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3

from tests.support.servers import at_work


class Aws:
    """A fresh account, which the environment of this process leads to."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._session = boto3.session.Session()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """A client of somebody else in the account."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service)
        return self._clients[service]


@contextmanager
def refusing(code: str) -> Iterator[tuple[str, list[str]]]:
    """A service that answers whatever it is asked with this error: its URL, and what was asked."""
    asked: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(self.headers.get("X-Amz-Target") or body.decode())
            answer = json.dumps({"__type": code, "message": "not now"}).encode()
            self.send_response(400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with at_work(HTTPServer(("127.0.0.1", 0), Refusing)) as url:
        yield url, asked
