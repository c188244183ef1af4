"""Named queries: one ``.sql`` file each, beside the tables, in the dialect of Athena (Trino).

A file begins with comments: its purpose in one line, then what more there is to say. Its
parameters are ``?``, as Athena's are, each once and as ``CAST(? AS DATE)``; the comment has a
line ``-- <name>: <meaning>`` for each, in their order. A file without parameters is a view,
``views.<name>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from typing import Final

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.store.facts import FACTS
from lakehouse_assets.store.lake import iso_date
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import QUERIES, queryable

VIEWS: Final = "views"
"""The schema of the views."""

_PARAMETER: Final = re.compile(r"([a-z_]+): (.+)")


class NamedQueryError(LakehouseError):
    """A named query that there is not, or that lacks what it needs."""


@dataclass(frozen=True)
class NamedQuery:
    """A question with a name; ``parameters`` says what each means, in the order of the ``?``."""

    name: str
    purpose: str
    sql: str
    parameters: Mapping[str, str]

    def values(self, given: Mapping[str, str]) -> list[date]:
        """The values of its parameters in their order, each a day as YYYY-MM-DD.

        Raises NamedQueryError.
        """
        for name in given:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise NamedQueryError(f"{self.name}: has no parameter {name!r}; it has {known}")
        found = []
        for name, meaning in self.parameters.items():
            if name not in given:
                what = meaning.rstrip(".")
                raise NamedQueryError(
                    f"{self.name}: needs {name} ({what}); add --param {name}=YYYY-MM-DD"
                )
            try:
                found.append(iso_date(given[name]))
            except ValueError as error:
                raise NamedQueryError(
                    f"{self.name}: {name}={given[name]} {error}; write it as YYYY-MM-DD"
                ) from None
        return found


def parse(name: str, text: str) -> NamedQuery:
    """A named query from its file's text.

    Raises NamedQueryError where its comments say too little, or it asks for nothing.
    """
    lines = text.splitlines()
    code = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    purpose, *more = [line.removeprefix("--").strip() for line in lines[:code]] or [""]
    if not purpose:
        raise NamedQueryError(f"{name}.sql: says no purpose; begin it with a line -- PURPOSE")
    explained = [found for line in more if (found := _PARAMETER.fullmatch(line))]
    parameters = {found[1]: found[2] for found in explained}
    sql = "\n".join(lines[code:]).strip()
    if not sql:
        raise NamedQueryError(f"{name}.sql: asks for nothing; write a SELECT below its comments")
    if sql.count("?") != len(parameters):
        raise NamedQueryError(
            f"{name}.sql: {sql.count('?')} ? and {len(parameters)} of them explained; "
            "write a line -- <name>: <meaning> for each, in their order"
        )
    return NamedQuery(name, purpose, sql, parameters)


@cache  # dashboards ask for one after the other
def named_queries() -> dict[str, NamedQuery]:
    """Every named query by its name: the name of its file."""
    queries = [parse(f.name.removesuffix(".sql"), f.read_text(encoding="utf-8")) for f in QUERIES]
    return {query.name: query for query in queries}


def views() -> dict[str, NamedQuery]:
    """The named queries without parameters, by their names as views: ``views.daily_revenue``."""
    return {f"{VIEWS}.{q.name}": q for q in named_queries().values() if not q.parameters}


def named(name: str) -> NamedQuery:
    """The query of that name. Raises NamedQueryError."""
    queries = named_queries()
    if name not in queries:
        near = get_close_matches(name.lower(), queries, n=1)
        meant = f"did you mean {near[0]}?" if near else "`lakehouse query --list` lists them"
        raise NamedQueryError(f"no query is named {name!r}; {meant}")
    return queries[name]


def tables() -> dict[str, Table]:
    """Every table that a query can name, by its name there."""
    return {**queryable(), "ledger.receipts": RECEIPTS, "ledger.facts": FACTS}
