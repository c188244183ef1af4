"""Workbooks: a process of its own turns cells into text, this side makes rows of them.

A sheet's rows go out once the sheet is known to be readable to its end; until then they wait in a
temporary file, beyond some megabytes on disk.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakehouse_assets.parse.model import (
    BLANKS,
    Expected,
    Limits,
    SheetProblem,
    Summary,
    Unreadable,
    shown,
    unreadable_cells,
)
from lakehouse_assets.parse.rows import Header, header_names, lacking, quoted, schema

if TYPE_CHECKING:
    from lakehouse_assets.parse import ByteStream

_OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from lakehouse_assets.parse.xlsx_worker import main; main()"
)
"""The path goes along as it is here: on Glue packages are in places that `-I` does not search."""
_CHUNK = 2**20
_SPOOLED = 2**24
"""Bytes of a sheet's rows that wait in memory."""
_SHOWN_SHEETS = 3
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")

Cells = list[str | None]
Message = dict[str, Any]


def read(
    stream: ByteStream, expected: Expected, limits: Limits
) -> Generator[pa.RecordBatch, None, Summary]:
    """Read a workbook; raises `Unreadable` if no sheet of it can be."""
    sheets: list[_Sheet] = []
    warnings: list[str] = []
    notes: list[str] = []
    with tempfile.TemporaryFile() as file:
        _copy(stream, file, limits)
        _check_kind(file)
        with _reading(file, expected, limits) as messages:
            for message in messages:
                if "absent" in message:
                    absent, has = quoted(message["absent"]), quoted(message["has"])
                    warnings.append(
                        f"no sheet named {absent}; rename one, or the contract's: it has {has}"
                    )
                elif "instead" in message:
                    name = quoted([message["sheet"]])
                    notes.append(f"[{name}] is {message['instead']} and no table: passed over")
                else:
                    sheet = _Sheet(message, expected, limits)
                    sheets.append(sheet)
                    yield from _once_complete(sheet, messages)
    readable = [sheet.header for sheet in sheets if sheet.header is not None]
    if not readable:
        raise Unreadable(_no_readable(sheets, [*warnings, *notes]))
    return Summary(
        read=sum(header.read for header in readable),
        unexpected=tuple(sorted(set().union(*(header.unexpected for header in readable)))),
        sheet_problems=tuple(SheetProblem(it.name, it.problem) for it in sheets if it.problem),
        repairs=sum(header.repairs for header in readable),
        warnings=(*warnings, *(it.hidden_rows for it in sheets if it.hidden_rows)),
        notes=(*notes, *(it.passed_over for it in sheets if it.passed_over)),
    )


def _copy(stream: ByteStream, file: IO[bytes], limits: Limits) -> None:
    """A zip is read from its end: so the workbook is first laid down whole, on disk."""
    while chunk := stream.read(_CHUNK):
        file.write(chunk)
        if file.tell() > limits.max_expanded_bytes:
            raise Unreadable(
                f"larger than max_expanded_bytes ({limits.max_expanded_bytes:,}) even before it is "
                "unpacked; split the workbook or raise max_expanded_bytes"
            )


def _once_complete(sheet: _Sheet, messages: Iterator[Message]) -> Iterator[pa.RecordBatch]:
    """A sheet's rows, once it is known to be readable to its end; else none."""
    with tempfile.SpooledTemporaryFile(_SPOOLED) as spool:
        with pa.ipc.new_stream(spool, sheet.schema, options=_LZ4) as kept:
            for batch in sheet.rows(messages):
                kept.write_batch(batch)
        if sheet.header is not None:
            spool.seek(0)
            yield from pa.ipc.open_stream(spool)


def _no_readable(sheets: list[_Sheet], others: list[str]) -> str:
    reasons = [f"[{quoted([it.name])}] {it.reason}" for it in sheets if it.reason]
    if not reasons and not others:
        return "no sheet with anything in it; land the whole workbook again"
    first = " | ".join((reasons or others)[:_SHOWN_SHEETS])
    more = len(reasons or others) - _SHOWN_SHEETS
    rest = f" | and {more:,} more sheets" if more > 0 else ""
    remedy = "" if ";" in first else "; save the table as a worksheet of its own"
    return f"no readable sheet: {first}{rest}{remedy}"


# ----------------------------------------------------------------------------------- a sheet's rows


