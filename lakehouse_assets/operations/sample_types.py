"""Which types the values of samples have: judged by the very SQL that a run reads them by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from lakehouse_assets.pipeline.select import select
from lakehouse_assets.tables.contract import Column
from lakehouse_assets.tables.rules import typed
from lakehouse_assets.tables.sql import literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from lakehouse_assets.parse import Dialect

K = TypeVar("K")

_WIDEST: Final = 18  # decimal places that are looked for
_NUMERALS: Final[tuple[tuple[str, str | None], ...]] = (
    (".", None), (".", ","), (",", None), (",", "."), (".", "'"), (".", " "), (",", " "),
    (",", "\u00a0"), (",", "\u202f"),
)  # fmt: skip
"""Decimal and thousands marks. What several of them take as numbers, the first does."""
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DAY_FIRST: Final = ("%d{0}%m{0}%Y", "%Y{0}%m{0}%d")
_MONTH_FIRST: Final = ("%m{0}%d{0}%Y", "%Y{0}%m{0}%d")
_LIKE_DATE: Final = "^[0-9]{1,4}[./-][0-9]{1,2}[./-][0-9]{1,4}"
_LIKE_NUMBER: Final = "^-?[0-9][0-9., '\u00a0\u202f]*$"
_USUAL_DIGITS: Final = 8
_NEARLY: Final = 0.8
_MOST_DIGITS: Final = 38


def _formats(days: Sequence[str]) -> list[str]:
    """Formats with days in that order; ISO 8601 is none of them, as it needs none."""
    found = [day.format(mark) + time for mark, day, time in product("/.-", days, _TIMES)]
    return [format_ for format_ in found if not format_.startswith("%Y-") or "%I" in format_]


class Fits(NamedTuple):
    """How many values of a column each type takes; ``formats`` are those of other dates."""

    values: int
    whole: int
    decimal: int
    day: int
    moment: int
    truth: int
    short: int
    leading_zeros: int
    formats: Mapping[str, int]
    places: int
    digits: int


class Type(NamedTuple):
    """A column's type, the timestamp format that it needs, and what is not sure about it."""

    name: str
    format: str | None = None
    doubt: str | None = None


@dataclass(frozen=True)
class Profile:
    """What all columns' values are like, in the dialect that takes most of them."""

    dialect: Dialect
    columns: Mapping[str, Fits]
    doubts: tuple[str, ...] = field(default=())

    def type_of(self, name: str, others: float) -> Type:
        """The type that all values have but a share of ``others``, at most."""
        fits = self.columns[name]
        enough = fits.values * (1 - others)
        if not fits.values:
            return Type("STRING", doubt="has no value in the samples, so its type is open")
        number = max(fits.whole, fits.decimal) >= enough
        if number and fits.leading_zeros:
            return Type("STRING", doubt="numbers that begin with 0 are kept as text")
        if fits.whole >= enough:
            return Type("BIGINT")
        if number:
            return Type(_decimal(fits))
        if fits.day >= enough and fits.short:
            return Type("DATE")
        if fits.moment >= enough:
            midnight = "every time is midnight; if it has none, DATE is better"
            return Type("TIMESTAMP", doubt=midnight if fits.day == fits.moment else None)
        if fits.truth >= enough:
            return Type("BOOLEAN")
        best = max(fits.formats, key=lambda f: fits.formats[f], default=None)
        if best and fits.formats[best] >= enough:
            return Type("TIMESTAMP" if "M" in best else "DATE", best)
        return Type("STRING", doubt=_nearly(fits, best))


def _decimal(fits: Fits) -> str:
    """Room for amounts of cents; more where the values need it."""
    if fits.places <= 2 and fits.digits <= _USUAL_DIGITS:  # noqa: PLR2004 - cents
        return "DECIMAL(12,2)"
    places = max(2, fits.places)
    digits = fits.digits + 2 + places
    return f"DECIMAL({digits},{places})" if digits <= _MOST_DIGITS else "DOUBLE"


def _nearly(fits: Fits, best: str | None) -> str | None:
    """A doubt about a text, most of whose values are something else."""
    kinds = {
        "numbers": max(fits.whole, fits.decimal),
        "dates": max(fits.day, fits.moment, fits.formats[best] if best else 0),
    }
    for kind, count in kinds.items():
        if count >= _NEARLY * fits.values:
            return (
                f"{count:,} of {fits.values:,} values are {kind}, the others are not, so it is a "
                "text; give it another type to have rows with the others rejected"
            )
    return None


def profile(rows: DataFrame, names: Sequence[str], dialect: Dialect) -> Profile:
    """Look at all values; ``rows`` has them as trimmed texts. The dialect gains what they need."""
    doubts = []
    like = _counted(
        rows,
        {
            (name, kind): f"`{name}` RLIKE {literal(pattern)}"
            for name in names
            for kind, pattern in (("number", _LIKE_NUMBER), ("date", _LIKE_DATE))
        },
    )
    numbers = [name for name in names if like[name, "number"]]
    decimal, thousands = _numerals(rows, numbers, dialect)
    if (decimal, thousands) != _NUMERALS[0]:
        dialect = replace(dialect, decimal=decimal, thousands=thousands)
        written = f"1{thousands or ''}234{decimal}50"
        doubts.append(f"dialect: numbers seem to be written like {written}")
    plain = _counted(rows, dict(_plain(names, dialect)))
    dates = [
        name
        for name in names
        if like[name, "date"]
        and max(plain[name, "day"], plain[name, "moment"]) < like[name, "date"]
    ]
    formats, ambiguous = _date_formats(rows, dates, dialect)
    if ambiguous:
        doubts.append("dialect: days are taken to stand before months (31/12/2025)")
    places = _places(rows, numbers, dialect)
    columns = {
        name: Fits(
            **{kind: plain[name, kind] for kind in _KINDS},
            formats=formats.get(name, {}),
            places=places.get(name, (0, 0))[0],
            digits=places.get(name, (0, 0))[1],
        )
        for name in names
    }
    return Profile(dialect, columns, tuple(doubts))


