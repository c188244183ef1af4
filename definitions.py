"""The Dagster code location: assembly only. Loading it opens nothing and asks no network."""

from __future__ import annotations

import dagster as dg

from lakehouse_assets.defs import file_sensor, run_sensors, schedules
from lakehouse_assets.defs.catalog_asset import catalog_asset
from lakehouse_assets.defs.closing_assets import closing_assets
from lakehouse_assets.defs.dashboard_assets import dashboard_assets
from lakehouse_assets.defs.keys import JOB, not_in_runs, partitions
from lakehouse_assets.defs.raw_assets import raw_assets
from lakehouse_assets.defs.table_assets import table_assets
from lakehouse_assets.defs.warehouse_assets import warehouse_assets
from lakehouse_assets.tables.registry import assert_any
from resources import logs
from resources.alerts import alerts
from resources.archiver import Archiver
from resources.dashboard_pages import pages
from resources.glue_catalog import catalog
from resources.metrics import metrics
from resources.runners import executor, runner
from resources.settings import Settings
from resources.warehouse import loader, marts

assert_any()
settings = Settings.load()
logs.configure(settings)
lake = settings.lake()
days = partitions(settings.first_date)

defs = dg.Definitions(
    assets=[
        *raw_assets(days),
        *table_assets(lake, days),
        catalog_asset(days),
        *closing_assets(lake, days),
        *(warehouse_assets(marts(), days) if settings.has_warehouse else ()),
        *dashboard_assets(days),
    ],
    jobs=[
        dg.define_asset_job(
            JOB,
            selection=dg.AssetSelection.all() - not_in_runs(draw=settings.draw),
            description="Raw files to gold for the batch dates that it is given.",
        ),
        schedules.maintenance,
    ],
    schedules=[file_sensor.daily(settings), schedules.nightly],
    sensors=[
        file_sensor.raw_files(settings),
        *run_sensors.SENSORS,
        run_sensors.delay_sensor(settings),
    ],
    resources={
        "lakehouse": settings.lakehouse,
        "runner": runner(settings),
        "archiver": Archiver(lakehouse=settings.lakehouse, on=settings.archive),
        "catalog": catalog(settings),
        "pages": pages(settings),
        "alerts": alerts(settings),
        "metrics": metrics(settings),
        **({"loader": loader(settings)} if settings.has_warehouse else {}),
    },
    executor=executor(settings),
)
