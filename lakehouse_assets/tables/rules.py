"""A dataset's contract as SQL: what each raw text means, and every rule that a row breaks.

All rules of a row are judged in one pass over the data, as expressions that Sail and Spark
evaluate alike. Two traps shape them: casts round silently, so a rule looks at the text; and
engines differ in how they cast odd texts, so only what a pattern admits is cast at all.

Of nearly every row all is well, and engines evaluate a branch for those rows alone that come to it:
so the common case is asked for first, by what costs least.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lakehouse_assets.parse.model import BLANKS, ORIGIN, UNREADABLE_CELL, Dialect
from lakehouse_assets.tables.contract import Category, Column, Dataset
from lakehouse_assets.tables.sql import literal
from lakehouse_assets.tables.timestamp_formats import YEAR, ZONE, to_iso

_WITHOUT_COLUMNS: Final = ("ragged", "unsplittable")
_DIGITS: Final = "^-?[0-9]+"
_DATE: Final = rf"{YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?"
_MIDNIGHT: Final = r"([T ]00:00:00([.]0+)?)?"


@dataclass(frozen=True)
class Rule:
    """One way in which a row can be wrong.

    ``broken`` is SQL over the trimmed texts (``_text_<column>``), the typed columns and, for
    a foreign key, ``_orphan_<column>``, which is true where the parent is not published.
    """

    name: str
    column: str
    category: Category
    broken: str
    description: str = ""

    def __str__(self) -> str:
        """Its name, and in a sentence what must be so where the contract says that."""
        return f"{self.name} ({self.description})" if self.description else self.name


LOST_ORIGIN: Final = Rule(
    name="origin",
    column="",
    category=Category.REFERENTIAL_INTEGRITY,
    broken="_origin IS NOT NULL AND _root IS NULL",
)
"""A row mends one that is not in force, or never was."""


def text(column: Column) -> str:
    """SQL for a source column's trimmed text; null where only blanks stand.

    A cell that has no value of its own has no text to a rule either: it may look like a number.
    """
    return f"CASE WHEN {unreadable(column)} THEN NULL ELSE {trimmed(f'`{column.header}`')} END"


def unreadable(column: Column) -> str:
    """SQL for whether a sheet's cell of this column has no value of its own; never null."""
    named = json.dumps(column.header, ensure_ascii=False).replace("'", "\\'")
    return f"coalesce(instr(_fault, '{named}') > 0, false)"


def trimmed(value: str) -> str:
    """SQL for a text without outer blanks; null where only blanks stand."""
    return f"nullif(trim(BOTH '{BLANKS}' FROM {value}), '')"


PLACE: Final = "concat_ws('/', _content, CAST(_sheet_no AS STRING), CAST(_row AS STRING))"
"""SQL for what names a bronze row: its upload, sheet and row."""


def origin() -> str:
    """SQL for the place of the row that a bronze row mends; null where it mends none.

    Where the cells that name it are incomplete or wrong it is the place of no row.
    """
    file, digest, sheet, row = (trimmed(f"_extra['{name}']") for name in ORIGIN)
    # The upload's identity as `lake.content_id` makes it.
    content = f"substring(sha2(concat({file}, chr(0), {digest}), 256), 1, 16)"
    place = f"concat({content}, '/', {_whole(sheet, 'INT')}, '/', {_whole(row, 'BIGINT')})"
    any_ = f"_extra IS NOT NULL AND coalesce({file}, {digest}, {sheet}, {row}) IS NOT NULL"
    return f"CASE WHEN {any_} THEN coalesce({place}, '?') END"


def typed(column: Column, value: str, dialect: Dialect) -> str:
    """SQL for a column's value out of its trimmed text (SQL); null where it cannot hold it."""
    if column.type in ("TIMESTAMP", "DATE"):
        value = to_iso(value, dialect.timestamp_formats)
    elif column.type not in ("STRING", "BOOLEAN"):
        value = _plain_number(value, dialect)
    if column.type in ("BIGINT", "INT"):
        return _whole(value, column.type)
    if column.type.startswith("DECIMAL("):
        places = int(column.type.removesuffix(")").split(",")[1])
        # Zeros beyond the places say nothing, and engines fail at too many of them.
        said = rf"{_DIGITS}([.][0-9]{{1,{places}}})?" if places else _DIGITS
        zeros = "0+" if places else "[.]0+"
        number = f"regexp_extract({value}, '{said}', 0)"
        return _where(
            value,
            {
                rf"{said}\z": f"try_cast({value} AS {column.type})",
                rf"{said}{zeros}\z": f"try_cast({number} AS {column.type})",
            },
        )
    if column.type == "DOUBLE":
        return _where(value, {rf"{_DIGITS}([.][0-9]+)?\z": f"try_cast({value} AS DOUBLE)"})
    if column.type == "TIMESTAMP":
        return _timestamp(value, dialect.timezone)
    if column.type == "DATE":
        # A date cell of a sheet is always date and time.
        return _where(value, {rf"^{_DATE}{_MIDNIGHT}\z": f"try_cast(left({value}, 10) AS DATE)"})
    if column.type == "BOOLEAN":
        return (
            f"CASE WHEN lower({value}) IN ('1', 'true') THEN true"
            f" WHEN lower({value}) IN ('0', 'false') THEN false END"
        )
    return value


def of_bronze(dataset: Dataset, name: str) -> str:
    """SQL for a column's value over a bronze row; null where the text cannot be read."""
    column = dataset.silver.column(name)
    return typed(column, text(column), dataset.dialect)


