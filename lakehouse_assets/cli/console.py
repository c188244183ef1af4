"""What all commands share: the app, how they speak, how rows are printed."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from lakehouse_assets.operations.land import guess_dataset
from lakehouse_assets.store.lake import iso_date
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.registry import DATASETS, assert_any, example
from resources import logs
from resources.settings import LogLevel, Settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=(
        "An e-commerce lakehouse on this machine.\n\n"
        "**Drop files in, in any order, as often as you like, broken or not;** the tables are "
        "always what the files say, and every row is accounted for.\n\n"
        f"First steps: `lakehouse land {next(iter(DATASETS), 'sales')}.csv "
        "--date 2025-04-15`, then "
        f'`lakehouse run`, then `lakehouse query "SELECT * FROM {example()}"`.'
    ),
)
out = Console()
err = Console(stderr=True)


@app.callback()
def start(context: typer.Context) -> None:
    """What goes before every command: where its log goes."""
    if context.invoked_subcommand != "new":
        assert_any()
    logs.configure(Settings.load(), LogLevel.WARNING)


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def _batch_date(text: str) -> date:
    try:
        return iso_date(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}; write YYYY-MM-DD") from None


def date_option(name: str, meaning: str) -> Any:
    """An option that takes a batch date as its folder is named."""
    return typer.Option(name, parser=_batch_date, help=meaning, metavar="DATE")


DateOption = Annotated[date | None, date_option("--date", "A batch date, YYYY-MM-DD.")]
FromOption = Annotated[date | None, date_option("--from", "First batch date.")]
ToOption = Annotated[date | None, date_option("--to", "Last batch date.")]
DatasetOption = Annotated[
    str | None, typer.Option(help=f"One of {', '.join(DATASETS)}; guessed from the name.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print rows.")]


def fail(line: str) -> NoReturn:
    """End with one clear line."""
    err.print(line, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1)


def say(line: str) -> None:
    """A clear line on standard error."""
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def tell(line: str) -> None:
    """A line on standard output, as it is."""
    out.print(line, markup=False, highlight=False, soft_wrap=True)


def dataset_named(name: str) -> Dataset:
    """The contract of a dataset that a person names."""
    if name not in DATASETS:
        fail(f"no dataset is named {name!r}; use one of {', '.join(DATASETS)}")
    return DATASETS[name]


def dataset_of(file: Path) -> str | None:
    """The dataset that a file's name tells, or that a person says; else None, and a clear line."""
    name = guess_dataset(file.name, DATASETS)
    if name is None and sys.stdin.isatty():
        answer = typer.prompt(f"Which dataset is {file.name} ({', '.join(DATASETS)})?")
        name = answer if answer in DATASETS else None
    if name is None:
        say(f"{file.name}: its name tells no dataset; give --dataset {'|'.join(DATASETS)}")
    return name


def print_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], form: Format) -> None:
    """Print rows as a table, CSV or JSON."""
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
