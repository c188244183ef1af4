"""Ctrl-C and SIGTERM: one sentence, the usual exit code, nothing harmed, at any moment."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from resources.settings import Settings
from tests.support import PROJECT
from tests.support.commands import GOOD, Lakehouse, put
from tests.support.instances import instance_in
from tests.support.processes import end_group, until
from tests.support.servers import own_port

WORK = """
import sys, threading, time
from lakehouse_assets.cli.interrupt import interruptible

def work():
    {engine}
    print("at work", flush=True)
    {work}
    return 3

def last_word():
    print("the last", flush=True)
    {last_word}
    return "Interrupted: half is done."

print(interruptible(work, last_word))
"""


# Where the tests run in the background, a process would inherit being deaf to both signals. Not as
# preexec_fn: that forks this process, in which gRPC may have threads that say so.
HEARING = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.Handlers(int(sys.argv[1])))
signal.signal(signal.SIGTERM, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Command:
    """A process with a process group of its own, as a shell starts it, on a pipe or a terminal."""

    def __init__(
        self,
        *arguments: str,
        terminal: bool,
        environment: Mapping[str, str] | None,
        interrupt: signal.Handlers,
    ) -> None:
        ours, theirs = pty.openpty() if terminal else os.pipe()
        self._output, self.said = ours, ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", HEARING, str(int(interrupt)), *arguments],
            stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL,
            cwd=PROJECT, process_group=0, env=environment,
        )  # fmt: skip
        os.close(theirs)

    def until(self, text: str, seconds: float = 300) -> None:
        """Read until a text is said. Raises AssertionError."""
        end = time.monotonic() + seconds
        while text not in self.said:
            more = self._read(1)
            assert more, f"no {text!r} in {self.said}"
            assert time.monotonic() < end, f"no {text!r} in {self.said}"

    def read_for(self, seconds: float) -> None:
        """Read what it says meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read(0.05)

    def send(self, number: int) -> None:
        """As the terminal does: to all processes of the group."""
        os.killpg(self.process.pid, number)

    def end(self, seconds: float = 300) -> int:
        """Its exit code, once all that it says is read."""
        end = time.monotonic() + seconds
        # Read all the while: a terminal takes only so much that nobody reads.
        while self.process.poll() is None:
            self._read(0.2)
            assert time.monotonic() < end, f"it goes on: {self.said}"
        while self._read(0.2):
            pass
        return self.process.wait()

    def close(self) -> None:
        """Leave nothing of it behind."""
        end_group(self.process.pid)
        self.process.wait()
        os.close(self._output)

    def _read(self, seconds: float) -> bool:
        """Read what there is; whether there may be more."""
        if not select.select([self._output], [], [], seconds)[0]:
            return self.process.poll() is None
        try:
            found = os.read(self._output, 65536)
        except OSError:  # a terminal that nobody has open any more
            return False
        self.said += found.decode(errors="replace")
        return bool(found)


@dataclass
class Starter:
    """Starts commands and leaves none behind."""

    started: list[Command]

    def __call__(
        self,
        *arguments: str,
        terminal: bool = False,
        environment: Mapping[str, str] | None = None,
        interrupt: signal.Handlers = signal.SIG_DFL,
    ) -> Command:
        command = Command(
            *arguments, terminal=terminal, environment=environment, interrupt=interrupt
        )
        self.started.append(command)
        return command


@pytest.fixture
def start() -> Iterator[Starter]:
    starter = Starter([])
    yield starter
    for command in starter.started:
        command.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "work",
    [
        "time.sleep(300)",
        "threading.Event().wait()",
        "exec('while True: pass')",
    ],
)
def test_work_ends_at_once_in_a_sentence(start: Starter, number: signal.Signals, work: str) -> None:
    command = start("-c", WORK.format(engine="", work=work, last_word=""))
    command.until("at work\n")
    command.send(number)
    assert command.end() == 128 + number
    assert command.said == "at work\nthe last\nInterrupted: half is done.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_engine_that_hears_signals_too_changes_nothing(
    start: Starter, number: signal.Signals
) -> None:
    """Sail's handler, beside Python's, has waits for locks go on."""
    engine = "from resources.sail import sail_session; sail_session()"
    command = start("-c", WORK.format(engine=engine, work="time.sleep(300)", last_word=""))
    command.until("at work\n")
    command.send(number)
    assert command.end() == 128 + number
    assert command.said.endswith("at work\nthe last\nInterrupted: half is done.\n")