class _Sheet:
    """One sheet: its header, and why it has none."""

    def __init__(self, about: Message, expected: Expected, limits: Limits) -> None:
        self.name: str = about["sheet"]
        self.schema = schema(expected.columns)
        self.header: Header | None = None
        """Not None if the sheet is readable."""
        self.problem: str | None = None
        """Why the sheet is unreadable."""
        self.reason: str | None = None
        """Why no row is read of it: a problem, or what its first row lacks."""
        self._number: int = about["number"]
        self._hidden: bool = about["hidden"]
        self._expected, self._limits = expected, limits
        self._present = 0
        """Of the contract's columns, those in the first row."""
        self._further: int | None = None
        """Another row that has them all."""

    @property
    def passed_over(self) -> str | None:
        """The note about a sheet that is something else."""
        if self.reason is None or self.problem is not None:
            return None
        return (
            f"[{quoted([self.name])}] has {self._present} of the {len(self._expected.columns)} "
            "columns in its first row and is no table of this dataset: passed over"
        )

    @property
    def hidden_rows(self) -> str | None:
        """The warning about a hidden sheet with rows."""
        if not self._hidden or self.header is None or not self.header.read:
            return None
        return (
            f"[{quoted([self.name])}] is hidden, and its rows ({self.header.read:,}) are read; "
            "delete the sheet if they should not be"
        )

    def rows(self, messages: Iterator[Message]) -> Iterator[pa.RecordBatch]:
        """Take what comes of this sheet; its rows count only if it then has a header."""
        for message in messages:
            if "rows" not in message:
                self.problem = message.get("problem") or self._unfit()
                break
            rows, cells = message["rows"], message["cells"]
            if self.header is None:
                behind = self._find_header(rows, cells)
                rows, cells = rows[behind:], cells[behind:]
            if self.header is not None:
                yield from self._split(self.header, rows, cells, message["unread"])
        if self.problem is not None:
            self.header, self.reason = None, self.problem

    def _find_header(self, rows: list[int], cells: list[Cells]) -> int:
        """How many rows stand up to the header, and it: all, if it is not among them."""
        for at, (row, fields) in enumerate(zip(rows, map(_valued, cells), strict=True)):
            if self.reason is None and fields and row > self._expected.dialect.skip_rows:
                every = replace(self._expected, optional=())
                absent = lacking(header_names(fields), every)
                self._present = len(self._expected.columns) - len(absent)
                try:
                    self.header = Header(fields, self._expected, self._limits)
                except Unreadable as problem:
                    self.reason = str(problem)
                else:
                    return at + 1
            elif self._further is None and not lacking(header_names(fields), self._expected):
                self._further = row
        return len(rows)

    def _unfit(self) -> str | None:
        """What is wrong with a sheet whose XML is sound; None where it has a header or no row."""
        columns, dialect = self._expected.columns, self._expected.dialect
        if self.reason is None:
            return None
        if self._further is not None and self._present < len(columns):
            if dialect.skip_rows:
                return (
                    f"the header is in row {self._further:,}, not behind the skip_rows "
                    f"({dialect.skip_rows:,}) of the contract; put it there or change skip_rows"
                )
            return (
                f"the header is in row {self._further:,}, not in the first; "
                "remove the rows above it"
            )
        # A sheet that the contract names is never something else.
        if 2 * self._present < len(columns) and dialect.sheets is None:
            return None
        return self.reason

    def _split(
        self, header: Header, rows: list[int], cells: list[Cells], unread: list[list[int]]
    ) -> Iterator[pa.RecordBatch]:
        """Rows behind the header as bronze rows; those with a value beyond it come last."""
        width, place = len(header.names), (self.name, self._number)
        long = [at for at, row in enumerate(cells) if len(row) > width]
        beyond = {at for at in long if len(_valued(cells[at])) > width}
        kept = [at for at in range(len(rows)) if at not in beyond]
        fields = [
            pa.array(column, pa.string())
            for column in itertools.islice(
                itertools.zip_longest(*(cells[at] for at in kept)), width
            )
        ]
        fields += [pa.nulls(len(kept), pa.string())] * (width - len(fields))
        numbers = np.array([rows[at] for at in kept], np.int64)
        batch = header.rows(fields, numbers, *place)
        faults: dict[int, list[str]] = {}
        for row, at in unread:
            if at < width and header.names[at] in header.columns:
                faults.setdefault(row, []).append(header.names[at])
        yield _with_faults(batch, faults) if faults else batch
        ragged = [(rows[at], json.dumps(_valued(cells[at]), ensure_ascii=False)) for at in beyond]
        if ragged:
            yield header.faulty(sorted(ragged), "ragged", *place)


