"""The command line. Light until it must not be: Dagster and an engine are imported by `run`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from lakehouse_assets import plan as planning
from lakehouse_assets import receipts
from lakehouse_assets.landing import LandingError, guess_dataset, land
from lakehouse_assets.ledger import Ledger
from lakehouse_assets.receipts import Counts
from lakehouse_assets.tables import DATASETS, GOLD
from resources.settings import Settings, SettingsError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=(
        "An e-commerce lakehouse on this machine.\n\n"
        "**Drop files in, in any order, as often as you like, broken or not;** the tables are "
        "always what the files say, and every row is accounted for.\n\n"
        "First steps: `lakehouse land orders.csv --date 2025-04-15`, then `lakehouse run`, then "
        '`lakehouse query "SELECT * FROM gold.daily_sales"`.'
    ),
)
out = Console()
err = Console(stderr=True)


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


DateOption = Annotated[
    datetime | None,
    typer.Option("--date", formats=["%Y-%m-%d"], help="A batch date, YYYY-MM-DD.", metavar="DATE"),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print rows.")]


def main() -> None:
    """Run the command line. Whatever a user did ends in one clear line, never in a trace."""
    try:
        app()
    except (SettingsError, LandingError) as error:
        _fail(str(error))


def _fail(line: str) -> NoReturn:
    err.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1)


def _say(line: str) -> None:
    """A clear line on standard error."""
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def _plan(settings: Settings) -> tuple[planning.Plan, Ledger]:
    lake = settings.lake()
    ledger = Ledger(lake)
    return planning.make(lake, ledger.state(), DATASETS, GOLD), ledger


@app.command("land")
def land_command(
    files: Annotated[list[Path], typer.Argument(help="Files to land: .csv, .csv.gz or .xlsx.")],
    day: Annotated[
        datetime,
        typer.Option("--date", formats=["%Y-%m-%d"], help="The batch date.", metavar="DATE"),
    ],
    dataset: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(DATASETS)}; guessed from the name.")
    ] = None,
) -> None:
    """Put files into the raw zone, in `raw/<dataset>/<date>/`.

    A file takes the place of one of the same name there. Files that you copy into those
    folders by hand count just the same: they land when a run first reads them.

    Newer means a later batch date, then a later file name (by its bytes): a correction landed
    under an older date than what it corrects loses.
    """
    ledger = Ledger(Settings.load().lake())
    if dataset is not None and dataset not in DATASETS:
        _fail(f"no dataset is named {dataset!r}; use one of {', '.join(DATASETS)}")
    failed = False
    for file in files:
        name = dataset or guess_dataset(file.name, DATASETS) or _ask_dataset(file)
        if name is None:
            _say(f"{file.name}: its name tells no dataset; give --dataset {'|'.join(DATASETS)}")
            failed = True
            continue
        try:
            path, news = land(ledger, file, name, day.date())
        except LandingError as error:
            _say(str(error))
            failed = True
            continue
        out.print(
            f"{path}: landed" if news else f"{path}: the same bytes are there already",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    raise typer.Exit(int(failed))


def _ask_dataset(file: Path) -> str | None:
    if not sys.stdin.isatty():
        return None
    answer: str = typer.prompt(f"Which dataset is {file.name} ({', '.join(DATASETS)})?")
    return answer if answer in DATASETS else None


@app.command("run")
def run_command(
    day: DateOption = None,
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First batch date.", metavar="DATE"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="Last batch date.", metavar="DATE"),
    ] = None,
    tables: Annotated[
        str | None, typer.Option(help="Only these, such as silver.orders,gold.daily_sales.")
    ] = None,
) -> None:
    """Bring the tables up to date, through Dagster: without a date, whatever is pending.

    The run shows in `lakehouse ui`. It ends non-zero where a file that it judged (or, given
    dates, any file of those dates) is held or cannot be read; everything else is published.
    """
    settings = Settings.load()
    pending, ledger = _plan(settings)
    for misplaced in pending.misplaced:
        _say(f"{misplaced.path}: {misplaced.problem}")
    for notice in pending.notices:
        _say(notice)
    asked = _asked_dates(settings, day, since, until)
    selected = _selected(tables)
    dates = asked or pending.dates
    if not dates and pending.tables:
        landed = [path.batch_date for path in ledger.state().paths]
        dates = [max(landed)] if landed else []
    if not dates:
        out.print("Nothing is pending.")
        _say_waiting(pending.waiting)
        raise typer.Exit(0)

    from lakehouse_assets.execution import materialize  # noqa: PLC0415 - imports Dagster

    failure = materialize(settings, dates, selected, out)
    state = ledger.state()
    waiting = planning.waiting(state)
    if asked:
        concerned = [w for w in waiting if w[0].batch_date in set(asked)]
    else:
        concerned = [w for w in waiting if w[0] in pending.files]
    for path, judged in concerned:
        for line in planning.clear_lines(path, judged):
            _say(line)
    _say_waiting(waiting)
    _print_books(ledger, dates)
    if failure:
        _fail(failure)
    raise typer.Exit(int(bool(concerned)))


def _asked_dates(
    settings: Settings, day: datetime | None, since: datetime | None, until: datetime | None
) -> list[date]:
    if day and (since or until):
        _fail("--date and --from/--to together; give one or the other")
    if bool(since) != bool(until):
        _fail("--from and --to go together; give both")
    first, last = (day, day) if day else (since, until)
    if first is None or last is None:
        return []
    if last < first:
        _fail(f"--to {last.date()} lies before --from {first.date()}; swap them")
    for end in (first.date(), last.date()):
        if problem := settings.lake().outside(end):
            _fail(problem)
    return [first.date() + timedelta(days=i) for i in range((last - first).days + 1)]


def _selected(tables: str | None) -> list[str] | None:
    if tables is None:
        return None
    known = [t for d in DATASETS.values() for t in (d.bronze.id, d.silver.id)]
    known += [g.table.id for g in GOLD.values()]
    names = [name.strip() for name in tables.split(",") if name.strip()]
    for name in names:
        if name not in known:
            _fail(f"no table is named {name!r}; use some of {', '.join(known)}")
    return names


def _say_waiting(waiting: Sequence[tuple[Any, Any]]) -> None:
    if waiting:
        _say(f"{len(waiting)} file(s) wait for you: lakehouse status names them.")


def _print_books(ledger: Ledger, dates: Sequence[date]) -> None:
    """Per dataset, what became of the rows of the files of these dates."""
    found = receipts.current(ledger.lake, dates=dates)
    rows = []
    for name in DATASETS:
        mine = [r for r in found if r.path.dataset == name]
        total = sum((r.counts for r in mine), Counts())
        rows.append((f"silver.{name}", len(mine), *(f"{n:,}" for n in total.__dict__.values())))
    _print_rows(["table", "files", *Counts().__dict__], rows, Format.TABLE)


@app.command("query")
def query_command(
    sql: Annotated[str, typer.Argument(help="A SELECT, such as: SELECT * FROM gold.daily_sales")],
    form: FormatOption = Format.TABLE,
) -> None:
    """Ask the tables: gold.*, silver.*, bronze.*, rejected.*, superseded.* and ledger.receipts."""
    from resources.queries import QueryError, query  # noqa: PLC0415 - imports DuckDB

    try:
        names, rows = query(Settings.load().lake(), sql)
    except QueryError as error:
        _fail(str(error))
    _print_rows(names, rows, form)


@app.command("rejected")
def rejected_command(
    dataset: Annotated[str, typer.Argument(help=f"One of {', '.join(DATASETS)}.")],
    day: DateOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to print.")] = 20,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show the rows that are rejected now, and every rule that each breaks."""
    from resources.queries import QueryError, query  # noqa: PLC0415 - imports DuckDB

    if dataset not in DATASETS:
        _fail(f"no dataset is named {dataset!r}; use one of {', '.join(DATASETS)}")
    lake = Settings.load().lake()
    contract = DATASETS[dataset]
    if lake.version(contract.rejected) is None:
        _fail(f"rejected.{dataset} has no rows yet; run `lakehouse run` first")
    values = ", ".join(f'"{h}"' for h in contract.headers)
    where = f"WHERE _batch_date = DATE '{day.date()}'" if day else ""
    try:
        names, rows = query(
            lake,
            f"SELECT _batch_date, _file, _sheet, _row, _category, _rules, {values}, _raw "
            f"FROM rejected.{dataset} {where} "
            f"ORDER BY _batch_date, _file, _sheet_no, _row LIMIT {limit}",
        )
    except QueryError as error:
        _fail(str(error))
    _print_rows(names, rows, form)


