"""Servers that tests start: each on a port of its own, ended by who started it.

The machine may be busy: a server is waited for as long as a test may take, and one that ends, or
is given up, is told with what it printed.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tests.support import PROJECT
from tests.support.processes import die_with_parent, end_group

PATIENCE_SECONDS: Final = 600.0
_TAIL: Final = 6000


class ServerError(Exception):
    """A server that ended by itself, or never answered; its notes have what it printed."""


@contextmanager
def own_port() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody else is given while the block lasts.

    It is held by a socket that is bound and never listens. On Linux a server can bind it beside
    that one, as both set SO_REUSEADDR, and the kernel hands it out to nobody. Elsewhere two cannot
    share it, and it is let go at once.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = int(held.getsockname()[1])
        if sys.platform != "linux":
            held.close()
        yield port


@contextmanager
def serving(
    command: Sequence[str],
    answers: Callable[[], object],
    log: Path,
    *,
    stop: signal.Signals = signal.SIGTERM,
    **options: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, wait until it answers, and end it and all that it started with the block.

    Args:
        command: The program and its arguments.
        answers: Whether it serves; it may raise OSError until then.
        log: The file that gets what it prints.
        stop: What it is told to end by; what has not ended a minute later is killed.
        options: For ``subprocess.Popen``.

    Raises:
        ServerError: It ended before the block did, or did not answer in ten minutes.

    """

    def prepare() -> None:
        # Where the tests run in the background, it would inherit being deaf to both.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        die_with_parent(stop)

    with log.open("ab") as out:
        process = subprocess.Popen(
            [*command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=prepare,  # noqa: PLW1509 - nothing here holds a lock that it takes
            **options,
        )
    try:
        _wait(process, answers)
        yield process
        if process.poll() is not None:
            raise ServerError(f"{command[0]} ended by itself, with {process.returncode}")
    except BaseException as error:  # a test's own timeout, too
        printed = log.read_text(errors="replace")[-_TAIL:]
        error.add_note(f"{' '.join(command)} printed:\n{printed}")
        raise
    finally:
        _end(process, stop)


@contextmanager
def lakehouse_ui(log: Path, environment: Mapping[str, str], port: int) -> Iterator[None]:
    """``lakehouse ui``: webserver and daemon on 127.0.0.1."""
    command = [sys.executable, "-m", "lakehouse_assets.cli", "ui", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/server_info"
    with serving(
        command, answering(url), log, stop=signal.SIGINT, cwd=PROJECT, env=dict(environment)
    ):
        yield


@contextmanager
def at_work(server: HTTPServer) -> Iterator[str]:
    """A server of this process, answering until the block ends: its URL."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def json_service(
    handle: Callable[[str, dict[str, Any]], dict[str, Any]], refusal: str
) -> Iterator[str]:
    """A service of AWS's JSON protocol on a free port of 127.0.0.1: its URL.

    ``handle`` gets an operation's name and its request; the ValueError that it raises is told as
    the exception named ``refusal``.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                code, told = 200, handle(self.headers["X-Amz-Target"].split(".")[1], body)
            except ValueError as error:
                code, told = 400, {"__type": refusal, "Message": str(error)}
            data = json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """A request is no news."""

    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        yield url


def answering(url: str) -> Callable[[], bool]:
    """Whether something answers there with 200."""

    def answers() -> bool:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return bool(answer.status == 200)

    return answers


def _wait(process: subprocess.Popen[bytes], answers: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerError(f"ended with {process.returncode} before it answered")
        with suppress(OSError, HTTPException):
            if answers():
                return
        time.sleep(0.1)
    raise ServerError(f"did not answer in {PATIENCE_SECONDS:g} s")


def _end(process: subprocess.Popen[bytes], stop: signal.Signals) -> None:
    process.send_signal(stop)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        pass
    finally:
        end_group(process.pid)
        process.wait()
