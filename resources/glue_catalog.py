"""The catalog that Athena, Trino and Spark find the tables in: Glue, or none."""

# No `from __future__ import annotations` here: Dagster reads the annotations of resources.

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from lakehouse_assets.ports import Catalog, Registered
from lakehouse_assets.queries.named import tables
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.glue_entries import (
    LAYER,
    REGISTERED,
    TABLE,
    TABLES,
    database_inputs,
    differences,
    digest,
    table_input,
)
from resources.aws import AwsError, clear_errors, client
from resources.lakehouse import Lakehouse
from resources.settings import CatalogName, Settings

_OTHERS = ("CreateTableDefaultPermissions", "LocationUri")
"""What a database says that the contracts do not."""


class NoCatalog(dg.ConfigurableResource["NoCatalog"]):
    """No catalog: on a laptop, tables are found by their folders."""

    def register(self) -> Registered | None:
        """Nothing to do."""
        return None


class GlueCatalog(dg.ConfigurableResource["GlueCatalog"]):
    """The account's Glue catalog, a database a layer, named after ``prefix``."""

    lakehouse: dg.ResourceDependency[Lakehouse]
    prefix: str = ""

    def register(self) -> Registered:
        """Make the catalog say what the contracts say.

        Creates what is missing, updates what differs, and removes those of our tables that no
        contract has any more. What somebody changed by hand is put right and told as drift.
        Raises AwsError where the catalog cannot be asked or refuses, or where a table of that
        name belongs to somebody else.
        """
        with clear_errors("Glue catalog"):
            return _Registration(self.lakehouse.lake(), self.prefix).run()


def catalog(settings: Settings) -> Catalog:
    """The catalog that the settings name."""
    if settings.catalog is CatalogName.GLUE:
        return GlueCatalog(lakehouse=settings.lakehouse, prefix=settings.catalog_prefix)
    return NoCatalog()


class _Registration:
    """One comparison of contracts and catalog, and what it did."""

    def __init__(self, lake: Lake, prefix: str) -> None:
        self._lake, self._prefix = lake, prefix
        self._glue = client("glue")
        self._done = Registered()

    def run(self) -> Registered:
        there = {d["Name"]: d for d in self._pages("get_databases", "DatabaseList")}
        wanted = database_inputs(tables(), self._prefix)
        for layer, database in wanted.items():
            mine = {n: t for n, t in tables().items() if n.split(".")[0] == layer}
            known = there.get(database["Name"])
            if known is None:
                self._glue.create_database(DatabaseInput=database)
            self._register(database["Name"], mine, _listed(known))
            # After its tables: what it lists was there, and misses only if somebody dropped it.
            if known and _is_ours(known, self._prefix) and _differs(known, database):
                kept = known.get("Parameters", {})
                parameters = {**kept, **database["Parameters"]}
                # Whose new tables are is the infrastructure's to say; left out, it is forgotten.
                others = {key: known[key] for key in _OTHERS if key in known}
                self._glue.update_database(
                    Name=database["Name"],
                    DatabaseInput={**database, **others, "Parameters": parameters},
                )
        for name, known in there.items():
            if _is_ours(known, self._prefix) and known["Parameters"][LAYER] not in wanted:
                self._register(name, {}, set())
                if not list(self._pages("get_tables", "TableList", DatabaseName=name)):
                    self._glue.delete_database(Name=name)
        return self._done

    def _register(self, database: str, wanted: Mapping[str, Table], listed: set[str]) -> None:
        pages = self._pages("get_tables", "TableList", DatabaseName=database)
        there = {t["Name"]: t for t in pages}
        entries = {n: table_input(n, t, self._location(n, t)) for n, t in wanted.items()}
        for name, entry in entries.items():
            if entry["Name"] in there:
                self._update(database, name, there[entry["Name"]], entry)
                continue
            self._glue.create_table(DatabaseName=database, TableInput=entry)
            self._done.created.append(name)
            if entry["Name"] in listed:
                self._done.drift.append(f"{name}: had been dropped")
        for name in there.keys() - {e["Name"] for e in entries.values()}:
            if mark := there[name].get("Parameters", {}).get(TABLE):
                self._glue.delete_table(DatabaseName=database, Name=name)
                self._done.removed.append(mark)

    def _update(
        self, database: str, name: str, known: Mapping[str, Any], entry: dict[str, Any]
    ) -> None:
        parameters = known.get("Parameters", {})
        place = known.get("StorageDescriptor", {}).get("Location")
        if TABLE not in parameters and place != entry["StorageDescriptor"]["Location"]:
            raise AwsError(
                f"Glue table {database}.{entry['Name']}: is not of this lakehouse; rename or drop "
                "it, or set LAKEHOUSE_CATALOG_PREFIX"
            )
        different = differences(known, entry)
        # Told apart by what was registered: contracts move too, and that is no drift.
        if different and parameters.get(REGISTERED) != digest(known):
            self._done.drift += [f"{name}: {line}" for line in different]
        if different or parameters.get(REGISTERED) != entry["Parameters"][REGISTERED]:
            entry = {**entry, "Parameters": {**parameters, **entry["Parameters"]}}
            self._glue.update_table(DatabaseName=database, TableInput=entry)
            self._done.updated.append(name)
        else:
            self._done.unchanged.append(name)

    def _location(self, name: str, table: Table) -> str:
        location = self._lake.uri(table)
        if not location.startswith("s3://"):
            raise AwsError(
                f"Glue catalog: {name} is in {location}, which Athena cannot read; keep the "
                "lakehouse in s3://, or set LAKEHOUSE_CATALOG=none"
            )
        return location

    def _pages(self, operation: str, items: str, **arguments: str) -> Iterator[dict[str, Any]]:
        for page in self._glue.get_paginator(operation).paginate(**arguments):
            yield from page[items]


def _is_ours(database: Mapping[str, Any], prefix: str) -> bool:
    layer = database.get("Parameters", {}).get(LAYER)
    return bool(layer) and database["Name"] == f"{prefix}{layer}".lower()


def _listed(database: Mapping[str, Any] | None) -> set[str]:
    return set((database or {}).get("Parameters", {}).get(TABLES, "").split())


def _differs(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    parameters = known.get("Parameters", {})
    return known.get("Description") != wanted["Description"] or any(
        parameters.get(name) != value for name, value in wanted["Parameters"].items()
    )
