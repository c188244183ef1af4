"""Commands that look: query, status, doctor, ui."""

from __future__ import annotations

from typing import Annotated

import typer

from lakehouse_assets.cli.console import Format, FormatOption, app, fail, print_rows, say, tell
from lakehouse_assets.operations import restore
from lakehouse_assets.planning import pending_files
from lakehouse_assets.queries.named import named, named_queries, views
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS, GOLD, example
from resources.settings import Settings


@app.command("query")
def query_command(
    sql: Annotated[
        str | None, typer.Argument(help=f"A SELECT, such as: SELECT * FROM {example()}")
    ] = None,
    form: FormatOption = Format.TABLE,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="RUN|TIME", help="As that run, or the last by that time, left it."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Ask a named query instead.")
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
    """Ask the tables: those of `gold`, `silver`, `bronze`, `rejected`, `superseded` and `ledger`.

    By name: `lakehouse query --name NAME --param as_of=2025-04-30`. Queries that need no
    parameter are also tables of their own, in `views`.
    """
    if [sql is not None, name is not None, names, create_views].count(True) != 1:
        fail("give one of: a SELECT, --name NAME, --list, --create-views")
    if names:
        rows = [(q.name, " ".join(q.parameters), q.purpose) for q in named_queries().values()]
        print_rows(["name", "parameters", "purpose"], rows, form)
        return
    from resources.query_engine import query_engine  # noqa: PLC0415 - imports DuckDB or boto3

    settings = Settings.load()
    run = restore.find(Ledger(settings.lake()).state(), as_of) if as_of is not None else None
    engine = query_engine(settings, run)
    if create_views:
        engine.create_views()
        tell(f"views: {', '.join(views())}")
        return
    if name is not None:
        query = named(name)
        found = engine.answer_named(query, query.values(_given(param or [])))
    else:
        found = engine.answer(sql or "")
    print_rows(*found, form)


def _given(parameters: list[str]) -> dict[str, str]:
    for parameter in parameters:
        if "=" not in parameter:
            fail(f"--param {parameter}: has no value; write --param NAME=VALUE")
    return dict(parameter.split("=", 1) for parameter in parameters)


@app.command("status")
def status_command() -> None:
    """Show what is pending, which files wait for you, and what the tables hold."""
    ledger = Ledger(Settings.load().lake())
    lake = ledger.lake
    pending = pending_files.of(ledger, DATASETS, GOLD)
    rows = []
    for table in [t for d in DATASETS.values() for t in (d.bronze, d.silver, d.rejected)] + [
        g.table for g in GOLD.values()
    ]:
        version = lake.version(table)
        files = lake.files(table, version)
        count = f"{sum(f['num_records'] or 0 for f in files):,}"
        size = sum(f["size_bytes"] for f in files) / 1024
        why = pending.tables.get(table.id, "")
        rows.append((table.id, "-" if version is None else version, count, f"{size:,.0f}", why))
    print_rows(["table", "version", "rows", "KiB", "pending"], rows, Format.TABLE)
    for misplaced in pending.misplaced:
        say(str(misplaced))
    for notice in pending.notices:
        say(notice)
    for path, found in pending.files.items():
        tell(f"pending: {path} ({found.reason})")
    for path, judged in pending.waiting:
        for line in clear_lines(path, judged):
            tell(f"waits: {line}")
    if not pending:
        tell("Nothing is pending.")


@app.command("doctor")
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
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 3000,
) -> None:
    """Open the Dagster UI on this lakehouse (webserver and daemon, until Ctrl-C)."""
    from resources.dagster_instance import bury_dead_runs, open_instance, serve  # noqa: PLC0415 - only here

    settings = Settings.load()
    instance = open_instance(settings)
    bury_dead_runs(instance, settings)
    instance.dispose()
    serve(settings, port)
