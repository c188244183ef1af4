"""Says where the UI is once it answers, keeps others away, and ends it when its folder is removed.

``python ui_watcher.py URL FILE LOCK``, FILE being one of that folder. Holds the lock, with the URL
beside it, and ends with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from filelock import FileLock, Timeout

PLACE = ".url"
"""Ending of the file beside a UI's lock that says where it is."""


def announce(url: str, parent: int) -> None:
    """Wait until the webserver answers and say so; say nothing where the parent ends before."""
    while os.getppid() == parent:
        try:
            with urlopen(f"{url}/server_info", timeout=5):  # noqa: S310 - our own webserver
                print(f"\nThe UI is ready: {url} (Ctrl-C ends it)\n", flush=True)  # noqa: T201
                return
        except (URLError, OSError):
            time.sleep(0.3)


def watch(file: Path, parent: int) -> None:
    """Wait until a file is gone; then end the parent, as Ctrl-C does."""
    while os.getppid() == parent:
        if not file.exists():
            print(  # noqa: T201
                f"{file.parent}: the folder has been removed, and the UI ends; "
                "start it again with lakehouse ui",
                file=sys.stderr,
                flush=True,
            )
            os.kill(parent, signal.SIGINT)
            return
        time.sleep(0.3)


def say_that_it_ends(*_: object) -> None:
    """What Ctrl-C begins takes its time; this process ends with its parent."""
    # As all that this process says, it is for the terminal.
    print("\nThe UI ends; this takes some seconds ...", file=sys.stderr, flush=True)  # noqa: T201


def held(lock: Path) -> str | None:
    """Where the UI is that holds a lock; None where none does."""
    try:
        with FileLock(lock).acquire(timeout=0):
            return None
    except Timeout:
        return lock.with_suffix(PLACE).read_text(encoding="utf-8")


def main(url: str, file: Path, lock: Path) -> None:
    """Watch over the UI that this process's parent is."""
    begun_by = os.getppid()
    # Two of them on one instance would warn of each other's daemon for ever.
    with FileLock(lock).acquire():
        lock.with_suffix(PLACE).write_text(url, encoding="utf-8")
        announce(url, begun_by)
        watch(file, begun_by)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, say_that_it_ends)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
