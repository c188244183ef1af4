"""What a run is doing: a live table in a terminal, a line for each finished step elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from threading import Event, Lock, current_thread, main_thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class State(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    AT_WORK = "at work"
    DONE = "done"
    FAILED = "failed"
    LEFT_OUT = "left out"
    FILES_WAIT = "files wait"


_STYLES: Final = {
    State.WAITING: "dim",
    State.AT_WORK: "bold",
    State.DONE: "green",
    State.FAILED: "red",
    State.LEFT_OUT: "yellow",
    State.FILES_WAIT: "yellow",
}


# What others print goes where it should: the display is not to guess at it.
_LIVE: Final[dict[str, Any]] = {
    "refresh_per_second": 8,
    "redirect_stdout": False,
    "redirect_stderr": False,
}


@dataclass
class _Step:
    state: State = State.WAITING
    rows: str = ""
    began: float = 0.0
    seconds: float = 0.0

    @property
    def lasted(self) -> float:
        """Seconds of work, up to now where it goes on."""
        return monotonic() - self.began if self.state is State.AT_WORK else self.seconds


class Progress:
    """The steps of a run: each waits, is at work, done, failed or left out.

    Told of by the thread that works, shown by another, stopped by a third: see `interrupt`.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = Lock()
        self._live: Live | None = None
        self._title = ""
        self._began = monotonic()
        self._steps: dict[str, _Step] = {}
        self._stopped = Event()
        self._stop: Callable[[], object] | None = None

    @contextmanager
    def of(self, title: str, steps: Iterable[str]) -> Iterator[None]:
        """Show these steps under a title for as long as the block takes; what is seen stays."""
        self._title, self._began = title, monotonic()
        self._steps = {name: _Step() for name in steps}
        if not self._console.is_terminal:
            self._print(title)
            yield
            return
        with self._lock:
            if not self._stopped.is_set():
                self._live = Live(get_renderable=self._table, console=self._console, **_LIVE)
                self._live.start(refresh=True)
        try:
            yield
        finally:
            self._end_live()

    def begin(self, name: str) -> None:
        """A step is at work now."""
        self._steps[name] = _Step(State.AT_WORK, began=monotonic())

    def end(self, name: str, state: State = State.DONE, rows: str = "") -> None:
        """A step has ended so; ``rows`` says what it did, in rows."""
        step = self._steps.setdefault(name, _Step(began=monotonic()))
        step.seconds = step.lasted
        step.state, step.rows = state, rows or step.rows
        if not self._console.is_terminal:
            seconds = f"{step.seconds:6.1f} s" if step.seconds else ""
            self._print(f"{name:<30} {state:<8} {step.rows:<28} {seconds}".rstrip())

    @contextmanager
    def stopped_by(self, stop: Callable[[], object]) -> Iterator[None]:
        """What is to be done where the block is stopped halfway."""
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None

    def stop(self) -> None:
        """End what is under way and show nothing more, from another thread; what is seen stays."""
        with self._lock:
            self._stopped.set()
        self._end_live()
        if self._stop:
            self._stop()

    def hold_if_stopped(self) -> None:
        """Let the thread that works go no further once it is stopped: the process is to end."""
        while self._stopped.is_set() and current_thread() is not main_thread():
            sleep(1)

    def so_far(self, tables: Iterable[str]) -> str:
        """How many of these tables are done and which is at work, for a sentence."""
        known = {name: self._steps.get(name, _Step()).state for name in tables}
        done = sum(state is State.DONE for state in known.values())
        at_work = [name for name, state in known.items() if state is State.AT_WORK]
        told = f"{done} of {len(known)} tables are published" if done else "nothing is published"
        return f"{told}, {at_work[0]} was at work" if at_work else told

    def _print(self, line: str) -> None:
        with self._lock:
            if not self._stopped.is_set():
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _end_live(self) -> None:
        with self._lock:
            live, self._live = self._live, None
        if live:
            live.stop()

    def _table(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=24)
        table.add_column(min_width=10)
        table.add_column(min_width=24)
        table.add_column(justify="right", min_width=7)
        begun = False
        for name, step in list(self._steps.items()):
            state: RenderableType = Text(step.state, style=_STYLES[step.state])
            if step.state is State.AT_WORK:
                state = Spinner(self._spinner, Text(step.state), style="bold")
            begun = begun or step.state is not State.WAITING
            seconds = f"{step.lasted:,.1f} s" if step.began else ""
            table.add_row(Text(name), state, Text(step.rows), seconds)
        whole = Table.grid()
        doing = "" if begun else ", starting"
        whole.add_row(Text(f"{self._title}{doing} ({monotonic() - self._began:,.0f} s)"))
        whole.add_row(table)
        return whole

    @property
    def _spinner(self) -> str:
        return "dots" if self._console.encoding.startswith("utf") else "line"


def rows_of(told: Mapping[str, Any]) -> str:
    """What a table's job did, in rows, from the metadata of its result."""
    if "files_read" in told:
        return f"{_number(told, 'files_read')} file(s) read"
    if "rows_added" in told:
        return f"{_number(told, 'rows_added')} added, {_number(told, 'rows_removed')} removed"
    return "nothing to do" if "seconds" in told else ""


def _number(told: Mapping[str, Any], name: str) -> str:
    return f"{told[name] or 0:,}"