_KINDS: Final = ("values", "whole", "decimal", "day", "moment", "truth", "short", "leading_zeros")


def _plain(names: Iterable[str], dialect: Dialect) -> Iterator[tuple[tuple[str, str], str]]:
    for name in names:
        yield (name, "values"), f"`{name}` IS NOT NULL"
        yield (name, "whole"), _fits(name, "BIGINT", dialect)
        yield (name, "decimal"), _fits(name, f"DECIMAL(38,{_WIDEST})", dialect)
        yield (name, "day"), _fits(name, "DATE", dialect)
        yield (name, "moment"), _fits(name, "TIMESTAMP", dialect)
        yield (name, "truth"), _fits(name, "BOOLEAN", dialect)
        yield (name, "short"), f"length(`{name}`) <= 10"
        yield (name, "leading_zeros"), f"`{name}` RLIKE '^-?0[0-9]'"


def _numerals(rows: DataFrame, names: Sequence[str], dialect: Dialect) -> tuple[str, str | None]:
    """The marks by which most values are numbers; the earlier ones where it is the same."""
    wanted = {
        (marks, name): _fits(name, f"DECIMAL(38,{_WIDEST})", _with_marks(dialect, *marks))
        for marks in _NUMERALS
        for name in names
    }
    found = _counted(rows, wanted)
    totals = {marks: sum(found[marks, name] for name in names) for marks in _NUMERALS}
    return max(_NUMERALS, key=totals.__getitem__)


def _with_marks(dialect: Dialect, decimal: str, thousands: str | None) -> Dialect:
    return replace(dialect, decimal=decimal, thousands=thousands)


def _date_formats(
    rows: DataFrame, names: Sequence[str], dialect: Dialect
) -> tuple[dict[str, dict[str, int]], bool]:
    """How many values each format takes, by column; and whether days might as well be months.

    Days come before months, or after them, in all columns alike.
    """
    found: dict[str, dict[str, dict[str, int]]] = {}
    for order in (_DAY_FIRST, _MONTH_FIRST):
        counted = _counted(
            rows,
            {
                (name, f): _fits(name, "TIMESTAMP", replace(dialect, timestamp_formats=(f,)))
                for name in names
                for f in _formats(order)
            },
        )
        by_name: dict[str, dict[str, int]] = {name: {} for name in names}
        for (name, format_), count in counted.items():
            if count:
                by_name[name][format_] = count
        found[order[0]] = by_name
    best = {
        first: sum(max(counts.values(), default=0) for counts in by_name.values())
        for first, by_name in found.items()
    }
    day_first, month_first = (best[order[0]] for order in (_DAY_FIRST, _MONTH_FIRST))
    chosen = _MONTH_FIRST if month_first > day_first else _DAY_FIRST
    same = all(f.startswith("%Y") for counts in found[chosen[0]].values() for f in counts)
    return found[chosen[0]], day_first == month_first and not same


def _places(rows: DataFrame, names: Sequence[str], dialect: Dialect) -> dict[str, tuple[int, int]]:
    """Decimal places, and digits before them, that a column's numbers need."""
    fits = _counted(
        rows,
        {
            (name, places): _fits(name, f"DECIMAL(38,{places})", dialect)
            for name in names
            for places in range(_WIDEST + 1)
        },
    )
    greatest = _aggregated(
        rows,
        {name: f"max(abs({_value(name, f'DECIMAL(38,{_WIDEST})', dialect)}))" for name in names},
    )
    return {
        name: (
            next(p for p in range(_WIDEST + 1) if fits[name, p] >= fits[name, _WIDEST]),
            len(str(int(greatest[name] or 0))),
        )
        for name in names
    }


def _value(name: str, type_: str, dialect: Dialect) -> str:
    return typed(Column(name=name, type=type_, description=""), f"`{name}`", dialect)


def _fits(name: str, type_: str, dialect: Dialect) -> str:
    return f"{_value(name, type_, dialect)} IS NOT NULL"


def _counted(rows: DataFrame, conditions: Mapping[K, str]) -> dict[K, int]:
    return _aggregated(rows, {k: f"count_if({sql})" for k, sql in conditions.items()})


def _aggregated(rows: DataFrame, aggregates: Mapping[K, str]) -> dict[K, Any]:
    """The values of these SQL aggregates, in one pass."""
    if not aggregates:
        return {}
    numbered = {f"_{at}": sql for at, sql in enumerate(aggregates.values())}
    [row] = select(rows, **numbered).collect()
    return dict(zip(aggregates, row, strict=True))
