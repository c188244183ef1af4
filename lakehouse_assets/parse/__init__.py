"""Bytes of one landed file in, Arrow rows out, or one clear reason why not.

Nothing here knows the lake, Dagster or Spark: the same call runs in a test, in a Spark worker and
in a Glue job. Values are text exactly as the file has them, not even trimmed; what they mean is for
the rules to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse_assets.parse.model import EMPTY, Limits, Parsed, SheetProblem, Unreadable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import pyarrow as pa

__all__ = ["Limits", "Parsed", "SheetProblem", "Unreadable", "parse", "schema"]

_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"


def parse(
    name: str,
    data: bytes,
    columns: Sequence[str],
    limits: Limits | None = None,
    optional: Collection[str] = (),
) -> Parsed:
    """Read one landed file.

    `name` is the file's name: only its ending counts, in any case. `columns` are the names that the
    dataset's contract asks for, trimmed and in lower case; the header must have each of them once,
    but for those that are `optional`, which are null where it has not.

    Raises `Unreadable`, and nothing else, for whatever the bytes may be.
    """
    limits = limits or Limits()
    ending = name.lower()
    if not ending.endswith((".csv", ".csv.gz", ".xlsx")):
        raise Unreadable(
            "not a .csv, .csv.gz or .xlsx file; save it as one of these, or take it away"
        )
    if len(data) > limits.max_bytes:
        raise Unreadable(
            f"{len(data):,} bytes, more than max_bytes ({limits.max_bytes:,}) allows; "
            "split the file or raise max_bytes"
        )
    if not data:
        raise Unreadable(EMPTY)
    # Imported here so that whoever only names these types does not pay for Arrow.
    from lakehouse_assets.parse import csv_reader, xlsx_reader  # noqa: PLC0415

    if ending.endswith(".xlsx"):
        return xlsx_reader.read(data, columns, optional, limits)
    if ending.endswith(".csv.gz"):
        data = csv_reader.gunzip(data, limits)
    elif data.startswith(_GZIP_MAGIC):
        raise Unreadable("compressed with gzip, but not named so; name it .csv.gz")
    elif data.startswith(_ZIP_MAGIC):
        raise Unreadable("a zip or a workbook, not text; save it as CSV, or name a workbook .xlsx")
    return csv_reader.read(data, columns, optional, limits)


def schema(columns: Sequence[str]) -> pa.Schema:
    """The schema of `Parsed.rows` for these contract columns."""
    from lakehouse_assets.parse import rows  # noqa: PLC0415

    return rows.schema(columns)
