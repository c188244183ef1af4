"""The command line. Light until it must not be: Dagster and an engine are imported late."""

from __future__ import annotations

import gc
import sys

from lakehouse_assets.cli.interrupt import as_exception, before_any_work
from lakehouse_assets.errors import LakehouseError


def main() -> None:
    """Run the command line. Whatever a user did ends in one clear line, never in a trace."""
    before_any_work()
    # What is imported stays, and the garbage collector looked at all of it every 700 objects.
    gc.set_threshold(50_000)
    sys.path.append("")  # LAKEHOUSE_TABLES may name a package in the folder that one is in
    try:
        from lakehouse_assets.cli.commands import app  # noqa: PLC0415 - may raise, or take long

        as_exception()
        app(prog_name="lakehouse")
    except LakehouseError as error:
        from rich.console import Console  # noqa: PLC0415 - after the first moment

        line = Console(stderr=True, emoji=False)
        line.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
