"""What a contract cannot say: found when the tables load, told in one line each.

Everything here is quick; what needs SQL to be parsed is `sql_checks`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lakehouse_assets.errors import ContractError, meant
from lakehouse_assets.parse.model import Dialect
from lakehouse_assets.tables import patterns, timestamp_formats
from lakehouse_assets.tables.contract import (
    VALIDITY,
    Column,
    Dataset,
    Derived,
    Layer,
    Source,
    delta_type,
)
from lakehouse_assets.tables.rules import LOST_ORIGIN

_WHOLE: Final = ("BIGINT", "INT")
_PLACED: Final = (*_WHOLE, "STRING", "DATE", "BOOLEAN")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


def check_dataset(dataset: Dataset) -> None:
    """Raise ContractError for the first thing in which a dataset's contract contradicts itself."""
    _no_text(
        key=dataset.key if not isinstance(dataset.key, str) else (),
        columns=dataset.columns,
        partition_by=dataset.partition_by,
        zorder_by=dataset.zorder_by,
        row_rules=dataset.row_rules,
        advice=dataset.advice,
    )
    _check_columns(dataset.columns, VALIDITY if dataset.keep_history else ())
    columns = {c.name: c for c in dataset.columns}
    for column in dataset.columns:
        _check_rules_of(column)
        _check_headers(column)
    headers = [h for c in dataset.sources for h in (c.header or "", *c.aliases)]
    if twice := sorted({h for h in headers if headers.count(h) > 1}):
        owners = [c.name for c in dataset.sources if twice[0] in (c.header, *c.aliases)]
        raise ContractError(
            f"header {twice[0]!r} is asked for by {' and '.join(owners)}; "
            "leave it to one of them, by source or aliases"
        )
    _check_key(dataset, columns)
    for name in (*dataset.partition_by, *dataset.zorder_by):
        if name not in columns:
            raise ContractError(f"layout column {name!r} is no column; use {_one_of(columns)}")
    for name in dataset.partition_by:
        _check_partition(columns[name])
    names = [rule.name for rule in dataset.row_rules]
    for name in names:
        if not _NAME.fullmatch(name) or name == LOST_ORIGIN.name or names.count(name) > 1:
            raise ContractError(
                f"row rule {name!r}: has no name of its own; use a-z, 0-9 and _, "
                f"other than {LOST_ORIGIN.name}"
            )
    if dataset.expected not in (None, "daily"):
        raise ContractError(
            f'expected: {dataset.expected!r} is none; use "daily", or leave it out where nobody '
            "knows when the next file comes"
        )
    if not 0 <= dataset.hold.share <= 1:
        raise ContractError(f"hold: share {dataset.hold.share} is none; use 0 to 1, such as 0.05")
    _check_dialect(dataset.dialect)


def check_derived(
    table: Derived, sources: Mapping[str, Source], derived: Mapping[str, Derived]
) -> None:
    """Raise ContractError for the first thing in which a derived table's contract is wrong."""
    _no_text(grain=table.grain, partition_by=table.partition_by, zorder_by=table.zorder_by)
    _check_columns(table.columns)
    names = [c.name for c in table.columns]
    if not table.grain:
        raise ContractError("no grain; name the columns that make a row unique")
    for name in (*table.grain, *table.partition_by, *table.zorder_by):
        if name not in names:
            raise ContractError(f"{name!r} is no column; use {_one_of(names)}")
    for column in table.dimensions:
        _check_dimension(column, derived)
    _check_unit(table, sources)


def _check_unit(table: Derived, sources: Mapping[str, Source]) -> None:
    names = table.table.names
    if table.unit is None:
        if table.partition_by:
            raise ContractError("partitions need a unit; name one, or leave partition_by out")
        return
    if table.unit.count(".") != 1:
        raise ContractError(f"unit {table.unit!r} must be <dataset>.<column>")
    of, unit = table.unit.split(".")
    if of not in sources:
        raise ContractError(
            f"unit {table.unit!r}: no silver table is named {of!r}; {meant(of, sources)}"
        )
    if unit not in (there := sources[of].table.names):
        raise ContractError(
            f"unit {table.unit!r}: {of} has no column {unit!r}; {meant(unit, there)}"
        )
    if unit not in names:
        raise ContractError(f"unit {unit!r} is no column of the table; use {_one_of(names)}")
    if any(p != unit for p in table.partition_by):
        raise ContractError(
            f"partitioned by something else than its unit; use partition_by=({unit!r},), or none"
        )


