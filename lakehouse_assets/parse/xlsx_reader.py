"""Workbooks: a process of its own turns cells into text (`cells`), this side makes rows of them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse_assets.parse.model import (
    BLANKS,
    Expected,
    Limits,
    SheetProblem,
    Summary,
    Unreadable,
)
from lakehouse_assets.parse.rows import Header, Int64s, quoted

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from lakehouse_assets.parse import ByteStream

_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); sys.modules['numpy'] = None; "
    "from lakehouse_assets.parse.xlsx_worker import main; main()"
)
"""The path goes along as it is here: on Glue packages are in places that `-I` does not search.
Arrow does without numpy there, and then without pandas: together they take longer to load than most
workbooks to read (0.3 s)."""
_SHOWN_PROBLEMS = 3


def read(
    stream: ByteStream, expected: Expected, limits: Limits
) -> Generator[pa.RecordBatch, None, Summary]:
    """Read a workbook; raises `Unreadable` if no sheet of it can be."""
    data = stream.read(-1)
    _check_kind(data)
    problems: list[SheetProblem] = []
    unexpected: set[str] = set()
    read = repairs = sheets = 0
    parts = _parts(_reader_output(data, limits))
    for (_, name), sheet in groupby(parts, key=lambda part: (part.number, part.sheet)):
        try:
            batches, header = _sheet(list(sheet), expected, limits)
        except Unreadable as problem:
            problems.append(SheetProblem(name, str(problem)))
        else:
            yield from batches
            if header:
                sheets += 1
                unexpected |= header.unexpected
                repairs += header.repairs
                read += header.read
    if sheets:
        return Summary(read, tuple(sorted(unexpected)), tuple(problems), repairs)
    if not problems:
        raise Unreadable("no sheet with anything in it; land the whole workbook again")
    shown = [f"[{quoted([it.sheet])}] {it.problem}" for it in problems[:_SHOWN_PROBLEMS]]
    more = len(problems) - len(shown)
    raise Unreadable(
        f"no readable sheet: {' | '.join(shown)}" + (f" | and {more:,} more sheets" if more else "")
    )


def _check_kind(data: bytes) -> None:
    if data.startswith(_OLE2):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Unreadable("locked with a password; save it without one")
        raise Unreadable("an old .xls workbook or another old Office file; save it as .xlsx")
    if not data.startswith(b"PK"):
        raise Unreadable("named .xlsx but no workbook; save it as .xlsx, or name CSV text .csv")


def _reader_output(data: bytes, limits: Limits) -> bytes:
    """What the reading process says about the workbook: an Arrow stream."""
    path = [str(entry) for entry in sys.path]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, fixed code
            [sys.executable, "-I", "-c", _START, json.dumps(path), json.dumps(asdict(limits))],
            input=data,
            capture_output=True,
            timeout=limits.workbook_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unreadable(
            f"too large or damaged: reading it took over workbook_seconds "
            f"({limits.workbook_seconds:g}); save it again, split it or raise workbook_seconds"
        ) from None
    if b"ImportError:" in done.stderr or b"ModuleNotFoundError:" in done.stderr:
        # The installation's fault, not the file's: no verdict on the file may come of it.
        raise ImportError(done.stderr.decode("utf-8", "replace").strip().splitlines()[-1])
    if done.returncode:
        raise Unreadable(
            "too large or damaged: its reader broke off, at most workbook_memory_bytes "
            f"({limits.workbook_memory_bytes:,}) in use; save it again, split it or raise "
            "workbook_memory_bytes"
        )
    return done.stdout


class _Part(NamedTuple):
    """Rows of a sheet, or the reason why there are none."""

    number: int
    sheet: str
    batch: pa.RecordBatch
    problem: str | None


def _parts(output: bytes) -> Iterator[_Part]:
    """What there is of each sheet, in the order of the sheets."""
    with pa.ipc.open_stream(pa.BufferReader(output)) as stream:
        while True:
            try:
                batch, metadata = stream.read_next_batch_with_custom_metadata()
            except StopIteration:
                return
            about: dict[str, Any] = json.loads(metadata["about"])
            if "unreadable" in about:
                raise Unreadable(about["unreadable"])
            yield _Part(about["sheet_no"], about["sheet"], batch, about.get("problem"))


def _sheet(
    parts: list[_Part], expected: Expected, limits: Limits
) -> tuple[list[pa.RecordBatch], Header | None]:
    """A sheet's rows, no batch at all if it holds nothing, and its header."""
    header: Header | None = None
    batches: list[pa.RecordBatch] = []
    ragged: list[tuple[int, str]] = []
    number, sheet = parts[0].number, parts[0].sheet
    for part in parts:
        if part.problem is not None:
            raise Unreadable(part.problem)
        row, cells = part.batch.column("row").to_numpy(), part.batch.column("cells")
        if header is None:
            at = next((at for at, it in enumerate(cells) if _valued(it.as_py())), None)
            if at is None:
                continue
            header = Header(_valued(cells[at].as_py()), expected, limits)
            row, cells = row[at + 1 :], cells.slice(at + 1)
        width = len(header.names)
        beyond = _beyond(cells, width)
        ragged += [(int(row[at]), json.dumps(raw, ensure_ascii=False)) for at, raw in beyond]
        good = np.delete(np.arange(len(row)), [at for at, _ in beyond])
        fields = _by_position(cells.take(pa.array(good)), width)
        batches.append(header.rows(fields, row[good], sheet, number))
    if header is None:
        return [], None
    return [*batches, header.faulty(ragged, "ragged", sheet, number)], header


def _valued(cells: list[str | None]) -> list[str | None]:
    """Cells up to the last that has a value."""
    while cells and not (cells[-1] or "").strip(BLANKS):
        cells.pop()
    return cells


def _beyond(cells: pa.ListArray, width: int) -> list[tuple[int, list[str | None]]]:
    """The rows that have a value beyond the header's last name: where, and their cells."""
    longer = np.flatnonzero(pc.list_value_length(cells).to_numpy(zero_copy_only=False) > width)
    rows = ((at, _valued(cells[at].as_py())) for at in longer.tolist())
    return [(at, row) for at, row in rows if len(row) > width]


def _by_position(cells: pa.ListArray, width: int) -> list[pa.Array]:
    """Lists of cells as one array for each position; short rows are filled with nulls."""
    offsets: Int64s = cells.offsets.to_numpy().astype(np.int64)
    begin, length = offsets[:-1], np.diff(offsets)
    return [cells.values.take(pa.array(begin + at, mask=length <= at)) for at in range(width)]
