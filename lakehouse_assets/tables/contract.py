"""What a table is: its columns, key, grain, layout, limits and, for gold, its SQL.

Everything else about a table is derived from its contract: Delta schema, verdict columns,
asset, checks, column metadata and lineage. A contract is plain data; importing one imports
neither dagster nor pyspark.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from typing import Any, ClassVar, Final, NamedTuple

from lakehouse_assets.parse.model import Dialect


class Layer(StrEnum):
    """Where in the lakehouse a table stands."""

    BRONZE = "bronze"
    SILVER = "silver"
    GOLD = "gold"
    MART = "mart"


class Category(StrEnum):
    """Why a row is rejected, worst first."""

    SCHEMA = "schema"
    DATA_QUALITY = "data_quality"
    REFERENTIAL_INTEGRITY = "referential_integrity"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: its name, Spark SQL type, meaning and, for a dataset, its rules.

    ``source`` is the header in the raw file (the column's own name unless given), ``aliases`` are
    other names that the header may have instead; a column with ``derived`` has none: it is a SQL
    expression over the row's typed columns. ``pattern`` is a regular expression that the whole
    text must match, in the part of the language that all engines read alike (see
    `tables.patterns`). ``references`` names the dataset whose key this column must be.
    """

    name: str
    type: str
    description: str
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    allowed: tuple[int, ...] | tuple[str, ...] | None = None
    pattern: str | None = None
    references: str | None = None
    source: str | None = None
    aliases: tuple[str, ...] = ()
    derived: str | None = None

    @property
    def header(self) -> str | None:
        """The raw file's header for this column; None where the column is derived."""
        return None if self.derived else (self.source or self.name)


