"""What a run shows of its steps, in a terminal and through a pipe."""

from __future__ import annotations

import re
from io import StringIO
from threading import Thread

import pytest
from rich.console import Console

from lakehouse_assets.cli.progress import Progress, State, rows_of

TABLES = ("bronze.orders", "silver.orders", "gold.daily_sales")


def play(progress: Progress) -> None:
    """One step done, one failed, one left out, one that nobody had announced."""
    with progress.of("Batch date 2025-04-15", TABLES):
        progress.begin("bronze.orders")
        progress.end("bronze.orders", rows="2 file(s) read")
        progress.begin("silver.orders")
        progress.end("silver.orders", State.FAILED)
        progress.end("gold.daily_sales", State.LEFT_OUT)
        progress.begin("receipts")
        progress.end("receipts")


def said(*, terminal: bool) -> str:
    console = Console(file=StringIO(), force_terminal=terminal, width=100, no_color=True)
    play(Progress(console))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_through_a_pipe_each_step_is_a_line_once_it_has_ended() -> None:
    lines = said(terminal=False).splitlines()
    assert lines[0] == "Batch date 2025-04-15"
    words = [line.split()[:2] for line in lines[1:]]
    assert words == [
        ["bronze.orders", "done"],
        ["silver.orders", "failed"],
        ["gold.daily_sales", "left"],
        ["receipts", "done"],
    ]
    assert "2 file(s) read" in lines[1]
    assert lines[1].endswith(" s")
    assert "\x1b" not in said(terminal=False)


def test_in_a_terminal_the_last_picture_stays_and_is_right() -> None:
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said(terminal=True))
    assert [line.split()[:2] for line in text.splitlines()[-4:]] == [
        ["bronze.orders", "done"],
        ["silver.orders", "failed"],
        ["gold.daily_sales", "left"],
        ["receipts", "done"],
    ]
    assert "waiting" in text  # in the first picture
    assert "starting" in text


def test_a_sentence_about_how_far_it_came() -> None:
    progress = Progress(Console(file=StringIO()))
    assert progress.so_far(TABLES) == "nothing is published"
    with progress.of("Batch date 2025-04-15", TABLES):
        progress.begin("bronze.orders")
        assert progress.so_far(TABLES) == "nothing is published, bronze.orders was at work"
        progress.end("bronze.orders")
        progress.begin("silver.orders")
        assert progress.so_far(TABLES) == "1 of 3 tables are published, silver.orders was at work"
        progress.end("silver.orders", State.FAILED)
        assert progress.so_far(TABLES) == "1 of 3 tables are published"


def test_once_stopped_nothing_more_is_shown_and_the_work_goes_no_further() -> None:
    """The main thread does what stopping takes, which passes by the same listener."""
    console = Console(file=StringIO(), force_terminal=False)
    progress, told = Progress(console), list[str]()
    with progress.of("Batch date 2025-04-15", TABLES), progress.stopped_by(lambda: told.append("")):
        progress.stop()
        progress.hold_if_stopped()
        worker = Thread(target=progress.hold_if_stopped, daemon=True)
        worker.start()
        progress.begin("bronze.orders")
        progress.end("bronze.orders")
        worker.join(0.2)
        assert worker.is_alive()
    assert told == [""]
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue() == "Batch date 2025-04-15\n"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"files_read": 3, "rows_read": 9, "seconds": 0.1}, "3 file(s) read"),
        ({"rows_added": 12345, "rows_removed": 2, "seconds": 0.1}, "12,345 added, 2 removed"),
        ({"seconds": 0.1}, "nothing to do"),
        ({}, ""),
    ],
)
def test_what_a_table_did_in_rows(metadata: dict[str, object], words: str) -> None:
    assert rows_of(metadata) == words
