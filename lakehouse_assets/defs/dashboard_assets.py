"""The dashboards as assets: drawn once the tables that they show are up to date."""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
from base64 import b64encode
from typing import Any

import dagster as dg

from lakehouse_assets.dashboards.picture import picture
from lakehouse_assets.dashboards.publish import Published, tables_of
from lakehouse_assets.dashboards.registry import dashboards
from lakehouse_assets.defs import checks
from lakehouse_assets.defs.keys import OWNERS, asset_key
from lakehouse_assets.ports import DashboardPages
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.dashboard import Dashboard
from lakehouse_assets.tables.registry import DATASETS


def dashboard_assets(days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """A page for each dashboard. Raises ContractError for one that shows what there is not."""
    with checks.expected_previews():
        return [_page(dashboard, days) for dashboard in dashboards().values()]


def _page(dashboard: Dashboard, days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key(f"dashboard.{dashboard.name}"),
        deps=_shown(dashboard),
        description=(
            f"{dashboard.audience} A page that needs no server; drawn again where a table that it "
            "shows has changed. Runs of the job draw it where LAKEHOUSE_DRAW says so."
        ),
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="dashboards",
        kinds={"html"},
        owners=OWNERS,
        pool=f"dashboard_{dashboard.name}",
    )
    def page(pages: dg.ResourceParam[DashboardPages]) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata=_told(pages.draw(dashboard)))

    return page


def _shown(dashboard: Dashboard) -> list[dg.AssetKey]:
    """The assets that write what a dashboard shows: a silver table's writes its quarantine, too."""
    keys: dict[dg.AssetKey, None] = {}
    for table in tables_of(dashboard):
        layer, name = table.split(".")
        if layer == "ledger":  # of which every file's receipt comes with its dataset's rows
            keys |= {asset_key(dataset.silver.id): None for dataset in DATASETS.values()}
        elif layer in {"rejected", "superseded"}:
            keys[asset_key(f"{Layer.SILVER}.{name}")] = None
        else:
            keys[asset_key(table)] = None
    return list(keys)


def _told(published: Published) -> dict[str, Any]:
    told: dict[str, Any] = {
        "page": dg.MetadataValue.path(published.uri),
        "bytes": published.size,
        "drawn": published.answers is not None,
    }
    if published.answers is not None:
        png = picture(published.dashboard, published.answers)
        if png:
            image = b64encode(png).decode()
            title = published.dashboard.main
            told["picture"] = dg.MetadataValue.md(f"![{title}](data:image/png;base64,{image})")
    return told
