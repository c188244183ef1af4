"""What all commands share: the app, how they speak, how rows are printed."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table as RichTable
from typer.core import TyperArgument, TyperGroup, TyperOption

from lakehouse_assets.cli.complete import batch_dates, dataset_names
from lakehouse_assets.errors import meant
from lakehouse_assets.parse.model import ENDINGS, NOT_A_KIND
from lakehouse_assets.tables.contract import Dataset
from lakehouse_assets.tables.registry import DATASETS, assert_any, example


def without_types(params: list[Any]) -> list[Any]:
    """A command's parameters, with a word for each value where Typer would show Python's types."""
    for param in params:
        if param.metavar is None and isinstance(param, TyperOption):
            param.metavar = "" if param.is_flag else str(param.name).upper()
        elif isinstance(param, TyperArgument):
            if param.metavar is None:
                param.metavar = str(param.name).removesuffix("s").upper()
            # Typer 0.29 shows an argument's type beside its word, and has no setting for that.
            vars(param)["display_type_rich"] = lambda ctx: None  # noqa: ARG005 - its signature
    return params


class Group(TyperGroup):
    """Commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options."""
        return without_types(super().get_params(ctx))


app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "An e-commerce lakehouse on this machine.\n\n"
        "**Drop files in, in any order, as often as you like, broken or not;** the tables are "
        "always what the files say, and every row is accounted for.\n\n"
        f"First steps: `lakehouse land {next(iter(DATASETS), 'sales')}.csv "
        "--date 2025-04-15`, then "
        f'`lakehouse run`, then `lakehouse query "SELECT * FROM {example()}"`.\n\n'
        "Ends with 0 where all is well, 1 where something is wrong with what was asked for (one "
        "line says what, and what to do), 2 where the command is not written as it must be, and "
        "130 after Ctrl-C."
    ),
)
_WIDEST: Final = 1_000_000
_LEAST: Final = 16
"""Columns of a terminal that a sentence has at least."""

out = Console(emoji=False)  # a name such as `a:b:c.csv` is no emoji's
err = Console(stderr=True, emoji=False)


def _print_version(asked: bool) -> None:
    if asked:
        tell(f"lakehouse {version('ecommerce-lakehouse')}")
        raise typer.Exit


@app.callback()
def start(
    context: typer.Context,
    root: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="The lakehouse; every command takes this, too."),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            metavar="",
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """What goes before every command: which lakehouse, where its log goes."""
    from resources import logs  # noqa: PLC0415 - as the next
    from resources.settings import LogLevel, Settings  # noqa: PLC0415 - imports pydantic's settings

    if root is not None:
        use_root(root)
    if context.invoked_subcommand != "new":
        assert_any()
    logs.configure(Settings.load(), LogLevel.WARNING)


def use_root(root: str) -> None:
    """Let this process, and those that it starts, mean that lakehouse."""
    os.environ["LAKEHOUSE_ROOT"] = root if "://" in root else str(Path(root).absolute())


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSON_LINES = "jsonl"


def _batch_date(given: str) -> date:
    from lakehouse_assets.store.lake import iso_date  # noqa: PLC0415 - imports Delta tables

    try:
        return iso_date(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} {error}; write YYYY-MM-DD") from None


def date_option(name: str, meaning: str) -> Any:
    """An option that takes a batch date as its folder is named."""
    return typer.Option(
        name, parser=_batch_date, help=meaning, metavar="DATE", autocompletion=batch_dates
    )


DateOption = Annotated[date | None, date_option("--date", "Only this batch date, YYYY-MM-DD.")]
FromOption = Annotated[
    date | None, date_option("--from", "First batch date of a range; --to is its last.")
]
ToOption = Annotated[date | None, date_option("--to", "Last batch date of the range.")]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        help=f"One of {', '.join(DATASETS)}; found by the file's name, or its columns, else.",
        autocompletion=dataset_names,
    ),
]
FormatOption = Annotated[
    Format, typer.Option("--format", metavar="|".join(Format), help="How to print rows.")
]


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


def gathered(lines: Iterable[str]) -> list[str]:
    """Lines about files, each once; of more than two that begin to say the same, the first alone.

    What a line says stands behind the file's name, ``<file>: <what>``.
    """
    alike: dict[tuple[str, ...], list[str]] = {}
    for line in dict.fromkeys(lines):
        what = re.sub("[0-9]+", "0", line.partition(": ")[2])
        alike.setdefault(tuple(what.split()[:2]), []).append(line)
    told: list[str] = []
    for first, *more in alike.values():
        told += [f"{first} (and {len(more)} more like it)"] if len(more) > 1 else [first, *more]
    return told


def dataset_named(name: str) -> Dataset:
    """The contract of a dataset that a person names."""
    if name not in DATASETS:
        fail(f"no dataset is named {name!r}; {meant(name, DATASETS)}")
    return DATASETS[name]


def dataset_of(file: Path) -> str | None:
    """The dataset that a file tells, or that a person says; else None, and a clear line.

    It tells by where its rows come from, if they were rejected and are mended, else by its name,
    else by its columns.
    """
    from lakehouse_assets.operations import file_dataset  # noqa: PLC0415 - reads Arrow
    from lakehouse_assets.operations.check_files import (  # noqa: PLC0415 - opens Delta tables
        cannot_be_read,
    )

    if problem := cannot_be_read(file):
        say(problem)
        return None
    name = file_dataset.of_name(file.name, DATASETS)
    origins = file_dataset.of_origin(file, DATASETS.values(), sheets=name is None)
    if len(origins) > 1:
        say(
            f"{file}: its rows come from {' and '.join(sorted(origins))}; land those of one "
            "dataset at a time"
        )
        return None
    name = next(iter(origins), name)
    if name is None and not file.name.lower().endswith(ENDINGS):
        say(f"{file}: {NOT_A_KIND}")
        return None
    if name is None and len(fitting := file_dataset.of_columns(file, DATASETS.values())) == 1:
        name = next(iter(fitting))
    if name is None:
        otherwise = file_dataset.of_columns_otherwise_separated(file, DATASETS.values())
        name = next(iter(otherwise)) if len(otherwise) == 1 else None
    unsure = f"{file}: neither its name nor its columns tell its dataset"
    if name is None and sys.stdin.isatty():
        say(f"{unsure}.")
        answer = typer.prompt(f"Which is it ({', '.join(DATASETS)})", prompt_suffix="? ")
        name = answer if answer in DATASETS else None
    if name is None:
        say(f"{unsure}; give --dataset {'|'.join(DATASETS)}")
    return name


def print_rows(names: Sequence[str], rows: Iterable[Sequence[Any]], form: Format) -> None:
    """Print rows as a table, CSV or JSON. A table's numbers are for people: `1,234`."""
    if form is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([text(v) for v in row] for row in rows)
    elif form is Format.TABLE:
        _print_table(
            names, [[f"{v:,}" if type(v) is int else text(v) for v in row] for row in rows]
        )
    else:
        found = [dict(zip(names, row, strict=True)) for row in rows]
        parts = found if form is Format.JSON_LINES else [found]
        spaces = None if form is Format.JSON_LINES else 2
        for part in parts:
            print(json.dumps(part, default=text, ensure_ascii=False, indent=spaces))  # noqa: T201


