"""Load the marts into a warehouse: what has changed since the version that it has.

The warehouse itself says which version of a mart's Delta table it has, and learns of another in
the transaction that brings its rows. So a load that dies anywhere is done, or was never begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.pipeline.keys import without
from lakehouse_assets.pipeline.select import cast, select
from lakehouse_assets.pipeline.table_changes import VersionGoneError, between
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.tables import redshift
from lakehouse_assets.tables.contract import Mart
from lakehouse_assets.tables.redshift import Loaded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_TRIES: Final = 3
"""How often a load begins anew because another has loaded the same mart meanwhile."""


class WarehouseError(LakehouseError):
    """A warehouse that cannot take a mart in; its tables are as they were."""


class Warehouse(Protocol):
    """A database of statements in Redshift's dialect. Raises LakehouseError, one clear line."""

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that a question is answered with."""
        ...

    def execute(self, statements: Sequence[str]) -> None:
        """Carry statements out as one transaction: all of them, or none."""
        ...


@dataclass(frozen=True)
class Load:
    """What a load did.

    ``version`` is the one of the mart's Delta table that the warehouse has now, None before the
    table's first. ``reason`` says why all rows were taken, or why none; else only those that
    changed were: ``rows_added`` that are new or say something else, ``rows_removed`` that are no
    more.
    """

    table: str
    version: int | None
    reason: str | None = None
    rows_added: int = 0
    rows_removed: int = 0


def prepare(
    warehouse: Warehouse, marts: Sequence[Mart], schemas: Sequence[redshift.Transaction] = ()
) -> int:
    """Make the warehouse's tables, comments and views what the contracts say.

    ``schemas`` are the transactions that make what else it is to have. Returns how many
    transactions that took. Raises WarehouseError where a table there is another than its
    contract's, or the warehouse is another release's.
    """
    there = redshift.shape(warehouse.ask(redshift.SHAPE))
    if f"{redshift.STAGING}.warehouse" in there:
        for version, contracts in warehouse.ask(redshift.ITSELF):
            if version != redshift.SCHEMA_VERSION:
                raise WarehouseError(
                    f"warehouse: its schema is version {version}, this release writes version "
                    f"{redshift.SCHEMA_VERSION}; run the release that made it, or drop its schema "
                    f"{redshift.STAGING}: then all is loaded anew"
                )
            if contracts == redshift.digest(marts, schemas) and redshift.is_made(marts, there):
                return 0
    try:
        transactions = [*redshift.setup(marts, there), *schemas]
    except redshift.MisfitError as misfit:
        raise WarehouseError(str(misfit)) from None
    for statements in [*transactions, redshift.settled(redshift.digest(marts, schemas))]:
        warehouse.execute(statements)
    return len(transactions)


def load(work: Workspace, mart: Mart, warehouse: Warehouse, role: str | None = None) -> Load:
    """Bring a mart's table in the warehouse to the newest version of the lake's.

    The warehouse must be prepared; it reads files by ``role``, an ARN, or else by its default one.
    Raises WarehouseError where others load the mart all the time.
    """
    for _ in range(_TRIES):
        now = work.lake.versions([mart.table]).get(mart.table.id)
        if now is None:
            return Load(mart.table.id, None, "the lake has no such table yet")
        before = _loaded(warehouse, mart)
        after = Loaded(now.log_id, now.version, mart.digest)
        if before == after:
            return Load(mart.table.id, now.version, "nothing has changed")
        done = _bring(work, mart, warehouse, before, after, role)
        if _loaded(warehouse, mart) == after:
            return done
    raise WarehouseError(
        f"warehouse: {mart.table.id} was loaded by others {_TRIES} times meanwhile; let them end, "
        "then run again"
    )


def _loaded(warehouse: Warehouse, mart: Mart) -> Loaded | None:
    return next((Loaded(*row) for row in warehouse.ask(redshift.loaded(mart))), None)


def _bring(
    work: Workspace,
    mart: Mart,
    warehouse: Warehouse,
    before: Loaded | None,
    after: Loaded,
    role: str | None,
) -> Load:
    rows, reason = _to_take_in(work, mart, before, after)
    added = removed = 0
    staged = None
    if rows is not None:
        stage = work.stage_files(rows)
        counts = {row[0]: row[1] for row in stage.rows.groupBy(redshift.REMOVED).count().collect()}
        added, removed = counts.get(False, 0), counts.get(True, 0)
        if added + removed:
            place = f"{stage.folder}/manifest.json"
            storage = work.lake.storage
            named = {storage.uri(file.path): file.size for file in stage.files}
            storage.write(place, redshift.manifest(named))
            staged = storage.uri(place)
    whole = reason is not None
    warehouse.execute(
        redshift.load(mart, before, after, staged, whole=whole, run_id=work.run_id, role=role)
    )
    return Load(mart.table.id, after.version, reason, added, removed)


def _to_take_in(
    work: Workspace, mart: Mart, before: Loaded | None, after: Loaded
) -> tuple[DataFrame | None, str | None]:
    """The rows to stage, and why these are all rows of the table; without a reason, the changes.

    No rows where none can differ.
    """
    table, new = mart.table, TableVersion(after.log_id, after.version)
    reason = "nothing was loaded yet"
    if before is not None and before.contract != after.contract:
        reason = "its contract has changed"
    elif before is not None:
        try:
            changes = between(work, table, TableVersion(before.log_id, before.version), new)
        except VersionGoneError as gone:
            reason = f"{gone} cannot be read any more"
        else:
            if changes is None:
                return None, None
            added = work.stage(changes.added)
            removed = without(changes.removed, list(mart.grain), added)
            return _marked(added, mart, False).unionByName(_marked(removed, mart, True)), None
    return _marked(work.read(table, new.version), mart, False), reason


def _marked(rows: DataFrame, mart: Mart, removed: bool) -> DataFrame:
    return select(cast(rows, mart.columns), "*", **{redshift.REMOVED: str(removed).lower()})
