"""The kinds of faults: each lets a small history happen, and something go wrong in it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from tests.support.object_store import Store
from tests.support.oracle import Accept, Land, Reinstate, Resume, Run, Withdraw
from tests.support.steps import Back, Maintain
from tests.torture._processes import FAILED, KILLED, OK, Hurt
from tests.torture._world import Asked, Author, HurtWorld

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DISK_BYTES = 64 * 2**20
_FULL = ("No space left", "os error 28", "StorageFull", "File too large", "os error 27")
_HOUR = 3600


@dataclass
class Tally:
    """What a scenario came to: faults by name, and runs and other commands that failed."""

    kind: str
    number: int
    faults: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    failed: int = 0
    stages: int = 0
    broken: str | None = None
    skipped: str | None = None
    seconds: float = 0.0


@dataclass
class Place:
    """What a worker has for its scenarios.

    ``private``: mounts of its own are seen by no one; ``small``: one round of events, and a run.
    """

    spark: SparkSession
    store: Store
    clock: Clock | None
    private: bool
    small: bool


@dataclass
class Scene:
    """One scenario: a world, who writes its history, and what is counted."""

    world: HurtWorld
    author: Author
    random: Random
    tally: Tally
    place: Place

    def ask(self, asked: Asked, strike: Callable[[Hurt], None] | None = None, **more: Any) -> int:
        """Have a process do something; how it ended."""
        code = self.world.ask(asked, strike, **more)
        self.tally.asked += 1
        self.tally.failed += code in {FAILED, KILLED}
        return code

    def happen(self, ask: Callable[[Asked], object], share: float, most: int = 6) -> None:
        """Let things happen; so many of them under faults, and then again if need be."""
        for step in self.author.happenings(2, most):
            if isinstance(step, Land | Withdraw | Reinstate | Accept):
                known = len(self.world.events)
                if self.random.random() < share:
                    ask(step)
                if any(e is step for e in self.world.events[known:]):
                    continue
            self.world.apply(step)

    def rounds(self, most: int) -> range:
        """How often something happens and is run."""
        rounds = self.random.randint(2, most)
        return range(1 if self.place.small else rounds)

    def run_clean(self, run: Run) -> None:
        """A run that nothing befalls, compared."""
        self.world.apply(run)
        self.world.compare(run)

    def there_and_back(self, ask: Callable[[Asked], object]) -> None:
        """A restore and its end under faults, perhaps a run in between."""
        if not self.world.points:
            return
        ask(Back(self.random.randrange(min(3, self.world.points))))
        if self.random.random() < 0.5:
            self.run_clean(Run())
        if self.world.restored:
            ask(Resume())


# ------------------------------------------------------------------------------------------ kill


def kill(scene: Scene) -> None:
    """Killed, started again, killed again: runs, landings, decisions, restores, maintenance."""
    random, world = scene.random, scene.world
    layers = ("bronze", "silver", "silver", "rejected", "gold", "ledger", "ledger")

    def hurt(asked: Asked, files: int, times: int) -> None:
        """Kill it that often, within so many new files, unless it comes to its end."""
        for _ in range(times):
            kind = random.choice(["file", "seconds", "log", *layers])
            count: float = random.randint(1, {"file": files, "log": 1 + files // 3}.get(kind, 6))
            count = random.uniform(0.02, files / 50) if kind == "seconds" else count

            def strike(process: Hurt, kind: str = kind, count: float = count) -> None:
                if process.until(kind, count):
                    process.kill()

            code = scene.ask(asked, strike, watch=True)
            if code != KILLED:
                assert code != FAILED, f"{asked} failed without a fault:\n{world.last.said()}"
                return
            scene.tally.faults[world.last.task.do] += 1
            if isinstance(asked, Run) and random.random() < 0.7:
                event = scene.author.aftermath()
                if world.indifferent([], event):
                    world.apply(event)

    def little(asked: Asked) -> None:
        hurt(asked, 12, random.randint(1, 3))

    world.apply(*scene.author.files())
    for _ in scene.rounds(3):
        scene.happen(lambda step: hurt(step, 2, 1), 0.3)
        run = Run(scene.author.dates())
        hurt(run, 60, random.randint(3, 7))
        scene.run_clean(run)
        if random.random() < 0.6:
            scene.there_and_back(little)
        if random.random() < 0.4:
            hurt(Maintain(), 40, 2)


# --------------------------------------------------------------------------------------- storage


def storage(scene: Scene) -> None:
    """The object store fails, and loses its answers."""
    random, world, store = scene.random, scene.world, scene.place.store
    env = store.environment(failing=True)

    def hurt(asked: Asked) -> int:
        reads = random.choice([0.002, 0.005, 0.01])  # one run makes thousands of them
        commits = random.choice([0.1, 0.2]) if isinstance(asked, Run) else 0.5
        counts = store.fail(Random(random.random()), reads, 4 * reads, commits)
        try:
            return scene.ask(asked, env=env)
        finally:
            store.heal()
            scene.tally.faults += counts

    world.apply(*scene.author.files())
    for _ in scene.rounds(2):
        scene.happen(hurt, 0.5, 4)
        run = Run(scene.author.dates())
        for _ in scene.rounds(4):
            if hurt(run) == OK:
                break
        scene.run_clean(run)
        if random.random() < 0.3:
            scene.there_and_back(hurt)
        if random.random() < 0.2:
            hurt(Maintain())


# ------------------------------------------------------------------------------------------ disk


def disk(scene: Scene) -> None:
    """The disk is full, and then is not."""
    random, world = scene.random, scene.world

    def hurt(asked: Asked) -> int:
        free = int(4096 * 2 ** random.uniform(0, 8))
        if scene.place.private:
            with _full(world.root / "lake", free):
                code = scene.ask(asked)
        else:
            code = scene.ask(asked, largest_file=free // 8)
        if code == FAILED:
            scene.tally.faults["no space" if scene.place.private else "file too large"] += 1
            said = world.last.said()
            assert any(text in said for text in _FULL), f"{asked} failed otherwise:\n{said}"
        return code

    world.apply(*scene.author.files())
    for _ in scene.rounds(3):
        scene.happen(hurt, 0.3)
        run = Run(scene.author.dates())
        for _ in scene.rounds(4):
            if hurt(run) == OK:
                break
        scene.run_clean(run)
        if random.random() < 0.4:
            scene.there_and_back(hurt)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own for a folder."""
    libc = ctypes.CDLL(None, use_errno=True)
    target = os.fsencode(folder)
    if libc.mount(b"tmpfs", target, b"tmpfs", 0, f"size={_DISK_BYTES}".encode()):
        raise OSError(ctypes.get_errno(), f"cannot mount {folder}")
    try:
        yield
    finally:
        libc.umount2(target, 2)  # lazily: Sail may have a file open


