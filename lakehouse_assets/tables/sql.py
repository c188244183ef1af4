"""SQL that is written in several places: exact quotients and amounts, literals."""

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