@dataclass(frozen=True, kw_only=True)
class RowRule:
    """A condition that every row must meet: rows for which ``sql`` is false are rejected.

    ``sql`` is an expression over the row's typed columns; where it is null (a value is missing),
    the row does not break it. ``description`` says in a sentence what must be so.
    """

    name: str
    description: str
    sql: str


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A warning about published rows: it rejects nothing.

    ``sql`` selects ``_batch_date, sample`` (a text that names the row) for each row in
    question, from ``published`` (this table's rows of the batch dates at hand) and any
    silver table by its name.
    """

    name: str
    description: str
    sql: str


@dataclass(frozen=True, kw_only=True)
class HoldLimit:
    """When a file is held: more than ``share`` of its rows break a rule of their own.

    Files with fewer than ``least_rows`` rows are never held: a share says little of them.
    """

    share: float = 0.05
    least_rows: int = 100


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What a table's Glue job may use: at most so many workers, for so many minutes.

    With autoscaling only the workers at work are paid for.
    """

    workers: int = 10
    worker_type: str = "G.1X"
    timeout_minutes: int = 120


# Where a published row comes from. Not part of the contract's content: they name the
# run's circumstances, and start with an underscore everywhere.
LINEAGE: Final = (
    Column(name="_batch_date", type="DATE", description="Folder that the row's file landed in."),
    Column(name="_file", type="STRING", description="Name of the row's file."),
    Column(name="_sheet_no", type="INT", description="Sheet by position from 1; 0 in CSV."),
    Column(name="_row", type="BIGINT", description="Row or physical line in the file, from 1."),
    Column(name="_content", type="STRING", description="Identity of the landed upload."),
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """What every Delta table here has: a place, columns and a physical layout."""

    layer: str
    name: str
    description: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    zorder_by: tuple[str, ...] = ()
    capacity: Capacity = field(default_factory=Capacity)

    @property
    def id(self) -> str:
        """The table's name in queries and messages, ``<layer>.<name>``."""
        return f"{self.layer}.{self.name}"

    @property
    def payload(self) -> tuple[Column, ...]:
        """The contract's columns: what "the same table" compares."""
        return tuple(c for c in self.columns if not c.name.startswith("_"))

    @property
    def names(self) -> tuple[str, ...]:
        """All column names, in order."""
        return tuple(c.name for c in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.id} has no column {name}")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset's contract: what its files hold and what its silver table is.

    ``key`` is a column, or several that together name what a row is about. ``dialect`` says how
    the files are written, where that is not as usual. With ``expected="daily"`` a file of it comes
    for every batch date, and the sensor waits with a date for that one, for a while. With
    ``keep_history`` the versions that each key's row has had are kept, by batch date.

    From the contract derive the silver table and the generic tables beside it: bronze (every row
    in force, as text), rejected (quarantine), superseded (older versions of a key, duplicates)
    and, where it is kept, history.
    """

    name: str
    description: str
    key: str | tuple[str, ...]
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...] = ()
    zorder_by: tuple[str, ...] = ()
    row_rules: tuple[RowRule, ...] = ()
    dialect: Dialect = field(default_factory=Dialect)
    hold: HoldLimit = field(default_factory=HoldLimit)
    expected: str | None = None
    keep_history: bool = False
    advice: tuple[Advice, ...] = ()
    capacity: Capacity = field(default_factory=Capacity)

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the key, also where it is a single one."""
        return (self.key,) if isinstance(self.key, str) else self.key

    @property
    def sources(self) -> tuple[Column, ...]:
        """The columns that the raw files hold."""
        return tuple(c for c in self.columns if c.header)

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that every raw file of the dataset must have."""
        return tuple(c.header for c in self.columns if c.header)

    @property
    def foreign_keys(self) -> tuple[Column, ...]:
        """The columns that must be a key of another dataset."""
        return tuple(c for c in self.columns if c.references)

    @property
    def silver(self) -> Table:
        """The published table: one row per key."""
        return Table(
            layer=Layer.SILVER,
            name=self.name,
            description=self.description,
            columns=(*self.columns, *LINEAGE),
            partition_by=self.partition_by,
            zorder_by=self.zorder_by,
            capacity=self.capacity,
        )

    @property
    def bronze(self) -> Table:
        """Every row of every file in force, as text."""
        return Table(
            layer=Layer.BRONZE,
            name=self.name,
            description=f"Every row of every {self.name} file in force, as text.",
            columns=self._as_text(),
            partition_by=("_batch_date", "_content"),
            capacity=self.capacity,
        )

    @property
    def rejected(self) -> Table:
        """Quarantine: the rows rejected now, whole, with every rule that they break."""
        return Table(
            layer="rejected",
            name=self.name,
            description=f"The rows of {self.name} files that are rejected now, and why.",
            columns=(
                *self._as_text(),
                Column(name="_category", type="STRING", description="Worst kind of fault."),
                Column(name="_rules", type="ARRAY<STRING>", description="Every rule broken."),
                _SUBJECT,
            ),
            partition_by=("_batch_date",),
        )

    @property
    def superseded(self) -> Table:
        """Where each superseded row stands, so that it is found when its turn comes."""
        return Table(
            layer="superseded",
            name=self.name,
            description=(
                f"Rows of {self.name} files that a newer row of their key, or a repair, hides; "
                "duplicates (_duplicate) too."
            ),
            columns=(
                *LINEAGE,
                Column(
                    name="_duplicate",
                    type="BOOLEAN",
                    description="Breaks no rule and says the same as the published row.",
                ),
                _SUBJECT,
            ),
            partition_by=("_batch_date",),
        )

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables of the dataset, bronze first."""
        history = (self.history,) if self.keep_history else ()
        return (self.bronze, self.silver, self.rejected, self.superseded, *history)

    @property
    def history_name(self) -> str:
        """What a SELECT calls the history, beside silver's table of the dataset's own name."""
        return f"{self.name}_history"

    @property
    def history(self) -> Table:
        """One row per version of a key's row: what it said, and from when until when."""
        return Table(
            layer=HISTORY,
            name=self.name,
            description=f"What each row of {self.name} has said, by batch date.",
            columns=(*self.columns, *VALIDITY),
        )

    def _as_text(self) -> tuple[Column, ...]:
        sources = tuple(
            Column(name=header, type="STRING", description=c.description, aliases=c.aliases)
            for c in self.columns
            if (header := c.header)
        )
        return (*sources, *_BRONZE_META)

    @cached_property
    def rules_digest(self) -> str:
        """Identity of what decides a row's fate and a file's admission."""
        return _digest(
            _VERSION_ORDER,
            [_decisive(c) for c in self.columns],
            self.key_columns,
            [_decisive(rule) for rule in self.row_rules],
            _decisive(self.dialect),
            _decisive(self.hold),
        )


HISTORY: Final = "history"
"""The layer of the versions that rows have had."""

VALIDITY: Final = (
    Column(name="valid_from", type="DATE", description="Batch date that the version came with."),
    Column(
        name="valid_to",
        type="DATE",
        description="Batch date that the next version came with; null for the current one.",
    ),
)
"""When a version of a row is valid: from the first date on, and before the second."""

# Part of each contract's digest: the tables of a lake that another order has made are made anew.
_VERSION_ORDER: Final = "batch date, file in natural order, sheet, row"

_SUBJECT: Final = Column(
    name="_subject",
    type="STRING",
    description="The key as text, or the upload where the key cannot be read.",
)

_BRONZE_META: Final = (
    *LINEAGE[:2],
    Column(name="_sheet", type="STRING", description="Sheet's name; null in CSV."),
    *LINEAGE[2:],
    Column(
        name="_extra",
        type="MAP<STRING,STRING>",
        description="Values of unexpected columns; null without any.",
    ),
    Column(name="_raw", type="STRING", description="The text of a line that has no columns."),
    Column(
        name="_fault",
        type="STRING",
        description="Why it has none, ragged or unsplittable; or its cells without a value.",
    ),
)


class Source(NamedTuple):
    """A table that a derived table's SELECT can read.

    Its rows are of a dataset, and of the batch dates in a column of that name.
    """

    dataset: Dataset
    table: Table
    batch_date: str


def sources_of(datasets: Iterable[Dataset]) -> dict[str, Source]:
    """What a SELECT can read of these datasets, by its name there."""
    found: dict[str, Source] = {}
    for dataset in datasets:
        found[dataset.name] = Source(dataset, dataset.silver, LINEAGE[0].name)
        if dataset.keep_history:
            found[dataset.history_name] = Source(dataset, dataset.history, VALIDITY[0].name)
    return found


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """A derived table's proof against silver: both expressions must give the same.

    ``gold`` is an aggregate over the derived table, ``silver`` a SELECT of one value over what its
    own SELECT reads; both are taken over the units that a run recomputed.
    """

    name: str
    gold: str
    silver: str


@dataclass(frozen=True, kw_only=True)
class Derived:
    """A contract of what derives from silver: columns, grain and one SELECT over its tables.

    The SELECT names silver's tables as their datasets, and ``<dataset>_history`` where history is
    kept. ``unit`` is ``<table>.<column>`` of one of those: the column by whose values the table is
    recomputed. A changed row of any input is followed along the foreign keys to the units it
    touches; those units are computed again, whole, from just the rows that belong to them.
    Without a unit every change computes the whole table.
    """

    layer: ClassVar[Layer]
    name: str
    description: str
    grain: tuple[str, ...]
    columns: tuple[Column, ...]
    sql: str
    unit: str | None = None
    partition_by: tuple[str, ...] = ()
    zorder_by: tuple[str, ...] = ()
    reconciliations: tuple[Reconciliation, ...] = ()
    capacity: Capacity = field(default_factory=Capacity)

    @property
    def table(self) -> Table:
        """The Delta table."""
        return Table(
            layer=self.layer,
            name=self.name,
            description=self.description,
            columns=self.columns,
            partition_by=self.partition_by,
            zorder_by=self.zorder_by,
            capacity=self.capacity,
        )

    @property
    def dimensions(self) -> tuple[Column, ...]:
        """The columns that must be the key of a mart."""
        return tuple(c for c in self.columns if c.references)

    @cached_property
    def digest(self) -> str:
        """Identity of what decides the table's content."""
        return _digest(self.sql, [_decisive(c) for c in self.columns], self.unit, self.grain)


@dataclass(frozen=True, kw_only=True)
class Gold(Derived):
    """A gold table's contract: an answer that many ask for."""

    layer: ClassVar[Layer] = Layer.GOLD


@dataclass(frozen=True, kw_only=True)
class Mart(Derived):
    """A table of the star schema: a dimension, whose grain is its surrogate key, or a fact.

    A column with ``references`` must be the key of that dimension.
    """

    layer: ClassVar[Layer] = Layer.MART


_DELTA_TYPES: Final = {
    "BIGINT": "long",
    "INT": "integer",
    "STRING": "string",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "BOOLEAN": "boolean",
    "DOUBLE": "double",
}


def delta_type(spark_type: str) -> Any:
    """The Delta protocol's name for a Spark SQL type. Raises ValueError for an unknown one."""
    if re.fullmatch(r"DECIMAL\([0-9]+,[0-9]+\)", spark_type):
        return spark_type.lower()
    if spark_type == "ARRAY<STRING>":
        return {"type": "array", "elementType": "string", "containsNull": True}
    if spark_type == "MAP<STRING,STRING>":
        return {
            "type": "map",
            "keyType": "string",
            "valueType": "string",
            "valueContainsNull": True,
        }
    if spark_type not in _DELTA_TYPES:
        known = ", ".join([*_DELTA_TYPES, "DECIMAL(p,s)"])
        raise ValueError(f"unknown column type {spark_type!r}; use one of {known}")
    return _DELTA_TYPES[spark_type]


def _decisive(part: Any) -> dict[str, Any]:
    """What a part of a contract decides: neither its description nor what is at its default.

    So another word, or a further field of contracts, is no other rule.
    """
    found = {f.name: getattr(part, f.name) for f in fields(part) if f.name != "description"}
    return {
        f.name: found[f.name] for f in fields(part) if found.get(f.name, f.default) != f.default
    }


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
