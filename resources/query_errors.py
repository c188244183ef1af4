"""What is wrong in a query, in the words of this lakehouse: near names, and the place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from lakehouse_assets.queries.engine import QueryError
from lakehouse_assets.queries.named import tables, views
from lakehouse_assets.tables.contract import Layer

_NEAR: Final = 0.7
_CHANGES: Final = (
    *("INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "COPY", "VACUUM", "OPTIMIZE"),
    *("CREATE", "ALTER", "DROP", "REPLACE"),
)
_PUBLISHED: Final = (Layer.SILVER, Layer.GOLD, Layer.MART)


def no_table(name: str, prefix: str = "") -> str:
    """A clear line for a table that there is not; databases begin with ``prefix``."""
    # People mostly mean what is published.
    in_order = sorted([*tables(), *views()], key=lambda table: not table.startswith(_PUBLISHED))
    known = [f"{prefix}{table}" for table in in_order]
    last = {table.rpartition(".")[2]: table for table in reversed(known)}  # the first wins
    asked = name.lower()
    part = asked.rpartition(".")[2]
    near = [table for table in known if table.endswith(f".{part}")]
    near += get_close_matches(asked, known, cutoff=_NEAR)
    near += [last[other] for other in get_close_matches(part, last, cutoff=_NEAR)]
    return f"no table is named {name}{_near(near)}; lakehouse tables lists them"


def no_column(name: str, candidates: Iterable[str]) -> str:
    """A clear line for a column that there is not, with those that may be meant."""
    return f"no column is named {name}{_near(candidates)}; lakehouse tables TABLE lists a table's"


def assert_reads(sql: str) -> None:
    """Raise QueryError for a statement that is there to change something, and for none."""
    bare = _bare(sql)
    if not bare:
        raise QueryError("the query is empty; write a SELECT")
    if any("\ud800" <= letter <= "\udfff" for letter in bare):  # how Python takes other bytes
        raise QueryError("the query is not text in UTF-8; write it anew")
    word = _first_word(bare)
    if word in _CHANGES:
        raise QueryError(
            f"queries only read, and {word} does not: rows change with the files that land "
            "(lakehouse land, withdraw, run); --output FILE keeps an answer"
        )


def assert_selects(sql: str) -> None:
    """Raise QueryError for a statement about a catalog, on an engine that has none to list."""
    if _first_word(_bare(sql)) == "SHOW":
        raise QueryError("SHOW is not known here; lakehouse tables lists the tables")


def near_columns(name: str, sql: str) -> list[str]:
    """The columns, of the tables that a query names, whose names are near to one."""
    asked = [table for table_name, table in tables().items() if is_named(table_name, plain(sql))]
    return get_close_matches(name.lower(), sorted({c.name for t in asked for c in t.columns}))


def place(sql: str, line: int, column: int) -> str:
    """The line of a query, counted from 1, and a caret under its column; nothing beyond its end."""
    lines = sql.splitlines()
    if not 0 < line <= len(lines):
        return ""
    start = f"LINE {line}: "
    return f"\n{start}{lines[line - 1]}\n{' ' * (len(start) + column - 1)}^"


def plain(sql: str) -> str:
    """A query's text as names are looked for in it."""
    return sql.lower().replace('"', "")


def is_named(table: str, text: str) -> bool:
    """Whether a plain text names a table."""
    return re.search(rf"(?<![\w.]){re.escape(table)}(?!\w)", text) is not None


def _bare(sql: str) -> str:
    """A statement without what stands before its first word."""
    return re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL).lstrip(" \t\r\n(;")


def _first_word(bare: str) -> str:
    return re.split(r"\W", bare, maxsplit=1)[0].upper()


def _near(names: Iterable[str]) -> str:
    found = ", ".join([*dict.fromkeys(names)][:3])
    return f"; near: {found}" if found else ""
