"""What each Glue job runs: one table's work, told to Dagster through Pipes.

The product comes with its wheels; the session is Glue's own. Nothing here imports Dagster.
"""

from __future__ import annotations

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
from lakehouse_assets.tables import registry
from resources import logs
from resources.settings import Settings


def work(pipes: PipesContext) -> None:
    """Do what the run asks for, and report what came of it, or why it is refused."""
    settings = Settings.model_validate(pipes.get_extra("settings"))
    logs.configure(settings)
    registry.use(settings.tables)
    spark = SparkSession.builder.getOrCreate()
    spark.conf.set("spark.sql.session.timeZone", "UTC")
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


if __name__ == "__main__":
    s3 = boto3.client("s3")
    with open_dagster_pipes(
        params_loader=PipesCliArgsParamsLoader(),
        context_loader=PipesS3ContextLoader(client=s3),
        message_writer=PipesS3MessageWriter(client=s3, interval=2),
    ) as opened:
        work(opened)
