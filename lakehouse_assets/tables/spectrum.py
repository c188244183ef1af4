"""Delta tables as Redshift Spectrum reads them: manifests, and the catalog entries that name them.

Spectrum knows no Delta log. It reads the files that a manifest lists, of each partition that the
catalog has: https://docs.delta.io/redshift-spectrum-integration. Opens nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from lakehouse_assets.tables.contract import Layer, Table
from lakehouse_assets.tables.glue_entries import TABLE, entry_name, table_input
from lakehouse_assets.tables.redshift import by_role, text

LAYERS: Final = (Layer.SILVER, Layer.GOLD)
"""The layers that Spectrum reads; the marts are loaded."""
FOLDER: Final = "spectrum"
"""Where manifests are in the processed zone: in no table's own folder, which has one writer."""
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"

# https://docs.delta.io/redshift-spectrum-integration#step-2-configure-aws-redshift-spectrum
_FORMAT: Final = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
}
_SERDE: Final = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"

Partition = tuple[str, ...]
"""Values of the columns that a table is partitioned by, as a path has them; of none, the whole."""


def is_read(table: Table) -> bool:
    """Whether Spectrum is to read a table."""
    return table.layer in LAYERS


def database(layer: str, prefix: str) -> str:
    """The catalog's database of a layer's tables as Spectrum reads them."""
    return f"{prefix}{FOLDER}_{layer}".lower()


def external_schemas(prefix: str, role: str | None) -> list[str]:
    """The statements that let the warehouse read them, each in a transaction of its own.

    ``role`` is the ARN of the role that it reads by; its default one where there is none.
    """
    return [
        f"CREATE EXTERNAL SCHEMA IF NOT EXISTS {layer} FROM DATA CATALOG "
        f"DATABASE {text(database(layer, prefix))} {by_role(role)}"
        for layer in LAYERS
    ]


def folder_of(table: Table, partition: Partition = ()) -> str:
    """The folder of a table's manifests, or of a partition's, in the processed zone."""
    named = (f"{c}={quote(v)}" for c, v in zip(table.partition_by, partition, strict=False))
    return "/".join([FOLDER, table.layer, table.name, *named])


def manifests(table: Table, files: Iterable[Mapping[str, Any]], uri: str) -> dict[Partition, str]:
    """Each partition's manifest: the URIs of its files, as they are and not as a log escapes them.

    ``files`` are those of a version, as the Delta log tells of them; ``uri`` is the table's. A
    table that is not partitioned has one manifest, also without files.
    """
    found: dict[Partition, list[str]] = {} if table.partition_by else {(): []}
    for file in files:
        partition = tuple(_value(file[column]) for column in table.partition_by)
        found.setdefault(partition, []).append(f"{uri}/{unquote(file['path'])}\n")
    return {partition: "".join(sorted(lines)) for partition, lines in found.items()}


def entry(name: str, table: Table, location: str) -> dict[str, Any]:
    """Glue's ``TableInput`` of a table by its manifests, which are below the URI ``location``."""
    told = table_input(name, table, location)
    return {
        "Name": entry_name(name),
        "Description": told["Description"],
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"EXTERNAL": "TRUE", TABLE: name},
        "PartitionKeys": told["PartitionKeys"],
        "StorageDescriptor": {"Columns": told["StorageDescriptor"]["Columns"], **_at(location)},
    }


def partition_entry(told: Mapping[str, Any], partition: Partition, location: str) -> dict[str, Any]:
    """Glue's ``PartitionInput`` of one partition of a table whose `entry` is told."""
    columns = told["StorageDescriptor"]["Columns"]
    return {
        "Values": [*partition],
        "StorageDescriptor": {"Columns": columns, **_at(location)},
    }


def _at(location: str) -> dict[str, Any]:
    parameters = {"serialization.format": "1"}
    serde = {"SerializationLibrary": _SERDE, "Parameters": parameters}
    return {"Location": f"{location}/", **_FORMAT, "SerdeInfo": serde}


def _value(value: object) -> str:
    return _NULL if value is None else str(value)
