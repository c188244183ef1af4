"""Every command of README and docs is one that there is; those of three pages are run.

They run in copies of the checkout, in which `make demo` has been run.
"""

from __future__ import annotations

import re
import shutil
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
import typer
from sybil.example import SybilFailure

from lakehouse_assets import cli
from lakehouse_assets.cli.console import app
from tests.support import PROJECT, Once
from tests.support.commands import ITEMS, ORDERS
from tests.support.pages import Reader, checkout

README = PROJECT / "README.md"
DOCS = PROJECT / "docs"


@pytest.fixture
def folder(tmp_path: Path, once: Once) -> Path:
    """A checkout in which someone has run `make demo`."""

    def make(made: Path) -> None:
        checkout(made)
        ended, printed = Reader(made).type("make demo")
        assert ended == 0, printed

    return Path(shutil.copytree(once("demo-checkout", make), tmp_path / "shop", symlinks=True))


def commands_of(page: Path) -> int:
    """How many commands stand on a page, a block that is pasted whole being one."""
    return len(re.findall(r"^(?:\$ |```(?:bash|sh)$)", page.read_text(), re.MULTILINE))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_readme(folder: Path) -> None:
    """As it stands, in a checkout and nothing else."""

    def meant(command: str) -> str:
        # Whoever made this folder typed it.
        return "true" if command.startswith("make demo") else command

    reader = Reader(folder, meant)
    reader.follow(README)
    assert any("hourly_sales" in command for command in reader.ran)
    assert [command.split("  ")[0] for command in reader.skipped] == ["make ui"]
    assert len(reader.ran) + 1 == commands_of(README)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_tutorial(folder: Path) -> None:
    reader = Reader(folder)
    reader.follow(DOCS / "tutorial.md")
    assert len(reader.ran) == commands_of(DOCS / "tutorial.md")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_package_of_ones_own(tmp_path: Path) -> None:
    checkout(tmp_path)
    reader = Reader(tmp_path)
    reader.type("source .venv/bin/activate")
    (tmp_path / "orders_may.csv").write_text(ORDERS)
    for name in ("items_may.csv", "items_june.csv"):
        (tmp_path / name).write_text(ITEMS)
    reader.follow(DOCS / "contracts.md")
    assert len(reader.ran) == commands_of(DOCS / "contracts.md")


# ------------------------------------------------------------------------------ the reader itself


PAGE = """\
```console
$ mkdir -p a/b && cd a
$ WORD=two; pwd
.../a
$ echo one; echo $WORD; exit 3    # ends with 3
...
two
...
```
<!-- skip: next "it would take for ever" -->
```console
$ sleep infinity    # a comment
```
```bash
cat > b/file <<'END'
a line
END
```
```python
# a/b/module.py
```
```console
$ cat b/file
a line
$ no-such-command
```
"""


def test_a_reader_does_what_a_page_says(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    (tmp_path / "a" / "b").mkdir(parents=True)
    reader = Reader(tmp_path)
    with pytest.raises(SybilFailure, match="no-such-command: command not found"):
        reader.follow(tmp_path / "page.md")
    assert (tmp_path / "a" / "b" / "file").read_text() == "a line\n"
    assert (tmp_path / "a" / "b" / "module.py").read_text() == "# a/b/module.py\n"
    assert reader.skipped == ["sleep infinity    # a comment"]


@pytest.mark.parametrize(
    "wrong",
    [
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ echo one\n...\ntwo\n```\n",
        "```console\n$ false\n```\n",
        "```console\n$ true    # ends with 1\n```\n",
        "```bash\nfalse\ntrue\n```\n",
        "```python\nprint()\n```\n",
    ],
)
def test_a_reader_stops_where_a_page_is_wrong(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(wrong)
    with pytest.raises(SybilFailure):
        Reader(tmp_path).follow(tmp_path / "page.md")


# ------------------------------------------------------------------------- what is only mentioned

COMMAND = re.compile(r"(?:^\$ |`)(?:\.venv/bin/)?(lakehouse|make) ([^`\n]*)", re.MULTILINE)
for module in iter_modules(cli.__path__):
    if module.name != "__main__":
        import_module(f"{cli.__name__}.{module.name}")  # each has commands
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


def unknown(program: str, rest: str) -> str | None:
    """What of a command there is not."""
    words = [w for w in re.split(r"\s*#\s|\s+", rest.replace("\\|", " ")) if w]
    if program == "make":
        return next((w for w in words if "=" not in w and w not in TARGETS), None)
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        if name not in command.commands:
            return name
        command = command.commands[name]
    there = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return next((w for w in words if re.match("--[a-z]", w) and w not in there), None)


@pytest.mark.parametrize("page", [README, *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_every_command_is_one_that_there_is(page: Path) -> None:
    found = COMMAND.findall(page.read_text())
    assert [(p, r) for p, r in found if unknown(p, r.partition("  #")[0])] == []
