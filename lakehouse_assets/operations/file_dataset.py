"""Which dataset a file is of: by its name, by where its rows come from, or by its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse_assets.parse import Dialect, Expected, Unreadable, parse
from lakehouse_assets.parse.model import EXPORTED, ORIGIN
from lakehouse_assets.pipeline.bronze_reading import expectation

if TYPE_CHECKING:
    from lakehouse_assets.tables.contract import Dataset

_FILE: Final = ORIGIN[0]
_DELIMITERS: Final = (",", ";", "\t", "|")


def of_name(name: str, datasets: Iterable[str]) -> str | None:
    """The one dataset that a file's name names, in singular or plural; None where unsure.

    ``order_products.csv`` names two, and so none.
    """
    words = re.sub(r"[^a-z0-9]+", "_", name.lower())
    found: dict[tuple[int, int], str] = {}
    for dataset in datasets:
        for match in re.finditer(rf"(?<![a-z0-9]){dataset.removesuffix('s')}s?(?![a-z0-9])", words):
            found[match.span()] = dataset
    # A name that is part of a longer one found there names nothing.
    named = {
        dataset
        for (start, end), dataset in found.items()
        if not any((a, z) != (start, end) and a <= start and end <= z for a, z in found)
    }
    return named.pop() if len(named) == 1 else None


def of_origin(file: Path, datasets: Iterable[Dataset], *, sheets: bool) -> set[str]:
    """The datasets that a file's rows come from, as its column ``_origin_file`` says.

    Empty where it has no such column, or cannot be read. A CSV file is read no further than its
    header where that lacks it; a workbook is looked into only where ``sheets`` asks for it, as
    that takes a second.
    """
    known = list(datasets)
    if file.suffix.lower() == ".xlsx" and not sheets:
        return set()
    # How the rows' values are written does not matter here; a file is read as one of each kind.
    dialects = {
        replace(Dialect(), delimiter=d.delimiter, encoding=d.encoding, skip_rows=d.skip_rows)
        for d in (Dialect(), *(dataset.dialect for dataset in known))
    }
    for dialect in sorted(dialects, key=repr):
        if found := _origins(file, dialect):
            return found & {dataset.name for dataset in known}
    return set()


def _origins(file: Path, dialect: Dialect) -> set[str]:
    try:
        with file.open("rb") as stream:
            reading = parse(file.name, stream, Expected((_FILE,), dialect=dialect))
            return {
                str(origin).partition("/")[0].lstrip("'")
                for batch in reading
                for origin in batch.column(_FILE).unique().to_pylist()
                if origin
            }
    except (Unreadable, OSError):
        return set()


def of_columns(file: Path, datasets: Iterable[Dataset]) -> set[str]:
    """The datasets whose columns a file has: all that one needs, and none besides.

    What has more columns may well be something else: of that a person is asked. Those of an export
    of rejected rows are none besides.
    """
    return {d.name for d in datasets if _has_columns(file, expectation(d))}


def of_columns_otherwise_separated(file: Path, datasets: Iterable[Dataset]) -> set[str]:
    """The same, were the file's delimiter another than is declared: a run says what it is."""

    def with_delimiter(dataset: Dataset, delimiter: str) -> Expected:
        told = expectation(dataset)
        return replace(told, dialect=replace(told.dialect, delimiter=delimiter))

    return {
        d.name
        for d in datasets
        if any(_has_columns(file, with_delimiter(d, delimiter)) for delimiter in _DELIMITERS)
    }


def _has_columns(file: Path, expected: Expected) -> bool:
    try:
        with file.open("rb") as stream:
            first = next(iter(parse(file.name, stream, expected)), None)
    except (Unreadable, OSError):
        return False
    if first is None:
        return False
    extra = first.column("_extra").to_pylist()
    return all(name in EXPORTED for row in extra if row for name, _ in row)
