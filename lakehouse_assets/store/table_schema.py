"""The form of a table in Delta: its properties and columns, and how they follow its contract."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Final

from deltalake import DeltaTable
from deltalake.schema import Field, Schema

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.tables.contract import Column, Table, delta_type

# Everyone can read what these allow: no deletion vectors, no column mapping, classic
# checkpoints. Thirty days of history serve time travel and restore.
TABLE_PROPERTIES: Final = {
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 30 days",
    "delta.deletedFileRetentionDuration": "interval 30 days",
}

LATER: Final = "lakehouse.later"
"""Marks a table's column that some of its rows were written without."""


class MisfitError(LakehouseError):
    """A table that cannot take the form that its contract has now."""


def delta_schema(table: Table) -> str:
    """The table's schema as the Delta protocol writes it (JSON).

    Every column is nullable in storage: that a required one holds no null is audited before
    a commit, and engines disagree on what a NOT NULL column accepts.
    """
    return json.dumps(
        {
            "type": "struct",
            "fields": [
                {
                    "name": c.name,
                    "type": delta_type(c.type),
                    "nullable": True,
                    "metadata": _comment(c),
                }
                for c in table.columns
            ],
        }
    )


def unusable(folder: str) -> str | None:
    """Why no Delta table can be in a folder of this name; None where one can be.

    delta-rs 1.6 makes a URL of a local path, follows links to do so, and then reads an escape in a
    name as the character (``%20`` as a space) and ends with "Invalid object store url" at others.
    To be filed with it: ``object_store_url`` in ``logstore/mod.rs`` must encode what no domain
    may have, and delta-kernel must decode a path once
    (https://github.com/delta-io/delta-kernel-rs/pull/3204 does for other places than folders).
    """
    if "://" in folder or not (found := _UNUSABLE.search(folder)):
        return None
    return (
        f"Delta tables cannot be kept in a folder with {found[0]} in its name; "
        "rename the folder, or set LAKEHOUSE_ROOT to another"
    )


_UNUSABLE: Final = re.compile(r"[\[\]\\^|]|%[0-9A-Fa-f]{2}")


def _comment(column: Column) -> dict[str, str]:
    """A column's description for Delta; none for the project's own columns.

    Those are what tables have in common and what is united: Sail fails at a union of a column
    with a comment and one without ("Physical input schema should be the same as the one converted
    from logical input schema"): https://github.com/apache/datafusion/issues/19049.
    """
    return {} if column.name.startswith("_") else {"comment": column.description}


def create(uri: str, table: Table, storage_options: dict[str, str]) -> DeltaTable:
    """A new table there, without rows. Raises DeltaError where one is already."""
    return DeltaTable.create(
        uri,
        schema=Schema.from_json(delta_schema(table)),
        partition_by=list(table.partition_by),
        configuration=dict(TABLE_PROPERTIES),
        description=table.description[:4000],
        name=table.id,
        storage_options=storage_options,
    )


def fit(found: DeltaTable, table: Table) -> bool:
    """Give a table the columns that its contract has now; returns whether it had them.

    Raises MisfitError where a column's type or the partitions are others now, and DeltaError
    where another process is at it.
    """
    there = {f.name: f for f in found.schema().fields}
    wanted = _wanted(table)
    other = [n for n in wanted if n in there and there[n].type != wanted[n].type]
    if other or found.metadata().partition_columns != list(table.partition_by):
        what = f"column {other[0]!r} has another type" if other else "other partitions"
        raise MisfitError(
            f"{table.id}: {what} in its contract than in {found.table_uri}; give the column "
            "another name, or remove the table's folder: the next run builds it again"
        )
    come = [field for name, field in wanted.items() if name not in there]
    gone = [f for n, f in there.items() if n not in wanted and LATER not in f.metadata]
    if come:
        found.alter.add_columns(
            [Field(f.name, f.type, metadata={**f.metadata, LATER: "true"}) for f in come]
        )
    for field in gone:
        found.alter.set_column_metadata(field.name, {**field.metadata, LATER: "true"})
    return not come and not gone


@cache
def _wanted(table: Table) -> dict[str, Field]:
    return {f.name: f for f in Schema.from_json(delta_schema(table)).fields}


def shape(found: DeltaTable) -> dict[str, bool]:
    """A version's columns in their order; each with whether it came, or went, later."""
    return {field.name: LATER in field.metadata for field in found.schema().fields}
