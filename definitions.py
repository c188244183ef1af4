"""The Dagster code location: assembly only. Loading it opens nothing and asks no network."""

from __future__ import annotations

import dagster as dg

from lakehouse_assets import assets, notifications, schedules, sensors
from lakehouse_assets.registration import catalog_asset
from lakehouse_assets.tables import table_ids
from resources import logs
from resources.alerts import alerts
from resources.archiver import Archiver
from resources.catalog import catalog
from resources.metrics import metrics
from resources.runners import executor, runner
from resources.settings import Settings

settings = Settings.load()
logs.configure(settings)
days = assets.partitions(settings.first_date)

defs = dg.Definitions(
    assets=[
        *assets.raw_assets(days),
        *assets.table_assets(settings.lake(), days),
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
    schedules=[sensors.daily(settings, ["lakehouse"]), schedules.nightly],
    sensors=[
        sensors.raw_files(settings, ["lakehouse"]),
        *notifications.SENSORS,
        notifications.of_delay(settings),
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
