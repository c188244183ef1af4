"""The dashboards' pages as Dagster's assets see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lakehouse_assets.store.storage import Storage
from resources.lakehouse import Lakehouse
from resources.query_engine import query_engine
from resources.settings import Settings

if TYPE_CHECKING:
    from lakehouse_assets.dashboards.publish import Published
    from lakehouse_assets.queries.engine import QueryEngine
    from lakehouse_assets.tables.dashboard import Dashboard


def pages(settings: Settings) -> DashboardPages:
    """What draws the pages, as the settings say; the engine is opened by the first page."""
    return DashboardPages(settings.lakehouse, settings.pages(), partial(query_engine, settings))


@dataclass(frozen=True)
class DashboardPages:
    """Draws pages ``to`` a place. Plain data: nothing is opened by making it."""

    lakehouse: Lakehouse
    to: Storage
    engine: Callable[[], QueryEngine]

    def draw(self, dashboard: Dashboard) -> Published:
        """Write a page, unless it stands already. Raises QueryError."""
        from lakehouse_assets.dashboards.publish import (  # noqa: PLC0415 - only who draws
            publish,
        )
        from lakehouse_assets.dashboards.registry import dashboards  # noqa: PLC0415 - as above

        with self.engine().together() as ask:
            return publish(dashboard, self.lakehouse.lake(), ask, self.to, dashboards())
