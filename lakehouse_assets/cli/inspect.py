"""Commands that look: query, status, doctor, ui."""

from __future__ import annotations

import errno
import socket
from typing import Annotated

import typer

from lakehouse_assets.cli.answers import LimitOption, OutputOption, check_options, hand_out
from lakehouse_assets.cli.complete import query_names, runs
from lakehouse_assets.cli.console import Format, FormatOption, app, fail, print_rows, say, tell
from lakehouse_assets.cli.root import Anywhere, find_lakehouse
from lakehouse_assets.cli.runs import nothing_pending
from lakehouse_assets.operations import restore
from lakehouse_assets.planning import pending_files
from lakehouse_assets.queries.named import named, named_queries, views
from lakehouse_assets.store.delta import row_count
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS, DERIVED, example
from resources.settings import Settings


@app.command("query", cls=Anywhere)
def query_command(
    sql: Annotated[
        str | None, typer.Argument(help=f"A SELECT, such as: SELECT * FROM {example()}")
    ] = None,
    form: FormatOption = Format.TABLE,
    limit: LimitOption = None,
    output: OutputOption = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|TIME",
            help="Ask the tables as a run left them: its id, or a time (UTC).",
            autocompletion=runs,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Ask a named query instead.", autocompletion=query_names),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A value for the named query's parameter."),
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="List the named queries.")] = False,
    create_views: Annotated[
        bool, typer.Option("--create-views", help="Create the views in Athena's catalog.")
    ] = False,
) -> None:
    """Ask the tables: `lakehouse tables` lists them.

    A table shows the first 20 rows, unless --limit says; CSV and JSON have all, and --output
    FILE writes all, in the form of its ending.

    By name: `lakehouse query --name NAME --param as_of=2025-04-30`. Queries that need no
    parameter are also tables of their own, in `views`.
    """
    if [sql is not None, name is not None, names, create_views].count(True) != 1:
        fail("give one of: a SELECT, --name NAME, --list, --create-views")
    if names:
        rows = [(q.name, " ".join(q.parameters), q.purpose) for q in named_queries().values()]
        print_rows(["name", "parameters", "purpose"], rows, form)
        return
    check_options(form, output)
    from resources.query_engine import query_engine  # noqa: PLC0415 - imports DuckDB or boto3

    settings = find_lakehouse()
    run = restore.find(Ledger(settings.lake()).state(), as_of) if as_of is not None else None
    engine = query_engine(settings, run)
    if create_views:
        engine.create_views()
        tell(f"views: {', '.join(views())}")
        return
    if name is not None:
        query = named(name)
        answer = engine.stream_named(query, query.values(_given(param or [])))
    else:
        answer = engine.stream(sql or "")
    with answer as stream:
        hand_out(stream, form, limit, output)


def _given(parameters: list[str]) -> dict[str, str]:
    for parameter in parameters:
        if "=" not in parameter:
            fail(f"--param {parameter}: has no value; write --param NAME=VALUE")
    return dict(parameter.split("=", 1) for parameter in parameters)


@app.command("status")
def status_command() -> None:
    """Show what is pending, which files wait for you, and what the tables hold."""
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    lake = ledger.lake
    tell(f"lakehouse: {settings.place}")
    pending = pending_files.of(ledger, DATASETS, DERIVED)
    rows = []
    derived = [t.table for t in DERIVED.values()]
    for table in [t for d in DATASETS.values() for t in (d.bronze, d.silver, d.rejected)] + derived:
        version = lake.version(table)
        files = lake.files(table, version)
        size = sum(f["size_bytes"] for f in files) / 1024
        why = pending.tables.get(table.id, "")
        told = "-" if version is None else str(version)
        rows.append((table.id, told, row_count(files), round(size), why))
    print_rows(["table", "version", "rows", "KiB", "pending"], rows, Format.TABLE)
    for misplaced in pending.misplaced:
        tell(f"misplaced: {misplaced}")
    for notice in pending.notices:
        say(notice)
    for path, found in pending.files.items():
        tell(f"pending: {path} ({found.reason})")
    for path, judged in pending.waiting:
        for line in clear_lines(path, judged):
            tell(f"waits: {line}")
    if not pending and not pending.frozen:  # then a notice has said why nothing goes on
        waits, astray = len(pending.waiting), len(pending.misplaced)
        more = f"; {waits} file{' waits' if waits == 1 else 's wait'} for you" if waits else ""
        more += f"; {astray} {'is' if astray == 1 else 'are'} misplaced" if astray else ""
        tell(nothing_pending(ledger, more))


@app.command("doctor", cls=Anywhere)
def doctor_command() -> None:
    """Show what is installed, which engines can run, and how to get what is missing."""
    from lakehouse_assets.cli.doctor import examine  # noqa: PLC0415 - looks at the whole machine

    findings = examine(Settings.load())
    print_rows(
        ["", "what", "found", "to do"],
        [("ok" if f.ok else "--", f.what, f.found, f.advice) for f in findings],
        Format.TABLE,
    )
    raise typer.Exit(int(any(f.needed and not f.ok for f in findings)))


@app.command("ui")
def ui_command(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port.")] = 3000,
    host: Annotated[
        str,
        typer.Option(help="Address to listen at; beyond 127.0.0.1 everyone there may do anything."),
    ] = "127.0.0.1",
) -> None:
    """Open the Dagster UI on this lakehouse (webserver and daemon, until Ctrl-C)."""
    from resources.dagster_instance import bury_dead_runs, open_instance, open_ui, serve  # noqa: PLC0415 - only here

    settings = Settings.load()
    if url := open_ui(settings):
        fail(f"the UI of {settings.place} is open already: {url}; use that one, or end it first")
    if problem := _taken(host, port):
        fail(problem)
    say(f"lakehouse: {settings.place}; the UI takes up to a minute to start ...")
    instance = open_instance(settings)
    bury_dead_runs(instance, settings)
    instance.dispose()
    serve(settings, host, port)


def _taken(host: str, port: int) -> str | None:
    """Why nothing can listen there, as a clear line; None where it can."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            return (
                f"port {port} of {host} is taken, perhaps by another lakehouse's UI; "
                "name a free one: --port, or make ui PORT=..."
            )
        said = getattr(error, "strerror", None) or str(error)
        return f"{host}:{port}: {said}; name an address of this machine and a port of yours"
    return None
