"""The marts as Redshift's tables: the statements that make them, load them and show them.

Opens nothing. Everything follows from the contracts: columns, comments, keys, how rows are spread
over nodes and sorted. Primary and foreign keys are what Redshift plans by; it enforces neither:
https://docs.aws.amazon.com/redshift/latest/dg/t_Defining_constraints.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lakehouse_assets.tables.contract import Column, Mart

MARTS: Final = "mart"
"""Schema of the tables that people ask."""
STAGING: Final = "staging"
"""Schema of what a load needs: rows on their way, and what has been loaded."""
VIEWS: Final = "analytics"
"""Schema of the views: each fact with what its dimensions say of it."""
SCHEMA_VERSION: Final = 1
"""Of what the warehouse remembers of itself; another release may remember something else."""
MOST_STATEMENTS: Final = 40
"""What the Data API takes as one transaction.
https://docs.aws.amazon.com/redshift-data/latest/APIReference/API_BatchExecuteStatement.html
"""
REMOVED: Final = "_removed"
"""Column of staged rows: whether the lake has the row no more."""

_TYPES: Final = {
    "BIGINT": "BIGINT",
    "INT": "INTEGER",
    "STRING": "VARCHAR(65535)",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "BOOLEAN": "BOOLEAN",
    "DOUBLE": "DOUBLE PRECISION",
}
"""Redshift's types. A text has no longest by contract, so it gets the longest that there is."""

_CATALOG_TYPES: Final = {
    "INTEGER": "integer",
    "VARCHAR(65535)": "character varying",
    "TIMESTAMP": "timestamp without time zone",
}
"""What ``information_schema`` calls a type, where that is not its name in lower case."""

_OWN: Final = {
    "warehouse": "schema_version INTEGER NOT NULL, contracts VARCHAR(64) NOT NULL",
    "loads": (
        "table_name VARCHAR(255) NOT NULL, log_id VARCHAR(64) NOT NULL, version BIGINT NOT NULL, "
        "contract VARCHAR(64) NOT NULL, run_id VARCHAR(64) NOT NULL, loaded_at TIMESTAMP NOT NULL, "
        "PRIMARY KEY (table_name)"
    ),
}
"""The warehouse's tables of its own, in `STAGING`: their columns."""

Shape = Mapping[str, Mapping[str, str]]
"""What is in the warehouse: each table's columns, by ``<schema>.<table>``, each with its type."""
Transaction = Sequence[str]
"""Statements that count all together, or not at all."""

SHAPE: Final = (
    "SELECT table_schema, table_name, column_name, data_type, numeric_precision, numeric_scale "
    "FROM information_schema.columns "
    f"WHERE table_schema IN ('{MARTS}', '{STAGING}', '{VIEWS}')"
)
"""The question whose rows `shape` reads."""
ITSELF: Final = f"SELECT schema_version, contracts FROM {STAGING}.warehouse"
"""The question what the warehouse was made by: its schema's version, and `digest`."""


class MisfitError(Exception):
    """A table of the warehouse that is another than its contract's; the text is one clear line."""


@dataclass(frozen=True)
class Loaded:
    """What of a mart is in the warehouse: a version of its Delta table, by this contract."""

    log_id: str
    version: int
    contract: str


def shape(rows: Iterable[Sequence[object]]) -> Shape:
    """What is in the warehouse, from the answer to `SHAPE`."""
    found: dict[str, dict[str, str]] = {}
    for schema, table, column, kind, precision, scale in rows:
        exact = f"numeric({precision},{scale})" if kind == "numeric" else str(kind)
        found.setdefault(f"{schema}.{table}", {})[str(column)] = exact
    return found


def digest(marts: Sequence[Mart], schemas: Sequence[Transaction]) -> str:
    """Identity of all that `setup` decides, and of what else the warehouse is to have."""
    statements = [*setup(marts, {}), *schemas]
    return hashlib.sha256(json.dumps(statements).encode()).hexdigest()[:16]


