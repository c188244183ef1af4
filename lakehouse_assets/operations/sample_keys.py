"""Which columns of samples tell their rows apart."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Codes = npt.NDArray[np.int64]

_MOST_TOGETHER: Final = 4
_MOST_COLUMNS: Final = 16
_IDENTITY: Final = re.compile(r"(?:.*_)?(?:id|key|no|nr|num|number|code|sku|uuid|guid)")


class Key(NamedTuple):
    """Columns that tell rows apart, and what is not sure about them."""

    columns: tuple[str, ...]
    doubt: str


def key(texts: pa.Table, dataset: str, types: Mapping[str, str], full: Collection[str]) -> Key:
    """The smallest key of these rows, of columns that are ``full``: they have a value in each row.

    Rows that are alike in all columns count as one: the same row again is a duplicate. Columns
    that look like identities come first, and amounts and times alone are no keys.
    """
    codes = {name: _codes(texts.column(name)) for name in texts.column_names}
    rows = _together([*codes.values()])
    usable = [name for name in codes if name in full and types[name] != "DOUBLE"]
    single = f"{dataset.removesuffix('s')}_id"

    def likeness(name: str) -> int:
        return 0 if name in (single, "id") else 1 if _IDENTITY.fullmatch(name) else 2

    usable.sort(key=likeness)  # else in their order
    likely = usable[:_MOST_COLUMNS]
    distinct = {name: _distinct(codes[name]) for name in likely}
    for size in range(1, _MOST_TOGETHER + 1):
        found = sorted(combinations(likely, size), key=lambda names: sum(map(likeness, names)))
        for names in found:
            if size == 1 and types[names[0]] not in ("BIGINT", "STRING"):
                continue
            if prod(distinct[name] for name in names) < _distinct(rows):
                continue
            if _distinct(_together([codes[name] for name in names])) == _distinct(rows):
                in_order = tuple(name for name in codes if name in names)
                return Key(in_order, _doubt(in_order, likely[0], distinct, texts.num_rows))
    if usable:
        return Key(
            tuple(name for name in codes if name in usable),
            f"no {_MOST_TOGETHER} columns tell the rows of the samples apart, so it is all columns "
            "with a value in every row; name what makes a row unique",
        )
    fullest = min(texts.column_names, key=lambda name: texts.column(name).null_count)
    return Key((fullest,), "no column has a value in every row; name what makes a row unique")


def _doubt(columns: tuple[str, ...], likeliest: str, distinct: Mapping[str, int], rows: int) -> str:
    line = f"unique in the {rows:,} rows of the samples; see that it always is"
    if columns == (likeliest,) or 2 * distinct[likeliest] < rows:
        return line
    return (
        f"{line} ({likeliest} has {distinct[likeliest]:,} different values: where newer rows take "
        "the place of older ones, it may be the key alone)"
    )


def _codes(column: pa.ChunkedArray) -> Codes:
    """A number for each value; equal ones have the same."""
    import pyarrow.compute as pc  # noqa: PLC0415 - where it is used

    encoded = column.combine_chunks().dictionary_encode()
    found: Codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return found.astype("int64")


def _together(parts: Sequence[Codes]) -> Codes:
    """A number for each combination of values."""
    import numpy as np  # noqa: PLC0415 - where it is used

    whole, *others = parts
    for part in others:
        combined = whole * (int(part.max(initial=0)) + 2) + part + 1
        whole = np.unique(combined, return_inverse=True)[1].astype("int64")
    return whole


def _distinct(codes: Codes) -> int:
    import numpy as np  # noqa: PLC0415 - where it is used

    return len(np.unique(codes))