@contextmanager
def _full(folder: Path, free: int) -> Iterator[None]:
    """A file of ballast that leaves so many bytes."""
    ballast = folder / ".ballast"
    found = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail * found.f_frsize - free))
    try:
        yield
    finally:
        ballast.unlink()


# --------------------------------------------------------------------------------------- writers


def writers(scene: Scene) -> None:
    """Two runs at once while people land and decide; one of them is stopped for a while."""
    random, world, author = scene.random, scene.world, scene.author
    world.apply(*author.files())
    scene.run_clean(Run())
    for _ in scene.rounds(3):
        _land_at_once(scene)
        for step in author.happenings(1, 4):
            world.apply(step)
        run = Run(author.dates())
        other = run if random.random() < 0.5 else Run(author.dates())
        first = world.start(run, watch=True)
        second = world.start(other)
        scene.tally.faults["two runs"] += first.process.is_alive()
        later: list[Any] = []
        for _ in range(random.randint(1, 3)):
            stopped = first.until("file", random.randint(1, 12))
            if stopped:
                first.signal(signal.SIGSTOP)
                scene.tally.faults["stopped"] += 1
                time.sleep(random.uniform(0, 0.3))
            event = author.event(new=random.random() < 0.5)
            if world.indifferent(later, event):
                scene.tally.faults["event"] += first.process.is_alive() or second.process.is_alive()
                # To the oracle, with what has come meanwhile; to the list, after both runs.
                before, world.events = world.events, [*world.events, *later, event]
                world._apply(event)
                world.events = before
                later.append(event)
            if stopped:
                first.signal(signal.SIGCONT)
        for process in (first, second):
            code = process.wait()
            scene.tally.asked += 1
            scene.tally.failed += code != OK
            assert code == OK, f"a run beside another failed:\n{process.said()}"
        world.events += later
        scene.run_clean(Run())


