"""The Dagster code location: assembly only. Loading it opens nothing and asks no network."""

from __future__ import annotations

import dagster as dg

from lakehouse_assets.defs import file_sensor, run_sensors, schedules, table_assets
from lakehouse_assets.defs.catalog_asset import catalog_asset
from lakehouse_assets.tables.registry import table_ids
from resources import logs
from resources.alerts import alerts
from resources.archiver import Archiver
from resources.glue_catalog import catalog
from resources.metrics import metrics
from resources.runners import executor, runner
from resources.settings import Settings

settings = Settings.load()
logs.configure(settings)
days = table_assets.partitions(settings.first_date)

defs = dg.Definitions(
    assets=[
        *table_assets.raw_assets(days),
        *table_assets.table_assets(settings.lake(), days),
        catalog_asset(table_ids(), days),
    ],
    jobs=[
        dg.define_asset_job(
            "lakehouse",
            selection=dg.AssetSelection.all() - dg.AssetSelection.groups("raw"),
            description="Raw files to gold for the batch dates that it is given.",
        ),
        schedules.maintenance,
    ],
    schedules=[file_sensor.daily(settings, ["lakehouse"]), schedules.nightly],
    sensors=[
        file_sensor.raw_files(settings, ["lakehouse"]),
        *run_sensors.SENSORS,
        run_sensors.of_delay(settings),
    ],
    resources={
        "runner": runner(settings),
        "archiver": Archiver(on=settings.archive),
        "catalog": catalog(settings),
        "alerts": alerts(settings),
        "metrics": metrics(settings),
    },
    executor=executor(settings),
)
