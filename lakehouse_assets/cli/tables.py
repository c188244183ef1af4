"""The command that says what can be asked: tables."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lakehouse_assets.cli.complete import table_names
from lakehouse_assets.cli.console import Format, FormatOption, app, fail, print_rows, say
from lakehouse_assets.cli.root import Anywhere, find_lakehouse
from lakehouse_assets.queries.named import named_queries, tables, views
from lakehouse_assets.tables.registry import DATASETS, DERIVED

if TYPE_CHECKING:
    from lakehouse_assets.store.ledger import Ledger
    from lakehouse_assets.tables.contract import Table

_BY_USE: Final = ("gold", "mart", "silver", "rejected", "bronze")


@app.command("tables", cls=Anywhere)
def tables_command(
    table: Annotated[
        str | None, typer.Argument(autocompletion=table_names, help="Show this one's columns.")
    ] = None,
    form: FormatOption = Format.TABLE,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the whole data model, as a page.")
    ] = False,
) -> None:
    """List what a query can name, with its rows and newest batch date; or a table's columns."""
    if markdown:
        from lakehouse_assets.cli.data_model import page  # noqa: PLC0415 - reads gold's SQL

        print(page(), end="")  # noqa: T201 - as it is, without the width of a console
    elif table is None:
        _list(form)
    elif table in tables():
        columns = [(c.name, c.type, c.description) for c in tables()[table].columns]
        print_rows(["column", "type", "meaning"], columns, form)
    elif table in views():
        _view(table, form)
    else:
        from resources.query_errors import no_table  # noqa: PLC0415 - only here

        fail(no_table(table))


def _list(form: Format) -> None:
    from lakehouse_assets.store.ledger import Ledger  # noqa: PLC0415 - opens Delta tables
    from resources.settings import Settings  # noqa: PLC0415 - imports pydantic's settings

    settings = Settings.load()
    ledger = Ledger(settings.lake()) if settings.is_placed else None
    newest = _newest(ledger) if ledger else {}
    rows: list[tuple[Any, ...]] = [
        (
            name,
            "table",
            _rows(ledger, table),
            len(table.columns),
            newest.get(name, ""),
            table.description,
        )
        for name, table in sorted(tables().items(), key=_by_use)
    ]
    rows += [(name, "view", "", "", "", view.purpose) for name, view in views().items()]
    names = ["name", "kind", "rows", "columns", "newest batch date", "what it is"]
    print_rows(names, rows, form)
    if form is Format.TABLE:
        asking = [query for query in named_queries().values() if query.parameters]
        say(
            f"lakehouse tables TABLE shows its columns; {len(asking)} named queries need "
            "parameters: lakehouse query --list"
        )


def _by_use(named: tuple[str, Table]) -> int:
    """What people ask most comes first."""
    layer = named[1].layer
    return _BY_USE.index(layer) if layer in _BY_USE else len(_BY_USE)


def _rows(ledger: Ledger | None, table: Table) -> int | str:
    from lakehouse_assets.store.delta import row_count  # noqa: PLC0415 - opens Delta tables

    version = ledger.lake.version(table) if ledger else None
    if ledger is None or version is None:
        return ""
    return row_count(ledger.lake.files(table, version))


def _newest(ledger: Ledger) -> dict[str, date]:
    """The newest batch date whose files each table has taken in; without those that lag behind."""
    from lakehouse_assets.tables.jobs import derived_job  # noqa: PLC0415 - parses SQL

    state, lake = ledger.followed(), ledger.lake
    newest: dict[str, date] = {}
    for dataset in DATASETS.values():
        bronze = dataset.bronze
        absorbed = state.absorbed.get(dataset.silver.id)
        read = absorbed.inputs.get(bronze.id) if absorbed else None
        written = {table for table in dataset.tables if table != bronze}
        for version, those in (
            (lake.version(bronze), {bronze}),
            (read.version if read else None, written),
        ):
            if dates := lake.contents(bronze, version).values():
                newest |= {table.id: max(dates) for table in those}
    for name, derived in DERIVED.items():
        absorbed = state.absorbed.get(name)
        inputs = [table.id for table in derived_job(derived).reads]
        if absorbed and all(absorbed.inputs.get(i) == state.versions.get(i) for i in inputs):
            taken_in = [newest[i] for i in inputs if i in newest]
            newest |= {name: max(taken_in)} if taken_in else {}
    return newest


def _view(name: str, form: Format) -> None:
    """The columns of a view, which its query has: they are known by asking."""
    from resources.query_engine import query_engine  # noqa: PLC0415 - imports DuckDB or boto3

    settings = find_lakehouse()
    with query_engine(settings).stream_named(views()[name]) as stream:
        columns = [(field.name, str(field.type)) for field in stream.schema]
    print_rows(["column", "type"], columns, form)
    if form is Format.TABLE:
        say(f"{name}: {views()[name].purpose}")
