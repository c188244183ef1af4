"""What loads the marts into the warehouse that the settings name."""

# No `from __future__ import annotations` here: Dagster reads the annotations of resources.

import dagster as dg

from lakehouse_assets.operations import load_warehouse
from lakehouse_assets.operations.load_warehouse import Load, Warehouse
from lakehouse_assets.operations.renew_manifests import Renewed
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.tables.contract import Mart
from lakehouse_assets.tables.registry import DERIVED
from lakehouse_assets.tables.spectrum import external_schemas
from resources.engines import Engine, engine
from resources.glue_spectrum import SpectrumCatalog
from resources.lakehouse import Lakehouse
from resources.locks import Locks
from resources.redshift_data import RedshiftData
from resources.settings import CatalogName, Settings, SettingsError


class WarehouseLoader(dg.ConfigurableResource["WarehouseLoader"]):
    """Loads marts from the lake into a warehouse; ``engine`` finds what has changed.

    ``role`` is the ARN of the role that the warehouse reads the lake by, if it has no default one.
    """

    engine: Engine
    lakehouse: dg.ResourceDependency[Lakehouse]
    locks: dg.ResourceDependency[Locks]
    warehouse: dg.ResourceDependency[Warehouse]
    spectrum: dg.ResourceDependency[SpectrumCatalog | None]
    role: str | None = None

    def renew_manifests(self) -> list[Renewed]:
        """Let Redshift Spectrum read silver and gold as they are now; nothing without a catalog."""
        return self.spectrum.renew(self.lakehouse.lake()) if self.spectrum else []

    def prepare(self) -> int:
        """Make the warehouse's tables what the contracts say; see `load_warehouse.prepare`."""
        found = external_schemas(self.spectrum.prefix, self.role) if self.spectrum else []
        return load_warehouse.prepare(self.warehouse, marts(), [[schema] for schema in found])

    def load(self, table: str, run_id: str) -> Load:
        """Take in what has changed in a mart; see `load_warehouse.load`. Raises BusyError, too."""
        mart, name = DERIVED[table], f"warehouse.{DERIVED[table].name}"
        assert isinstance(mart, Mart)
        session, lake = self.engine.session(), self.lakehouse.lake()
        # A folder for each run: on another machine one may be at work on the same mart. What one
        # that died has left there expires with all stages (deploy/cdk/foundation.py).
        work = Workspace(session, lake, run_id, f"{name}/{run_id}")
        with self.locks.one_writer(name), work:
            return load_warehouse.load(work, mart, self.warehouse, self.role)


def marts() -> list[Mart]:
    """Every mart, dimensions first."""
    return [table for table in DERIVED.values() if isinstance(table, Mart)]


def loader(settings: Settings) -> WarehouseLoader:
    """What loads the warehouse of these settings.

    Raises SettingsError where Redshift could not read the lake.
    """
    place = settings.lake().storage.root
    if not place.startswith("s3://"):
        raise SettingsError(
            f"LAKEHOUSE_WAREHOUSE: Redshift cannot read {place}; set LAKEHOUSE_ROOT to "
            "s3://<bucket>, or unset what names the warehouse"
        )
    return WarehouseLoader(
        engine=engine(settings),
        lakehouse=settings.lakehouse,
        locks=settings.locks,
        warehouse=RedshiftData(
            settings.warehouse_database,
            settings.warehouse_workgroup,
            settings.warehouse_cluster,
            settings.warehouse_secret,
        ),
        spectrum=SpectrumCatalog(settings.catalog_prefix)
        if settings.catalog is CatalogName.GLUE
        else None,
        role=settings.warehouse_role,
    )