def setup(marts: Sequence[Mart], there: Shape) -> Iterator[Transaction]:
    """The transactions that make the warehouse what the contracts say; each can be repeated.

    A column that is new comes to its table, one that no contract has any more stays, as in Delta.
    Raises MisfitError where a column has another type.
    """
    yield [f"CREATE SCHEMA IF NOT EXISTS {name}" for name in (MARTS, STAGING, VIEWS)]
    yield [f"CREATE TABLE IF NOT EXISTS {STAGING}.{table} ({c})" for table, c in _OWN.items()]
    by_name = {mart.name: mart for mart in marts}
    for mart in marts:
        yield _make(mart, by_name, there)
        yield from _in_parts(_comments(mart))
    for mart in _facts(by_name):
        view = _name(VIEWS, mart.name)
        yield [f"DROP VIEW IF EXISTS {view}", f"CREATE VIEW {view} AS {_view(mart, by_name)}"]


def is_made(marts: Sequence[Mart], there: Shape) -> bool:
    """Whether every table has every column that its contract names, of its type."""
    return all(
        there.get(f"{MARTS}.{mart.name}", {}).get(column.name) == _in_catalog(column)
        and f"{STAGING}.{mart.name}" in there
        for mart in marts
        for column in mart.columns
    )


def settled(contracts: str) -> Transaction:
    """What says, after `setup`, that the warehouse is what contracts of this `digest` say."""
    return [
        f"DELETE FROM {STAGING}.warehouse",
        f"INSERT INTO {STAGING}.warehouse VALUES ({SCHEMA_VERSION}, {text(contracts)})",
    ]


def _make(mart: Mart, by_name: Mapping[str, Mart], there: Shape) -> Transaction:
    table, staged = _name(MARTS, mart.name), _name(STAGING, mart.name)
    all_columns = [*mart.columns, Column(name=REMOVED, type="BOOLEAN", description="")]
    columns = ", ".join(f"{_q(c.name)} {redshift_type(c.type)}" for c in all_columns)
    made = [f"DROP TABLE IF EXISTS {staged}", f"CREATE TABLE {staged} ({columns}) DISTSTYLE EVEN"]
    known = there.get(f"{MARTS}.{mart.name}")
    if known is None:
        # Whatever was loaded is gone with the table.
        gone = f"DELETE FROM {STAGING}.loads WHERE table_name = {text(mart.name)}"
        return [*made, gone, _create(mart, by_name)]
    for column in mart.columns:
        kind, wanted = known.get(column.name), redshift_type(column.type)
        if kind is None:
            made.append(f"ALTER TABLE {table} ADD COLUMN {_q(column.name)} {wanted}")
        elif kind != _in_catalog(column):
            raise MisfitError(
                f"warehouse: {MARTS}.{mart.name}.{column.name} is {kind}, by contract {wanted}; "
                "drop or rename that table in the warehouse: the next run loads it anew"
            )
    return made


def _create(mart: Mart, by_name: Mapping[str, Mart]) -> str:
    parts = [
        f"{_q(c.name)} {redshift_type(c.type)}{' NOT NULL' if c.name in mart.grain else ''}"
        for c in mart.columns
    ]
    parts.append(f"PRIMARY KEY ({_names(mart.grain)})")
    for column in mart.dimensions:
        dimension = by_name[str(column.references)]
        parts.append(
            f"FOREIGN KEY ({_q(column.name)}) REFERENCES {_name(MARTS, dimension.name)} "
            f"({_names(dimension.grain)})"
        )
    return (
        f"CREATE TABLE {_name(MARTS, mart.name)} ({', '.join(parts)}) "
        f"{_distribution(mart, by_name)} COMPOUND SORTKEY ({_names(_sorted_by(mart))})"
    )


def _distribution(mart: Mart, by_name: Mapping[str, Mart]) -> str:
    """A dimension is on every node; a fact is spread by what its rows are looked for by.

    So facts with the same value meet on one node, and every join with a dimension is local.
    """
    if mart.name in _dimensions(by_name):
        return "DISTSTYLE ALL"
    return f"DISTSTYLE KEY DISTKEY ({_q([*mart.zorder_by, *mart.grain][0])})"


