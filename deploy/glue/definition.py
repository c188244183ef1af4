"""What a table's Glue job is: the arguments of Glue's CreateJob."""

from __future__ import annotations

from typing import Any

from lakehouse_assets.tables.contract import Table
from resources.glue_jobs import REGION


def job_definition(
    name: str, table: Table, role: str, region: str, script: str, wheels: str
) -> dict[str, Any]:
    """The job that does a table's work, as large as the table's contract allows.

    ``region`` is where it runs, which AWS does not say that Glue would tell it. ``script`` and
    ``wheels`` are the ``s3://`` places of ``job.py`` and of what ``build`` made.
    """
    delta = (
        "spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension "
        "--conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog"
    )
    return {
        "Name": name,
        "Description": f"Brings {table.id} up to date. {table.description}",
        "Role": role,
        "GlueVersion": "6.0",
        "Command": {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": script},
        "WorkerType": table.capacity.worker_type,
        "NumberOfWorkers": table.capacity.workers,
        "Timeout": table.capacity.timeout_minutes,
        # One writer for each table, and retries are Dagster's.
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "MaxRetries": 0,
        "DefaultArguments": {
            REGION: region,
            "--additional-python-modules": wheels,
            # In a private subnet there is no index to ask; what the wheels need is among them.
            "--python-modules-installer-option": "--no-index --no-deps",
            "--datalake-formats": "delta",
            "--conf": delta,
            "--enable-auto-scaling": "true",
            "--enable-metrics": "true",
        },
    }
