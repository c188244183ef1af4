"""Whether anything that is installed has a known vulnerability.

    python -m deploy.audit PIP_AUDIT

Every lock, by pip-audit. A package that could not be looked up fails as well: by itself pip-audit
passes over those, and reports "no known vulnerabilities" where it has looked at nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
EXPLAINED: Final[dict[str, str]] = {}
"""Vulnerabilities that stay, each with the reason why it cannot be met here: id → reason."""


def locks() -> list[Path]:
    """Every lock that something is installed from."""
    return [PROJECT / "requirements.lock", *sorted(PROJECT.glob("deploy/**/*.lock"))]


def command(program: str, lock: Path) -> list[str]:
    """How a lock is looked at."""
    ignored = [word for name in EXPLAINED for word in ("--ignore-vuln", name)]
    return [program, "--strict", "--require-hashes", "--disable-pip", "--progress-spinner", "off",
            *ignored, "--requirement", str(lock)]  # fmt: skip


def main(program: str) -> int:
    """Look at every lock, to the last; 1 where one is not clean."""
    found = 0
    for lock in locks():
        sys.stdout.write(f"{lock.relative_to(PROJECT)}\n")
        sys.stdout.flush()
        found |= subprocess.run(command(program, lock), check=False).returncode  # noqa: S603 - programs of ours
    for name, reason in EXPLAINED.items():
        sys.stdout.write(f"{name} stays: {reason}\n")
    return int(found != 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
