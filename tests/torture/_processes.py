"""Processes that are hurt on purpose: what one does, how it ends, and when to strike.

Each is forked from a server that has imported everything and started nothing: an attempt costs
its own work only. Linux only: new files are told by inotify.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import select
import signal
import struct
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NoReturn, Self

from lakehouse_assets.operations import decide, restore
from lakehouse_assets.operations.land import land
from lakehouse_assets.operations.maintenance import maintain
from lakehouse_assets.planning import pending_files
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.registry import DATASETS, DERIVED, table_ids
from resources.runners import LocalRunner, runner
from resources.settings import Settings
from tests.support import PROJECT, histories
from tests.support.processes import die_with_parent

RULES = {"normal": histories.NORMAL, "strict": histories.STRICT, "lax": histories.LAX}
OK, REFUSED, FAILED, UNSOUND, KILLED = 0, 3, 4, 5, -signal.SIGKILL
PATIENCE = 180.0
"""Seconds after which a process counts as hanging."""

_SOUND = ("accounting", "keys_unique", "structure", "grain_unique")
_libc = ctypes.CDLL(None, use_errno=True)


class UnsoundError(Exception):
    """A run that found its own tables wrong."""


@dataclass(frozen=True)
class Task:
    """What a process does, by the name of a function below; plain data, so that it travels."""

    do: str
    args: tuple[Any, ...]
    env: dict[str, str]
    rules: str
    log: Path
    largest_file: int | None = None
    """Bytes that a file may have: a disk that is full where none can be mounted."""


# ----------------------------------------------------------------------------- what processes do


def _main(task: Task) -> NoReturn:
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    log = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(task.env)
    RULES[task.rules].install(dict(DATASETS))
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    code = OK
    failure: BaseException | None = None
    try:
        if task.largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (task.largest_file, largest[1]))
        _ACTIONS[task.do](*task.args)
    except (decide.DecisionError, restore.RestoreError) as refusal:
        code, failure = REFUSED, refusal
    except UnsoundError as unsound:
        code, failure = UNSOUND, unsound
    except BaseException as error:  # noqa: BLE001 - told by the exit code
        code, failure = FAILED, error
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)  # the log is a file, too
    if code != OK:
        traceback.print_exception(failure)
    sys.stderr.flush()
    os._exit(code)  # Sail's threads need no farewell


def _ledger() -> Ledger:
    return Ledger(Settings.load().lake())


def _run(dates: list[date] | None, tables: tuple[str, ...] | None = None) -> None:
    """What `lakehouse run` does, without Dagster."""
    ledger = _ledger()
    if dates is None:
        pending = pending_files.of(ledger, DATASETS, DERIVED)
        if not pending and not ledger.state().unfinished:
            return
        dates = pending.due or [pending.newest]
    run_id = uuid.uuid4().hex
    local = runner(Settings.load())
    assert isinstance(local, LocalRunner)
    for table in tables or table_ids():
        for check in local.run_here(table, dates, run_id).checks:
            sound = check.name in _SOUND and not table.startswith("bronze.")
            if not check.passed and (sound or check.name.startswith("sums_")):
                raise UnsoundError(f"{table}: {check}")
    restore.close(ledger.lake, run_id, sorted(map(str, dates)))


def _land(*files: tuple[str, str, date]) -> None:
    ledger = _ledger()
    for source, dataset, day in files:
        land(ledger, Path(source), dataset, day)


def _withdraw(path: FilePath) -> None:
    decide.withdraw(_ledger(), path)


def _reinstate(path: FilePath) -> None:
    decide.reinstate(_ledger(), path)


def _accept(path: FilePath) -> None:
    decide.accept(_ledger(), path, "a test")


def _restore(to: str) -> None:
    with Settings.load().locks.all_tables():
        restore.restore(_ledger(), to, uuid.uuid4().hex)


def _resume() -> None:
    with Settings.load().locks.all_tables():
        restore.resume(_ledger(), uuid.uuid4().hex)


def _maintain() -> None:
    settings = Settings.load()
    maintain(settings.lake(), uuid.uuid4().hex, settings.locks.one_writer)


_ACTIONS: dict[str, Callable[..., None]] = {
    "run": _run,
    "land": _land,
    "withdraw": _withdraw,
    "reinstate": _reinstate,
    "accept": _accept,
    "restore": _restore,
    "resume": _resume,
    "maintain": _maintain,
}


# ------------------------------------------------------------------------- starting and ending


def start_server() -> None:
    """Import everything once; what `LD_PRELOAD` says now holds for all processes."""
    os.environ["PYTHONPATH"] = str(PROJECT)
    _context.set_forkserver_preload(
        ["pyspark.sql.connect.session", "pysail.spark", "boto3", "tests.torture._processes"]
    )
    _context.Process(target=_nothing).start()


def _nothing() -> None:
    pass


_context = multiprocessing.get_context("forkserver")
_alive: set[ForkServerProcess] = set()


class Hurt:
    """A process at work on a lake, to be killed or stopped at a moment of its."""

    def __init__(self, task: Task, watched: Path | None = None) -> None:
        self.task = task
        self._files = NewFiles(watched) if watched else None
        self._ended_by = time.monotonic() + PATIENCE
        self.process = _context.Process(target=_main, args=(task,))
        self.process.start()
        _alive.add(self.process)

    def until(self, kind: str, count: float) -> bool:
        """Wait for its nth new file, or for seconds; whether it is still at work.

        ``kind`` is "file" for any, "log" for those of Delta logs, a layer for its tables' logs.
        """
        deadline = self._ended_by
        if kind == "seconds":
            deadline = min(deadline, time.monotonic() + count)
        inotify = [self._files.fd] if self._files and kind != "seconds" else []
        seen = 0
        while (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self.process.sentinel, *inotify], [], [], left)
            if self._files and self._files.fd in ready:
                for file in self._files.read():
                    log = file.parent.name == "_delta_log"
                    seen += kind == "file" or (log and (kind == "log" or kind in file.parts))
                    if seen >= count:
                        return True
            elif ready:
                return False
        return kind == "seconds"

    def kill(self) -> None:
        """End it as nothing can be prepared for."""
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self.process.pid:
            os.kill(self.process.pid, number)

    def wait(self) -> int:
        """How it ended; one that does not is killed and said to hang."""
        self.process.join(max(0.0, self._ended_by - time.monotonic()))
        hangs = self.process.is_alive()
        if hangs:
            self.process.kill()
            self.process.join()
        _alive.discard(self.process)
        if self._files:
            self._files.close()
        assert not hangs, f"{self.task.do} did not end in {PATIENCE:.0f} s"
        assert self.process.exitcode is not None
        return self.process.exitcode

    def said(self) -> str:
        """The end of what it wrote."""
        return self.task.log.read_text(errors="replace")[-1500:] if self.task.log.exists() else ""


def end_all() -> None:
    """Kill what this process has started and not waited for."""
    for process in _alive:
        process.kill()


@dataclass
class NewFiles:
    """Files that appear below a folder, told at once."""

    root: Path
    fd: int = field(init=False)
    _folders: dict[int, Path] = field(default_factory=dict)
    _seen: set[Path] = field(default_factory=set)

    _CREATED, _MOVED_TO, _IS_FOLDER = 0x100, 0x80, 0x40000000

    def __post_init__(self) -> None:
        self.fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._seen.update(self._watch(self.root))

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """Watch no more."""
        os.close(self.fd)

    def read(self) -> Iterator[Path]:
        """What has appeared since the last time, each path once."""
        try:
            told = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at < len(told):
            folder, mask, _, length = struct.unpack_from("iIII", told, at)
            name = told[at + 16 : at + 16 + length].rstrip(b"\0").decode()
            at += 16 + length
            path = self._folders[folder] / name if folder in self._folders else None
            if path is None:
                continue
            for file in self._watch(path) if mask & self._IS_FOLDER else [path]:
                if file not in self._seen:
                    self._seen.add(file)
                    yield file

    def _watch(self, folder: Path) -> Iterator[Path]:
        """Watch a folder and all below it; what is there already."""
        mask = self._CREATED | self._MOVED_TO
        descriptor = _libc.inotify_add_watch(self.fd, os.fsencode(folder), mask)
        if descriptor < 0:  # gone again
            return
        self._folders[descriptor] = folder
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from self._watch(Path(entry.path))
            else:
                yield Path(entry.path)
