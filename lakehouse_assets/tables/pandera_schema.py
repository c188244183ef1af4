"""A contract as a pandera schema, for notebooks, other pipelines and a second opinion in tests.

Rules are owned by the contract (casts, texts and foreign keys are most of them, and pandera has
no word for those); what pandera can say of a published table is generated from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakehouse_assets.tables.contract import Column, Dataset

if TYPE_CHECKING:
    import pandera.pandas as pa


def schema(dataset: Dataset) -> pa.DataFrameSchema:
    """What a pandas frame of the silver table must be: columns, nulls, bounds and a unique key.

    Importing pandera takes seconds, so this module is on no path that loads definitions.
    """
    import pandera.pandas as pa  # noqa: PLC0415 - see above

    columns: dict[str, Any] = {
        c.name: pa.Column(nullable=not c.required, checks=_checks(pa, c), required=True)
        for c in dataset.columns
    }
    return pa.DataFrameSchema(
        columns,
        name=dataset.silver.id,
        description=dataset.description,
        unique=list(dataset.key_columns),
    )


def _checks(pa: Any, column: Column) -> list[Any]:
    found = []
    if column.minimum is not None:
        found.append(pa.Check.ge(column.minimum))
    if column.maximum is not None:
        found.append(pa.Check.le(column.maximum))
    if column.allowed is not None:
        found.append(pa.Check.isin(list(column.allowed)))
    if column.pattern is not None and column.type == "STRING":
        found.append(pa.Check.str_matches(rf"^(?:{column.pattern})\Z"))
    return found
