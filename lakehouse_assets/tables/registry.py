"""The tables: one module each. A module in ``silver`` or ``gold`` with a ``TABLE`` is a table."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

from lakehouse_assets.tables import gold, silver
from lakehouse_assets.tables.contract import Dataset, Gold, Table

T = TypeVar("T", Dataset, Gold)


def _collect(package: ModuleType, kind: type[T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for info in sorted(iter_modules(package.__path__), key=lambda m: m.name):
        if info.name.startswith("_"):
            continue
        table = getattr(import_module(f"{package.__name__}.{info.name}"), "TABLE", None)
        if not isinstance(table, kind):
            raise TypeError(
                f"{package.__name__}.{info.name} has no TABLE = {kind.__name__}(...); "
                "add it, or begin the module's name with _"
            )
        if table.name in found:
            raise ValueError(
                f"{package.__name__}.{info.name}: another module's table is named "
                f"{table.name!r} too; give it a name of its own"
            )
        found[table.name] = table
    return found


def in_dependency_order(datasets: dict[str, Dataset]) -> Iterator[Dataset]:
    """The datasets, parents before the children that refer to them.

    Raises ValueError where foreign keys name no dataset, or go in a circle.
    """
    done: set[str] = set()
    while len(done) < len(datasets):
        ready = [
            d
            for d in datasets.values()
            if d.name not in done and {c.references for c in d.foreign_keys} <= done
        ]
        if not ready:
            left = ", ".join(sorted(set(datasets) - done))
            raise ValueError(f"foreign keys of {left} name no dataset, or go in a circle")
        for dataset in ready:
            done.add(dataset.name)
            yield dataset


def _with_units(tables: dict[str, Gold]) -> dict[str, Gold]:
    """The tables, once it is clear that each one's unit is a column of silver."""
    for table in tables.values():
        dataset, _, column = (table.unit or "").partition(".")
        if table.unit and (dataset not in DATASETS or column not in DATASETS[dataset].silver.names):
            raise ValueError(
                f"{table.name}: unit {table.unit!r} is no silver column; name one, such as "
                "orders.order_date, or leave the unit out to compute the whole table every time"
            )
    return tables


DATASETS: dict[str, Dataset] = {d.name: d for d in in_dependency_order(_collect(silver, Dataset))}
"""Every dataset by name, parents before children."""

GOLD: dict[str, Gold] = _with_units(_collect(gold, Gold))
"""Every gold table by name."""


def table_ids() -> list[str]:
    """Every table that a job can bring up to date, in the order of their dependence."""
    datasets = list(DATASETS.values())
    return [
        *(d.bronze.id for d in datasets),
        *(d.silver.id for d in datasets),
        *(g.table.id for g in GOLD.values()),
    ]


def queryable() -> dict[str, Table]:
    """Every table that people can name in a query, by its id such as ``gold.daily_sales``."""
    tables = [
        *(t for d in DATASETS.values() for t in (d.bronze, d.silver, d.rejected, d.superseded)),
        *(g.table for g in GOLD.values()),
    ]
    return {t.id: t for t in tables}