def _valued(cells: Cells) -> Cells:
    """Cells up to the last that has a value."""
    end = len(cells)
    while end and not (cells[end - 1] or "").strip(BLANKS):
        end -= 1
    return cells[:end]


def _with_faults(batch: pa.RecordBatch, faults: dict[int, list[str]]) -> pa.RecordBatch:
    """The rows, each with the names of its unreadable cells."""
    at = batch.schema.get_field_index("_fault")
    named = (faults.get(row) for row in batch.column("_row").to_pylist())
    texts = [names and unreadable_cells(names) for names in named]
    return batch.set_column(at, batch.schema.field(at), pa.array(texts, pa.string()))


# ------------------------------------------------------------------------- the process that reads


def _check_kind(file: IO[bytes]) -> None:
    file.seek(0)
    start = file.read(len(_OLE2))
    if start == _OLE2:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data.find("EncryptedPackage".encode("utf-16-le")) >= 0:
                raise Unreadable("locked with a password; save it without one")
        raise Unreadable("an old .xls workbook or another old Office file; save it as .xlsx")
    if not start.startswith(b"PK"):
        raise Unreadable("named .xlsx but no workbook; save it as .xlsx, or name CSV text .csv")


@contextmanager
def _reading(file: IO[bytes], expected: Expected, limits: Limits) -> Iterator[Iterator[Message]]:
    """What the reading process says about the workbook; it ends with the block."""
    path = [str(entry) for entry in sys.path]
    dialect = expected.dialect
    order = {"limits": asdict(limits), "sheets": dialect.sheets, "decimal": dialect.decimal}
    # The process moves the offset that both share; nothing may be read ahead here, as closing the
    # file takes that back from wherever the process has left off.
    file.seek(0, os.SEEK_END)
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - this interpreter, fixed code
            [sys.executable, "-I", "-c", _START, json.dumps(path), json.dumps(order)],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            yield _messages(process, errors, limits)
        finally:
            process.kill()


def _messages(
    process: subprocess.Popen[bytes], errors: IO[bytes], limits: Limits
) -> Iterator[Message]:
    assert process.stdout is not None
    left = limits.workbook_seconds
    while True:
        # Only waiting counts: whoever takes the rows may need longer.
        clock = threading.Timer(left, process.kill)
        begin = time.monotonic()
        clock.start()
        line = process.stdout.readline()
        clock.cancel()
        left -= time.monotonic() - begin
        if not line.endswith(b"\n"):
            break
        message: Message = json.loads(line)
        if "unreadable" in message:
            raise Unreadable(message["unreadable"])
        if "memory" in message:
            raise Unreadable(_too_large(limits))
        yield message
    _check_end(process.wait(), errors, limits, in_time=left > 0)


def _check_end(code: int, errors: IO[bytes], limits: Limits, *, in_time: bool) -> None:
    """Raise what the end of the reading process says, if it is not that all has been read."""
    if not in_time or (code and code == -getattr(signal, "SIGXCPU", 0)):
        raise Unreadable(
            f"reading it took longer than workbook_seconds ({limits.workbook_seconds:g}) "
            "allows; split the workbook or raise workbook_seconds"
        )
    errors.seek(0)
    told = errors.read().decode("utf-8", "replace").strip().splitlines()
    last = told[-1] if told else ""
    if last.startswith(("ImportError:", "ModuleNotFoundError:")):
        # The installation's fault, not the file's: no verdict on the file may come of it.
        raise ImportError(last)
    if "MemoryError" in last:
        raise Unreadable(_too_large(limits))
    if code < 0:
        raise Unreadable(
            f"its reader was ended by signal {-code}, as where a machine is out of memory; "
            "split the workbook or give the machine more memory"
        )
    if code:  # A fault of the reader; it is said, and keeps no other file out.
        raise Unreadable(
            f"its reader failed ({shown(last)}); save the workbook again, "
            "and report this if it stays so"
        )


def _too_large(limits: Limits) -> str:
    return (
        "reading it takes more memory than workbook_memory_bytes "
        f"({limits.workbook_memory_bytes:,}) allows; split the workbook or raise "
        "workbook_memory_bytes"
    )
