"""What tests start their servers with, on a machine that is in their way."""

from __future__ import annotations

import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.support.servers import ServerError, answering, own_port, serving

WEB = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


def test_a_server_answers_on_its_port_and_is_gone_afterwards(tmp_path: Path) -> None:
    with own_port() as port:
        url = f"http://127.0.0.1:{port}/"
        with serving([*WEB, str(port)], answering(url), tmp_path / "log", cwd=tmp_path) as server:
            assert answering(url)()
        assert server.returncode == -signal.SIGTERM
        with pytest.raises(OSError, match="refused"):
            answering(url)()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere two cannot bind one port")
def test_a_port_is_given_to_nobody_else() -> None:
    with own_port() as port, socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))


def test_a_server_that_does_not_start_is_told_with_what_it_printed(tmp_path: Path) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    with (
        pytest.raises(ServerError, match="ended with 1") as told,
        serving(broken, lambda: False, tmp_path / "log"),
    ):
        pass
    assert "no such luck" in told.value.__notes__[0]


def test_a_server_that_is_lost_on_the_way_is_no_success(tmp_path: Path) -> None:
    with (
        pytest.raises(ServerError, match="ended by itself"),
        serving([sys.executable, "-c", ""], lambda: True, tmp_path / "log") as server,
    ):
        server.wait()


def test_what_a_server_has_started_goes_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    log = tmp_path / "log"
    with serving([sys.executable, "-c", code], lambda: log.stat().st_size, log):
        child = int(log.read_text())
    ended_by = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and _state(child) != "Z":
        assert time.monotonic() < ended_by, "it is still there"
        time.sleep(0.05)


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
