"""What a dashboard is: the named queries it asks, and what is shown of their answers.

A definition says nothing of HTML, of a charting library or of a service: the page is derived from
it, and so is whatever else draws dashboards. Rows are answered by the queries, filtered by what
its filters say and aggregated again by what its measures say; every client does the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# ------------------------------------------------------------------------------ what is asked


@dataclass(frozen=True)
class Source:
    """A named query, and what is taken of its answer.

    A parameter ``as_of`` of the query gets the last day that there is, less ``days_back`` days.

    ``by`` and ``sums`` aggregate the answer where it is made: rows of one value of ``by`` become
    one, with ``count`` (a name for how many they were) and the sums of those columns.
    ``keep`` keeps the rows whose column has one of these values, ``among`` those whose column has a
    value that the source ``of`` answers there. ``top`` keeps so many rows, those with most of
    ``order_by``; clients then say of how many.

    In rows where a column of ``whole`` is null, the row is of all its values together: it counts
    where no value is chosen, and the others do where theirs is.
    """

    query: str
    by: tuple[str, ...] = ()
    count: str = ""
    sums: tuple[str, ...] = ()
    keep: tuple[str, tuple[str, ...]] | None = None
    among: str = ""
    of: Source | None = None
    order_by: str = ""
    top: int = 0
    days_back: int = 0
    whole: tuple[str, ...] = ()


# --------------------------------------------------------------------------- what is measured


class Form(StrEnum):
    """How a value is written."""

    COUNT = "count"
    MONEY = "money"
    DECIMAL = "decimal"
    PERCENT = "percent"
    SECONDS = "seconds"
    DAY = "day"
    MONTH = "month"
    WORDS = "words"
    """A name of programs, such as ``in_force``: its underscores are spaces."""
    TEXT = "text"


class Aggregate(StrEnum):
    """How the values of several rows become one."""

    SUM = "sum"
    MAX = "max"
    FIRST_SEEN = "first_seen"
    """A sum that counts each thing once in a span of days: only rows whose ``since`` (the day on
    which the same things were seen before) is null or lies before the span."""


class Rising(StrEnum):
    """What it means that a measure rises."""

    GOOD = "good"
    BAD = "bad"
    NEITHER = "neither"


@dataclass(frozen=True)
class Measure:
    """A number of several rows: an aggregate of a column, or of one ``over`` another's.

    ``unit`` is what is counted, in words.
    """

    column: str
    title: str
    unit: str
    form: Form = Form.COUNT
    aggregate: Aggregate = Aggregate.SUM
    over: str = ""
    since: str = ""
    rising: Rising = Rising.GOOD


@dataclass(frozen=True)
class Field:
    """A column as it stands: what rows are told apart by, or what is said of them.

    ``texts`` writes a text by the value of the column; ``{name}`` in it is the row's column.
    ``key`` is the column that tells apart what reads alike, such as two people of one name.
    """

    column: str
    title: str
    form: Form = Form.TEXT
    texts: tuple[tuple[str, str], ...] = ()
    key: str = ""


# ------------------------------------------------------------------------------ what is shown


@dataclass(frozen=True, kw_only=True)
class Visual:
    """Something that is shown: ``title`` says what is seen, ``note`` what one should know.

    ``selected_by`` is a column: nothing is shown until a drill-down has chosen a value of it.
    ``all_days``: the date filter does not act on it. ``empty`` is said where there are no rows.
    """

    title: str
    source: Source
    note: str = ""
    selected_by: str = ""
    all_days: bool = False
    empty: str = "Nothing in these days."


@dataclass(frozen=True, kw_only=True)
class Figure(Visual):
    """One number; ``change``: also against the span before, and the same days of the week."""

    measure: Measure
    change: bool = False


@dataclass(frozen=True, kw_only=True)
class Line(Visual):
    """Measures over an ordered column.

    ``average_days`` adds the average of so many days, up to each: days without rows count as 0,
    and it begins with the first day that has so many. ``series`` makes a line of each of its
    values. ``cumulative`` shows the running share of the whole, in percent.
    """

    x: Field
    measures: tuple[Measure, ...]
    series: Field | None = None
    average_days: int = 0
    cumulative: bool = False


@dataclass(frozen=True, kw_only=True)
class Bars(Visual):
    """A bar for each value of a column: days and months in their order, others by length.

    Several measures, or the values of ``series``, are stacked. ``drill_down`` chooses the value
    for the whole dashboard. ``before`` is an earlier answer of the same kind, to be told beside.
    """

    category: Field
    measures: tuple[Measure, ...]
    series: Field | None = None
    top: int = 15
    drill_down: bool = False
    before: Source | None = None


@dataclass(frozen=True, kw_only=True)
class RankedTable(Visual):
    """Rows of fields and measures, those with most of the first measure first.

    Without measures the rows stand as the query sorts them. ``drill_down`` is the field that
    chooses a value. ``before`` is an earlier answer: each row then has its change of the first
    measure since. A table that is ``turned`` shows one row, a line for each of its fields.
    """

    fields: tuple[Field, ...]
    measures: tuple[Measure, ...] = ()
    top: int = 20
    drill_down: str = ""
    before: Source | None = None
    turned: bool = False


@dataclass(frozen=True, kw_only=True)
class HeatMap(Visual):
    """A measure for each two values."""

    x: Field
    y: Field
    measure: Measure


@dataclass(frozen=True, kw_only=True)
class Scatter(Visual):
    """A point for each value of ``point``, at two measures; its size is a third."""

    point: Field
    x: Measure
    y: Measure
    size: Measure
    series: Field | None = None
    drill_down: bool = False


@dataclass(frozen=True, kw_only=True)
class Funnel(Visual):
    """What is left at each stage, as a share of the first; ``order`` tells which comes first."""

    stage: Field
    order: str
    measure: Measure


# ---------------------------------------------------------------------------- what is chosen


@dataclass(frozen=True)
class Dates:
    """A span of days that a person chooses; acts on every source that has one of the columns.

    ``days`` are chosen at first, up to the last day that there is.
    """

    title: str
    columns: tuple[str, ...]
    days: int = 28


@dataclass(frozen=True)
class Choice:
    """One value of a column, or all; acts on every source that has the column."""

    title: str
    column: str
    all: str


@dataclass(frozen=True)
class Section:
    """Visuals under a heading."""

    title: str
    visuals: tuple[Visual, ...]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard; ``name`` is its page's. The ``main`` visual stands for it.

    ``place`` is its place among the others, the lowest first. ``notes`` are said on it, each in one
    line.
    """

    name: str
    title: str
    audience: str
    main: str
    sections: tuple[Section, ...]
    dates: Dates | None = None
    choices: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()
    place: int = 100

    @property
    def visuals(self) -> tuple[Visual, ...]:
        """All its visuals, in their order."""
        return tuple(visual for section in self.sections for visual in section.visuals)
