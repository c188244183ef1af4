"""The process that reads one workbook, and hands its cells on as they come.

It runs apart so that no workbook, whatever is in it, takes more memory or time than its limits say.
It gets the workbook's file as standard input and the limits on its command line, and writes one
JSON document a line: `sheet` begins a sheet that has cells, `rows` brings some of its rows, `end`
or `problem` (its clear line) ends it; `note` says what a sheet is that has none; `unreadable` (the
clear line) or `memory` ends the workbook. It needs Python's own library alone, and so starts at
once.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from lakehouse_assets.parse.model import Limits, Unreadable
from lakehouse_assets.parse.xlsx_cells import NoValue
from lakehouse_assets.parse.xlsx_precheck import DAMAGED, Package, Sheet, brief, opened
from lakehouse_assets.parse.xlsx_sheet import Reader

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator

_BATCH_CELLS = 65_536
_BATCH_SIZE = 2**22
"""Characters of all cells after which a batch goes out."""

Message = dict[str, Any]


def main() -> None:
    """Read the workbook that standard input is; the last argument is the order, as JSON."""
    order = json.loads(sys.argv[-1])
    limits = Limits(**order["limits"])
    _limit_process(limits.workbook_memory_bytes, int(limits.workbook_seconds) + 1)

    def send(message: Message) -> None:
        sys.stdout.buffer.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
        sys.stdout.buffer.flush()

    try:
        for message in _messages(sys.stdin.buffer, limits, order["sheets"], order["decimal"]):
            send(message)
    except Unreadable as problem:
        send({"unreadable": str(problem)})
    except MemoryError:
        send({"memory": True})


def _limit_process(memory: int, seconds: int) -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows, where only the clock limits the process
    except ImportError:
        return
    # Processor time ends the process even if who started it is gone.
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
    ):
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            limit = min(limit, most)  # noqa: PLW2901
        with contextlib.suppress(ValueError, OSError):  # macOS knows no RLIMIT_AS.
            resource.setrlimit(kind, (limit, limit))


def _messages(
    file: IO[bytes], limits: Limits, wanted: Collection[str] | None, decimal: str
) -> Iterator[Message]:
    package = opened(file, limits.max_expanded_bytes)
    sheets = [sheet for sheet in package.sheets if wanted is None or sheet.name in wanted]
    absent = [] if wanted is None else sorted({*wanted} - {sheet.name for sheet in sheets})
    if absent:
        yield {"absent": absent, "has": [sheet.name for sheet in package.sheets]}
    try:
        reader = Reader(package, limits.max_record_bytes, decimal)
    except DAMAGED as error:
        raise Unreadable(f"damaged ({brief(error)}); save the workbook again") from None
    room = _Room(limits.max_cells, limits.max_expanded_bytes)
    for sheet in sheets:
        if sheet.instead:
            yield {"sheet": sheet.name, "instead": sheet.instead}
            continue
        yield {"sheet": sheet.name, "number": sheet.number, "hidden": sheet.hidden}
        try:
            room = yield from _batches(package, sheet, reader, limits, room)
        except Unreadable as problem:
            yield {"problem": str(problem)}
        except DAMAGED as error:
            yield {"problem": f"damaged ({brief(error)}); save the workbook again"}
        else:
            yield {"end": True}


class _Room(NamedTuple):
    """What the sheets to come may hold; an unreadable one takes nothing of it."""

    cells: int
    text: int


def _batches(
    package: Package, sheet: Sheet, reader: Reader, limits: Limits, room: _Room
) -> Generator[Message, None, _Room]:
    """A sheet's rows, some at a time; returns the room that it leaves."""
    if sheet.part is None:
        raise Unreadable("its part of the workbook is missing; save the workbook again")
    rows: list[int] = []
    cells: list[list[str | None]] = []
    unread: list[tuple[int, int]] = []
    count = size = 0
    cells_left, text_left = room
    with package.archive.open(sheet.part) as stream:
        for row in reader.rows(stream):
            count, size = count + len(row.cells), size + row.size
            if count > cells_left:
                raise Unreadable(
                    f"with it the workbook has more cells than max_cells ({limits.max_cells:,}) "
                    "allows; delete stray cells far from the table, split the workbook or raise "
                    "max_cells"
                )
            if size > text_left:  # One long text may stand in any number of cells.
                raise Unreadable(
                    "with it the workbook's cells hold more text than max_expanded_bytes "
                    f"({limits.max_expanded_bytes:,}) allows; split the workbook or raise "
                    "max_expanded_bytes"
                )
            unread += [(row.number, at) for at, it in enumerate(row.cells) if type(it) is NoValue]
            rows.append(row.number)
            cells.append(row.cells)
            if count >= _BATCH_CELLS or size >= _BATCH_SIZE:
                yield {"rows": rows, "cells": cells, "unread": unread}
                rows, cells, unread = [], [], []
                cells_left, text_left, count, size = cells_left - count, text_left - size, 0, 0
    yield {"rows": rows, "cells": cells, "unread": unread}
    return _Room(cells_left - count, text_left - size)
