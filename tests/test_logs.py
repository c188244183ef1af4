"""Lines of the log: for people or for machines, from a level on, set up once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support import PROJECT
from tests.support.commands import Lakehouse

SAY = """
import logging
from resources import logs
from resources.settings import LogLevel, Settings
logs.configure(Settings.load())
logs.configure(Settings.load(), LogLevel.ERROR)
log = logging.getLogger("lakehouse.test")
log.debug("too little")
log.info("%s is %d", "it", 1, extra={"table": "silver.orders"})
try:
    1 / 0
except ZeroDivisionError:
    log.exception("wrong")
"""


def said(lakehouse: Lakehouse) -> list[str]:
    """The lines that a process logs."""
    command = [sys.executable, "-c", SAY]
    done = subprocess.run(
        command, cwd=PROJECT, env=lakehouse.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    return done.stderr.splitlines()


def test_lines_for_machines(tmp_path: Path) -> None:
    info, error = map(json.loads, said(Lakehouse(tmp_path, LAKEHOUSE_LOG_FORMAT="json")))
    assert info.pop("timestamp").endswith("Z")
    assert info == {
        "event": "it is 1",
        "level": "info",
        "logger": "lakehouse.test",
        "table": "silver.orders",
    }
    assert (error["level"], error["event"]) == ("error", "wrong")
    assert "ZeroDivisionError" in error["exception"]


def test_lines_for_people(tmp_path: Path) -> None:
    info, error, *trace = said(Lakehouse(tmp_path))
    assert info.endswith(" INFO lakehouse.test: it is 1")
    assert error.endswith(" ERROR lakehouse.test: wrong")
    assert trace


def test_from_a_level_on(tmp_path: Path) -> None:
    lines = said(Lakehouse(tmp_path, LAKEHOUSE_LOG_LEVEL="ERROR", LAKEHOUSE_LOG_FORMAT="json"))
    assert [json.loads(line)["event"] for line in lines] == ["wrong"]


def test_a_level_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    ended = Lakehouse(tmp_path, LAKEHOUSE_LOG_LEVEL="LOUD")("status")
    assert ended.code == 1
    assert ended.err.startswith("LAKEHOUSE_LOG_LEVEL: ")
    assert len(ended.err.splitlines()) == 1
