"""The parts of Dagster on ECS: what they are called, where they listen, which share a task.

Without CDK, for whoever only asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from deploy.cdk.config import Profile

WEB, CODE = 3000, 4000
"""The ports of webserver and code location."""
RUN: Final = "run"
WAY_IN: Final = "way-in"
"""The container beside the webserver by which people reach it."""
SERVICES: Final[Mapping[Profile, Mapping[str, Sequence[str]]]] = {
    Profile.FRUGAL: {"dagster": ("code", "daemon", "webserver")},
    Profile.GUARDED: {part: (part,) for part in ("code", "daemon", "webserver")},
}
"""The parts that share a task, by its service; each after those that it asks."""
