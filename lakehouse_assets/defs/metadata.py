"""What Dagster shows of a table: its columns and where they come from, its size, some rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from lakehouse_assets.defs.keys import LINES, asset_key
from lakehouse_assets.pipeline.result import Result
from lakehouse_assets.store.delta import row_count
from lakehouse_assets.store.lake import Lake
from lakehouse_assets.store.receipts import Counts, Receipt
from lakehouse_assets.tables import column_lineage
from lakehouse_assets.tables.contract import LINEAGE, VALIDITY, Column, Dataset, Derived, Table
from lakehouse_assets.tables.registry import DATASETS

COLUMN_LINEAGE: Final = "dagster/column_lineage"
"""Where a table's columns come from; Dagster reads it from materializations alone."""

_PREVIEW_ROWS, _PREVIEW_COLUMNS = 5, 12
_ORDERED_ROWS = 100_000
"""Up to so many rows are put in order for the sake of a preview."""


def of_table(
    lake: Lake, table: Table, lineage: dg.TableColumnLineage, logic: str
) -> dict[str, Any]:
    """What is known of a table before anything has run; ``logic`` says how its rows are made."""
    return {
        **of_delta(lake, table, lineage),
        COLUMN_LINEAGE: lineage,
        "partition_columns": ", ".join(table.partition_by) or "none",
        "zorder_columns": ", ".join(table.zorder_by) or "none",
        "aggregation_logic": dg.MetadataValue.md(logic),
    }


def of_delta(
    lake: Lake, table: Table, lineage: dg.TableColumnLineage | None = None
) -> dict[str, Any]:
    """A Delta table's columns, name and place."""
    return {
        "dagster/column_schema": schema(table.names, table.columns, lineage),
        "dagster/table_name": table.id,
        "dagster/uri": lake.uri(table),
    }


def schema(
    names: Iterable[str], columns: Iterable[Column], lineage: dg.TableColumnLineage | None = None
) -> dg.TableSchema:
    """Columns under these names, each with those that it is made from.

    Those stand in its description: column lineage itself is shown by Dagster+ alone
    (https://docs.dagster.io/guides/build/assets/metadata-and-tags/column-level-lineage).
    """
    made_from = lineage.deps_by_column if lineage else {}
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                c.type.lower(),
                description=" ← ".join([c.description, *_named(made_from.get(name, ()))]),
                constraints=dg.TableColumnConstraints(nullable=not c.required),
            )
            for name, c in zip(names, columns, strict=True)
        ]
    )


def _named(deps: Iterable[dg.TableColumnDep]) -> list[str]:
    """Columns in one text, or none."""
    named = [f"{'.'.join(dep.asset_key.path)}.{dep.column_name}" for dep in deps]
    return [", ".join(named)] if named else []


def of_result(lake: Lake, table: Table, result: Result) -> dict[str, Any]:
    """What a run did to a table, and what the table is now."""
    delta = lake.delta(table)
    metadata: dict[str, Any] = dict(result.metadata)
    if result.lines:
        metadata[LINES] = result.lines
    if delta is None:
        return metadata
    files = lake.files(table, delta.version())
    created = delta.metadata().created_time
    commit = next(lake.commits(table), None)
    rows = row_count(files)
    metadata |= {
        "dagster/row_count": rows,
        "bytes": sum(f["size_bytes"] for f in files),
        "delta_files": len(files),
        "version": delta.version(),
        "created": dg.MetadataValue.timestamp(created / 1000) if created else "unknown",
        "updated": dg.MetadataValue.timestamp(commit["timestamp"] / 1000) if commit else "unknown",
        "location": dg.MetadataValue.path(lake.uri(table)),
        "preview": _preview(lake, table, ordered=rows <= _ORDERED_ROWS),
    }
    return metadata


def of_receipts(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """One batch date's files, their rows by fate together, and a row for each file."""
    total = sum((r.counts for r in receipts), Counts()).__dict__
    columns = {"file": "string", "state": "string", **dict.fromkeys(total, "int")}
    rows = [
        {"file": str(r.path), "state": r.state, **r.counts.__dict__, "error": r.error}
        for r in receipts
    ]
    return {"files": len(rows), **total, "receipts": as_table(columns | {"error": "string"}, rows)}


def bronze_lineage(dataset: Dataset) -> dg.TableColumnLineage:
    """Bronze's columns from the headers of the raw files."""
    raw = f"raw.{dataset.name}"
    return dg.TableColumnLineage({h: _deps([(raw, h)]) for h in dataset.headers})


def silver_lineage(dataset: Dataset) -> dg.TableColumnLineage:
    """Silver's columns from bronze's."""
    headers = {c.name: c.header for c in dataset.sources if c.header}
    headers |= {c.name: c.name for c in LINEAGE}
    found = {name: [header] for name, header in headers.items()}
    for column in dataset.columns:
        if column.derived:
            found[column.name] = [headers[n] for n in column_lineage.names(column.derived)]
    return dg.TableColumnLineage(
        {name: _deps((dataset.bronze.id, header) for header in of) for name, of in found.items()}
    )


def derived_lineage(table: Derived) -> dg.TableColumnLineage:
    """A derived table's columns from silver's, as its SELECT says."""
    # History's columns as silver's: it is written with silver, and has no asset of its own.
    silver = {d.history.id: d.silver.id for d in DATASETS.values() if d.keep_history}
    validity = {c.name for c in VALIDITY}

    def of_asset(source: str, column: str) -> tuple[str, str]:
        if source not in silver:
            return source, column
        return silver[source], LINEAGE[0].name if column in validity else column

    return dg.TableColumnLineage(
        {
            name: _deps(dict.fromkeys(of_asset(source, column) for source, column in pairs))
            for name, pairs in column_lineage.columns(table).items()
        }
    )


def _deps(pairs: Iterable[tuple[str, str]]) -> list[dg.TableColumnDep]:
    return [dg.TableColumnDep(asset_key(table), column) for table, column in pairs]


def _preview(lake: Lake, table: Table, *, ordered: bool) -> dg.TableMetadataValue:
    """Some rows: the newest dates first, or else the first keys."""
    columns = {c.name: c.type.lower() for c in table.payload[:_PREVIEW_COLUMNS]}
    listed = ", ".join(f'"{name}"' for name in columns)
    by = ", ".join(f'"{n}"' + " DESC" * (kind == "date") for n, kind in [*columns.items()][:3])
    order = f" ORDER BY {by}" if ordered else ""
    rows = lake.rows(table, f"SELECT {listed} FROM t{order} LIMIT {_PREVIEW_ROWS}")
    return as_table(columns, rows)


def as_table(columns: Mapping[str, str], rows: Iterable[dict[str, Any]]) -> dg.TableMetadataValue:
    """Rows as Dagster's UI shows them, under columns with a type each."""
    records = [
        dg.TableRecord(
            # What JSON cannot say exactly, such as a date or a decimal, is shown as text.
            {n: v if v is None or isinstance(v, int | str) else str(v) for n, v in row.items()}
        )
        for row in rows
    ]
    shown = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])
    return dg.MetadataValue.table(records, schema=shown)
