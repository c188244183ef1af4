"""A table's work for some batch dates, on any engine. Imports no dagster: it travels to Glue."""

from lakehouse_assets.job import bronze, gold, silver_checks
from lakehouse_assets.job.result import Check, Result, Severity
from lakehouse_assets.job.run import run

__all__ = ["Check", "Result", "Severity", "bronze", "gold", "run", "silver_checks"]
