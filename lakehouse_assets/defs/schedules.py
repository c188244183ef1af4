"""What runs by the clock: maintenance."""

# No `from __future__ import annotations` here: Dagster reads the annotations of ops.
import dagster as dg

from lakehouse_assets.ports import Maintainer


@dg.op(description="Compacts and sorts files, and removes what no restore needs.")
def maintain_tables(context: dg.OpExecutionContext, runner: dg.ResourceParam[Maintainer]) -> None:
    """Maintain every table, and say of each what was done."""
    for done in runner.maintain(context):
        context.log.info(
            "%s: %d of %d files rewritten, %d now, %d removed",
            done.table,
            done.rewritten,
            done.before,
            done.after,
            done.removed,
        )


@dg.job(description="Files compacted and ordered, old ones removed; the rows stay the same.")
def maintenance() -> None:
    """Maintain every table."""
    maintain_tables()


nightly = dg.ScheduleDefinition(
    job=maintenance,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
"""Maintenance at three in the morning, when the day's files are through."""
