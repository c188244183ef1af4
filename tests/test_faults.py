"""A scenario of each kind of fault, always the same ones; `tests/torture/faults.py` plays more."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support import PROJECT


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="new files are told by inotify")
@pytest.mark.long
@pytest.mark.timeout(280)
def test_faults_from_outside_leave_nothing_wrong() -> None:
    """Killed, without disk or store, beside others, in another time: the oracle's tables."""
    command = [sys.executable, "-m", "tests.torture.faults", "--each", "1", "--seed", "3"]
    done = subprocess.run(
        [*command, "--workers", "1", "--small", "--json"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    tallies = {it["kind"]: it for it in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, (tallies, done.stderr)
    assert {*tallies} == {"storage", "kill", "writers", "disk", "clock"}
    for kind, tally in tallies.items():
        assert sum(tally["faults"].values()) or tally["skipped"], f"{kind}: no fault happened"
