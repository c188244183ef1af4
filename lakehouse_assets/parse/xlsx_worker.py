"""The process that reads one workbook: cells as text, to standard output, as an Arrow stream.

It runs apart because a broken workbook can abort its reader, and with it any process it is in, or
eat the machine's memory. It gets the workbook on standard input and the limits on its command line,
and writes one batch or more for each sheet that holds anything; a batch's metadata says which, or
why there is none.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import itertools
import json
import sys
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa
import python_calamine as calamine

from lakehouse_assets.parse.xlsx_precheck import Refused, brief, look

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = pa.schema([("row", pa.int64()), ("cells", pa.list_(pa.string()))])
"""`row` is the sheet's row, from 1; `cells` its cells from column A to the last not empty."""
_BATCH_ROWS = 65_536

Cells = list[list[str | None]]


class _Send(Protocol):
    def __call__(self, rows: list[int], cells: Cells, **about: str | int) -> None: ...


def main() -> None:
    """Read the workbook on standard input; the last argument holds the `Limits` as JSON."""
    limits = json.loads(sys.argv[-1])
    _limit_process(limits["workbook_memory_bytes"], int(limits["workbook_seconds"]) + 1)
    data = sys.stdin.buffer.read()
    most = limits["max_expanded_bytes"]
    sent = 0
    with pa.ipc.new_stream(sys.stdout.buffer, SCHEMA) as stream:

        def send(rows: list[int], cells: Cells, **about: str | int) -> None:
            nonlocal sent
            batch = pa.record_batch([rows, cells], schema=SCHEMA)
            sent += batch.nbytes
            if rows and sent > most:  # One long text may stand in any number of cells.
                raise Refused(
                    f"its cells hold more text than max_expanded_bytes ({most:,}) allows; "
                    "split the workbook or raise max_expanded_bytes"
                )
            stream.write_batch(batch, custom_metadata={"about": json.dumps(about)})

        try:
            avoid = look(data, most, limits["max_cells"])
            _read(_opened(data), avoid, send)
        except Refused as refused:
            send([], [], unreadable=str(refused))


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


def _opened(data: bytes) -> calamine.CalamineWorkbook:
    try:
        return calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except calamine.PasswordError:
        raise Refused("locked with a password; save it without one") from None
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of the reader is no Exception
        raise Refused(f"damaged ({brief(error)}); save the workbook again") from None


def _read(workbook: calamine.CalamineWorkbook, avoid: dict[str, str], send: _Send) -> None:
    """Send every sheet of cells, hidden ones too; charts, dialogs and macros are none."""
    for number, about in enumerate(workbook.sheets_metadata, start=1):
        if about.typ != calamine.SheetTypeEnum.WorkSheet:
            continue
        problem = avoid.get(about.name)
        try:
            if problem is None:
                for rows, cells in _batches(workbook.get_sheet_by_index(number - 1)):
                    send(rows, cells, sheet=about.name, sheet_no=number)
        except (Refused, MemoryError):
            raise
        except BaseException as error:  # noqa: BLE001
            problem = f"damaged ({brief(error)}); save the workbook again"
        if problem is not None:
            send([], [], sheet=about.name, sheet_no=number, problem=problem)


def _batches(sheet: calamine.CalamineSheet) -> Iterator[tuple[list[int], Cells]]:
    """A sheet's rows that hold anything, some at a time: their numbers and cells."""
    if sheet.start is None:
        return
    top, left = sheet.start
    before: list[str | None] = [None] * left
    numbered = enumerate(itertools.islice(sheet.iter_rows(), top, None), start=top + 1)
    while batch := list(itertools.islice(numbered, _BATCH_ROWS)):
        rows: list[int] = []
        cells: Cells = []
        for number, values in batch:
            texts = [cell_text(value) for value in values]
            while texts and texts[-1] is None:
                texts.pop()
            if texts:
                rows.append(number)
                cells.append(before + texts)
        yield rows, cells


def cell_text(value: object) -> str | None:
    """A cell's value as text; None if it is empty, as error cells are to the reader.

    A number is its shortest text without `.0`; where that needs an exponent it keeps it, and is
    then no number to any rule. A date is always date and time. A time of day reads `11:27:00`, a
    duration `36:00:00`: neither is a timestamp.
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, float | int):  # True and False, too, are numbers to Python.
        return repr(+value).removesuffix(".0")
    if isinstance(value, dt.datetime | dt.time):
        return value.isoformat()
    if isinstance(value, dt.date):
        return f"{value.isoformat()}T00:00:00"
    if isinstance(value, dt.timedelta):
        return _duration(value)
    return None if value is None else str(value)


def _duration(value: dt.timedelta) -> str:
    sign = "-" if value < dt.timedelta() else ""
    seconds, fraction = divmod(abs(value), dt.timedelta(seconds=1))
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    end = f".{fraction.microseconds:06d}" if fraction else ""
    return f"{sign}{hour:02d}:{minute:02d}:{second:02d}{end}"
