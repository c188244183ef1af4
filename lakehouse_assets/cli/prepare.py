"""Commands for files that have not landed: check, new dataset."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lakehouse_assets.cli.console import (
    DatasetOption,
    Format,
    FormatOption,
    Group,
    app,
    dataset_named,
    dataset_of,
    fail,
    print_rows,
    say,
    tell,
)
from lakehouse_assets.cli.root import Anywhere
from lakehouse_assets.operations.check_files import cannot_be_read
from lakehouse_assets.store.facts import Kind
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS
from resources.settings import Settings

new = typer.Typer(cls=Group, no_args_is_help=True)
app.add_typer(new, name="new", help="Write a first version of something: a dataset's contract.")

if TYPE_CHECKING:
    from lakehouse_assets.operations.check_files import Checked
    from lakehouse_assets.tables.contract import Dataset

_STATES: Final = {
    Kind.ADMITTED: "in_force",
    Kind.HELD: "held",
    Kind.UNREADABLE: "unreadable",
}


@app.command("check", cls=Anywhere)
def check_command(
    files: Annotated[list[Path], typer.Argument(help="Files to check: .csv, .csv.gz or .xlsx.")],
    dataset: DatasetOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Say what would become of files if they landed; nothing lands, and no lake is needed.

    Each file is read and judged as a run does it: whether it can be read, whether it would be
    held, and which of its rows would be rejected by which rule. Foreign keys are not judged:
    they depend on what else has landed. Of exported rows it is said whose they are and, where
    there is a lakehouse, which nobody has mended.

    Ends with 0 where all of them would be in force, and with 1 where a file, or a sheet, is
    held or unreadable.
    """
    if dataset is not None:
        dataset_named(dataset)
    from lakehouse_assets.operations.check_files import check  # noqa: PLC0415 - reads Arrow
    from lakehouse_assets.tables import sql_checks  # noqa: PLC0415 - imports sqlglot
    from resources.sail import sail_session  # noqa: PLC0415 - imports the engine

    sql_checks.check_all()  # as a run does when it loads the definitions
    of, settings = _by_dataset(files, dataset), Settings.load()
    ledger = Ledger(settings.lake()) if settings.is_placed else None
    found: list[Checked] = []
    for name, mine in of.items():
        found += check(sail_session(), DATASETS[name], mine, settings.limits, ledger)
    for it in found:
        for line in clear_lines(it.file, it.judgement):
            say(line)
        for line in it.judgement.warnings:
            say(f"warning: {it.file}: {line}")
    if form is Format.TABLE:
        _print_tables(found)
    else:
        rows = [_as_row(it) for it in found]
        print_rows([*rows[0]] if rows else [], [[*row.values()] for row in rows], form)
    good = sum(not it.judgement.bad for it in found)
    raise typer.Exit(int(good < len(files)))


def _by_dataset(files: Sequence[Path], dataset: str | None) -> dict[str, list[Path]]:
    """The files that can be opened, by dataset; a clear line for each of the others."""
    of: dict[str, list[Path]] = {}
    for file in files:
        if dataset and (problem := cannot_be_read(file)):  # else `dataset_of` says so
            say(problem)
        elif name := dataset or dataset_of(file):
            of.setdefault(name, []).append(file)
    return of