def print_answer(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows of any number of columns: where a table is too wide for the terminal, as records.

    Nothing of a value is left out.
    """
    texts = [[text(v) for v in row] for row in rows]
    if not texts or not out.is_terminal or _width(_table(names, texts)) <= out.width:
        _print_table(names, texts)
        return
    width = max(map(len, names))
    for number, row in enumerate(texts, start=1):
        tell(f"─── {number} ".ljust(min(out.width, 60), "─"))
        for name, value in zip(names, row, strict=True):
            tell(f"{name.rjust(width)} │ {value}")


def _print_table(names: Sequence[str], texts: Sequence[Sequence[str]]) -> None:
    table = _table(names, texts)
    if not out.is_terminal:
        # What is read by a program must not lose its values.
        Console(width=_width(table), emoji=False).print(table)
    elif _width(table) <= out.width:
        out.print(table)
    else:
        out.print(_table(names, texts, narrow=True))


def _table(
    names: Sequence[str], texts: Sequence[Sequence[str]], *, narrow: bool = False
) -> RichTable:
    """A table; a ``narrow`` one has no lines, and folds sentences before it folds words."""
    table = RichTable(box=None, padding=(0, 1, 0, 0)) if narrow else RichTable()
    widths = _widths(names, texts) if narrow else [None] * len(names)
    for name, width in zip(names, widths, strict=True):
        # Not "…": nothing is cut.
        table.add_column(escape(str(name)), overflow="fold", width=width)
    for row in texts:
        table.add_row(*map(escape, row))
    return table


def _widths(names: Sequence[str], texts: Sequence[Sequence[str]]) -> list[int | None]:
    """How wide columns are that fold no word, where there is room; None for those that may."""
    widths = [_of_words(name, [row[at] for row in texts]) for at, name in enumerate(names)]
    is_room = sum(_LEAST if width is None else width + 1 for width in widths) <= out.width
    return widths if is_room else [None] * len(names)


def _of_words(name: str, texts: Iterable[str]) -> int | None:
    """How wide a column is that folds no word; None for one of sentences."""
    there = [*texts]
    if any(" " in value for value in there):
        return None
    return max(map(cell_len, [*str(name).split(), *there]), default=1)


def _width(table: RichTable) -> int:
    """How many columns of a terminal a table takes, with nothing in it folded."""
    return Measurement.get(out, out.options.update(max_width=_WIDEST), table).maximum


def text(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(text(v) for v in value)
    if isinstance(value, dict):
        return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)
