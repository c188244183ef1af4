"""SQL that is written in several places: exact quotients and amounts, keys, literals."""

from __future__ import annotations

from datetime import date


def ratio(numerator: str, denominator: str) -> str:
    """SQL for a quotient of two BIGINT expressions as DECIMAL(18,4); null for a zero denominator.

    Rounded half up from the exact quotient: long division in integers, two decimals at a
    time, because engines disagree on the scale of decimal ÷ decimal, and what is rounded
    twice can be wrong. The numerator may not be negative.
    """
    n, d = f"({numerator})", f"nullif({denominator}, 0)"
    left = f"(({n} % {d}) * 100)"
    hundredths = f"CAST({left} DIV {d} AS DECIMAL(18,0)) * CAST(0.01 AS DECIMAL(3,2))"
    rest = f"((({left} % {d}) * 200 + {d}) DIV (2 * {d}))"
    ten_thousandths = f"CAST({rest} AS DECIMAL(18,0)) * CAST(0.0001 AS DECIMAL(5,4))"
    return (
        f"CAST(CAST({n} DIV {d} AS DECIMAL(18,0)) + {hundredths} + {ten_thousandths} "
        "AS DECIMAL(18,4))"
    )


def money(cents: str) -> str:
    """SQL for a sum of cents as DECIMAL(18,2)."""
    return f"CAST(CAST({cents} AS DECIMAL(18,0)) * CAST(0.01 AS DECIMAL(3,2)) AS DECIMAL(18,2))"


def surrogate_key(*natural: str) -> str:
    """SQL for a dimension's key as BIGINT: a hash of the natural key's columns, none of them null.

    The same for the same columns, whatever else there is and whenever it came. That two of ten
    million natural keys share a hash (60 bits) has a chance of one in 23,000; a dimension whose key
    stands twice is not published.
    """
    parts = [f"CAST({part} AS STRING)" for part in natural]
    if len(parts) > 1:  # as one text, in which no two keys read the same
        parts = [f"replace(replace({part}, '%', '%25'), '|', '%7C')" for part in parts]
    together = ", '|', ".join(parts)
    # Not xxhash64(): of a column whose file has one value alone, Sail 0.7.2 panics.
    return f"CAST(conv(substring(md5(concat({together})), 1, 15), 16, 10) AS BIGINT)"


def date_key(day: str) -> str:
    """SQL for a date's key as INT, such as 20250401."""
    return f"CAST(year({day}) * 10000 + month({day}) * 100 + day({day}) AS INT)"


def literal(value: object) -> str:
    """SQL for a value."""
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value)
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            text = str(value).replace("\\", "\\\\").replace("'", "\\'")
            return f"'{text}'"
