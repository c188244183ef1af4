"""A session on the engine that the settings name, without Dagster where that is Sail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.sail import sail_session
from resources.settings import EngineName, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session_of(settings: Settings) -> SparkSession:
    """The session for commands that need nothing else of Dagster: it takes seconds to import."""
    if settings.engine is EngineName.SAIL and not settings.spark_remote:
        return sail_session(settings.kms_key)
    from resources.engines import engine  # noqa: PLC0415 - imports Dagster

    return engine(settings).session()