@new.command("dataset", cls=Anywhere)
def new_dataset_command(
    name: Annotated[str, typer.Argument(help="What the dataset is to be called: a-z, 0-9, _.")],
    files: Annotated[list[Path], typer.Argument(help="Samples: .csv, .csv.gz or .xlsx.")],
    others: Annotated[
        list[Path] | None,
        typer.Option(
            "--with",
            metavar="FILE",
            help="A file of another dataset, to find foreign keys by; may be given repeatedly.",
        ),
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the contract, and write no file.")
    ] = False,
) -> None:
    """Write a dataset's contract from samples of its files, and say what of it is not sure.

    It goes into `silver/` of the package of tables. Read it, fill in the descriptions, and see
    with `lakehouse check` what becomes of other files. Foreign keys are found in the values of
    `--with` files, or else of the lake's silver tables.

    Ends with 1 where not even the samples would be in force.
    """
    from lakehouse_assets.operations import contract_source, new_dataset  # noqa: PLC0415 - read Arrow
    from resources.sail import sail_session  # noqa: PLC0415 - imports the engine

    settings = Settings.load()
    [folder, *_] = import_module(f"{settings.tables}.silver").__path__
    target = Path(folder, f"{name}.py")
    if problem := new_dataset.taken(name, () if only_print else DATASETS):
        fail(problem)
    if target.exists() and not only_print:
        fail(f"{target}: is there already; take it away, or give the dataset another name")
    if problem := next(filter(None, map(cannot_be_read, [*files, *(others or ())])), None):
        fail(problem)
    spark = sail_session()
    parents = {other: dataset for other, dataset in DATASETS.items() if other != name}
    known = list(
        new_dataset.find_parents(
            spark, settings.lake(), parents, _by_dataset(others or (), None), settings.limits
        )
    )
    draft = new_dataset.draft(spark, name, files, known, settings.limits)
    text = contract_source.source(draft.dataset)
    if only_print:
        print(text, end="")  # noqa: T201 - as it is, without the width of a console
    else:
        target.write_text(text, encoding="utf-8")
        tell(f"{target}: written; read it, and fill in what its descriptions ask for")
    for line in draft.doubts:
        say(line)
    bad = [it for it in draft.checked if it.judgement.bad]
    for it in bad:
        for line in clear_lines(it.file, it.judgement):
            say(line)
    raise typer.Exit(int(bool(bad)))


def _print_tables(found: Sequence[Checked]) -> None:
    rows = [
        (
            str(it.file),
            it.dataset,
            _STATES[it.judgement.kind].replace("_", " "),
            it.judgement.read,
            it.faulty,
            it.judgement.unexpected,
        )
        for it in found
    ]
    names = ["file", "dataset", "would be", "rows", "faulty rows", "unexpected columns"]
    if rows:
        print_rows(names, rows, Format.TABLE)
    broken = [
        (str(it.file), rule.rule, rule.rows, rule.place, rule.value or "")
        for it in found
        for rule in it.broken
    ]
    if broken:
        print_rows(["file", "rule", "rows", "first in", "value there"], broken, Format.TABLE)
    for it in found:
        for line in _notes(it):
            tell(f"{it.file}: {line}")
    for name in dict.fromkeys(it.dataset for it in found):
        if note := _not_judged(DATASETS[name]):
            tell(note)


def _as_row(it: Checked) -> dict[str, Any]:
    judged = it.judgement
    return {
        "file": str(it.file),
        "dataset": it.dataset,
        "would_be": _STATES[judged.kind],
        "rows": judged.read,
        "faulty_rows": it.faulty,
        "rules": [
            {
                "rule": rule.rule,
                "rows": rule.rows,
                "sheet": rule.sheet,
                "row": rule.row,
                "value": rule.value,
            }
            for rule in it.broken
        ],
        "unexpected_columns": list(judged.unexpected),
        "error": judged.error,
        "unreadable_sheets": dict(judged.sheets),
        "warnings": list(judged.warnings),
        "notes": [*_notes(it), *filter(None, [_not_judged(DATASETS[it.dataset])])],
    }


def _notes(it: Checked) -> list[str]:
    return [*it.judgement.notes, *(it.repair.lines() if it.repair else ())]


def _not_judged(dataset: Dataset) -> str | None:
    """A note that names the foreign keys; None where there are none."""
    keys = [f"{column.name} ({column.references})" for column in dataset.foreign_keys]
    if not keys:
        return None
    return (
        f"{dataset.name}: foreign keys are not judged here: {', '.join(keys)}; rows without their "
        "parents are rejected until these come"
    )
