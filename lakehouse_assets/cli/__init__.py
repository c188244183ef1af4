"""The command line. Light until it must not be: Dagster and an engine are imported late."""

from __future__ import annotations

import sys

from rich.console import Console

from lakehouse_assets.errors import LakehouseError


def main() -> None:
    """Run the command line. Whatever a user did ends in one clear line, never in a trace."""
    sys.path.append("")  # LAKEHOUSE_TABLES may name a package in the folder that one is in
    try:
        # Contracts are read at import, and what is wrong in one is a clear line too.
        from lakehouse_assets.cli import files, inspect, prepare, runs  # noqa: F401, PLC0415
        from lakehouse_assets.cli.console import app  # noqa: PLC0415

        app()
    except LakehouseError as error:
        line = Console(stderr=True)
        line.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
