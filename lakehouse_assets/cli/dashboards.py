"""The command that draws the dashboards: dashboards."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from lakehouse_assets.cli.complete import dashboard_names
from lakehouse_assets.cli.console import app, fail, tell
from lakehouse_assets.cli.root import find_lakehouse


@app.command("dashboards")
def dashboards_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Only these; all unless given.",
            autocompletion=dashboard_names,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the pages go; the lakehouse's `dashboards` unless given.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open them in the browser.")] = False,
) -> None:
    """Draw the dashboards as pages that need no server, and say where they are.

    A page is drawn again only where a table that it shows has changed since.
    """
    from lakehouse_assets.dashboards.publish import (  # noqa: PLC0415 - only here
        publish,
        remembering,
    )
    from lakehouse_assets.dashboards.registry import dashboard_named, dashboards  # noqa: PLC0415 - as above
    from lakehouse_assets.store.storage import LocalStorage  # noqa: PLC0415 - as above
    from resources.query_engine import query_engine  # noqa: PLC0415 - imports DuckDB or boto3

    settings = find_lakehouse()
    known = dashboards()
    if not known:
        fail(f"{settings.tables}: has no dashboards/; docs/dashboards.md says how to add one")
    meant = [dashboard_named(name) for name in names] if names else list(known.values())
    place = LocalStorage(str(output.absolute())) if output else settings.pages()
    with query_engine(settings).together() as ask:
        answer = remembering(ask)
        for each in meant:
            try:
                written = publish(each, settings.lake(), answer, place, known)
            except OSError as error:
                fail(f"{place.root}: {error.strerror or error}; name a folder that can be written")
            tell(f"{written.uri}: {'drawn' if written.answers else 'nothing has changed'}")
            if show:
                webbrowser.open(written.uri if "://" in written.uri else Path(written.uri).as_uri())
