"""Commands about files and their rows: land, withdraw, reinstate, accept, rejected."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from lakehouse_assets.cli.answers import (
    SHOWN_ROWS,
    LimitOption,
    OutputOption,
    check_options,
    hand_out,
)
from lakehouse_assets.cli.complete import (
    Complete,
    dataset_names,
    files_to_accept,
    files_to_reinstate,
    files_to_withdraw,
)
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
    print_answer,
    print_rows,
    say,
    tell,
)
from lakehouse_assets.operations import decide, export_rejected, file_dataset
from lakehouse_assets.operations.land import LandingError, land
from lakehouse_assets.operations.mended import mending, repair
from lakehouse_assets.parse.model import ENDINGS, NOT_A_KIND
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.registry import DATASETS
from lakehouse_assets.tables.rules import LOST_ORIGIN
from resources.settings import Settings


def _file_argument(names: Complete) -> Any:
    return typer.Argument(
        metavar="FILE",
        help="`<dataset>/<date>/<file>`, as messages print it.",
        autocompletion=names,
    )


@app.command("land")
def land_command(
    files: Annotated[list[Path], typer.Argument(help="Files to land: .csv, .csv.gz or .xlsx.")],
    day: Annotated[
        date | None,
        date_option(
            "--date",
            "The batch date, YYYY-MM-DD: the day on which they came; today (UTC) unless given.",
        ),
    ] = None,
    dataset: DatasetOption = None,
) -> None:
    """Put files into the raw zone, in `raw/<dataset>/<date>/`.

    Rejected rows that were exported and mended land like any file: they take the places that
    they come from, whatever the file's name and date.

    A file takes the place of one of the same name there. Files that you copy into those
    folders by hand count just the same: they land when a run first reads them.

    Newer means a later batch date, then a later file name (numbers in it by their value): a
    correction landed under an older date or name than what it corrects loses.
    """
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    if dataset is not None:
        dataset_named(dataset)
    day = day or datetime.now(UTC).date()
    failed, told = False, False
    for file in files:
        name = dataset or dataset_of(file)
        if name is not None and not file.name.lower().endswith(ENDINGS):
            say(f"{file}: not landed: {NOT_A_KIND}")
            name = None
        if name is None:
            failed = True
            continue
        try:
            path, news, older = land(ledger, file, name, day)
        except LandingError as error:
            say(str(error))
            failed = True
            continue
        if not told:
            tell(f"lakehouse: {settings.place}")
            told = True
        tell(f"{path}: landed" if news else f"{path}: the same bytes are there already")
        for line in _doubts(file, path, older, ledger):
            say(line)
    _say_if_restored(ledger)
    raise typer.Exit(int(failed))


def _doubts(file: Path, path: FilePath, older: str | None, ledger: Ledger) -> Iterator[str]:
    """Why a file that has landed is perhaps not what was meant.

    It is another dataset's; it counts as ``older`` than another; it takes the place of rows that
    others mend; or it is of rows that were exported, and that nobody has mended.
    """
    dataset = DATASETS[path.dataset]
    told, what = file_dataset.of_origin(file, DATASETS.values(), sheets=False), "its rows come from"
    mends = dataset.name in told  # its rows take others' places
    # To look into a workbook takes a second: that is left to the run.
    if not told and not file.name.lower().endswith(".xlsx"):
        told, what = file_dataset.of_columns(file, DATASETS.values()), "its columns are those of"
    if told and dataset.name not in told:
        others = " or ".join(sorted(told))
        yield (
            f"{path}: {what} {others}, not {dataset.name}; lakehouse withdraw {quote(str(path))}, "
            f"and land it with --dataset {others}"
        )
    elif mends:
        yield from (f"{path}: {line}" for line in repair(file, dataset, ledger).warnings())
    else:
        if older:
            yield older
        yield from _mended_in_vain(ledger, path, "what this takes the place of")


def _mended_in_vain(ledger: Ledger, path: FilePath, what: str) -> Iterator[str]:
    """Which rows mend rows of what is in force at a path, and is not to be any more."""
    for file, rows in mending(ledger, DATASETS[path.dataset], path).items():
        some, them = ("row", "it") if rows == 1 else ("rows", "them")
        yield (
            f"{path}: {rows:,} {some} of {file} mended {what}; the next run rejects {them} "
            f"(origin): mend what else it rejects then, and withdraw {file}"
        )


@app.command("withdraw")
def withdraw_command(files: Annotated[list[str], _file_argument(files_to_withdraw)]) -> None:
    """Take files' rows out of all tables, with the next run; older versions come back.

    Covers all that has landed at these places so far. `lakehouse reinstate` undoes it.
    """
    for file in files:
        ledger, path = _named(file)
        doubts = [*_mended_in_vain(ledger, path, "it")]
        decide.withdraw(ledger, path)
        _tell_decided(ledger, f"{path}: withdrawn")
        for line in doubts:
            say(line)


@app.command("reinstate")
def reinstate_command(files: Annotated[list[str], _file_argument(files_to_reinstate)]) -> None:
    """Undo the last withdrawal of each of these files."""
    for file in files:
        ledger, path = _named(file)
        decide.reinstate(ledger, path)
        _tell_decided(ledger, f"{path}: reinstated")


@app.command("accept")
def accept_command(
    file: Annotated[str, _file_argument(files_to_accept)],
    why: Annotated[str, typer.Option(help="The reason, for those who ask later.")],
    digest: Annotated[
        str | None,
        typer.Option(
            help="Which held content, by the start of its SHA-256; the last one unless given."
        ),
    ] = None,
) -> None:
    """Let a held file in, with the next run: its good rows are published, its faulty ones rejected.

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
    dataset: Annotated[
        str,
        typer.Argument(help=f"One of {', '.join(DATASETS)}.", autocompletion=dataset_names),
    ],
    day: DateOption = None,
    limit: LimitOption = None,
    form: FormatOption = Format.TABLE,
    output: OutputOption = None,
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
    check_options(form, output)
    settings = Settings.load()
    lake = settings.lake()
    if held:
        if export is not None:
            fail("--held and --export together; mend a held file itself, and land it again")
        if output is not None:
            fail("--held and --output together; --format csv prints them")
        _show_held(settings, contract, day, SHOWN_ROWS if limit is None else limit, form)
        return
    if lake.version(contract.rejected) is None:
        fail(f"rejected.{dataset} is not made yet; land files, then lakehouse run")
    if export is not None:
        _export(Ledger(lake), dataset, day, export)
        return
    from resources.duckdb_engine import DuckDBQueries, query  # noqa: PLC0415 - imports DuckDB

    values = ", ".join(f'"{h}"' for h in contract.headers)
    where = f"WHERE _batch_date = DATE '{day}'" if day else ""
    sql = (
        f"SELECT _batch_date, _file, _sheet, _row, _category, _rules, {values}, _raw "
        f"FROM rejected.{dataset} {where} ORDER BY _batch_date, _file, _sheet_no, _row"
    )
    if form is Format.TABLE and output is None:
        _, counts = query(
            lake,
            f"SELECT rule, count(*) FROM rejected.{dataset}, unnest(_rules) AS each(rule) {where} "
            "GROUP BY rule ORDER BY count(*) DESC, rule",
        )
        if counts:
            listed = ", ".join(f"{rule} {count:,}" for rule, count in counts)
            say(f"Rows by rule (one may break several): {listed}")
    with DuckDBQueries(lake).stream(sql) as stream:
        hand_out(stream, form, limit, output)


