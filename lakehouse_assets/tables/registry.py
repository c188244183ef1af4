"""The tables: one module each, with a ``TABLE``, in ``silver``, ``gold`` or ``mart``.

Which package has ``silver`` and ``gold``, and may have ``mart``, ``queries`` with named queries,
and ``dashboards`` beside them, is said by ``LAKEHOUSE_TABLES``: another shop has its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import find_spec
from pkgutil import iter_modules
from traceback import extract_tb
from typing import Final, TypeVar

from lakehouse_assets.errors import ContractError
from lakehouse_assets.tables.contract import (
    Dataset,
    Derived,
    Gold,
    Layer,
    Mart,
    Source,
    Table,
    sources_of,
)
from lakehouse_assets.tables.contract_checks import check_dataset, check_derived, check_references
from lakehouse_assets.tables.dashboard import Dashboard

T = TypeVar("T", Dataset, Gold, Mart, Dashboard)

OUR_OWN: Final = "lakehouse_assets.tables"

DATASETS: Final[dict[str, Dataset]] = {}
"""Every dataset by name, parents before children."""

DERIVED: Final[dict[str, Derived]] = {}
"""Every table that derives from silver's, by its id; each after the marts that it refers to."""

QUERIES: Final[list[Traversable]] = []
"""The files of the named queries, by name."""

_FILES: Final[dict[str, str]] = {}
"""The file of each table's contract, by the table's id."""

_read_from: Final = [OUR_OWN, ""]
"""The package that the tables are from, and the digest of its files then."""


def use(package: str) -> None:
    """Make a package's tables those that there are.

    Raises ContractError, which names the file, for a contract that contradicts itself or others.
    """
    datasets = _collect(package, "silver", Dataset)
    derived: dict[str, Derived] = {**_collect(package, "gold", Gold)}
    if find_spec(f"{package}.mart"):
        derived |= _collect(package, "mart", Mart)
    contracts = {table.silver.id: file for file, table in datasets.items()}
    contracts |= {table.table.id: file for file, table in derived.items()}
    by_name = {d.name: d for d in datasets.values()}
    for file, dataset in datasets.items():
        with _named(file):
            check_dataset(dataset)
    for file, dataset in datasets.items():
        with _named(file):
            check_references(dataset, by_name)
    by_id = {table.table.id: table for table in derived.values()}
    for file, table in derived.items():
        with _named(file):
            check_derived(table, sources_of(by_name.values()), by_id)
    _read_from[:] = [package, _digest_of_files(package)]
    _FILES.clear()
    _FILES.update(contracts)
    DATASETS.clear()
    DATASETS.update({d.name: d for d in _in_dependency_order(by_name)})
    DERIVED.clear()
    DERIVED.update({name: by_id[name] for name in _dimensions_first(by_id)})
    queries = files(package) / "queries"
    found = [f for f in queries.iterdir() if f.name.endswith(".sql")] if queries.is_dir() else []
    QUERIES[:] = sorted(found, key=lambda f: f.name)


def changed_on_disk() -> bool:
    """Whether the contracts' files say something else than when this process read them."""
    package, digest = _read_from
    return _digest_of_files(package) != digest


def _digest_of_files(package: str) -> str:
    found = hashlib.sha256()
    for layer in ("silver", "gold", "mart"):
        folder = files(package) / layer
        for file in sorted(folder.iterdir(), key=lambda f: f.name) if folder.is_dir() else ():
            if file.name.endswith(".py"):
                found.update(f"{layer}/{file.name}".encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()


def sources() -> dict[str, Source]:
    """What a derived table's SELECT can read, by its name there."""
    return sources_of(DATASETS.values())


def contract_of(table: Table) -> str:
    """The file of a table's contract, for messages about it."""
    return _FILES.get(table.id, table.id)


def dashboards() -> dict[str, Dashboard]:
    """The dashboards beside these tables, by their files; none where the package has no folder.

    Raises ContractError, which names the file.
    """
    package, _ = _read_from
    there = (files(package) / "dashboards").is_dir()
    return _collect(package, "dashboards", Dashboard, "DASHBOARD") if there else {}


def _collect(package: str, room: str, kind: type[T], named: str = "TABLE") -> dict[str, T]:
    """What the modules of a folder define, by their files: a layer's tables by their contracts."""
    try:
        modules = import_module(f"{package}.{room}")
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
            defined = getattr(import_module(name), named, None)
            if not isinstance(defined, kind):
                raise ContractError(
                    f"has no {named} = {kind.__name__}(...); add it, or begin the module's name "
                    "with _"
                )
            if any(other.name == defined.name for other in found.values()):
                raise ContractError(
                    f"another module's {named.lower()} is named {defined.name!r} too; give it a "
                    "name of its own"
                )
        found[file] = defined
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


def _dimensions_first(derived: Mapping[str, Derived]) -> Iterable[str]:
    """The derived tables' ids, each after the marts that it refers to."""
    refers = {
        name: [f"{Layer.MART}.{column.references}" for column in table.dimensions]
        for name, table in derived.items()
    }
    try:
        return [*TopologicalSorter(refers).static_order()]
    except CycleError as error:
        raise ContractError(
            f"marts refer to each other in a circle: {', '.join(error.args[1])}; "
            "take references out of one"
        ) from None


def table_ids() -> list[str]:
    """Every table that a job can bring up to date, in the order of their dependence."""
    datasets = list(DATASETS.values())
    return [
        *(d.bronze.id for d in datasets),
        *(d.silver.id for d in datasets),
        *DERIVED,
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
        *(name for name, table in DERIVED.items() if isinstance(table, Gold)),
    ][-1]


def queryable() -> dict[str, Table]:
    """Every table that people can name in a query, by its id."""
    tables = [
        *(t for d in DATASETS.values() for t in d.tables),
        *(derived.table for derived in DERIVED.values()),
    ]
    return {t.id: t for t in tables}


# Read here and not with the other settings: these tables are what those are checked against.
use(os.environ.get("LAKEHOUSE_TABLES") or OUR_OWN)
