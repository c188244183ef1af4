"""The tables: one module each. A module in ``silver`` or ``gold`` with a ``TABLE`` is a table.

Which package has those two, and may have ``queries`` with named queries beside them, is said by
``LAKEHOUSE_TABLES``: another shop has its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from pkgutil import iter_modules
from traceback import extract_tb
from typing import Final, TypeVar

from lakehouse_assets.errors import ContractError
from lakehouse_assets.tables.contract import Dataset, Gold, Table
from lakehouse_assets.tables.contract_checks import check_dataset, check_gold, check_references

T = TypeVar("T", Dataset, Gold)

OUR_OWN: Final = "lakehouse_assets.tables"

DATASETS: Final[dict[str, Dataset]] = {}
"""Every dataset by name, parents before children."""

GOLD: Final[dict[str, Gold]] = {}
"""Every gold table by name."""

QUERIES: Final[list[Traversable]] = []
"""The files of the named queries, by name."""

_FILES: Final[dict[str, str]] = {}
"""The file of each table's contract, by the table's id."""


def use(package: str) -> None:
    """Make a package's tables those that there are.

    Raises ContractError, which names the file, for a contract that contradicts itself or others.
    """
    datasets, gold = _collect(package, "silver", Dataset), _collect(package, "gold", Gold)
    contracts = {table.silver.id: file for file, table in datasets.items()}
    contracts |= {table.table.id: file for file, table in gold.items()}
    by_name = {d.name: d for d in datasets.values()}
    for file, dataset in datasets.items():
        with _named(file):
            check_dataset(dataset)
    for file, dataset in datasets.items():
        with _named(file):
            check_references(dataset, by_name)
    for file, table in gold.items():
        with _named(file):
            check_gold(table, by_name)
    _FILES.clear()
    _FILES.update(contracts)
    DATASETS.clear()
    DATASETS.update({d.name: d for d in _in_dependency_order(by_name)})
    GOLD.clear()
    GOLD.update({g.name: g for g in gold.values()})
    queries = files(package) / "queries"
    found = [f for f in queries.iterdir() if f.name.endswith(".sql")] if queries.is_dir() else []
    QUERIES[:] = sorted(found, key=lambda f: f.name)


def contract_of(table: Table) -> str:
    """The file of a table's contract, for messages about it."""
    return _FILES.get(table.id, table.id)


def _collect(package: str, layer: str, kind: type[T]) -> dict[str, T]:
    """The tables of a layer by the files of their contracts."""
    try:
        modules = import_module(f"{package}.{layer}")
    except ModuleNotFoundError as error:
        raise ContractError(
            f"LAKEHOUSE_TABLES: {package} cannot be used, {error}; name a package of modules that "
            "is installed or in this folder, with silver/ and gold/ in it"
        ) from None
    found: dict[str, T] = {}
    for info in sorted(iter_modules(modules.__path__), key=lambda m: m.name):
        if info.name.startswith("_"):
            continue
        name = f"{modules.__name__}.{info.name}"
        file = f"{name.replace('.', '/')}.py"
        with _named(file):
            table = getattr(import_module(name), "TABLE", None)
            if not isinstance(table, kind):
                raise ContractError(
                    f"has no TABLE = {kind.__name__}(...); add it, or begin the module's name "
                    "with _"
                )
            if any(other.name == table.name for other in found.values()):
                raise ContractError(
                    f"another module's table is named {table.name!r} too; give it a name of its own"
                )
        found[file] = table
    return found


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Say of which file it is, whatever is wrong in it."""
    try:
        yield
    except ContractError as error:
        raise ContractError(f"{file}: {error}") from None
    except SyntaxError as error:
        raise ContractError(
            f"{file}: line {error.lineno}: {error.msg}; correct what Python cannot read"
        ) from None
    except Exception as error:  # noqa: BLE001 - a contract is Python: anything can happen in it
        lines = [f.lineno for f in extract_tb(error.__traceback__) if f.filename.endswith(file)]
        where = f"line {lines[-1]}: " if lines else ""
        raise ContractError(
            f"{file}: {where}{type(error).__name__}: {error}; correct the contract"
        ) from None


def _in_dependency_order(datasets: Mapping[str, Dataset]) -> Iterator[Dataset]:
    """The datasets, parents before the children that refer to them."""
    done: set[str] = set()
    while len(done) < len(datasets):
        ready = [
            d
            for d in datasets.values()
            if d.name not in done and {c.references for c in d.foreign_keys} <= done
        ]
        if not ready:
            left = [d for d in datasets.values() if d.name not in done]
            columns = [f"{d.name}.{c.name}" for d in left for c in d.foreign_keys]
            raise ContractError(
                f"foreign keys go in a circle: {', '.join(columns)}; take references out of one"
            )
        for dataset in ready:
            done.add(dataset.name)
            yield dataset


def table_ids() -> list[str]:
    """Every table that a job can bring up to date, in the order of their dependence."""
    datasets = list(DATASETS.values())
    return [
        *(d.bronze.id for d in datasets),
        *(d.silver.id for d in datasets),
        *(g.table.id for g in GOLD.values()),
    ]


def assert_any() -> None:
    """Raise ContractError where there is no dataset yet."""
    if not DATASETS:
        raise ContractError(
            "LAKEHOUSE_TABLES: its silver/ has no dataset yet; "
            "write one's contract with lakehouse new dataset NAME FILE"
        )


def example() -> str:
    """A table to name in examples."""
    return [
        "silver.sales",
        *(d.silver.id for d in DATASETS.values()),
        *(g.table.id for g in GOLD.values()),
    ][-1]


def queryable() -> dict[str, Table]:
    """Every table that people can name in a query, by its id."""
    tables = [
        *(t for d in DATASETS.values() for t in (d.bronze, d.silver, d.rejected, d.superseded)),
        *(g.table for g in GOLD.values()),
    ]
    return {t.id: t for t in tables}


# Read here and not with the other settings: these tables are what those are checked against.
use(os.environ.get("LAKEHOUSE_TABLES") or OUR_OWN)
