"""Pages where people find them: drawn again only where what they are made of has changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.dashboards.page import page
from lakehouse_assets.dashboards.questions import (
    DAYS_QUERY,
    Answers,
    ask,
    question,
    sources,
    tables_asked,
)
from lakehouse_assets.queries.named import NamedQuery, named, tables
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.storage import Storage
from lakehouse_assets.tables.dashboard import Dashboard

if TYPE_CHECKING:
    from lakehouse_assets.queries.engine import Answer, Ask

_LIBRARIES: Final = ("altair", "jinja2", "vl-convert-python")
_STAMP_WITHIN: Final = 400
"""A page says in its first bytes what it was made of."""


@dataclass(frozen=True)
class Published:
    """Where a page is; ``answers`` are those that it was drawn of, None where it stood already."""

    dashboard: Dashboard
    uri: str
    size: int
    answers: Answers | None


def publish(
    dashboard: Dashboard, lake: Lake, engine: Ask, to: Storage, others: Mapping[str, Dashboard]
) -> Published:
    """Write a dashboard's page, unless the one there was made of the same. Raises QueryError."""
    path, stamp = f"{dashboard.name}.html", stamp_of(dashboard, lake, others.values())
    there = to.find(path)
    if there and stamp in _beginning(to, path):
        return Published(dashboard, to.uri(path), there.size, None)
    answers = ask(dashboard, lake, engine)
    data = page(dashboard, answers, others.values(), stamp, datetime.now(UTC)).encode()
    to.write(path, data)
    return Published(dashboard, to.uri(path), len(data), answers)


def tables_of(dashboard: Dashboard) -> list[str]:
    """The tables that a dashboard's queries name."""
    asked = {DAYS_QUERY, *(source.query for source in sources(dashboard))}
    return sorted({name for query in asked for name in tables_asked(named(query))})


def stamp_of(dashboard: Dashboard, lake: Lake, others: Iterable[Dashboard]) -> str:
    """What a page is made of, as a digest: table versions, definition, queries and program."""
    known = tables()
    versions = lake.versions(known[name] for name in tables_of(dashboard))
    made_of = {
        "versions": sorted((name, v.log_id, v.version) for name, v in versions.items()),
        "definition": repr(dashboard),
        "queries": [question(source).sql for source in sources(dashboard)],
        "others": [(other.name, other.title) for other in others],
        "program": _program(),
    }
    return sha256(json.dumps(made_of).encode()).hexdigest()


def remembering(engine: Ask) -> Ask:
    """The same, asking no question twice: several dashboards may show the same answer."""
    known: dict[tuple[str, tuple[date, ...]], Answer] = {}

    def asked(query: NamedQuery, values: Sequence[date]) -> Answer:
        key = (query.sql, tuple(values))
        if key not in known:
            known[key] = engine(query, values)
        return known[key]

    return asked


def _beginning(storage: Storage, path: str) -> str:
    with storage.open(path) as stream:
        return stream.read(_STAMP_WITHIN).decode(errors="replace")


def _program() -> list[Any]:
    room = files("lakehouse_assets.dashboards")
    folders = [room, room / "web"]
    texts = sorted(
        f.name + f.read_text() for folder in folders for f in folder.iterdir() if f.is_file()
    )
    return [*(version(name) for name in _LIBRARIES), sha256("".join(texts).encode()).hexdigest()]