@app.command("status")
def status_command() -> None:
    """Show what is pending, which files wait for you, and what the tables hold."""
    settings = Settings.load()
    pending, ledger = _plan(settings)
    lake = ledger.lake
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
    _print_rows(["table", "version", "rows", "KiB", "pending"], rows, Format.TABLE)
    for misplaced in pending.misplaced:
        _say(f"{misplaced.path}: {misplaced.problem}")
    for notice in pending.notices:
        _say(notice)
    for path, reason in pending.files.items():
        out.print(f"pending: {path} ({reason})", markup=False, highlight=False, soft_wrap=True)
    for path, judged in pending.waiting:
        for line in planning.clear_lines(path, judged):
            out.print(f"waits: {line}", markup=False, highlight=False, soft_wrap=True)
    if not pending:
        out.print("Nothing is pending.")


@app.command("doctor")
def doctor_command() -> None:
    """Show what is installed, which engines can run, and how to get what is missing."""
    from resources.doctor import examine  # noqa: PLC0415 - looks at the whole machine

    findings = examine(Settings.load())
    _print_rows(
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
    from resources.instance import serve  # noqa: PLC0415

    serve(Settings.load(), port)


def _print_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], form: Format) -> None:
    if form is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_text(v) for v in row] for row in rows)
    elif form is Format.JSON:
        found = [dict(zip(names, row, strict=True)) for row in rows]
        print(json.dumps(found, default=_text, ensure_ascii=False, indent=2))  # noqa: T201
    else:
        table = RichTable(*(str(n) for n in names))
        for row in rows:
            table.add_row(*(escape(_text(v)) for v in row))
        # A table wider than a pipe's 80 columns must not lose its values.
        console = out if out.is_terminal else Console(width=max(out.width, 400))
        console.print(table)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(_text(v) for v in value)
    if isinstance(value, dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


if __name__ == "__main__":
    main()