def _check_dimension(column: Column, derived: Mapping[str, Derived]) -> None:
    marts = {t.name: t for t in derived.values() if t.layer == Layer.MART}
    dimension = marts.get(column.references or "")
    if dimension is None or len(dimension.grain) > 1:
        keyed = (name for name, mart in marts.items() if len(mart.grain) == 1)
        raise ContractError(
            f"column {column.name!r}: references {column.references!r}, which is no mart of one "
            f"key; use {_one_of(keyed)}"
        )
    key = dimension.table.column(dimension.grain[0])
    if column.type != key.type:
        raise ContractError(
            f"column {column.name!r}: is {column.type}, and the key of {dimension.name} is "
            f"{key.type}; give both the same type"
        )


def check_references(dataset: Dataset, datasets: Mapping[str, Dataset]) -> None:
    """Raise ContractError where a foreign key names no dataset that it can name."""
    for column in dataset.foreign_keys:
        parent = datasets.get(column.references or "")
        others = _one_of(d for d in datasets if d != dataset.name)
        if parent is None:
            raise ContractError(
                f"column {column.name!r}: references {column.references!r}, which is no dataset; "
                f"use {others}"
            )
        if len(parent.key_columns) > 1:
            raise ContractError(
                f"column {column.name!r}: references {parent.name}, whose key is "
                f"({', '.join(parent.key_columns)}); refer to a dataset whose key is one column"
            )
        of_parent = parent.silver.column(parent.key_columns[0]).type
        if column.type != of_parent:
            raise ContractError(
                f"column {column.name!r}: is {column.type}, and the key of {parent.name} is "
                f"{of_parent}; give both the same type"
            )


def _check_columns(columns: tuple[Column, ...], own: Iterable[Column] = ()) -> None:
    names = [c.name.lower() for c in columns]
    if repeated := sorted({n for n in names if names.count(n) > 1}):
        raise ContractError(f"column {repeated[0]!r} stands twice; rename one of them")
    if taken := sorted({c.name for c in own}.intersection(names)):
        raise ContractError(
            f"column {taken[0]!r}: is history's own; rename it, with source={taken[0]!r}"
        )
    for column in columns:
        if column.name.startswith("_"):
            raise ContractError(
                f"column {column.name!r}: may not begin with _; name it {column.name.lstrip('_')!r}"
            )
        try:
            delta_type(column.type)
        except ValueError as error:
            raise ContractError(f"column {column.name!r}: {error}") from None


def _check_rules_of(column: Column) -> None:
    of = f"column {column.name!r}"
    number = column.type in (*_WHOLE, "DOUBLE") or column.type.startswith("DECIMAL(")
    least, most = column.minimum, column.maximum
    if not number and (least is not None or most is not None):
        raise ContractError(
            f"{of}: minimum and maximum are for numbers, and it is {column.type}; "
            "use allowed, pattern or a row rule"
        )
    if least is not None and most is not None and least > most:
        raise ContractError(f"{of}: minimum {least} is above maximum {most}; exchange them")
    if column.allowed is not None:
        _no_text(**{f"{of}: allowed": column.allowed})
        kind = {"STRING": str}.get(column.type, int if column.type in _WHOLE else None)
        if kind is None or not column.allowed or any(type(v) is not kind for v in column.allowed):
            raise ContractError(
                f"{of}: allowed must be whole numbers for BIGINT and INT, texts for STRING, and "
                f"at least one; it is {column.type} with {column.allowed!r}"
            )
    if column.pattern is not None and (found := patterns.problem(column.pattern)):
        raise ContractError(f"{of}: {found}")
    if column.derived and (column.references or column.required or column.pattern):
        raise ContractError(
            f"{of}: derived, so references, required and pattern do not go with it; "
            "state them of the columns that it is derived from"
        )


