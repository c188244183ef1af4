"""The pages for people: what they name is there, their links lead somewhere, all are listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import PROJECT

DOCS = PROJECT / "docs"
PAGES = sorted(
    [
        *DOCS.glob("*.md"),
        *(PROJECT / name for name in ("README.md", "data/README.md", "deploy/README.md")),
        PROJECT / ".github" / "SECURITY.md",
    ]
)
ROOMS = "|".join(
    (
        *("lakehouse_assets", "resources", "deploy", "tests", "data", "docs"),
        *("parse", "tables", "store", "planning", "pipeline", "operations", "defs", "cli"),
    )
)
NAMED = re.compile(rf"`((?:{ROOMS})/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The titles of a page as its links may name them, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def name(page: Path) -> str:
    return str(page.relative_to(PROJECT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    roots = (PROJECT, PROJECT / "lakehouse_assets")
    named = NAMED.findall(page.read_text())
    assert [n for n in named if not any((root / n).exists() for root in roots)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_index_lists_every_page() -> None:
    listed = LINK.findall((DOCS / "README.md").read_text())
    assert {page.name for page in DOCS.glob("*.md")} - {*listed, "README.md"} == set()
