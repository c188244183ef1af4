"""What each Glue job runs: one table's work, told to Dagster through Pipes.

The product comes with its wheels; the session is Glue's own. Nothing here imports Dagster. A second
door, for when Dagster is down, asks for no message of it: what is pending is taken in.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import boto3
from dagster_pipes import (
    PipesCliArgsParamsLoader,
    PipesContext,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    open_dagster_pipes,
)
from pyspark.sql import SparkSession

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.operations.maintenance import BySpark, Maintenance, maintain_tables_of
from lakehouse_assets.pipeline.publish import AuditError
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.pipeline.run_table import run_table
from lakehouse_assets.planning import pending_files
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables import registry
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.jobs import jobs
from resources import logs
from resources.glue_jobs import REGION, SETTINGS, STANDBY, TABLE
from resources.settings import Settings

_log = logging.getLogger("lakehouse.standby")


def work(pipes: PipesContext) -> None:
    """Do what the run asks for, and report what came of it, or why it is refused."""
    settings = Settings.model_validate(pipes.get_extra("settings"))
    spark = session(settings)
    try:
        told: dict[str, Any]
        if "maintain" in pipes.extras:
            told = {"maintained": [asdict(done) for done in maintained(pipes, settings, spark)]}
        else:
            told = {"result": brought_up_to_date(pipes, settings, spark).to_json()}
    except (AuditError, LakehouseError) as error:
        # Of the data or the request: doing it again would end the same.
        pipes.report_custom_message({"refused": str(error)})
        raise
    pipes.report_custom_message(told)


def session(settings: Settings) -> SparkSession:
    """Glue's session, once the logs and the contracts are those of the settings."""
    logs.configure(settings)
    registry.use(settings.tables)
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    return spark


def brought_up_to_date(pipes: PipesContext, settings: Settings, spark: SparkSession) -> Result:
    """Bring the table up to date with the batches of the dates asked for."""
    table = pipes.get_extra("table")
    dates = [date.fromisoformat(day) for day in pipes.get_extra("dates")]
    pipes.log.info("%s: %d batch date(s), Spark %s", table, len(dates), spark.version)
    return run_table(
        spark,
        settings.lake(),
        table,
        dates,
        pipes.run_id,
        settings.limits,
        replay=pipes.get_extra("replay"),
    )


def maintained(pipes: PipesContext, settings: Settings, spark: SparkSession) -> list[Maintenance]:
    """Maintain what this job writes; nobody else does, while it runs."""
    table = pipes.get_extra("table")
    pipes.log.info("%s: maintenance, Spark %s", table, spark.version)
    return maintain_tables_of(settings.lake(), table, pipes.run_id, BySpark(spark))


def stand_in(settings: Settings, table: str, run_id: str) -> Result:
    """Bring the table up to date with whatever is pending, for when Dagster is down.

    Raises LakehouseError where a restore is half done: Dagster, or a person, finishes that first.
    """
    spark, lake = session(settings), settings.lake()
    ledger, job = Ledger(lake), jobs()[table]
    if ledger.state().unfinished:
        raise LakehouseError(
            f"{table}: a restore, or its end, is half done; run lakehouse resume, or the restore "
            "again, before anything is taken in"
        )
    dates: list[date] = []
    if job.table.layer == Layer.BRONZE:
        dates = pending_files.dates_of(ledger, registry.DATASETS[job.table.name])
    result = run_table(spark, lake, table, dates, run_id, settings.limits)
    for line in result.lines:
        _log.warning(line)
    for check in result.checks:
        if not check.passed:
            _log.warning("%s %s (%s): %s", table, check.name, check.day, check.description)
    _log.info("%s: version %s, %s", table, result.version, json.dumps(result.metadata, default=str))
    return result


def asked_for(arguments: Sequence[str]) -> argparse.Namespace:
    """What the job was started with, of what is its own; Glue and Pipes add theirs."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(REGION, required=True, dest="region")
    parser.add_argument(STANDBY, dest="execution")
    parser.add_argument(TABLE, dest="table")
    parser.add_argument(SETTINGS, dest="settings", type=json.loads)
    return parser.parse_known_args(arguments)[0]


def know(region: str) -> None:
    """Let every SDK here know the region, which the job's definition names.

    AWS documents no variable by which Glue would; without one the SDKs ask S3 of the whole world,
    which the way out of a private subnet does not lead to.
    """
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):  # boto3 reads the one, Rust's SDK the other
        os.environ.setdefault(name, region)


def main(arguments: Sequence[str]) -> None:
    """Do what the job was started for, by the door that its arguments name."""
    asked = asked_for(arguments)
    know(asked.region)
    if asked.execution:
        settings = Settings.model_validate(asked.settings)
        stand_in(settings, asked.table, f"standby-{asked.execution}")
        return
    s3 = boto3.client("s3")
    with open_dagster_pipes(
        params_loader=PipesCliArgsParamsLoader(),
        context_loader=PipesS3ContextLoader(client=s3),
        message_writer=PipesS3MessageWriter(client=s3, interval=2),
    ) as opened:
        work(opened)


if __name__ == "__main__":
    main(sys.argv)