def _check_headers(column: Column) -> None:
    _no_text(**{f"column {column.name!r}: aliases": column.aliases})
    if column.derived and (column.source or column.aliases):
        raise ContractError(
            f"column {column.name!r}: derived, and so has no header; take source and aliases out"
        )
    for header in (column.header or "", *column.aliases):
        if header != header.strip().lower():
            raise ContractError(
                f"column {column.name!r}: headers are compared trimmed and in lower case; "
                f"write {header.strip().lower()!r} for {header!r}"
            )
        if header.startswith("_"):
            raise ContractError(
                f"column {column.name!r}: header {header!r} begins with _, as only the lake's own "
                "do; have the files name it otherwise"
            )


def _check_key(dataset: Dataset, columns: Mapping[str, Column]) -> None:
    if not dataset.key_columns or len({*dataset.key_columns}) < len(dataset.key_columns):
        raise ContractError("key names no column, or one twice; name what makes a row unique")
    for name in dataset.key_columns:
        if name not in columns:
            raise ContractError(f"the key {name!r} is no column; use {_one_of(columns)}")
        column = columns[name]
        if column.derived or not column.required:
            raise ContractError(
                f"column {name!r}: is part of the key; let it be one of the files', required=True"
            )
        if column.type == "DOUBLE":
            raise ContractError(
                f"column {name!r}: a DOUBLE is never surely equal; give a key DECIMAL(p,s)"
            )


def _check_partition(column: Column) -> None:
    if column.type not in _PLACED:
        raise ContractError(
            f"column {column.name!r}: no partition can be {column.type}; partition by a column of "
            f"type {_one_of(_PLACED)}, such as a derived DATE"
        )
    if column.header and not column.required:
        raise ContractError(
            f"column {column.name!r}: tables are partitioned by it; make it required=True"
        )


def _check_dialect(dialect: Dialect) -> None:
    _no_text(
        **{
            "dialect: timestamp_formats": dialect.timestamp_formats,
            "dialect: sheets": dialect.sheets or (),
        }
    )
    delimiter, thousands = dialect.delimiter, dialect.thousands
    if (
        len(delimiter) != 1
        or not delimiter.isascii()
        or delimiter in '"\r\n\0'
        or delimiter.isalnum()
    ):
        raise ContractError(
            f"dialect: delimiter {delimiter!r} cannot be one; use one ASCII character such as ; or "
            "\\t"
        )
    try:
        codecs.getincrementaldecoder(dialect.encoding)
        "1".encode(dialect.encoding)  # Also refused: codecs of Python that are for no text.
    except (LookupError, UnicodeError):
        raise ContractError(
            f"dialect: encoding {dialect.encoding!r} is not known; use one of Python's, such as "
            "cp1252"
        ) from None
    if dialect.decimal not in (".", ","):
        raise ContractError(f"dialect: decimal {dialect.decimal!r} cannot be one; use . or ,")
    if thousands is not None and (thousands == dialect.decimal or thousands not in _THOUSANDS):
        raise ContractError(
            f"dialect: thousands {thousands!r} cannot be one beside decimal {dialect.decimal!r}; "
            "use . , ' or a blank"
        )
    for format_ in dialect.timestamp_formats:
        if found := timestamp_formats.problem(format_):
            raise ContractError(f"dialect: {found}")
    if dialect.skip_rows < 0:
        raise ContractError(f"dialect: skip_rows {dialect.skip_rows} is none; use 0 or more")
    try:
        ZoneInfo(dialect.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ContractError(
            f"dialect: timezone {dialect.timezone!r} is not known; use a name such as Europe/Berlin"
        ) from None


_THOUSANDS: Final = (".", ",", "'", " ", "\u00a0", "\u2009", "\u202f")


def _no_text(**lists: object) -> None:
    """Refuse ``("name")``, which is no tuple: the comma is missing."""
    for what, found in lists.items():
        if not isinstance(found, tuple):
            raise ContractError(f"{what} is no tuple; write ({found!r},)")


def _one_of(names: Iterable[str]) -> str:
    return ", ".join(names)
