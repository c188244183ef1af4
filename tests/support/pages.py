"""The commands that stand on a page, run as a reader would: one after the other, in one folder."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import SkipTest

from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser, SkipParser
from sybil.typing import Parser

from tests.support import PROJECT

_ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_ENDS = re.compile(r"# ends with (\d+)")


class Reader:
    """Someone who follows a page in a terminal, whose folder and variables stay between commands.

    ``console`` blocks hold commands, each behind ``$``, and below it what it prints, where ``...``
    stands for anything or nothing; without a line below it, it may print what it likes. A command
    ends with 0, or as its own comment says: ``# ends with 1``. ``bash`` blocks are pasted whole.
    ``python`` blocks are written to the file that their first line names. A block under
    ``<!-- skip: next "why" -->`` is not run. ``meant`` makes of a command what this reader must
    type instead, such as a name of his own.
    """

    def __init__(self, folder: Path, meant: Callable[[str], str] = lambda command: command) -> None:
        self.folder = folder
        self._cwd = folder
        self._environment = variables(folder)
        self._meant = meant
        self.ran: list[str] = []
        self.skipped: list[str] = []

    def follow(self, page: Path) -> None:
        """Do all that the page says, its commands into ``ran`` and ``skipped``.

        Raises SybilFailure at the line where something is not as the page says.
        """
        parsers: list[Parser] = [
            SkipParser(),
            CodeBlockParser("console", self._console),
            CodeBlockParser("bash", self._bash),
            CodeBlockParser("python", self._python),
        ]
        for example in Document.parse(str(page), *parsers).examples():
            try:
                example.evaluate()
            except SkipTest:
                self.skipped += [command for command, _ in _commands(example.parsed)]

    def type(self, command: str) -> tuple[int, str]:
        """Run a command; returns how it ended, and all that it printed."""
        state = self.folder / ".shell"
        done = subprocess.run(
            ["bash", "-c", f"set -a; trap '(env -0; pwd) > \"{state}\"' EXIT\n{command}"],
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        *variables, cwd = state.read_text().split("\0")
        self._environment = dict(v.split("=", 1) for v in variables)
        self._cwd = Path(cwd.strip())
        return done.returncode, done.stdout

    def _console(self, example: Example) -> str | None:
        for command, wanted in _commands(example.parsed):
            self.ran.append(command)
            code, printed = self.type(self._meant(command))
            ends = _ENDS.search(command)
            if code != int(ends[1] if ends else 0):
                return f"$ {command}\nends with {code}:\n{printed}"
            checker = doctest.OutputChecker()
            if wanted and not checker.check_output(wanted, printed, _ALIKE):
                shown = doctest.Example(command, wanted)
                return f"$ {command}\n{checker.output_difference(shown, printed, _ALIKE)}"
        return None

    def _bash(self, example: Example) -> str | None:
        self.ran.append(example.parsed.splitlines()[0])
        code, printed = self.type(f"set -e\n{example.parsed}")
        return f"ends with {code}:\n{printed}" if code else None

    def _python(self, example: Example) -> str | None:
        first = example.parsed.splitlines()[0]
        file = self.folder / first.removeprefix("# ")
        if not first.startswith("# ") or not file.parent.is_dir():
            return f"its first line names no file: {first}"
        file.write_text(example.parsed)
        return None


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a block, with what the block says that it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, wanted = part.partition("\n")
        # A line of dots may stand for no line at all.
        yield command, re.sub(r"\n?^\.\.\.$\n?", "...", wanted, flags=re.MULTILINE)


def checkout(folder: Path) -> None:
    """Copy what the project's checkout holds into a folder, with a ``.venv`` where all is there."""
    names = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        text=True,
    )
    for name in filter(None, names.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROJECT / name, folder / name)
    (folder / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (folder / ".venv" / ".installed").touch()  # newer than all else: make installs nothing


def variables(folder: Path) -> dict[str, str]:
    """A terminal's variables, where Python finds the modules of that checkout."""
    others = ("LAKEHOUSE", "DAGSTER", "SPARK", "PYTEST", "COV", "MAKE", "MFLAGS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
    return {**kept, "PYTHONPATH": str(folder)}
