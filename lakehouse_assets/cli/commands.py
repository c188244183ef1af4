"""All commands: importing this module registers them.

Contracts are read then, and what is wrong in one is a LakehouseError.
"""

from __future__ import annotations

from typing import Final

from lakehouse_assets.cli import dashboards, files, inspect, prepare, runs, tables, time_travel
from lakehouse_assets.cli.console import app
from lakehouse_assets.cli.root import Command

__all__ = ["app", "dashboards", "files", "inspect", "prepare", "runs", "tables", "time_travel"]

_AS_ONE_MEETS_THEM: Final = (
    *("init", "check", "land", "run", "status", "tables", "query", "rejected", "dashboards", "ui"),
    *("accept", "withdraw", "reinstate", "history", "restore", "resume"),
    *("replay", "maintain", "doctor"),
)

app.registered_commands.sort(key=lambda command: _AS_ONE_MEETS_THEM.index(command.name or ""))
for command in app.registered_commands:
    if not (command.cls and issubclass(command.cls, Command)):
        command.cls = Command
