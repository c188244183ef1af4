"""The project's own order: what tests share is in ``tests.support``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import PROJECT
from tests.torture.control import MUTANTS, Mutant

# Without what other programs keep there: Trino, once `make test-athena` has fetched it.
FILES = [f for f in sorted((PROJECT / "tests").rglob("*.py")) if ".cache" not in f.parts]


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, and what it takes from a package."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PROJECT)))
def test_no_test_module_is_imported(file: Path) -> None:
    parts = {part for name in imported(file) for part in name.split(".")[:-1]}
    assert not {part for part in parts if part.startswith("test_") or part == "conftest"}


def test_support_stands_on_no_other_folder_of_the_tests() -> None:
    used = {
        name
        for file in FILES
        if "support" in file.parts
        for name in imported(file)
        if name.startswith("tests.") and not name.startswith("tests.support")
    }
    assert not used


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.protection)
def test_the_text_of_a_mutant_stands_once(mutant: Mutant) -> None:
    assert (PROJECT / mutant.module).read_text().count(mutant.before) == 1
    assert all((PROJECT / suite).exists() for suite in mutant.tests.split())