def _land_at_once(scene: Scene) -> None:
    """Four processes append to the ledger; each lands files that no other does."""
    lands = [scene.author.event(new=True, land=True) for _ in range(12)]
    unlike = {land.path: land for land in lands if isinstance(land, Land)}
    processes = [scene.world.start(land) for land in [*unlike.values()][:4]]
    scene.tally.faults["appends at once"] += len(processes) - 1
    for process, land in zip(processes, [*unlike.values()], strict=False):
        scene.tally.asked += 1
        assert process.wait() == OK, f"a landing beside others failed:\n{process.said()}"
        scene.world.events.append(land)


# ----------------------------------------------------------------------------------------- clock

_SHIFTED = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shift;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    shift = found == MAP_FAILED ? 0 : found;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && shift && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *shift;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""


@dataclass(frozen=True)
class Clock:
    """The wall clock of all processes that start with these variables, as a file says."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be told wrong."""
        return {
            "LD_PRELOAD": str(self.folder / "clock.so"),
            "FAULTS_CLOCK": str(self.folder / "shift"),
        }

    def shift(self, seconds: int) -> None:
        """Be so many seconds off from now on."""
        with (self.folder / "shift").open("r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))

    @classmethod
    def build(cls, folder: Path) -> Clock | None:
        """Compile the library, and see that it works; None without a compiler."""
        (folder / "clock.c").write_text(_SHIFTED)
        (folder / "shift").write_bytes(bytes(8))
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", "clock.so", "clock.c"]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        made = cls(folder)
        made.shift(-24 * _HOUR)
        told = subprocess.check_output(["date", "+%s"], env={**os.environ, **made.environment})
        made.shift(0)
        assert 23 * _HOUR < time.time() - int(told) < 25 * _HOUR, "the clock stays right"
        return made


def clock(scene: Scene) -> None:
    """The clock jumps by hours or days, between runs and during them."""
    random, world, shifted = scene.random, scene.world, scene.place.clock
    if shifted is None:
        scene.tally.skipped = "no C compiler (cc) to make a wrong clock with"
        return

    def jump() -> None:
        # Within the thirty days that are kept: beyond, a restore may rightly be refused.
        hours = random.choice([1, 5, 24, 240])
        shifted.shift(random.choice([-1, 1]) * random.randint(1, hours) * _HOUR)
        scene.tally.faults["jump"] += 1

    def hurt(asked: Asked) -> None:
        jump()
        moments = [random.randint(1, 15) for _ in range(random.randint(0, 2))]

        def strike(process: Hurt) -> None:
            for files in moments:
                if process.until("file", files):
                    jump()

        code = scene.ask(asked, strike, watch=True)
        assert code != FAILED, f"{asked} failed for a wrong clock:\n{world.last.said()}"

    try:
        world.apply(*scene.author.files())
        for _ in scene.rounds(3):
            scene.happen(hurt, 0.6)
            hurt(Run(scene.author.dates()))
            if random.random() < 0.6:
                scene.there_and_back(hurt)
            if random.random() < 0.4:
                hurt(Maintain())
    finally:
        shifted.shift(0)


KINDS = {"storage": storage, "kill": kill, "writers": writers, "disk": disk, "clock": clock}
