"""Processes that tests start: how they end, and how to wait for what they do."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int) -> None:
    """Have this signal sent to this process when the one that started it is gone (on Linux)."""
    if sys.platform == "linux":
        _libc.prctl(1, number, 0, 0, 0)


def until(what: Callable[[], Any], seconds: float, why: str) -> Any:
    """What a call gives once it gives something; it may refuse the connection until then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := what():
                return found
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"{why}: not in {seconds} s")


def end_group(group: int) -> None:
    """End what is left of a process group of ours."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
