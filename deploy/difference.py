"""What differs between two sets of templates, as a page of Markdown.

    python -m deploy.difference BEFORE AFTER

Each is a folder with a folder for each environment, as `make templates` writes them. What would be
replaced, and so loses what it holds, only AWS knows; what comes, goes and changes is named here.
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_KEPT_BYTES: Final = 900_000
"""A summary of a workflow's step holds a mebibyte."""


def difference(before: Path, after: Path) -> str:
    """The page; it says so where nothing differs."""
    page = "\n".join(_page(before, after))
    if len(page.encode()) > _KEPT_BYTES:
        page = page.encode()[:_KEPT_BYTES].decode(errors="ignore") + "\n```\n\nCut here.\n"
    return page


def _page(before: Path, after: Path) -> Iterator[str]:
    yield "## What changes on AWS"
    found = {_place(file, root) for root in (before, after) for file in root.glob(_TEMPLATES)}
    changed = [place for place in sorted(found) if _read(before, place) != _read(after, place)]
    if not changed:
        yield "\nNothing.\n"
    for place in changed:
        yield from _stack(place, _read(before, place), _read(after, place))


_TEMPLATES: Final = "*/*.template.json"


def _place(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix()


def _read(root: Path, place: str) -> dict[str, Any]:
    file = root / place
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _stack(place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    environment, _, file = place.partition("/")
    yield f"\n### {environment}: {file.removesuffix('.template.json')}\n"
    was, now = old.get("Resources", {}), new.get("Resources", {})
    for name in sorted({*was, *now}):
        if was.get(name) != now.get(name):
            what = "comes" if name not in was else "**goes**" if name not in now else "changes"
            yield f"- {what}: `{name}` ({(now.get(name) or was[name])['Type']})"
    yield "\n```diff"
    before, after = (json.dumps(t, indent=1, sort_keys=True).splitlines() for t in (old, new))
    yield from difflib.unified_diff(before, after, "before", "after", lineterm="", n=2)
    yield "```"


if __name__ == "__main__":
    sys.stdout.write(difference(Path(sys.argv[1]), Path(sys.argv[2])) + "\n")
