"""The contracts as a Glue catalog: what its databases and tables say. Opens nothing.

Athena, Trino and Spark find a table by its catalog entry and read its schema from the Delta log;
the columns stand in the catalog for people and for tools that look no further. What is made here
is what Glue's API and CloudFormation call ``DatabaseInput`` and ``TableInput``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lakehouse_assets.tables.contract import Column, Table

LAYER: Final = "lakehouse.layer"
"""Parameter of a database that is ours."""
TABLES: Final = "lakehouse.tables"
"""Parameter of a database that is ours: the tables registered in it."""
TABLE: Final = "lakehouse.table"
"""Parameter of a table that is ours; no other is ever removed."""
REGISTERED: Final = "lakehouse.registered"
"""Parameter of a table that is ours: digest of all that was registered."""

_LONGEST_COMMENT, _LONGEST_DESCRIPTION = 255, 2048

# What Athena and Trino write for a Delta table. Nothing reads by these classes: they are what the
# catalog demands.
_FORMAT: Final = {
    "InputFormat": "org.apache.hadoop.mapred.SequenceFileInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat",
}
_SERDE: Final = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"


def database_inputs(tables: Iterable[str], prefix: str) -> dict[str, dict[str, Any]]:
    """Glue's ``DatabaseInput`` of each layer, by layer; its name is the layer's after the prefix.

    The tables are by the names that queries know them by, ``<layer>.<table>``.
    """
    layers: dict[str, list[str]] = {}
    for name in sorted(tables):
        layers.setdefault(name.split(".")[0], []).append(entry_name(name))
    return {
        layer: {
            "Name": f"{prefix}{layer}".lower(),
            "Description": f"The lakehouse's {layer} tables.",
            "Parameters": {LAYER: layer, TABLES: " ".join(names)},
        }
        for layer, names in layers.items()
    }


def entry_name(table: str) -> str:
    """What a table is called in its database: the catalog keeps lower case only."""
    return table.split(".")[1].lower()


def table_input(name: str, table: Table, location: str) -> dict[str, Any]:
    """Glue's ``TableInput`` of the table that queries know by this name.

    Its Delta log is below the URI ``location``.
    """
    wanted: dict[str, Any] = {
        "Name": entry_name(name),
        "Description": _one_line(table.description, _LONGEST_DESCRIPTION),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {
            "EXTERNAL": "TRUE",
            "classification": "delta",
            "table_type": "DELTA",
            "spark.sql.sources.provider": "delta",
            TABLE: name,
        },
        "PartitionKeys": [_column(table.column(name)) for name in table.partition_by],
        "StorageDescriptor": {
            "Columns": [_column(c) for c in table.columns if c.name not in table.partition_by],
            "Location": location,
            **_FORMAT,
            "SerdeInfo": {
                "SerializationLibrary": _SERDE,
                # Trino and Spark look for the table here, not at the location.
                "Parameters": {"serialization.format": "1", "path": location},
            },
        },
    }
    wanted["Parameters"][REGISTERED] = digest(wanted)
    return wanted


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """How a table in the catalog differs from its ``TableInput``; nothing where they are equal.

    What others add to it (owners, statistics, parameters of their own) is no difference.
    """
    mine, theirs = _aspects(wanted), _aspects(found)
    return [
        f"{name} is {theirs.get(name, 'missing')!r}, by contract {mine.get(name, 'none')!r}"
        for name in [*mine, *(n for n in theirs if n not in mine)]
        if theirs.get(name) != mine.get(name)
    ]


def digest(table: Mapping[str, Any]) -> str:
    """Identity of what the catalog says of a table, as far as registering decides it."""
    return hashlib.sha256(json.dumps(_aspects(table)).encode()).hexdigest()[:16]


def _aspects(table: Mapping[str, Any]) -> dict[str, str]:
    """A table of the catalog (found there, or to be put there), flat and by name."""
    storage = table.get("StorageDescriptor", {})
    serde = storage.get("SerdeInfo", {})
    columns, keys = storage.get("Columns", []), table.get("PartitionKeys", [])
    found = {
        "description": table.get("Description"),
        "type": table.get("TableType"),
        "location": storage.get("Location"),
        "path": serde.get("Parameters", {}).get("path"),
        "input format": storage.get("InputFormat"),
        "output format": storage.get("OutputFormat"),
        "serde": serde.get("SerializationLibrary"),
        "order of columns": ", ".join(c["Name"] for c in columns),
        "partition keys": ", ".join(c["Name"] for c in keys),
    }
    for column in (*columns, *keys):
        found[f"column {column['Name']}"] = column.get("Type")
        found[f"comment of {column['Name']}"] = column.get("Comment")
    for name in ("EXTERNAL", "classification", "table_type", "spark.sql.sources.provider", TABLE):
        found[f"parameter {name}"] = table.get("Parameters", {}).get(name)
    return {name: value for name, value in found.items() if value}


def _column(column: Column) -> dict[str, str]:
    # Hive's names of types are Spark's in lower case.
    return {
        "Name": column.name.lower(),
        "Type": column.type.lower(),
        "Comment": _one_line(column.description, _LONGEST_COMMENT),
    }


def _one_line(text: str, longest: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