def test_who_presses_twice_means_the_same(start: Starter) -> None:
    command = start("-c", WORK.format(engine="", work="time.sleep(300)", last_word="time.sleep(1)"))
    command.until("at work\n")
    command.send(signal.SIGINT)
    command.until("the last\n")
    command.send(signal.SIGINT)
    command.send(signal.SIGTERM)
    assert command.end() == 130
    assert command.said.endswith("Interrupted: half is done.\n")


def test_a_last_word_that_never_comes_is_not_waited_for(start: Starter) -> None:
    command = start(
        "-c", WORK.format(engine="", work="time.sleep(300)", last_word="time.sleep(300)")
    )
    command.until("at work\n")
    command.send(signal.SIGINT)
    assert command.end(60) == 130


def test_work_that_ends_by_itself(start: Starter) -> None:
    """Its value is returned, what it raises is raised, and a late Ctrl-C changes nothing."""
    script = WORK + "\nimport os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('left')"
    assert start("-c", script.format(engine="", work="", last_word="")).end() == 0
    command = start("-c", WORK.format(engine="", work="raise SystemExit(7)", last_word=""))
    assert command.end() == 7
    assert command.said == "at work\n"


def test_work_that_cleans_up_elsewhere_does_so_first(start: Starter) -> None:
    """It hears Ctrl-C as an exception."""
    script = WORK.replace("interruptible", "stopped_by_exception")
    work = """
    try: print("there", flush=True); time.sleep(300)
    finally: print("stopped there", flush=True)"""
    command = start("-c", script.format(engine="", work=work, last_word=""))
    command.until("there\n")
    command.send(signal.SIGINT)
    assert command.end() == 130
    said = "at work\nthere\nstopped there\nthe last\nInterrupted: half is done.\n"
    assert command.said == said


def slow_import(module: str, *arguments: str) -> tuple[str, str]:
    """A command whose import of a module takes for ever, once it has said "loading"."""
    return "-c", (
        "import sys, time\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}:\n"
        "            print('loading', flush=True); time.sleep(300)\n"
        "from lakehouse_assets.cli import main\n"
        f"sys.meta_path.insert(0, Slow()); sys.argv = {['lakehouse', *arguments]}; main()\n"
    )


def test_before_a_command_begins(start: Starter) -> None:
    """While its own modules load."""
    command = start(*slow_import("lakehouse_assets.cli.files", "run"))
    command.until("loading\n")
    command.send(signal.SIGINT)
    assert command.end() == 130
    assert command.said == "loading\nInterrupted before anything was begun.\n"


@pytest.fixture
def house(tmp_path: Path) -> Lakehouse:
    """Files of one day, not yet run."""
    house = Lakehouse(tmp_path)
    for name, content in GOOD.items():
        put(house, name, content)
    return house


def runs(house: Lakehouse) -> list[str]:
    """How Dagster has each run on record, newest first."""
    with instance_in(house.root / "dagster") as instance:
        return [run.status.value for run in instance.get_runs()]


def check_interrupted(house: Lakehouse, command: Command, number: signal.Signals) -> str:
    """One sentence and the exit code; nothing at work, on record or in truth; what was said."""
    assert command.end() == 128 + number, command.said
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", command.said)
    assert "Traceback" not in said
    assert "Error" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("Interrupted"), said
    if (house.root / "dagster").exists():
        assert not {"STARTED", "STARTING", "NOT_STARTED"} & set(runs(house))
    assert not list((house.root / "locks").glob("run-*"))
    return last


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        ("dagster", ("run",), "nothing is published; the next `lakehouse run` goes on from there."),
        ("pysail", ("run", "--dry-run"), "nothing was changed."),
    ],
)
def test_the_first_line_comes_before_what_is_slow(
    house: Lakehouse, start: Starter, module: str, arguments: tuple[str, ...], sentence: str
) -> None:
    """And while that loads, Ctrl-C ends it just the same."""
    command = start(*slow_import(module, *arguments), environment=house.environment)
    command.until("loading")
    assert "atch date 2025-04-15: 3 file(s) pending\n" in command.said
    command.send(signal.SIGINT)
    assert check_interrupted(house, command, signal.SIGINT) == f"Interrupted: {sentence}"
    assert house.versions() == {}


