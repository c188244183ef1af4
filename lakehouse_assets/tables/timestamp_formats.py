"""A dialect's timestamp formats as SQL: text in a shop's own form → the same in ISO 8601.

Formats are written as Python's ``strptime`` has them. They become regular expressions here, because
engines differ in what their own formats let pass.
"""

from __future__ import annotations

import re
from typing import Final

YEAR: Final = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
ZONE: Final = "(?:Z|[+-](?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|[+-]18(?::?00)?)"

_PARTS: Final = {
    "Y": YEAR,
    "m": "(?:0?[1-9]|1[0-2])",
    "d": "(?:0?[1-9]|[12][0-9]|3[01])",
    "H": "(?:[01]?[0-9]|2[0-3])",
    "I": "(?:0?[1-9]|1[0-2])",
    "p": "(?:[AaPp][Mm])",
    "M": "(?:[0-5][0-9])",
    "S": "(?:[0-5][0-9])",
    "f": "(?:[0-9]+)",
    "z": ZONE,
}
_ISO: Final = ("2025-04-03T05:06:07", "2025-04-03 05:06:07", "2025-04-03")
_MEANT: Final = {"Y": 2025, "m": 4, "d": 3, "H": 5, "M": 6, "S": 7}
"""What they say: every other order of its parts would say something else."""
_TOKEN: Final = re.compile(r"%(.?)|([^%])", re.DOTALL)


def problem(format_: str) -> str | None:
    """Why a format says no point in time, or none that is free of doubt; None where it does."""
    named = [name for name, other in _TOKEN.findall(format_) if not other]
    if unknown := [name for name in named if name not in {*_PARTS, "%"}]:
        known = ", ".join(f"%{name}" for name in _PARTS)
        return f"timestamp format {format_!r}: %{unknown[0]} is not known; use {known}"
    repeated = [name for name in _PARTS if named.count(name) > 1]
    missing = [name for name in "Ymd" if name not in named]
    if repeated or missing:
        return (
            f"timestamp format {format_!r}: says no day, or one twice; use %Y, %m and %d once each"
        )
    if ("I" in named) != ("p" in named) or {"I", "H"} <= {*named}:
        return f"timestamp format {format_!r}: %I and %p go together, without %H; correct it"
    for iso in _ISO:
        match = re.fullmatch(_expression(format_), iso)
        if match and _MEANT | {p: int(match[p]) for p in named if p in _MEANT} != _MEANT:
            return (
                f"timestamp format {format_!r}: reads {iso} otherwise than ISO 8601, in which "
                "sheets have their dates; correct it"
            )
    return None


def to_iso(value: str, formats: tuple[str, ...]) -> str:
    """SQL for a text (SQL) in ISO 8601 where it has one of the formats; else as it is."""
    cases = "".join(f" WHEN {value} RLIKE {_pattern(f)} THEN {_iso(value, f)}" for f in formats)
    return f"CASE{cases} ELSE {value} END" if cases else value


def _expression(format_: str, group: str = "?P<{name}>") -> str:
    """The regular expression of a format, a group for each of its parts."""
    found = ""
    for name, other in _TOKEN.findall(format_):
        opened = f"({group.format(name=name)}"
        found += f"{opened}{_PARTS[name]})" if name in _PARTS else re.escape(other or "%")
    return found


def _pattern(format_: str) -> str:
    """A SQL literal for it, over the whole text; groups have no names there."""
    text = f"^{_expression(format_, '')}\\z".replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _iso(value: str, format_: str) -> str:
    named = [name for name, other in _TOKEN.findall(format_) if not other and name in _PARTS]

    def part(name: str, default: str) -> str:
        if name not in named:
            return f"'{default}'"
        return f"regexp_extract({value}, {_pattern(format_)}, {named.index(name) + 1})"

    def two(name: str, default: str = "00") -> str:
        return f"lpad({part(name, default)}, 2, '0')"

    hour = two("H")
    if "I" in named:
        noon = f"CASE WHEN lower({part('p', '')}) = 'pm' THEN 12 ELSE 0 END"
        hour = f"lpad(CAST(CAST({part('I', '')} AS INT) % 12 + {noon} AS STRING), 2, '0')"
    fraction = [f"'.', {part('f', '')}"] if "f" in named else []
    day = [part("Y", ""), "'-'", two("m"), "'-'", two("d")]
    time = ["'T'", hour, "':'", two("M"), "':'", two("S"), *fraction, part("z", "")]
    return f"concat({', '.join([*day, *time])})"
