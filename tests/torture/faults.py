"""Faults from outside the product: `python -m tests.torture.faults --count N --seed S [--kind K]`.

Processes are killed, the object store fails or loses its answers, the disk is full, writers meet,
the clock jumps. After any of that one clean run of what is pending must end where the oracle
does, and nothing that says it is done may be wrong. Scenarios are played until so many faults
have happened; prints what became of them, and ends with 1 where an invariant is broken. A
scenario is drawn from kind, seed and number: `--kind kill --seed 7 --only 12` plays it again, as
far as timing lets it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Table

from tests.support import PROJECT

if TYPE_CHECKING:
    from tests.torture._scenarios import Place, Tally

SHARES = {"storage": 0.5, "kill": 0.33, "writers": 0.07, "disk": 0.05, "clock": 0.05}
_SHOWN = 20
_WORKERS = 2


def main() -> None:
    """Let faults happen, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000, help="faults, about")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=SHARES, help="only these")
    parser.add_argument("--only", type=int, help="only the scenario of this number")
    parser.add_argument("--each", type=int, help="so many scenarios of each kind, instead")
    parser.add_argument("--workers", type=int, default=_WORKERS)
    parser.add_argument("--minutes", type=float, help="begin no scenario after so many")
    parser.add_argument("--small", action="store_true", help="shorter histories")
    parser.add_argument("--json", action="store_true", help="a line for each scenario instead")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--private", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        _work(options.seed, private=options.private, small=options.small)
    if options.only is not None and not options.kind:
        parser.error("--only needs --kind")
    shares = {options.kind: 1.0} if options.kind else dict(SHARES)
    desk = Desk(shares, options.count, options.each, options.only)
    if options.minutes:
        desk.closes = time.monotonic() + 60 * options.minutes
    started = time.perf_counter()
    _employ(desk, options.seed, options.workers, small=options.small)
    idle = desk.idle() if options.only is None else []
    for kind in idle:
        print(f"{kind}: no fault happened, so nothing is shown", file=sys.stderr)
    if options.json:
        for tally in desk.done:
            print(json.dumps(tally))
        sys.exit(bool(desk.dead or idle or any(it["broken"] for it in desk.done)))
    broken = [it for it in desk.done if it["broken"]]
    _print(desk.done, time.perf_counter() - started)
    for line in sorted({f"{it['kind']}: skipped: {it['skipped']}" for it in desk.done}):
        if not line.endswith("None"):
            print(line)
    for it in broken[:_SHOWN]:
        print(f"--kind {it['kind']} --seed {options.seed} --only {it['number']}: {it['broken']}")
    if len(broken) > _SHOWN:
        print(f"and {len(broken) - _SHOWN:,} more")
    sys.exit(bool(broken or desk.dead or idle))


# ------------------------------------------------------------------------------------- the desk


class Desk:
    """Says which scenario is next, and keeps what came of each."""

    def __init__(
        self, shares: dict[str, float], count: int, each: int | None, only: int | None
    ) -> None:
        self.done: list[dict[str, Any]] = []
        self.dead = 0
        self.closes = float("inf")
        self._shares, self._count = shares, count
        self._next = Counter(dict.fromkeys(shares, only or 0))
        self._last = None if each is None else each
        self._last = only + 1 if only is not None else self._last
        self._lock = threading.Lock()

    def next(self) -> tuple[str, int] | None:
        """The kind that lags behind its share most, and the scenario's number."""
        with self._lock:
            kinds = [k for k in self._shares if self._last is None or self._next[k] < self._last]
            faults = {k: self._faults(k) for k in self._shares}
            enough = self._last is None and sum(faults.values()) >= self._count
            if not kinds or enough or time.monotonic() > self.closes:
                return None
            kind = min(kinds, key=lambda k: (faults[k] / self._shares[k], self._next[k]))
            self._next[kind] += 1
            return kind, self._next[kind] - 1

    def _faults(self, kind: str) -> float:
        """Its faults so far, and what is to be expected of scenarios under way."""
        mine = [it for it in self.done if it["kind"] == kind]
        found = sum(sum(it["faults"].values()) for it in mine)
        if any(it["skipped"] for it in mine):
            return float("inf") if self._last is None else 0
        under_way = self._next[kind] - len(mine) if self._last is None else 0
        return found + under_way * (found / len(mine) if mine else 10)

    def idle(self) -> list[str]:
        """Kinds of which no fault has happened, though nothing that this machine lacks is why."""
        demanded = bool(os.environ.get("TESTS_DEMAND_ALL"))
        busy = {
            it["kind"]
            for it in self.done
            if sum(it["faults"].values()) or (it["skipped"] and not demanded)
        }
        return [kind for kind in self._shares if kind not in busy]

    def put(self, tally: dict[str, Any]) -> None:
        """Keep what came of a scenario."""
        with self._lock:
            self.done.append(tally)


