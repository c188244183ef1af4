"""Commands about files and their rows: land, withdraw, reinstate, accept, rejected."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from lakehouse_assets.cli.console import (
    DatasetOption,
    DateOption,
    Format,
    FormatOption,
    app,
    dataset_named,
    dataset_of,
    date_option,
    fail,
    print_rows,
    say,
    tell,
)
from lakehouse_assets.operations import decide, export_rejected
from lakehouse_assets.operations.land import LandingError, land
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.registry import DATASETS
from resources.settings import Settings

FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="`<dataset>/<date>/<file>`, as messages print it.")
]


@app.command("land")
def land_command(
    files: Annotated[list[Path], typer.Argument(help="Files to land: .csv, .csv.gz or .xlsx.")],
    day: Annotated[date, date_option("--date", "The batch date, YYYY-MM-DD.")],
    dataset: DatasetOption = None,
) -> None:
    """Put files into the raw zone, in `raw/<dataset>/<date>/`.

    A file takes the place of one of the same name there. Files that you copy into those
    folders by hand count just the same: they land when a run first reads them.

    Newer means a later batch date, then a later file name (numbers in it by their value): a
    correction landed under an older date or name than what it corrects loses.
    """
    ledger = Ledger(Settings.load().lake())
    if dataset is not None:
        dataset_named(dataset)
    failed = False
    for file in files:
        name = dataset or dataset_of(file)
        if name is None:
            failed = True
            continue
        try:
            path, news, older = land(ledger, file, name, day)
        except LandingError as error:
            say(str(error))
            failed = True
            continue
        tell(f"{path}: landed" if news else f"{path}: the same bytes are there already")
        if older:
            say(older)
    _say_if_restored(ledger)
    raise typer.Exit(int(failed))


@app.command("withdraw")
def withdraw_command(file: FileArgument) -> None:
    """Take a file's rows out of all tables, with the next run; older versions come back.

    Covers all that has landed at that place so far. `lakehouse reinstate` undoes it.
    """
    ledger, path = _named(file)
    decide.withdraw(ledger, path)
    _tell_decided(ledger, f"{path}: withdrawn")


@app.command("reinstate")
def reinstate_command(file: FileArgument) -> None:
    """Undo the last withdrawal of a file that stands."""
    ledger, path = _named(file)
    decide.reinstate(ledger, path)
    _tell_decided(ledger, f"{path}: reinstated")


@app.command("accept")
def accept_command(
    file: FileArgument,
    why: Annotated[str, typer.Option(help="The reason, for those who ask later.")],
    digest: Annotated[
        str | None,
        typer.Option(help="SHA-256 of another held content than the last, or its start."),
    ] = None,
) -> None:
    """Let a held file in, with the next run: its good rows are published, its faulty rejected.

    Only for the bytes that were held; other bytes at the same place are judged anew.
    """
    if not why.strip():
        fail("--why is empty; say why the file may be let in")
    ledger, path = _named(file)
    accepted = decide.accept(ledger, path, why.strip(), digest)
    _tell_decided(ledger, f"{path}: accepted ({accepted[:12]})")


def _named(file: str) -> tuple[Ledger, FilePath]:
    lake = Settings.load().lake()
    return Ledger(lake), decide.named(lake, file)


def _tell_decided(ledger: Ledger, line: str) -> None:
    tell(f"{line}; lakehouse run brings the tables up to date")
    _say_if_restored(ledger)


def _say_if_restored(ledger: Ledger) -> None:
    if ledger.state().restored:
        say("A restore stands: this waits until lakehouse resume.")


@app.command("rejected")
def rejected_command(
    dataset: Annotated[str, typer.Argument(help=f"One of {', '.join(DATASETS)}.")],
    day: DateOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to print.")] = 20,
    form: FormatOption = Format.TABLE,
    export: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write all of them as CSV, to be mended and landed."),
    ] = None,
    held: Annotated[
        bool, typer.Option("--held", help="Show the faulty rows of held files instead.")
    ] = False,
) -> None:
    """Show the rows that are rejected now, and every rule that each breaks.

    Rows that are exported, mended and landed (under any name and date) take the place of the
    rejected ones. Leave their `_origin_*` columns as they are.
    """
    contract = dataset_named(dataset)
    settings = Settings.load()
    lake = settings.lake()
    if held:
        if export is not None:
            fail("--held and --export together; mend a held file itself, and land it again")
        _show_held(settings, contract, day, limit, form)
        return
    if lake.version(contract.rejected) is None:
        fail(f"rejected.{dataset} has no rows yet; run `lakehouse run` first")
    if export is not None:
        _export(Ledger(lake), dataset, day, export)
        return
    from resources.duckdb_engine import query  # noqa: PLC0415 - imports DuckDB

    values = ", ".join(f'"{h}"' for h in contract.headers)
    where = f"WHERE _batch_date = DATE '{day}'" if day else ""
    names, rows = query(
        lake,
        f"SELECT _batch_date, _file, _sheet, _row, _category, _rules, {values}, _raw "
        f"FROM rejected.{dataset} {where} "
        f"ORDER BY _batch_date, _file, _sheet_no, _row LIMIT {limit}",
    )
    print_rows(names, rows, form)


def _show_held(
    settings: Settings, dataset: Dataset, day: date | None, limit: int, form: Format
) -> None:
    from lakehouse_assets.operations.held_rows import held_rows  # noqa: PLC0415 - needs an engine
    from resources.engines import engine  # noqa: PLC0415 - imports Dagster

    ledger = Ledger(settings.lake())
    names, rows = held_rows(
        engine(settings).session(),
        ledger.lake,
        ledger.followed(),
        dataset,
        day,
        settings.limits,
    )
    print_rows(names, rows[:limit], form)
    if len(rows) > limit:
        say(f"{limit} of {len(rows):,} rows; --limit shows more.")


def _export(ledger: Ledger, dataset: str, day: date | None, file: Path) -> None:
    try:
        with file.open("w", encoding="utf-8", newline="") as stream:
            count = export_rejected.export(
                ledger.lake, ledger.state(), DATASETS[dataset], stream, day
            )
    except OSError as error:
        fail(f"{file}: {error.strerror}; name a file that can be written")
    tell(f"{file}: {count:,} rejected rows; mend them, leave _origin_*, and land the file")
