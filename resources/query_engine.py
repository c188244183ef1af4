"""Queries over the lake's tables: on Athena, or on its embedded stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse_assets.queries.engine import QueryEngine, QueryError
from resources.settings import QueryEngineName, Settings

if TYPE_CHECKING:
    from lakehouse_assets.store.facts import Fact


def query_engine(settings: Settings, as_of: Fact | None = None) -> QueryEngine:
    """The engine that the settings name, over tables as a run left them (newest unless given)."""
    if settings.query_engine is QueryEngineName.DUCKDB:
        from resources.duckdb_engine import DuckDBQueries  # noqa: PLC0415 - only who asks pays for it

        return DuckDBQueries(settings.lake(), as_of)
    if as_of is not None:
        raise QueryError(
            "Athena reads no other version of Delta tables; leave --as-of out, or set "
            "LAKEHOUSE_QUERY_ENGINE=duckdb"
        )
    from resources.athena_engine import AthenaQueries  # noqa: PLC0415 - only who is on AWS pays for it

    return AthenaQueries(
        settings.athena_workgroup, settings.athena_results(), settings.catalog_prefix
    )