def rules(dataset: Dataset) -> tuple[Rule, ...]:
    """Every rule that the dataset's contract states, those of the row itself first."""
    own = [
        Rule(
            name=f"row.{fault}",
            column="",
            category=Category.SCHEMA,
            broken=f"_fault = '{fault}'",
        )
        for fault in _WITHOUT_COLUMNS
    ]
    own.append(
        Rule(
            name=f"row.{UNREADABLE_CELL}",
            column="",
            category=Category.SCHEMA,
            broken=f"left(_fault, {len(UNREADABLE_CELL)}) = '{UNREADABLE_CELL}'",
        )
    )
    for column in dataset.columns:
        own += _column_rules(column)
    own += [
        Rule(
            name=rule.name,
            column="",
            category=Category.DATA_QUALITY,
            broken=f"_fault IS NULL AND NOT ({rule.sql})",
            description=rule.description,
        )
        for rule in dataset.row_rules
    ]
    references = [
        Rule(
            name=f"{c.name}.foreign_key",
            column=c.name,
            category=Category.REFERENTIAL_INTEGRITY,
            broken=f"`_orphan_{c.name}`",
        )
        for c in dataset.foreign_keys
    ]
    return (*own, *references, LOST_ORIGIN)


def own_rules(dataset: Dataset) -> tuple[Rule, ...]:
    """The rules that a row breaks on its own, whatever else has landed."""
    return tuple(r for r in rules(dataset) if r.category is not Category.REFERENTIAL_INTEGRITY)


def foreign_key_rules(dataset: Dataset) -> tuple[Rule, ...]:
    """The rules that depend on what else is published."""
    return tuple(r for r in rules(dataset) if r.broken.startswith("`_orphan_"))


def broken(rules_: tuple[Rule, ...]) -> str:
    """SQL for the array of the names of those rules that a row breaks."""
    cases = ", ".join(f"CASE WHEN {r.broken} THEN '{r.name}' END" for r in rules_)
    return f"array_compact(array({cases}))"


def category(dataset: Dataset, rules_column: str) -> str:
    """SQL for the worst category among the names in an array column; null for none."""
    cases = []
    for kind in Category:
        names = ", ".join(f"'{r.name}'" for r in rules(dataset) if r.category is kind)
        if names:
            cases.append(f"WHEN arrays_overlap({rules_column}, array({names})) THEN '{kind}'")
    return f"CASE {' '.join(cases)} END"


def _column_rules(column: Column) -> list[Rule]:
    found: list[tuple[str, str]] = []
    if column.header:
        # A row that has no columns breaks only the rule that says so, and so does a cell that
        # cannot be read.
        value = f"`_text_{column.name}`"
        if column.required:
            faults = ", ".join(f"'{fault}'" for fault in _WITHOUT_COLUMNS)
            there = f"coalesce(_fault, '') NOT IN ({faults}) AND NOT {unreadable(column)}"
            found.append(("required", f"{there} AND {value} IS NULL"))
        if column.type != "STRING":
            found.append(("type", f"{value} IS NOT NULL AND `{column.name}` IS NULL"))
    if column.minimum is not None:
        found.append(("min", f"`{column.name}` < {column.minimum}"))
    if column.maximum is not None:
        found.append(("max", f"`{column.name}` > {column.maximum}"))
    if column.allowed is not None:
        allowed = ", ".join(literal(value) for value in column.allowed)
        found.append(("allowed", f"`{column.name}` NOT IN ({allowed})"))
    if column.pattern is not None:
        whole = literal(rf"^(?:{column.pattern})\z")
        found.append(("pattern", f"NOT (`_text_{column.name}` RLIKE {whole})"))
    return [
        Rule(f"{column.name}.{name}", column.name, Category.DATA_QUALITY, sql)
        for name, sql in found
    ]


def _plain_number(value: str, dialect: Dialect) -> str:
    """SQL for a number's text without thousands marks and with a point."""
    decimal, thousands = dialect.decimal, dialect.thousands
    if thousands:
        mark = literal(thousands)
        grouped = rf"^-?[0-9]{{1,3}}([{thousands}][0-9]{{3}})+([{decimal}][0-9]+)?\z"
        without = f"replace({value}, {mark}, '')"
        value = f"CASE WHEN {value} RLIKE {literal(grouped)} THEN {without} ELSE {value} END"
    # What is a point already is none of this dialect: it must not pass for one.
    return value if decimal == "." else f"translate({value}, '{decimal}.', '.?')"


def _timestamp(value: str, timezone: str) -> str:
    """SQL for a timestamp from ISO 8601; in ``timezone`` where the text gives none."""
    naive = rf"^{_DATE}[T ]{_TIME}"
    instant = f"try_cast({value} AS TIMESTAMP)"
    there = f"to_utc_timestamp({instant}, {literal(timezone)})"
    return _where(
        value,
        {
            rf"{naive}\z": instant if timezone == "UTC" else _of_years(there),
            rf"{naive}( ?{ZONE}| UTC)\z": _of_years(instant),
        },
    )


def _of_years(instant: str) -> str:
    """A zone can carry an instant out of the years that a timestamp may have."""
    return f"CASE WHEN year({instant}) BETWEEN 1 AND 9999 THEN {instant} END"


def _whole(value: str, type_: str) -> str:
    without = f"regexp_replace({value}, '[.]0+$', '')"
    return _where(
        value,
        {
            rf"{_DIGITS}\z": f"try_cast({value} AS {type_})",
            rf"{_DIGITS}[.]0+\z": f"try_cast({without} AS {type_})",
        },
    )


def _where(value: str, casts: Mapping[str, str]) -> str:
    """SQL for the cast of the first pattern that a text has; null where it has none."""
    cases = " ".join(
        f"WHEN {value} RLIKE r'{pattern}' THEN {cast}" for pattern, cast in casts.items()
    )
    return f"CASE {cases} END"
