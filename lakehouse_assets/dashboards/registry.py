"""The dashboards that there are, each held against the queries that it asks."""

from __future__ import annotations

from lakehouse_assets.dashboards.checks import faults
from lakehouse_assets.errors import ContractError, LakehouseError, meant
from lakehouse_assets.tables import registry
from lakehouse_assets.tables.dashboard import Dashboard


class DashboardError(LakehouseError):
    """A dashboard that there is not."""


def dashboards() -> dict[str, Dashboard]:
    """Every dashboard by name, in their order.

    Raises ContractError, which names the file, for one that asks or shows what there is not.
    """
    found = registry.dashboards()
    for file, defined in found.items():
        for fault in faults(defined):
            raise ContractError(f"{file}: {fault}")
    in_order = sorted(found.values(), key=lambda one: (one.place, one.name))
    return {one.name: one for one in in_order}


def dashboard_named(name: str) -> Dashboard:
    """The dashboard of that name. Raises DashboardError, and ContractError as `dashboards`."""
    found = dashboards()
    if name not in found:
        raise DashboardError(f"no dashboard is named {name!r}; {meant(name, found, 'there are')}")
    return found[name]
