"""The command line. Light until it must not be: Dagster and an engine are imported late."""

from __future__ import annotations

from lakehouse_assets.cli import files, inspect, runs
from lakehouse_assets.cli.console import app, fail
from lakehouse_assets.errors import LakehouseError

__all__ = ["files", "inspect", "main", "runs"]


def main() -> None:
    """Run the command line. Whatever a user did ends in one clear line, never in a trace."""
    try:
        app()
    except LakehouseError as error:
        fail(str(error))
