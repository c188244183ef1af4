"""An object store on this machine, and a proxy before it that fails now and then.

The proxy answers with an error, hangs up before it has passed a request on, holds one and never
answers, or passes it on and loses the answer: the client cannot tell whether it was done.
Answers to reads can break off in the middle, too.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Self

from tests.support.servers import at_work, own_port, serving

BUCKET = "lake"
_BEFORE = ("500", "503", "reset", "time-out")
_AFTER = ("lost: reset", "lost: 500", "lost: time-out")
_HELD_SECONDS = 0.3


class Store:
    """moto behind a proxy; a context manager that ends both."""

    def __enter__(self) -> Self:
        """Start it, and make the bucket."""
        with ExitStack() as stack:
            self.port = stack.enter_context(own_port())
            self._log = Path(stack.enter_context(TemporaryDirectory(prefix="moto-"))) / "log"
            program = str(Path(sys.executable).parent / "moto_server")
            command = [program, "-H", "127.0.0.1", "-p", str(self.port)]
            stack.enter_context(serving(command, self._make_bucket, self._log, stop=signal.SIGKILL))
            self._proxy = Proxy(self.port, Handler)
            self._failing_url = stack.enter_context(at_work(self._proxy))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _make_bucket(self) -> bool:
        self._request("PUT", f"/{BUCKET}")
        return True

    def _request(self, method: str, path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path)
        connection.getresponse().read()
        connection.close()

    def environment(self, *, failing: bool) -> dict[str, str]:
        """What leads boto3, delta-rs and Sail here."""
        own = f"http://127.0.0.1:{self.port}"
        return {
            "AWS_ENDPOINT_URL": self._failing_url if failing else own,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def fail(self, random: Random, reads: float, writes: float, commits: float) -> Counter[str]:
        """Fail at these shares of reads, writes and conditional writes; the count, as it grows."""
        return self._proxy.fail(random, reads, writes, commits)

    def break_off(self, times: int) -> None:
        """Send only half of the next answers to reads, so many of them."""
        self._proxy.broken_off = times

    def heal(self) -> None:
        """Fail no more."""
        self._proxy.fail(Random(0), 0, 0, 0)

    @property
    def requests(self) -> int:
        """How many have come through the proxy."""
        return self._proxy.asked.total()

    @property
    def asked(self) -> Counter[str]:
        """What has come through the proxy: how many of each method, and of ``LIST``."""
        return self._proxy.asked.copy()

    def clear(self) -> None:
        """Forget every object."""
        self._request("POST", "/moto-api/reset")
        self._make_bucket()
        os.truncate(self._log, 0)  # it has a line for every request


def priced(asked: Counter[str]) -> dict[str, int]:
    """Requests, as `Store.asked` counts them, by what S3 is paid for them as."""
    return {
        "s3_put": asked["PUT"] + asked["POST"] + asked["LIST"],
        "s3_get": asked["GET"] + asked["HEAD"],
    }


class Proxy(ThreadingHTTPServer):
    """Passes on what it is asked, and fails at times."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: int, handler: type[Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.upstream = upstream
        self.asked: Counter[str] = Counter()
        self.broken_off = 0
        # moto looks and then writes: conditional writes pass one at a time.
        self.conditional = threading.Lock()
        self._lock = threading.Lock()
        self.fail(Random(0), 0, 0, 0)

    def fail(self, random: Random, reads: float, writes: float, commits: float) -> Counter[str]:
        with self._lock:
            self._random, self._shares = random, (reads, writes, commits)
            self._counts: Counter[str] = Counter()
            return self._counts

    def draw(self, method: str, path: str, *, conditional: bool) -> str | None:
        """Whether, and how, the next request fails."""
        with self._lock:
            self.asked["LIST" if "list-type=2" in path else method] += 1
            reads, writes, commits = self._shares
            read = method in {"GET", "HEAD"}
            if self._random.random() >= (reads if read else commits if conditional else writes):
                return None
            # Of a write that may be a commit, the lost answer is what matters.
            kinds = _BEFORE if read else _BEFORE + _AFTER
            kind = self._random.choice(kinds + 3 * _AFTER if conditional else kinds)
            self._counts[kind] += 1
            return kind

    def saw(self, request: Handler, body: bytes, status: int, answer: bytes) -> None:
        """Told of each request, once it has been answered: whoever wants to know is a subclass."""

    def breaks_off(self, method: str) -> bool:
        """Whether the next answer does."""
        with self._lock:
            if method != "GET" or not self.broken_off:
                return False
            self.broken_off -= 1
            return True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    """Passes one request on, or fails it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        assert "Transfer-Encoding" not in self.headers
        conditional = self.command == "PUT" and "If-None-Match" in self.headers
        fault = self.server.draw(self.command, self.path, conditional=conditional)
        if fault in _BEFORE:
            self._fail(fault)
            return
        if conditional:
            with self.server.conditional:
                status, headers, answer = self._forward(body)
        else:
            status, headers, answer = self._forward(body)
        self.server.saw(self, body, status, answer)
        if fault:
            self._fail(fault.removeprefix("lost: "))
            return
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        length = dict(headers).get("Content-Length") if self.command == "HEAD" else len(answer)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        if self.server.breaks_off(self.command):
            self.close_connection = True
            answer = answer[: len(answer) // 2]
        self.wfile.write(answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815 - http.server's names

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        # A connection for each: one that is kept may be closed unseen, and a write go twice.
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in {"connection", "expect"}:
                upstream.putheader(name, value)
        upstream.endheaders(body)
        answer = upstream.getresponse()
        found = answer.status, answer.getheaders(), answer.read()
        upstream.close()
        return found

    def _fail(self, how: str) -> None:
        self.close_connection = True
        if how in {"500", "503"}:
            code = "InternalError" if how == "500" else "SlowDown"
            answer = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
            self.send_response_only(int(how))
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else answer)
            return
        if how == "time-out":
            time.sleep(_HELD_SECONDS)
        else:  # thrown away with what it holds: the other side sees a reset
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
