"""The catalog's databases that Redshift Spectrum reads by: tables of manifests, and partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lakehouse_assets.operations.renew_manifests import Renewed, renew
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.tables import spectrum
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import queryable
from lakehouse_assets.tables.spectrum import Partition
from resources.aws import clear_errors, client

_CREATED_AT_ONCE: Final = 100
_DELETED_AT_ONCE: Final = 25
"""What Glue takes in one request.
https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html
"""


@dataclass(frozen=True)
class SpectrumCatalog:
    """Databases of their own in the account's Glue catalog, named after ``prefix``."""

    prefix: str

    def renew(self, lake: Lake) -> list[Renewed]:
        """Renew every table's manifests and entries. Raises AwsError."""
        with clear_errors("Glue catalog for Redshift Spectrum"):
            glue = client("glue")
            for layer in spectrum.LAYERS:
                _make_database(glue, spectrum.database(layer, self.prefix), layer)
            tables = [t for t in queryable().values() if spectrum.is_read(t)]
            done = [renew(lake, table, self._registering(glue, lake, table)) for table in tables]
        return [renewed for renewed in done if renewed]

    def _registering(
        self, glue: Any, lake: Lake, table: Table
    ) -> Callable[[set[Partition]], object]:
        entries = _Entries(glue, spectrum.database(table.layer, self.prefix), lake, table)
        return entries.register


@dataclass(frozen=True)
class _Entries:
    """One table's entries in one database."""

    glue: Any
    database: str
    lake: Lake
    table: Table

    def register(self, partitions: set[Partition]) -> None:
        """Make the catalog have this table with exactly these partitions."""
        told = spectrum.entry(self.table.id, self.table, self._place())
        named = {"DatabaseName": self.database, "TableName": told["Name"]}
        self._put(told)
        if not self.table.partition_by:
            return
        pages = self.glue.get_paginator("get_partitions").paginate(**named)
        there = {tuple(p["Values"]): p for page in pages for p in page["Partitions"]}
        columns = told["StorageDescriptor"]["Columns"]
        # A partition keeps the columns that it was made with: it is made anew with another.
        old = {v for v, p in there.items() if _told(p["StorageDescriptor"]["Columns"]) != columns}
        for some in _parts(there.keys() - (partitions - old), _DELETED_AT_ONCE):
            values = [{"Values": [*values]} for values in some]
            self.glue.batch_delete_partition(**named, PartitionsToDelete=values)
        for some in _parts(partitions - (there.keys() - old), _CREATED_AT_ONCE):
            made = [spectrum.partition_entry(told, p, self._place(p)) for p in some]
            self.glue.batch_create_partition(**named, PartitionInputList=made)

    def _put(self, told: dict[str, Any]) -> None:
        try:
            found = self.glue.get_table(DatabaseName=self.database, Name=told["Name"])["Table"]
        except self.glue.exceptions.EntityNotFoundException:
            self.glue.create_table(DatabaseName=self.database, TableInput=told)
            return
        if {key: found.get(key) for key in told} != told:
            self.glue.update_table(DatabaseName=self.database, TableInput=told)

    def _place(self, partition: Partition = ()) -> str:
        return self.lake.storage.uri(spectrum.folder_of(self.table, partition))


def _make_database(glue: Any, name: str, layer: str) -> None:
    try:
        glue.get_database(Name=name)
    except glue.exceptions.EntityNotFoundException:
        about = f"The lakehouse's {layer} tables, as Redshift Spectrum reads them."
        glue.create_database(DatabaseInput={"Name": name, "Description": about})


def _told(columns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Columns of an answer as a request has them."""
    return [{k: c[k] for k in ("Name", "Type", "Comment") if k in c} for c in columns]


def _parts(partitions: Iterable[Partition], most: int) -> Iterator[Sequence[Partition]]:
    listed = sorted(partitions)
    for i in range(0, len(listed), most):
        yield listed[i : i + most]
