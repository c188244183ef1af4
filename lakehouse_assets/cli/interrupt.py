"""Ctrl-C and SIGTERM end a command at once: in one sentence, with the usual exit code.

An exception in the middle of the work would not do: Dagster keeps signals to itself while it
starts and between steps, engines answer only when their call is done, and each of them has a
trace of its own to print. So the work is done in a thread, while the main one waits for signals
and then ends the process. Every table and the ledger are as whole then as after a power cut.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread, Timer
from time import sleep
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

if TYPE_CHECKING:
    from types import FrameType

T = TypeVar("T")

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_LAST_WORD_SECONDS: Final = 10.0
"""How long there may be anything to do once a person wants it to end."""

_TICK_SECONDS: Final = 0.05
"""How soon the end of the work is seen; a signal is seen at once."""

_DONE: Final = 0
"""What the work puts among the numbers of signals when it is through."""


def before_any_work() -> None:
    """Until a command begins, while modules load, Ctrl-C is one line and no trace.

    Who started this process deaf to Ctrl-C (nohup, a job in the background) wants it so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_without_work)


def as_exception() -> None:
    """From now on Ctrl-C is Python's KeyboardInterrupt, for commands that clean up by it."""
    if signal.getsignal(signal.SIGINT) is _end_without_work:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def interruptible(work: Callable[[], T], last_word: Callable[[], str]) -> T:
    """Do the work; where a signal comes first, end the process by what ``last_word`` says.

    ``last_word`` is called in the main thread while the work goes on in its own: it says in a
    sentence what has been done and what is to be done now. Once the work is through, signals
    do nothing: what is left is to leave. Returns and raises what the work does.
    """
    news: SimpleQueue[int] = SimpleQueue()
    outcome: Future[T] = Future()

    def body() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - the main thread raises it
            outcome.set_exception(error)
        news.put(_DONE)

    with _heard(lambda number, _: news.put(number)):
        Thread(target=body, name="work", daemon=True).start()
        # Not by waiting for the queue: once Sail hears signals too, they interrupt no wait for a
        # lock any more (SA_RESTART), and the handler would be called when the work is through.
        while news.empty():
            sleep(_TICK_SECONDS)
        number = news.get()
        if number is not _DONE:
            _end(number, last_word)
    return outcome.result()


def stopped_by_exception(work: Callable[[], T], last_word: Callable[[], str]) -> T:
    """Do work that must clean up elsewhere before it ends, such as stop a job that costs money.

    It hears Ctrl-C as a KeyboardInterrupt; once it is done with that, ``last_word`` is said.
    """
    try:
        return work()
    except KeyboardInterrupt:
        sys.stdout.flush()
        sys.stderr.write(f"{last_word()}\n")
        raise SystemExit(128 + signal.SIGINT) from None


@contextmanager
def _heard(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    """Have signals handled so, and not at all from then on."""
    heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_IGN)


def _end(number: int, last_word: Callable[[], str]) -> NoReturn:
    """End the process, the other threads wherever they are."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # who presses twice means the same
    # Without a word: a terminal that nobody reads takes none.
    late = Timer(_LAST_WORD_SECONDS, os._exit, [128 + number])
    late.daemon = True
    late.start()
    try:
        sentence = last_word()
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, f"{sentence}\n".encode(errors="replace"))
    finally:
        os._exit(128 + number)


def _end_without_work(number: int, _frame: FrameType | None) -> NoReturn:
    os.write(2, b"Interrupted before anything was begun.\n")
    os._exit(128 + number)
