"""How the answer of a query is printed or written: batch by batch, as it comes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Final

import typer

from lakehouse_assets.cli.console import Format, fail, print_answer, say, tell
from resources.arrow_values import rows

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse_assets.cli.answer_forms import Writer
    from lakehouse_assets.queries.engine import Stream

SHOWN_ROWS: Final = 20
"""How many rows a table shows, unless asked for more: about a screen of them."""
MOST_SHOWN: Final = 2_000
"""How many it shows at most: nobody reads more, and laying them out takes a second for each 600."""


LimitOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Most rows; 0 is all. A table shows 20 unless this says otherwise, and at most 2,000.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the rows, all or --limit, to a .csv, .json, .jsonl or .parquet file.",
    ),
]


def hand_out(stream: Stream, form: Format, limit: int | None, output: Path | None) -> None:
    """Print an answer, or write it where a file is named."""
    if output is None:
        show(stream, form, limit)
    else:
        write(stream, output, limit)


def check_options(form: Format, output: Path | None) -> None:
    """End with a clear line where no answer could be handed out so."""
    if output is None:
        return
    ending_of(output)
    if form is not Format.TABLE:
        fail(f"{output}: its ending says the form; leave --format out")


def show(stream: Stream, form: Format, limit: int | None = None) -> None:
    """Print an answer: as a table its first rows, in other forms all, unless ``limit`` says.

    0 is no limit, but that of every table. What is left out is said on standard error.
    """
    most = limit or 0
    if form is Format.TABLE:
        most = SHOWN_ROWS if limit is None else min(limit or MOST_SHOWN, MOST_SHOWN)
    left = _First(stream, most)
    if form is Format.TABLE:
        print_answer(stream.schema.names, [row for batch in left for row in rows(batch)])
    else:
        sys.stdout.flush()
        _writers()[form](stream.schema, left, sys.stdout.buffer)
        sys.stdout.flush()
    if form is Format.TABLE and not left.taken:
        say("0 rows")
    if left.cut:
        total = stream.total()
        shows = "--limit 0 shows all, " if total <= MOST_SHOWN else ""
        say(
            f"… {most:,} of {total:,} rows; {shows}--output FILE writes all (.csv, .json, .jsonl, "
            ".parquet)"
        )


def write(stream: Stream, file: Path, limit: int | None = None) -> None:
    """Write an answer to a file, in the form that its ending names; whole, or not at all."""
    form = ending_of(file)
    batches = _First(stream, limit or 0)
    with _whole(file) as beside:
        _writers()[form](stream.schema, batches, beside)
    tell(f"{file}: {batches.taken:,} rows")


def ending_of(file: Path) -> str:
    """The form that a file's ending names; ends with a clear line where it names none."""
    ending = file.suffix.lower().removeprefix(".")
    if ending not in _writers():
        known = ", ".join(f".{form}" for form in _writers())
        fail(f"{file}: not one of the known endings; use {known}")
    return ending


def _writers() -> Mapping[str, Writer]:
    from lakehouse_assets.cli.answer_forms import WRITERS  # noqa: PLC0415 - imports Arrow

    return WRITERS


class _First:
    """The first rows of an answer; ``cut`` says whether there are more."""

    def __init__(self, stream: Stream, most: int) -> None:
        self._stream, self._most = stream, most
        self.taken, self.cut = 0, False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._stream:
            some = batch
            if self._most and self.taken + batch.num_rows > self._most:
                self.cut = True
                some = batch.slice(0, self._most - self.taken)
            self.taken += some.num_rows
            if some.num_rows:
                yield some
            if self.cut:
                return


@contextmanager
def _whole(file: Path) -> Iterator[IO[bytes]]:
    """A file to write to that takes its name when all is written."""
    beside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with beside.open("xb") as stream:
            yield stream
        beside.replace(file)
    except OSError as error:
        fail(f"{file}: {error.strerror or error}; name a file that can be written")
    finally:
        beside.unlink(missing_ok=True)
