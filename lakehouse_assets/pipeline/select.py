"""Columns by name, by type and by SQL, with no more SQL than there must be.

Sail 0.7.2 makes a parser for each expression that comes as text, and never gives its memory back:
some 30 KiB and half a millisecond each, of which a run of a small day once had 3,200. That is
https://github.com/zesterer/chumsky/issues/486. What needs no text is sent without: a column's name,
another name for it, a cast, no rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyspark.sql import Column as Expression
    from pyspark.sql import DataFrame

    from lakehouse_assets.tables.contract import Column

_NAME: Final = re.compile(r"`([^`]+)`|([A-Za-z_]\w*)")
_WORDS: Final = frozenset({"true", "false", "null"})


def select(rows: DataFrame, /, *names: str, **expressions: str) -> DataFrame:
    """Columns by their names (``*`` for all of them), then SQL expressions by theirs."""
    from pyspark.sql.functions import col, expr  # noqa: PLC0415 - takes long to import

    def column(sql: str) -> Expression:
        plain = _NAME.fullmatch(sql)
        if plain is None or sql in _WORDS:
            return expr(sql)
        return col(_quoted(plain[1] or plain[2]))

    return rows.select(
        *(col(_quoted(name)) for name in names),
        *(column(sql).alias(name) for name, sql in expressions.items()),
    )


def cast(rows: DataFrame, columns: Iterable[Column]) -> DataFrame:
    """These columns of a contract in the types that it gives them."""
    from pyspark.sql.functions import col  # noqa: PLC0415 - takes long to import

    return rows.select(*(col(_quoted(c.name)).cast(c.type).alias(c.name) for c in columns))


def none(rows: DataFrame) -> DataFrame:
    """No rows, of the same columns."""
    return rows.limit(0)


def _quoted(name: str) -> str:
    return name if name == "*" else f"`{name}`"
