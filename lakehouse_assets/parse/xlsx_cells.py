"""What a cell says, as text: numbers, dates, texts, and cells that have no value of their own."""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

_NUMBER = "0123456789+-.eE \t\r\n"
_LONGEST_NUMBER = 1_000
_DAY = 86_400_000
"""Milliseconds of a day: so fine does Excel hold times."""
_LAST_DAY = 2_958_466
"""The first serial number beyond the year 9999."""
_FROM_1900 = dt.datetime.fromisoformat("1899-12-30")
_FROM_1904 = dt.datetime.fromisoformat("1904-01-01")
_NO_DAY = 60
"""29 February 1900, which only Excel knows; days before it count from one day later."""
_FIRST_YEAR = 1900
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")
_TEXTS = re.compile(r'"[^"]*"?|\\.|_.|\*.')
_BRACKETS = re.compile(r"\[(?!(?:h+|m+|s+)\])[^\]]*\]?", re.IGNORECASE)
"""Colours and conditions, which say as little about a number format's kind as texts do."""
_CONDITION = re.compile(r"\[(<=|>=|<>|=|<|>)\s*(-?[0-9]+(?:\.[0-9]+)?)\]")
_HOLDS = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "<>": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_A_DATE = 45_000
"""A day of 2023, as a serial number."""
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)


class NoValue(str):
    """The text of a cell that has no value of its own: of its row a rule says so."""

    __slots__ = ()


NOT_CALCULATED = NoValue("#NOT CALCULATED")


class Moment(Enum):
    """What a number is whose format shows it as a moment or a duration."""

    DATE = "date"
    TIME = "time"
    ELAPSED = "elapsed"


BUILT_IN = {
    **dict.fromkeys(
        map(
            str,
            (*range(14, 18), 22, *range(27, 32), 36, *range(50, 59), *range(71, 75), 77, 81),
        ),
        Moment.DATE,
    ),
    **dict.fromkeys(
        map(str, (*range(18, 22), *range(32, 36), 45, 47, 75, 76, 78, 80)), Moment.TIME
    ),
    **dict.fromkeys(("46", "79"), Moment.ELAPSED),
}
"""Formats that a workbook uses without spelling them out, those of East Asia and Thailand among
them: ECMA-376-1, 18.8.30."""


def moment_of(code: str) -> Moment | None:
    """What a number format shows a number as; None for a plain number.

    Of several sections it is the one that shows the dates of our time.
    """
    bare = _section(code)
    if _ELAPSED.search(bare):
        return Moment.ELAPSED
    letters = re.sub(r"s[.,]0+", "s", bare.lower())
    # Digits are of a number, whatever unit stands behind them without quotes: `#,##0 USD`.
    if re.search("general|standard|[0#?]", letters):
        return None
    if re.search("[yde]", letters) or (re.search("m", letters) and not re.search("[hs]", letters)):
        return Moment.DATE
    return Moment.TIME if re.search("[hs]", letters) else None


def _section(code: str) -> str:
    """The section of a format that shows a date of our time, bare of what says nothing."""
    for section in _TEXTS.sub("", code).split(";"):
        condition = _CONDITION.search(section)
        if condition is None or _HOLDS[condition[1]](_A_DATE, float(condition[2])):
            return _BRACKETS.sub("", section)
    return ""


@dataclass(frozen=True)
class CellTexts:
    """How the cells of one workbook are to be understood."""

    from_1904: bool
    moments: Mapping[str, Moment]
    """The styles by which a number is a moment, as cells name them."""
    strings: Sequence[str]
    decimal: str = "."
    """The decimal mark that numbers get: the one that the same sheet saved as CSV would have."""

    def text(self, kind: str, style: str, value: str) -> str:
        """A cell's value, which is not empty, as text. Raises ValueError for what is none."""
        if kind == "n":
            moment = self.moments.get(style)
            return self._number(value) if moment is None else self.moment(value, moment)
        if kind == "s":
            if not (value.isascii() and value.isdecimal()):
                raise ValueError("is no number of a shared text")
            if int(value) >= len(self.strings):
                raise ValueError("is a shared text that the workbook lacks")
            return self.strings[int(value)]
        if kind in ("str", "inlineStr"):
            return unescaped(value)
        if kind == "e":
            return NoValue(value.strip() or "#ERROR")
        if kind == "b":
            return _boolean(value.strip())
        if kind == "d":
            return _iso_text(value.strip())
        raise ValueError("is of a type that is not known")

    def _number(self, raw: str) -> str:
        text = number_text(raw)
        own = self.decimal == "." or type(text) is NoValue
        return text if own else text.replace(".", self.decimal)

    def moment(self, raw: str, moment: Moment) -> str:
        """A number that is shown as a moment.

        A date is always date and time, to the millisecond, also where only its time is shown. A
        time of no day reads `11:27:00` and a duration `36:00:00`, as in the CSV that Excel saves:
        neither is a timestamp.
        """
        days = _double(raw)
        if not 0 <= days < _LAST_DAY:
            return NoValue(raw.strip())
        day, rest = divmod(round(days * _DAY), _DAY)
        if moment is Moment.ELAPSED or (moment is Moment.TIME and not day):
            return _duration(day * _DAY + rest)
        if not self.from_1904 and day in (0, _NO_DAY):
            return NoValue(raw.strip())
        start = _FROM_1904 if self.from_1904 else _FROM_1900
        if not self.from_1904 and day < _NO_DAY:
            day += 1
        try:
            return (start + dt.timedelta(day, milliseconds=rest)).isoformat()
        except OverflowError:
            return NoValue(raw.strip())


def number_text(raw: str) -> str:
    """A number at 15 significant digits, in its shortest form: what Excel holds and shows.

    A whole number of more than 15 digits has been rounded already: it is `NoValue`, as it stands.
    Raises ValueError for what is no number.
    """
    text = f"{_double(raw):.15g}"
    if text.isdecimal():
        return text
    if text in ("-0", "inf", "-inf") or "e+" in text:
        return "0" if text == "-0" else NoValue(raw.strip())
    return f"{Decimal(text):f}" if "e" in text else text


def unescaped(text: str) -> str:
    """A text without OOXML's own escapes: `_x000D_` is a carriage return, `_x005F_` is `_`."""
    if "_x" not in text:
        return text
    units = _ESCAPE.sub(lambda it: chr(int(it[1], 16)) if it[1] != "0000" else it[0], text)
    # Two escapes may make one character; half of one is none.
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _boolean(text: str) -> str:
    if text not in ("0", "1", "false", "true"):
        raise ValueError("is neither true nor false")
    return "TRUE" if text in ("1", "true") else "FALSE"


def _double(raw: str) -> float:
    # Python takes `nan`, `1_000` and the digits of any script for numbers, too.
    if raw.strip(_NUMBER) or len(raw) > _LONGEST_NUMBER:
        raise ValueError("is no number")
    return float(raw)


def _duration(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}" + (f".{fraction:03d}" if fraction else "")


def _iso_text(text: str) -> str:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return text  # A time of no day; or what the rules will say no date is.
    return NoValue(text) if moment.year < _FIRST_YEAR else moment.isoformat()
