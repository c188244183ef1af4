"""A dataset's contract as the Python file that states it, formatted as the project's code is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Final

from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables.contract import Column, Dataset

_WIDTH: Final = 100
_INDENT: Final = "    "
_IN_COLUMN: Final = (
    *("name", "type", "source", "required", "allowed", "references", "derived"),
    "description",
)


def source(dataset: Dataset) -> str:
    """The module of a dataset: what `lakehouse_assets.tables.registry` reads."""
    dialect = _given(dataset.dialect)
    title = dataset.name.replace("_", " ").capitalize()
    arguments = [
        ("name", _literal(dataset.name)),
        ("description", _literal(dataset.description)),
        ("key", _value(dataset.key, 1)),
        ("columns", _sequence([_column(column) for column in dataset.columns], 1)),
        *((name, _value(value, 1)) for name, value in _layout(dataset)),
    ]
    if dialect:
        arguments.append(("dialect", _call("Dialect", dialect, 1, len("dialect=") + 1)))
    imports = ["from lakehouse_assets.parse.model import Dialect"] if dialect else []
    imports.append("from lakehouse_assets.tables.contract import Column, Dataset")
    lines = [f'"""{title}: say what they are."""', "", *imports, "", "TABLE = Dataset("]
    lines += [f"{_INDENT}{name}={text}," for name, text in arguments]
    return "\n".join([*lines, ")", ""])


def _layout(dataset: Dataset) -> list[tuple[str, tuple[str, ...]]]:
    layout = [("partition_by", dataset.partition_by), ("zorder_by", dataset.zorder_by)]
    return [(name, columns) for name, columns in layout if columns]


def _given(dialect: Dialect) -> list[tuple[str, str]]:
    """What a dialect says beyond the usual."""
    usual = Dialect()
    values = [(f.name, getattr(dialect, f.name), getattr(usual, f.name)) for f in fields(Dialect)]
    return [(name, _value(value, 2)) for name, value, default in values if value != default]


def _column(column: Column) -> str:
    values = [(name, getattr(column, name)) for name in _IN_COLUMN]
    given = [(name, _value(v, 3)) for name, v in values if v not in (None, False)]
    return _call("Column", given, 2, len(","))


def _call(function: str, arguments: Sequence[tuple[str, str]], depth: int, beside: int) -> str:
    """A call on one line where it fits; else an argument a line."""
    parts = [f"{name}={text}" for name, text in arguments]
    return _bracketed(f"{function}(", parts, ")", depth, beside)


def _sequence(parts: Sequence[str], depth: int) -> str:
    """A tuple with a part a line."""
    inner = _INDENT * (depth + 1)
    return "\n".join(["(", *(f"{inner}{part}," for part in parts), f"{_INDENT * depth})"])


def _value(value: object, depth: int) -> str:
    if not isinstance(value, tuple):
        return _literal(value)
    parts = [_literal(part) for part in value]
    if len(parts) == 1:
        return f"({parts[0]},)"
    return _bracketed("(", parts, ")", depth, _LONGEST_NAME)


def _bracketed(start: str, parts: Sequence[str], end: str, depth: int, beside: int) -> str:
    line = f"{start}{', '.join(parts)}{end}"
    if "\n" not in line and len(_INDENT) * depth + len(line) + beside <= _WIDTH:
        return line
    inner = _INDENT * (depth + 1)
    return "\n".join([start, *(f"{inner}{part}," for part in parts), f"{_INDENT * depth}{end}"])


_LONGEST_NAME: Final = len("timestamp_formats=,")


def _literal(value: object) -> str:
    """A literal as the formatter likes it: in double quotes, unless that takes more escapes."""
    if not isinstance(value, str):
        return repr(value)
    double = json.dumps(value, ensure_ascii=False)  # its escapes are Python's, too
    if value.count('"') <= value.count("'"):
        return double
    return "'" + double[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