@pytest.mark.parametrize("arguments", [("restore", "--to", "2025-04-15"), ("resume",)])
def test_a_restore_that_waits_for_another_process(
    house: Lakehouse, start: Starter, arguments: tuple[str, ...]
) -> None:
    with Settings(root=str(house.root)).locks.one_writer("bronze.orders"):
        command = start("-m", "lakehouse_assets.cli", *arguments, environment=house.environment)
        command.until("waiting")
        command.send(signal.SIGINT)
        last = check_interrupted(house, command, signal.SIGINT)
    assert last.endswith("is finished by the next `lakehouse run` or `restore`.")


@pytest.mark.slow
def test_a_run_in_the_middle(house: Lakehouse, start: Starter) -> None:
    """Canceled on record, in the history, and the next run goes on from there."""
    command = start("-m", "lakehouse_assets.cli", "run", environment=house.environment)
    command.until("silver.orders")
    command.send(signal.SIGINT)
    last = check_interrupted(house, command, signal.SIGINT)
    told = re.fullmatch(
        r"Interrupted: (\d+) of 16 tables are published(, \S+ was at work)?; "
        r"the next `lakehouse run` goes on from there\.",
        last,
    )
    assert told, last
    assert 4 <= int(told[1]) < 10
    assert runs(house) == ["CANCELED"]
    assert "published in part" in house.ok("history")
    house.ok("run")
    assert runs(house) == ["SUCCESS", "CANCELED"]
    assert house.value("SELECT sum(revenue) FROM gold.daily_sales") == "25.01"
    assert "Nothing is pending" in house.ok("status")


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("moment", ["Batch date", "bronze", "gold.", "receipts", "rows removed"])
def test_a_run_in_a_terminal_at_drawn_moments(
    house: Lakehouse, start: Starter, number: signal.Signals, moment: str
) -> None:
    """From the first line to the last; the tables come out the same."""
    command = start(
        "-m", "lakehouse_assets.cli", "run", environment=house.environment, terminal=True
    )
    command.until(moment)
    command.read_for(int.from_bytes(os.urandom(2)) / 2**16 * 2)
    command.send(number)
    command.send(number)
    if command.end() == 0:  # it had come to its end
        assert "Interrupted" not in command.said
    else:
        check_interrupted(house, command, number)
    house.ok("run")
    assert house.value("SELECT sum(revenue) FROM gold.daily_sales") == "25.01"
    assert house.value("SELECT count(*) FROM silver.order_items") == 3


@pytest.mark.slow
def test_a_dry_run_and_a_replay(house: Lakehouse, start: Starter) -> None:
    """Each says what it means for it."""
    command = start("-m", "lakehouse_assets.cli", "run", "--dry-run", environment=house.environment)
    command.until("bronze.")
    command.send(signal.SIGINT)
    assert check_interrupted(house, command, signal.SIGINT) == "Interrupted: nothing was changed."
    # Its copy goes with the next maintenance, as a dead process's does.
    assert not [name for name in house.versions() if "/dry_run/" not in name]
    house.ok("run")
    command = start("-m", "lakehouse_assets.cli", "replay", "--all", environment=house.environment)
    command.until("silver.")
    command.send(signal.SIGTERM)
    assert "`lakehouse replay` again" in check_interrupted(house, command, signal.SIGTERM)


@pytest.mark.slow
def test_a_ui_in_the_background(house: Lakehouse, start: Starter) -> None:
    """A shell starts it deaf to Ctrl-C; SIGTERM ends it, and all that it has started."""
    with own_port() as port:
        command = start(
            *("-m", "lakehouse_assets.cli", "ui", "--port", str(port)),
            environment=house.environment,
            interrupt=signal.SIG_IGN,
        )
        command.until("The UI is ready")
        command.process.terminate()
        assert command.end(60) == 0
    until(lambda: not is_there(command.process.pid), 30, "the group is empty")


def is_there(group: int) -> bool:
    """Whether any process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
