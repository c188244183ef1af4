"""Engines: what gives a SparkSession. Which one is a setting; the work does not know."""

import os
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from dagster_pyspark import LazyPySparkResource

from resources.sail import connect, sail_session
from resources.settings import EngineName, Settings
from resources.spark_s3 import on_s3

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_DELTA: Final = "io.delta:delta-spark_4.1_2.13:4.2.0"

# Defaults spend most of a small run on empty shuffle and snapshot partitions and on a JIT
# that never pays for itself. Timestamps mean UTC on every engine.
SPARK_CONFIG: Final[dict[str, Any]] = {
    "spark.master": "local[2]",
    "spark.app.name": "lakehouse",
    "spark.driver.memory": "4g",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": (
        "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256M"
    ),
    "spark.jars.packages": _DELTA,
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}


class Engine(dg.ConfigurableResource["Engine"], ABC):
    """Something that gives a SparkSession, and no more."""

    @abstractmethod
    def session(self) -> "SparkSession":
        """This process's session, started when first asked for."""


class SailEngine(Engine):
    """The embedded engine: a Spark Connect server inside this process. No JVM, no jars.

    What it writes to S3 is encrypted by ``kms_key``, or else by the bucket's default.
    """

    kms_key: str | None = None

    def session(self) -> "SparkSession":
        """This process's session, started when first asked for."""
        return sail_session(self.kms_key)


class SparkEngine(Engine):
    """Apache Spark with Delta on this machine, held by dagster-pyspark's resource."""

    pyspark: LazyPySparkResource

    def session(self) -> "SparkSession":
        """This process's session, started when first asked for."""
        _prepare_workers()
        session: SparkSession = self.pyspark.spark_session
        return session


class RemoteEngine(Engine):
    """A Spark Connect server somewhere else."""

    url: str

    def session(self) -> "SparkSession":
        """A session on that server."""
        return connect(self.url)


def engine(settings: Settings) -> Engine:
    """The engine that the settings name."""
    if settings.spark_remote:
        return RemoteEngine(url=settings.spark_remote)
    if settings.engine is EngineName.SPARK:
        place = settings.lake().storage.root
        config = (
            on_s3(SPARK_CONFIG, settings.kms_key) if place.startswith("s3://") else SPARK_CONFIG
        )
        return SparkEngine(pyspark=LazyPySparkResource(spark_config=config))
    return SailEngine(kms_key=settings.kms_key)


def spark_session() -> "SparkSession":
    """Local Spark with Delta, tuned for small runs, outside Dagster."""
    _prepare_workers()
    session: SparkSession = LazyPySparkResource(spark_config=SPARK_CONFIG).spark_session
    return session


def _prepare_workers() -> None:
    """Let Spark's Python workers find what this process finds: pyspark asks the environment."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