def _sorted_by(mart: Mart) -> Sequence[str]:
    return [*dict.fromkeys([*mart.partition_by, *mart.zorder_by])] or mart.grain


def _dimensions(by_name: Mapping[str, Mart]) -> set[str]:
    return {str(column.references) for mart in by_name.values() for column in mart.dimensions}


def _facts(by_name: Mapping[str, Mart]) -> list[Mart]:
    dimensions = _dimensions(by_name)
    return [m for m in by_name.values() if m.dimensions and m.name not in dimensions]


def _comments(mart: Mart) -> list[str]:
    table = _name(MARTS, mart.name)
    return [
        f"COMMENT ON TABLE {table} IS {_comment(mart.description)}",
        *(
            f"COMMENT ON COLUMN {table}.{_q(c.name)} IS {_comment(c.description)}"
            for c in mart.columns
        ),
    ]


def _view(mart: Mart, by_name: Mapping[str, Mart]) -> str:
    """A fact with all that its dimensions say, under names that say which of them."""
    selected = {c.name: f"f.{_q(c.name)}" for c in mart.columns}
    joins = []
    for column in mart.dimensions:
        dimension = by_name[str(column.references)]
        role = column.name.removesuffix("_key")
        alias, [key] = _q(role), dimension.grain
        joins.append(
            f"LEFT JOIN {_name(MARTS, dimension.name)} AS {alias} "
            f"ON {alias}.{_q(key)} = f.{_q(column.name)}"
        )
        for other in dimension.columns:
            if other.name != key and not other.references:
                selected.setdefault(
                    _in_role(other.name, role, dimension), f"{alias}.{_q(other.name)}"
                )
    columns = ", ".join(f"{source} AS {_q(name)}" for name, source in selected.items())
    return f"SELECT {columns} FROM {_name(MARTS, mart.name)} AS f {' '.join(joins)}"


def _in_role(column: str, role: str, dimension: Mart) -> str:
    """A dimension's column as a fact's view calls it: ``current_product_name``, ``date_year``."""
    what = dimension.name.removeprefix("dim_")
    if column == what or column.startswith(f"{what}_"):
        return role + column.removeprefix(what)
    return f"{role}_{column}"


# ------------------------------------------------------------------------------------- a load


def loaded(mart: Mart) -> str:
    """The question what of a mart is loaded; its rows are of `Loaded`'s fields, one or none."""
    name = text(mart.name)
    return f"SELECT log_id, version, contract FROM {STAGING}.loads WHERE table_name = {name}"


def load(
    mart: Mart,
    before: Loaded | None,
    after: Loaded,
    staged: str | None,
    *,
    whole: bool,
    run_id: str,
    role: str | None = None,
) -> Transaction:
    """The one transaction that takes a mart from what is loaded to another version.

    Where another has loaded the mart since ``before`` was read, it changes nothing: it waits for
    the lock, and then each statement finds another record than the one that it is meant for.

    Args:
        mart: What is loaded.
        before: What the warehouse said is loaded; None where nothing is.
        after: What is loaded then.
        staged: The URI of the manifest of Parquet files with rows to take in; None for none.
        whole: Whether these are all rows of the table, not those that changed.
        run_id: The run that loads.
        role: The ARN of the role that the warehouse reads files by; its default one unless given.
    """
    table, stage = _name(MARTS, mart.name), _name(STAGING, mart.name)
    if_still = _as_before(mart, before)
    same_key = " AND ".join(f"{table}.{_q(c)} = s.{_q(c)}" for c in mart.grain)
    # LOCK comes first: the snapshot that a transaction sees begins with what reads or writes.
    # https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html
    statements = [f"LOCK {STAGING}.loads"]
    if whole:
        statements.append(f"DELETE FROM {table} WHERE {if_still}")
    if staged is not None:
        statements += [
            f"DELETE FROM {stage}",  # TRUNCATE would commit
            # By position: a COPY of Parquet takes no list of columns.
            f"COPY {stage} FROM {text(staged)} {by_role(role)} FORMAT AS PARQUET MANIFEST",
            f"DELETE FROM {stage} WHERE NOT ({if_still})",
            f"DELETE FROM {table} USING {stage} AS s WHERE s.{_q(REMOVED)} AND {same_key}",
            f"DELETE FROM {stage} WHERE {_q(REMOVED)}",
            _merge(mart, table, stage, same_key),
            f"DELETE FROM {stage}",
        ]
    return [*statements, _record(mart, before, after, if_still, run_id)]