def _show_held(
    settings: Settings, dataset: Dataset, day: date | None, limit: int, form: Format
) -> None:
    from lakehouse_assets.operations.held_rows import held_rows  # noqa: PLC0415 - needs an engine
    from resources.engines import engine  # noqa: PLC0415 - imports Dagster

    ledger = Ledger(settings.lake())
    names, rows, gone = held_rows(
        engine(settings).session(),
        ledger.lake,
        ledger.followed(),
        dataset,
        day,
        settings.limits,
    )
    shown = rows[: limit or None]
    if form is not Format.TABLE:
        print_rows(names, shown, form)
    elif rows:
        print_answer(names, shown)
    elif not gone:
        say(f"No faulty row of a file of {dataset.name} is held.")
    for line in gone:
        say(line)
    if len(rows) > len(shown):
        say(f"… {len(shown):,} of {len(rows):,} rows; --limit 0 shows all")


def _export(ledger: Ledger, dataset: str, day: date | None, file: Path) -> None:
    try:
        encoding = DATASETS[dataset].dialect.encoding
        with file.open("w", encoding=encoding, newline="") as stream:
            count = export_rejected.export(
                ledger.lake, ledger.state(), DATASETS[dataset], stream, day
            )
    except OSError as error:
        fail(f"{file}: {error.strerror}; name a file that can be written")
    if not count:
        tell(f"{file}: no row is rejected")
        return
    rows = "1 rejected row; mend it" if count == 1 else f"{count:,} rejected rows; mend them"
    tell(f"{file}: {rows}, leave _origin_*, and land the file")
    where = f" AND _batch_date = DATE '{day}'" if day else ""
    lost = f"SELECT _row FROM t WHERE array_has(_rules, '{LOST_ORIGIN.name}'){where}"
    if vain := len(ledger.lake.rows(DATASETS[dataset].rejected, lost)):
        say(
            f"{file}: {vain:,} of them cannot be mended, as what they mend is not in force "
            f"({LOST_ORIGIN.name}): take these out, and withdraw the file that they came in"
        )
