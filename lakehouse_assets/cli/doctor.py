"""What this machine has, what it lacks, and how to get it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.settings import Settings

JAVA = 17


@dataclass(frozen=True)
class Finding:
    """One thing looked at. What is ``needed`` and not ``ok`` keeps the lakehouse from running."""

    what: str
    ok: bool
    found: str
    advice: str = ""
    needed: bool = True


def examine(settings: Settings) -> list[Finding]:
    """Look at everything that the lakehouse can use."""
    return [_python(), *_packages(), _root(settings), _sail(), java(), chromium()]


def java() -> Finding:
    """Java 17, which the spark engine needs; the embedded engine does not."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    advice = f"for LAKEHOUSE_ENGINE=spark install Java {JAVA} (Debian: openjdk-{JAVA}-jre-headless)"
    what = "Java (engine spark)"
    if program is None:
        return Finding(what, ok=False, found="none", advice=advice, needed=False)
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.search(r'version "(\d+)', told.stderr)
    found = match.group(1) if match else "unknown"
    ok = found == str(JAVA)
    return Finding(what, ok=ok, found=found, advice="" if ok else advice, needed=False)


def chromium() -> Finding:
    """A browser for the screenshots of the UI tests."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    advice = "" if program else "for the UI's screenshots install Debian's chromium"
    return Finding(
        "Chromium (screenshots)",
        ok=bool(program),
        found=program or "none",
        advice=advice,
        needed=False,
    )


def _python() -> Finding:
    ok = (3, 11) <= sys.version_info[:2] < (3, 14)
    advice = "" if ok else "use Python 3.11, 3.12 or 3.13"
    return Finding("Python", ok=ok, found=sys.version.split()[0], advice=advice)


def _packages() -> list[Finding]:
    found = []
    for name in ("dagster", "pyspark", "delta-spark", "pysail", "deltalake", "duckdb"):
        try:
            found.append(Finding(name, ok=True, found=version(name)))
        except PackageNotFoundError:
            found.append(Finding(name, ok=False, found="none", advice="run `make install`"))
    return found


def _root(settings: Settings) -> Finding:
    root = settings.local
    there = root
    while not there.exists():
        there = there.parent
    ok = os.access(there, os.W_OK)
    name = "LAKEHOUSE_HOME" if settings.root.startswith("s3://") else "LAKEHOUSE_ROOT"
    advice = "" if ok else f"set {name} to a folder that you can write to"
    if ok and not settings.is_placed:
        advice = "lakehouse init makes one here; --root names another"
        return Finding("lakehouse", ok=True, found="none here or above", advice=advice)
    return Finding(name, ok=ok, found=str(root), advice=advice)


def _sail() -> Finding:
    try:
        import pysail._native  # noqa: F401, PLC0415
    except ImportError as error:
        return Finding("engine sail", ok=False, found=str(error), advice="run `make install`")
    return Finding("engine sail", ok=True, found="can run")
