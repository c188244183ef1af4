"""Runners: where a table's work runs. In this process, or (later) as a Glue job."""

from collections.abc import Sequence
from datetime import date

import dagster as dg

from lakehouse_assets import rewind
from lakehouse_assets.job import Result, run
from lakehouse_assets.ledger import Ledger
from lakehouse_assets.maintain import Maintained, maintain
from resources.engines import Engine
from resources.locks import all_tables, one_writer
from resources.settings import Settings


class LocalRunner(dg.ConfigurableResource["LocalRunner"]):
    """Does a table's work in this process, on the engine it is given."""

    engine: Engine

    def run(
        self,
        context: dg.AssetExecutionContext,
        table: str,
        dates: Sequence[date],
        *,
        replay: bool = False,
    ) -> Result:
        """Bring one table up to date with the batches of these dates; see `job.run`.

        Raises BusyError where another process keeps the table for too long.
        """
        settings = Settings.load()
        lake = settings.lake()
        if Ledger(lake).state().rewinding:  # a restore that died halfway goes first
            with all_tables(settings):
                rewind.finish(Ledger(lake), run_id)
        with one_writer(settings, table):
            return run(
                self.engine.session(), lake, table, dates, run_id, settings.limits, replay=replay
            )

    def maintain(self, run_id: str) -> list[Maintained]:
        """Maintain every table. Raises BusyError."""
        settings = Settings.load()
        return maintain(settings.lake(), run_id, lambda table: one_writer(settings, table))
