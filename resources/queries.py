"""Queries over the lake's Delta tables with the embedded stand-in for Athena: DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse_assets.contract import RECEIPTS, Table
from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.ledger import FACTS, Fact
from lakehouse_assets.tables import queryable

if TYPE_CHECKING:
    import duckdb

    from lakehouse_assets.lake import Lake


class QueryError(LakehouseError):
    """A query that cannot be answered."""


def tables() -> dict[str, Table]:
    """Every table that a query can name, by its name there."""
    return {**queryable(), "ledger.receipts": RECEIPTS, "ledger.facts": FACTS}


def query(
    lake: Lake, sql: str, as_of: Fact | None = None
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Answer a SELECT over tables named as ``gold.daily_sales`` or ``rejected.orders``.

    With ``as_of``, a run's record, all tables are as that run had published them. Returns
    column names and rows. Raises QueryError.
    """
    import duckdb  # noqa: PLC0415 - only who asks pays for it

    connection = connect()
    try:
        _define(connection, lake, sql, as_of)
        cursor = connection.execute(sql)
        if cursor.description is None:
            raise QueryError("the query gives no rows; write a SELECT")
        return [d[0] for d in cursor.description], cursor.fetchall()
    except duckdb.Error as error:
        raise QueryError(f"{' '.join(str(error).split())}; correct the query") from None
    finally:
        connection.close()


def connect() -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that reads Delta tables; timestamps are UTC."""
    import duckdb  # noqa: PLC0415 - only who asks pays for it
    import duckdb_extension_delta  # noqa: PLC0415 - carries the extension's file

    folder = Path(duckdb_extension_delta.__file__).parent
    [extension] = folder.glob("extensions/*/delta.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _define(
    connection: duckdb.DuckDBPyConnection, lake: Lake, sql: str, as_of: Fact | None
) -> None:
    """Define the tables that the query may mean, as views on one version of each."""
    text = sql.lower().replace('"', "")
    for name, table in tables().items():
        if name not in text:
            continue
        newest = lake.version(table)
        own = table.layer == "ledger"  # only ever appended to, and numbered
        version = as_of.detail["versions"].get(name) if as_of and not own else newest
        if version is None or newest is None:
            when = f" by run {as_of.run_id}" if as_of else "; run `lakehouse run` first"
            raise QueryError(f"{name} has no rows yet{when}")
        schema = name.split(".")[0]
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        uri = lake.uri(table).replace("'", "''")
        rows = f"SELECT * FROM delta_scan('{uri}', version => {version})"
        if as_of and own:
            rows += f" WHERE seq <= {as_of.seq}"
        connection.execute(f"CREATE VIEW {name} AS {rows}")