def _merge(mart: Mart, table: str, stage: str, same_key: str) -> str:
    columns = [c.name for c in mart.columns]
    others = [c for c in columns if c not in mart.grain] or mart.grain
    changed = ", ".join(f"{_q(c)} = s.{_q(c)}" for c in others)
    values = ", ".join(f"s.{_q(c)}" for c in columns)
    return (
        f"MERGE INTO {table} USING {stage} AS s ON {same_key} "
        f"WHEN MATCHED THEN UPDATE SET {changed} "
        f"WHEN NOT MATCHED THEN INSERT ({_names(columns)}) VALUES ({values})"
    )


def _as_before(mart: Mart, before: Loaded | None) -> str:
    """A condition: what is loaded is still what it was as this load began."""
    of_mart = f"SELECT 1 FROM {STAGING}.loads WHERE table_name = {text(mart.name)}"
    if before is None:
        return f"NOT EXISTS ({of_mart})"
    return (
        f"EXISTS ({of_mart} AND log_id = {text(before.log_id)} AND version = {before.version} "
        f"AND contract = {text(before.contract)})"
    )


def _record(mart: Mart, before: Loaded | None, after: Loaded, if_still: str, run_id: str) -> str:
    values = {
        "log_id": text(after.log_id),
        "version": str(after.version),
        "contract": text(after.contract),
        "run_id": text(run_id),
        "loaded_at": "GETDATE()",
    }
    name = text(mart.name)
    if before is None:
        return (
            f"INSERT INTO {STAGING}.loads (table_name, {', '.join(values)}) "
            f"SELECT {name}, {', '.join(values.values())} WHERE {if_still}"
        )
    changed = ", ".join(f"{column} = {value}" for column, value in values.items())
    return f"UPDATE {STAGING}.loads SET {changed} WHERE table_name = {name} AND {if_still}"


def manifest(files: Mapping[str, int]) -> bytes:
    """What names the files of a COPY, by URI, each with its bytes: exactly these, or none.

    https://docs.aws.amazon.com/redshift/latest/dg/loading-data-files-using-manifest.html
    """
    entries = [
        {"url": uri, "mandatory": True, "meta": {"content_length": size}}
        for uri, size in sorted(files.items())
    ]
    return json.dumps({"entries": entries}).encode()


# ------------------------------------------------------------------------------------ its words


def redshift_type(spark_type: str) -> str:
    """Redshift's type for a contract's. Raises KeyError for one that no mart has."""
    return spark_type if spark_type.startswith("DECIMAL") else _TYPES[spark_type]


def _in_catalog(column: Column) -> str:
    """What ``information_schema`` calls a column's type."""
    name = redshift_type(column.type)
    return _CATALOG_TYPES.get(name, name.lower().replace("decimal", "numeric"))


def _in_parts(statements: Sequence[str]) -> Iterator[Transaction]:
    for i in range(0, len(statements), MOST_STATEMENTS):
        yield statements[i : i + MOST_STATEMENTS]


def _name(schema: str, table: str) -> str:
    return f"{_q(schema)}.{_q(table)}"


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(_q, columns))


def _q(identifier: str) -> str:
    return f'"{identifier}"'


def by_role(role: str | None) -> str:
    """The words that say by which role Redshift reads what is not its own."""
    return f"IAM_ROLE {text(role)}" if role else "IAM_ROLE DEFAULT"


def text(value: str) -> str:
    """A text as a literal, in Redshift's dialect."""
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _comment(about: str) -> str:
    return text(" ".join(about.split()))