def _employ(desk: Desk, seed: int, count: int, *, small: bool) -> None:
    """Let workers play what the desk says; every one of them is ended, whatever happens."""
    private = subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode == 0
    command = [sys.executable, "-m", "tests.torture.faults", "--work", "--seed", str(seed)]
    command += ["--small"] * small
    if private:  # a mount namespace for disks of their own
        command = ["unshare", "-rm", *command, "--private"]
    workers = [
        subprocess.Popen(
            command, cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(count)
    ]
    threads = [threading.Thread(target=_serve, args=(desk, it), daemon=True) for it in workers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def _serve(desk: Desk, worker: subprocess.Popen[str]) -> None:
    assert worker.stdin
    assert worker.stdout
    while scenario := desk.next():
        with contextlib.suppress(BrokenPipeError):
            print(*scenario, file=worker.stdin, flush=True)
        answer = worker.stdout.readline()
        if not answer:
            print(f"the worker died that played {scenario}", file=sys.stderr)
            desk.dead += 1
            return
        tally = json.loads(answer)
        desk.put(tally)
        if sys.stderr.isatty():
            print(f"{sum(sum(it['faults'].values()) for it in desk.done):,}", end="\r")
    worker.stdin.close()
    worker.wait()


def _print(done: list[dict[str, Any]], seconds: float) -> None:
    shown = Table("kind", show_footer=True)
    columns = ("scenarios", "faults", "commands", "failed", "stages left", "broken")
    for name in columns:
        shown.add_column(name, justify="right")
    shown.add_column("seconds", justify="right")
    shown.add_column("of which")
    total: Counter[str] = Counter()
    for kind in SHARES:
        mine = [it for it in done if it["kind"] == kind]
        if not mine:
            continue
        faults = sum((Counter(it["faults"]) for it in mine), Counter())
        count = Counter(
            {
                "scenarios": len(mine),
                "faults": sum(faults.values()),
                "commands": sum(it["asked"] for it in mine),
                "failed": sum(it["failed"] for it in mine),
                "stages left": sum(it["stages"] for it in mine),
                "broken": sum(bool(it["broken"]) for it in mine),
            }
        )
        named = ", ".join(f"{n} {name}" for name, n in faults.most_common())
        spent = sum(it["seconds"] for it in mine)
        shown.add_row(kind, *(f"{count[c]:,}" for c in columns), f"{spent:.0f}", named)
        total += count
    for column, name in zip(shown.columns[1:], columns, strict=False):
        column.footer = f"{total[name]:,}"
    shown.columns[0].footer = "all"
    shown.columns[-2].footer = f"{seconds:.0f}"
    Console(width=140).print(shown)


# ------------------------------------------------------------------------------------ the workers


def _work(seed: int, *, private: bool, small: bool) -> NoReturn:
    """Play the scenarios that are read, a line each; a line of JSON says what came of each."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory(prefix="lakehouse-faults-") as folder:
        try:
            with _place(Path(folder), private=private, small=small) as place:
                for line in sys.stdin:
                    kind, number = line.split()
                    tally = _play(kind, seed, int(number), Path(folder), place)
                    print(json.dumps(vars(tally)), file=answers, flush=True)
        except Exception:  # noqa: BLE001 - there is no one else to tell
            traceback.print_exc()
        finally:
            from tests.torture import _processes

            _processes.end_all()
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)  # Sail's threads need no farewell


@contextlib.contextmanager
def _place(folder: Path, *, private: bool, small: bool) -> Iterator[Place]:
    from resources.engines import SailEngine
    from tests.support.object_store import Store
    from tests.support.processes import die_with_parent
    from tests.torture import _processes
    from tests.torture._scenarios import Clock, Place

    die_with_parent(signal.SIGTERM)
    clock = Clock.build(folder)
    wrong = clock.environment if clock else {}
    os.environ.update(wrong)
    _processes.start_server()
    for name in wrong:
        del os.environ[name]
    with Store() as store:
        os.environ.update(store.environment(failing=False))
        yield Place(SailEngine().session(), store, clock, private, small)


def _play(kind: str, seed: int, number: int, folder: Path, place: Place) -> Tally:
    """One scenario, from an empty lake to its last comparison."""
    from resources.s3_storage import S3Storage
    from tests.support.object_store import BUCKET
    from tests.torture._scenarios import KINDS, Scene, Tally, small_disk
    from tests.torture._world import Author, HurtWorld

    tally = Tally(kind, number)
    random = Random(f"{kind} {seed} {number}")
    root = folder / f"{kind}-{number}"
    root.mkdir()
    remote = S3Storage(f"s3://{BUCKET}/{number}") if kind == "storage" else None
    started = time.perf_counter()
    try:
        with contextlib.ExitStack() as around:
            world = around.enter_context(HurtWorld(root, place.spark, storage=remote))
            if kind == "disk" and place.private:
                around.enter_context(small_disk(root / "lake"))
            scene = Scene(world, Author(random), random, tally, place)
            try:
                KINDS[kind](scene)
                world.end()
            finally:
                tally.stages = world.left_stages
    except AssertionError as fault:
        tally.broken = f"{fault}"[:3000] or traceback.format_exc()[-1500:]
    except Exception:  # noqa: BLE001 - what a clean run raises is a broken promise
        tally.broken = traceback.format_exc()[-3000:]
    from tests.torture import _processes

    _processes.end_all()
    if remote:
        place.store.clear()
    shutil.rmtree(root, ignore_errors=True)
    tally.seconds = round(time.perf_counter() - started, 2)
    return tally


if __name__ == "__main__":
    main()
