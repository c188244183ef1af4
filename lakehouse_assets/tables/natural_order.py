"""Natural order of file names, so that a correction named as people name them is the newer one.

Names without their ending are cut into numbers and the text between them and compared part by
part: texts by their UTF-8 bytes, numbers by value. So ``sales_9h`` comes before ``sales_17h``,
and ``sales.csv`` before ``sales (1).csv``. Names that are equal so far are compared whole.
"""

from __future__ import annotations

import re
from typing import Final

_ENDING: Final = "[.](csv|csv[.]gz|xlsx)"


def natural(name: str) -> tuple[list[bytes | int], bytes]:
    """What sorts file names naturally, in Python."""
    stem = re.sub(rf"(?i){_ENDING}\Z", "", name)
    parts = re.split("([0-9]+)", stem)  # text, number, text, number, …, text
    key: list[bytes | int] = [int(p) if i % 2 else p.encode() for i, p in enumerate(parts)]
    return key, name.encode()


def natural_sql(name: str) -> tuple[str, str]:
    """What sorts file names naturally, as two SQL expressions over ``name``, a SQL expression.

    The first is a text in which each number stands behind a NUL, which no name has and which comes
    before all that names have, and its count of digits, so that texts compare as the parts do.
    """
    stem = rf"regexp_replace({name}, r'(?i){_ENDING}\z', '')"
    digits = "trim(LEADING '0' FROM part)"
    number = f"concat(chr(0), lpad(CAST(length({digits}) AS STRING), 4, '0'), {digits})"
    parts = f"regexp_extract_all({stem}, r'[0-9]+|[^0-9]+', 0)"
    each = f"part -> CASE WHEN part RLIKE '^[0-9]' THEN {number} ELSE part END"
    return f"array_join(transform({parts}, {each}), '')", name
