"""The definitions of `design.md`, executable: events in ledger order → what the tables must hold.

Written from the definitions alone, without a look at the product: no engine, no clock, no state.
Whatever the product does to keep its tables up to date, it has to end where `evaluate` ends.
Read it from the bottom: `evaluate` replays the ledger, `_tables` fills the tables, `_resolve` gives
every row its one fate, `read` turns bytes into rows, `_gold` adds up.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import re
import warnings
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

Value = int | Decimal | datetime | date | str | None
Record = dict[str, Any]  # a row of a silver or gold table: a Value per column
BronzeRow = dict[str, object]

# ------------------------------------------------------------------------------ contracts, rules

COLUMNS: dict[str, dict[str, str]] = {
    "products": {
        "product_id": "bigint",
        "department_id": "bigint",
        "department": "text",
        "product_name": "text",
    },
    "orders": {
        "order_num": "bigint",
        "order_id": "bigint",
        "user_id": "bigint",
        "order_timestamp": "timestamp",
        "total_amount": "decimal(12,2)",
        "date": "text",
    },
    "order_items": {
        "id": "bigint",
        "order_id": "bigint",
        "user_id": "bigint",
        "days_since_prior_order": "decimal(9,2)",
        "product_id": "bigint",
        "add_to_cart_order": "int",
        "reordered": "int",
        "order_timestamp": "timestamp",
        "date": "text",
    },
}
"""Source columns of each dataset; a file or sheet that lacks one of them is unreadable."""

KEY = {"products": "product_id", "orders": "order_id", "order_items": "id"}
FOREIGN_KEYS = {"order_items": {"order_id": "orders", "product_id": "products"}}
NULLABLE = frozenset({"order_num", "days_since_prior_order", "date"})
CATEGORIES = ("schema", "data_quality", "referential_integrity")  # worst first
ORIGIN = ("_origin_file", "_origin_digest", "_origin_sheet", "_origin_row")
GOLD = ("daily_sales", "product_performance", "department_analytics", "customer_insights")


@dataclass(frozen=True)
class Check:
    """A rule on one readable, non-null value: `rule` is broken where `holds` is false."""

    dataset: str
    column: str
    rule: str
    holds: Callable[[Any], bool]


CHECKS = (
    Check("orders", "total_amount", "total_amount.min", lambda v: v >= 0),
    Check("order_items", "reordered", "reordered.allowed", lambda v: v in {0, 1}),
    Check("order_items", "add_to_cart_order", "add_to_cart_order.min", lambda v: v >= 1),
    Check("order_items", "days_since_prior_order", "days_since_prior_order.min", lambda v: v >= 0),
)


@dataclass(frozen=True)
class Rules:
    """What a contract lets a test change: its checks, and the limit that holds a file."""

    checks: tuple[Check, ...] = CHECKS
    hold_share: Mapping[str, Decimal] = field(default_factory=dict)  # dataset → share, else 5 %
    hold_rows: int = 100  # smaller files are never held

    def broken(self, dataset: str, typed: Record) -> frozenset[str]:
        """The checks that a row's values break."""
        return frozenset(
            check.rule
            for check in self.checks
            if check.dataset == dataset
            and (value := typed.get(check.column)) is not None
            and not check.holds(value)
        )

    def admits(self, dataset: str, lines: Sequence[Line]) -> bool:
        """Whether the share of rows with `schema` or `data_quality` faults is within the limit."""
        if len(lines) < self.hold_rows:
            return True
        faulty = sum(1 for line in lines if line.broken or self.broken(dataset, line.typed))
        return faulty <= self.hold_share.get(dataset, Decimal("0.05")) * len(lines)


# ---------------------------------------------------------------------------------------- events


@dataclass(frozen=True)
class At:
    """Something about one file: `<dataset>/<batch_date>/<file>`."""

    dataset: str
    batch_date: date
    file: str

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.dataset, self.batch_date, self.file)


@dataclass(frozen=True)
class Land(At):
    """The `land` command: recorded at once."""

    content: bytes


@dataclass(frozen=True)
class Drop(At):
    """Put there by hand or by S3: lands when a run of its date reads it."""

    content: bytes


@dataclass(frozen=True)
class Remove(At):
    """The bytes leave the raw zone: into the archive, or (expired) for good."""

    archived: bool = True


@dataclass(frozen=True)
class Withdraw(At):
    """`lakehouse withdraw FILE`."""


@dataclass(frozen=True)
class Reinstate(At):
    """`lakehouse reinstate FILE`."""


@dataclass(frozen=True)
class Accept(At):
    """`lakehouse accept FILE [--digest …]`: for what a run has judged and held."""

    digest: str | None = None


@dataclass(frozen=True)
class SetRules:
    """The contracts' rules are these from now on."""

    rules: Rules


@dataclass(frozen=True)
class Run:
    """A run of these dates (None: whatever is pending): reads, judges, publishes."""

    dates: frozenset[date] | None = None


@dataclass(frozen=True)
class Restore:
    """Back to the last run at or before this index of the list of events."""

    event: int


@dataclass(frozen=True)
class Resume:
    """End of the restore; the next run takes in what has waited."""


Event = Land | Drop | Remove | Withdraw | Reinstate | Accept | SetRules | Run | Restore | Resume

# ---------------------------------------------------------------------------------------- result


class Path(NamedTuple):
    """Where a file landed; printed as FILE."""

    dataset: str
    batch_date: date
    file: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.batch_date.isoformat()}/{self.file}"


class Place(NamedTuple):
    """A row's own place, hence its identity within its dataset, and the version order."""

    batch_date: date
    file: bytes
    sheet_no: int
    row: int


class Fate(NamedTuple):
    """What became of a row in force; category and rules are those of a rejected row."""

    fate: str  # published, superseded, duplicate, rejected
    category: str | None = None
    rules: frozenset[str] = frozenset()


class Receipt(NamedTuple):
    """What the newest receipt of a (path, digest) must say."""

    state: str
    read: int = 0
    published: int = 0
    superseded: int = 0
    duplicates: int = 0
    rejected: int = 0
    held: int = 0
    has_error: bool = False


@dataclass
class World:
    """What every table, receipt and listing must hold after the events."""

    bronze: dict[str, list[BronzeRow]] = field(default_factory=lambda: {d: [] for d in COLUMNS})
    fates: dict[str, dict[tuple[date, str, int, int], Fate]] = field(default_factory=dict)
    silver: dict[str, dict[int, Record]] = field(default_factory=dict)
    rejected: dict[str, list[BronzeRow]] = field(default_factory=dict)
    receipts: dict[tuple[str, date, str, str], Receipt] = field(default_factory=dict)
    gold: dict[str, dict[object, Record]] = field(default_factory=dict)
    held: set[Path] = field(default_factory=set)
    unreadable: dict[Path, str] = field(default_factory=dict)
    unreadable_sheets: dict[tuple[Path, str], str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)  # index of event → why there is no fact
    failed_runs: dict[int, bool] = field(default_factory=dict)  # index of Run → ends non-zero


# ------------------------------------------------------------------------------- values, by type

BLANKS = " \t\r\n\u00a0"
_WHOLE = re.compile(r"(-?[0-9]+)(?:\.0+)?")
_DECIMAL = re.compile(r"-?([0-9]+)(?:\.[0-9]{1,2})?")
_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2})(?::?([0-5][0-9]))?)?"
)


def _whole(text: str, bits: int) -> int | None:
    match = _WHOLE.fullmatch(text)
    if not match or len(match[1].lstrip("-0")) > 19:
        return None
    number = int(match[1])
    return number if -(1 << bits - 1) <= number < 1 << bits - 1 else None


def _decimal(text: str, precision: int) -> Decimal | None:
    """A DECIMAL(precision,2)."""
    match = _DECIMAL.fullmatch(text)
    if not match or len(match[1].lstrip("0")) > precision - 2:
        return None
    return Decimal(text).quantize(Decimal("0.01")) + 0  # + 0: no negative zero


@functools.lru_cache(maxsize=100_000)
def _timestamp(text: str) -> datetime | None:
    """An instant, as a naive datetime in UTC."""
    match = _TIMESTAMP.fullmatch(text)
    if not match:
        return None
    *parts, fraction, sign, hours, minutes = match.groups()
    zone = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if zone > timedelta(hours=18):
        return None
    year, month, day, hour, minute, second = map(int, parts)
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    try:
        local = datetime(year, month, day, hour, minute, second, micros)
        return local + zone if sign == "-" else local - zone
    except (ValueError, OverflowError):  # no such day or time; not within the years 1 to 9999
        return None


TYPES: dict[str, Callable[[str], Value]] = {
    "bigint": lambda text: _whole(text, 64),
    "int": lambda text: _whole(text, 32),
    "decimal(12,2)": lambda text: _decimal(text, 12),
    "decimal(9,2)": lambda text: _decimal(text, 9),
    "timestamp": _timestamp,
    "text": lambda text: text,
}

# --------------------------------------------------------------------------------- bytes to rows


class UnreadableError(Exception):
    """This file, or this sheet, cannot be read at all."""


class Origin(NamedTuple):
    """The rejected row that a row claims to repair, as its four cells say."""

    file: str
    digest: str
    sheet: int | None
    row: int | None


@dataclass(frozen=True)
class Line:
    """A row of a file, whichever path it landed at; rules that need no contract's checks judged."""

    sheet: str | None
    sheet_no: int
    row: int
    texts: Mapping[str, str | None]
    extra: Mapping[str, str] | None = None
    raw: str | None = None
    typed: Record = field(default_factory=dict)  # a value that is missing or wrong is None
    broken: frozenset[str] = frozenset()
    origin: Origin | None = None


@dataclass(frozen=True)
class Content:
    """What a file's bytes say: its rows, or why there are none."""

    lines: tuple[Line, ...] = ()
    error: str | None = None
    bad_sheets: tuple[tuple[str, str], ...] = ()


@functools.lru_cache(maxsize=256)
def read(dataset: str, file: str, content: bytes) -> Content:
    """Read a file's bytes."""
    name = file.lower()
    try:
        if name.endswith(".xlsx"):
            return _read_workbook(dataset, content)
        if not name.endswith((".csv", ".csv.gz")):
            raise UnreadableError("no .csv, .csv.gz or .xlsx")
        if name.endswith(".gz"):
            content = _gunzip(content)
        return Content(tuple(_read_csv(dataset, content)))
    except UnreadableError as error:
        return Content(error=str(error))


def _gunzip(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableError(f"no gzip: {error}") from error


_FIELD = re.compile(r'"((?:[^"]+|"")*+)"|([^",\r\n]*)')
_END = re.compile(r"\r?\n|\Z")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class _Split(NamedTuple):
    """A record, or (no fields) one physical line of what RFC 4180 cannot split."""

    line: int
    raw: str
    fields: list[str] | None


def split(text: str) -> Iterator[_Split]:
    """RFC 4180, from the left, record by record."""
    at, line = 0, 1
    while at < len(text):
        start, fields = at, []
        while True:
            found = _FIELD.match(text, at)
            assert found  # a bare field may be empty
            if found[1] is None and text.startswith('"', at):  # never closed
                at, end = len(text), None
                break
            fields.append(found[2] if found[1] is None else found[1].replace('""', '"'))
            at = found.end()
            end = _END.match(text, at)
            if end or not text.startswith(",", at):
                break
            at += 1
        if end:
            raw, at = text[start:at], end.end()
            yield _Split(line, raw, fields)
            line += raw.count("\n") + 1
        else:  # it fails at this place: give up its lines up to here
            at = text.find("\n", at) + 1 or len(text)
            for raw in _LINE.findall(text[start:at]):
                yield _Split(line, re.sub(r"\r?\n\Z", "", raw), None)
                line += 1


def _read_csv(dataset: str, content: bytes) -> Iterator[Line]:
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise UnreadableError("not UTF-8") from error
    if "\0" in text:
        raise UnreadableError("a NUL byte")
    records = (r for r in split(text) if r.raw.strip(BLANKS + ",") and _any(r.fields or [r.raw]))
    first = next(records, None)
    if first is None or first.fields is None:
        raise UnreadableError("no header" if first is None else "the header cannot be split")
    header = _header(dataset, first.fields)
    for line, raw, fields in records:
        if fields is not None and len(fields) == len(header):
            yield _line(dataset, header, fields, (None, 0, line))
        else:
            rule = "row.unsplittable" if fields is None else "row.ragged"
            yield _broken_line(dataset, rule, raw, (None, 0, line))


def _read_workbook(dataset: str, content: bytes) -> Content:
    import openpyxl

    lines: list[Line] = []
    bad: list[tuple[str, str]] = []
    good = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
        except Exception as error:  # whatever openpyxl stumbles over
            raise UnreadableError(f"no workbook: {error}") from error
        for number, name in enumerate(book.sheetnames, 1):
            if not hasattr(book[name], "iter_rows"):  # a sheet of charts
                continue
            rows = (
                (no, [_cell(cell.data_type, cell.value) for cell in row])
                for no, row in enumerate(book[name].iter_rows(min_row=1, min_col=1), 1)
            )
            if not (full := [(no, cells) for no, cells in rows if _any(cells)]):
                continue
            try:
                lines += _read_sheet(dataset, name, number, full)
                good += 1
            except UnreadableError as error:
                bad.append((name, str(error)))
    if not good:
        raise UnreadableError("no readable sheet: " + "; ".join(why for _, why in bad))
    return Content(tuple(lines), bad_sheets=tuple(bad))


def _read_sheet(
    dataset: str, name: str, number: int, rows: list[tuple[int, list[str | None]]]
) -> list[Line]:
    """The rows of a sheet, from its rows with any value."""
    _, names = rows[0]
    last = max(i for i, cell in enumerate(names, 1) if _trim(cell))
    header = _header(dataset, names[:last])
    lines = []
    for row, cells in rows[1:]:
        if _any(cells[last:]):
            width = max(i for i, cell in enumerate(cells, 1) if _trim(cell))
            raw = json.dumps(cells[:width], ensure_ascii=False)
            lines.append(_broken_line(dataset, "row.ragged", raw, (name, number, row)))
        else:
            lines.append(_line(dataset, header, cells[:last], (name, number, row)))
    return lines


def _cell(kind: str, value: object) -> str | None:
    """A cell's text."""
    if value is None or value == "" or kind == "e":
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return repr(float(value)).removesuffix(".0")
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return value.isoformat() if isinstance(value, datetime | time) else str(value)


def _trim(text: str | None) -> str | None:
    return (text or "").strip(BLANKS) or None


def _any(cells: Iterable[str | None]) -> bool:
    return any(_trim(cell) for cell in cells)


def _header(dataset: str, cells: Sequence[str | None]) -> list[str]:
    names = [(_trim(cell) or f"column_{n}").lower() for n, cell in enumerate(cells, 1)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UnreadableError(f"column twice: {', '.join(twice)}")
    if missing := [name for name in COLUMNS[dataset] if name not in names]:
        raise UnreadableError(f"column missing: {', '.join(missing)}")
    return names


_SHIELDED = re.compile(r"'(?=[=+\-@'\t\r])")


def _line(
    dataset: str, header: list[str], cells: Sequence[str | None], at: tuple[str | None, int, int]
) -> Line:
    texts = {name: cell or None for name, cell in zip(header, cells, strict=True)}
    origin = None
    if _any(texts.get(name) for name in ORIGIN):
        texts = {
            n: text and (_SHIELDED.sub("", text, count=1) if _SHIELDED.match(text) else text)
            for n, text in texts.items()
        }
        file, digest, sheet, row = (_trim(texts.get(name)) or "" for name in ORIGIN)
        origin = Origin(file, digest, _whole(sheet, 64), _whole(row, 64))
    typed: Record = {}
    broken: set[str] = set()
    for name, kind in COLUMNS[dataset].items():
        text = _trim(texts[name])
        typed[name] = None if text is None else TYPES[kind](text)
        if text is None and name not in NULLABLE:
            broken.add(f"{name}.required")
        if text is not None and typed[name] is None:
            broken.add(f"{name}.type")
    extra = {n: text for n, text in texts.items() if n not in typed and text and _trim(text)}
    own = {name: texts[name] for name in typed}
    return Line(*at, own, extra or None, None, typed, frozenset(broken), origin)


def _broken_line(dataset: str, rule: str, raw: str, at: tuple[str | None, int, int]) -> Line:
    nothing = dict.fromkeys(COLUMNS[dataset])
    return Line(*at, nothing, None, raw, dict(nothing), frozenset({rule}))


# ----------------------------------------------------------------------------- fates of the rows


@dataclass(frozen=True)
class _Row:
    """A row in force."""

    path: Path
    digest: str
    line: Line

    @property
    def own(self) -> Place:
        return Place(
            self.path.batch_date, self.path.file.encode(), self.line.sheet_no, self.line.row
        )

    @property
    def name(self) -> Origin:
        """What a repair of it calls it."""
        return Origin(str(self.path), self.digest, self.line.sheet_no, self.line.row)

    @property
    def bronze(self) -> BronzeRow:
        line = self.line
        return {
            **line.texts,
            "_batch_date": self.path.batch_date,
            "_file": self.path.file,
            "_sheet": line.sheet,
            "_sheet_no": line.sheet_no,
            "_row": line.row,
            "_extra": line.extra,
            "_raw": line.raw,
        }


def category(rule: str) -> str:
    """A rule's category."""
    if rule.startswith("row."):
        return "schema"
    if rule == "origin" or rule.endswith(".foreign_key"):
        return "referential_integrity"
    return "data_quality"


def worst(rules: Iterable[str]) -> str:
    """The worst category of the broken rules."""
    return min(map(category, rules), key=CATEGORIES.index)


def _resolve(
    dataset: str, rows: list[_Row], rules: Rules, silver: Mapping[str, Mapping[int, Record]]
) -> tuple[list[Fate], dict[int, Record]]:
    """Exactly one fate per row, and the published rows by key."""
    named = {row.name: row for row in rows}

    def root(row: _Row) -> _Row | None:
        """The row itself, or the first origin of a repair; None where that is not in force."""
        if row.line.origin is None:
            return row
        origin = named.get(row.line.origin)
        return root(origin) if origin else None

    # An origin sorts before its repairs, and these by their own place.
    places: list[tuple[Place, ...]] = []
    broken: list[frozenset[str]] = []
    for row in rows:
        first = root(row)
        places.append(() if first is None else (row.own,) if first is row else (first.own, row.own))
        faults = row.line.broken | rules.broken(dataset, row.line.typed)
        for column, parent in FOREIGN_KEYS.get(dataset, {}).items():
            value = row.line.typed[column]
            if value is not None and value not in silver[parent]:
                faults |= {f"{column}.foreign_key"}
        broken.append(faults if first else faults | {"origin"})

    # The newest qualifying repair of each family retires what comes before it in the family.
    repaired: dict[Place, tuple[Place, ...]] = {}
    for place, faults in zip(places, broken, strict=True):
        if len(place) > 1 and not faults:
            repaired[place[0]] = max(place, repaired.get(place[0], place))
    retired = [bool(p) and p < repaired.get(p[0], p) for p in places]

    newest: dict[Value, int] = {}
    keys = [row.line.typed[KEY[dataset]] for row in rows]
    for n, key in enumerate(keys):
        if not broken[n] and not retired[n]:
            newest[key] = max(newest.get(key, n), n, key=lambda n: places[n])

    fates = []
    for n, key in enumerate(keys):
        winner = None if key is None else newest.get(key)
        if winner == n:
            fate = Fate("published")
        elif places[n] and (retired[n] or (winner is not None and places[winner] > places[n])):
            same = winner is not None and rows[winner].line.typed == rows[n].line.typed
            fate = Fate("duplicate" if same and not broken[n] else "superseded")
        else:
            assert broken[n], "a rejected row breaks a rule"
            fate = Fate("rejected", worst(broken[n]), broken[n])
        fates.append(fate)
    published = {}
    for n in newest.values():
        typed = dict(rows[n].line.typed)
        if isinstance(stamp := typed.get("order_timestamp"), datetime):
            typed["order_date"] = stamp.date()
        published[typed[KEY[dataset]]] = typed
    return fates, published


# ------------------------------------------------------------------------------------------ gold


def _ratio(over: Decimal | int | Fraction, under: Decimal | int, places: int = 4) -> Decimal | None:
    """The exact quotient, rounded half up; null where it divides by zero."""
    if not under:
        return None
    exact = Fraction(over) / Fraction(under) * 10**places
    whole = int(abs(exact) + Fraction(1, 2))
    return Decimal(whole if exact >= 0 else -whole).scaleb(-places) + 0


def allocate(amount: Decimal, lines: int) -> list[Decimal]:
    """An amount spread over so many lines, the first ones getting the cents left over."""
    each, more = divmod(int(amount * 100), lines)
    return [Decimal(each + (n < more)).scaleb(-2) for n in range(lines)]


def _gold(silver: Mapping[str, Mapping[int, Record]]) -> dict[str, dict[object, Record]]:
    products, orders = silver["products"], silver["orders"]
    lines: dict[int, list[Record]] = {order: [] for order in orders}
    for item in silver["order_items"].values():
        lines[item["order_id"]].append(item)
    by_day, by_user = defaultdict(list), defaultdict(list)
    by_product: dict[Any, list[tuple[Record, Any, Decimal]]] = defaultdict(list)
    by_department: dict[Any, list[tuple[Record, Any, Decimal]]] = defaultdict(list)
    for number, order in orders.items():
        by_day[order["order_date"]].append(order)
        by_user[order["user_id"]].append(order)
        items = sorted(lines[number], key=lambda i: (i["add_to_cart_order"], i["id"]))
        if not items:
            by_department[order["order_date"], None, "unknown"].append(
                (order, None, order["total_amount"])
            )
            continue
        for item, part in zip(items, allocate(order["total_amount"], len(items)), strict=True):
            product = products[item["product_id"]]
            by_product[order["order_date"], item["product_id"]].append((order, item, part))
            grain = order["order_date"], product["department_id"], product["department"]
            by_department[grain].append((order, item, part))
    gold: dict[str, dict[object, Record]] = {table: {} for table in GOLD}
    for day, sold in by_day.items():
        revenue = sum((o["total_amount"] for o in sold), Decimal("0.00"))
        gold["daily_sales"][day] = {
            "order_date": day,
            "orders": len(sold),
            "items": sum(len(lines[o["order_id"]]) for o in sold),
            "customers": len({o["user_id"] for o in sold}),
            "revenue": revenue,
            "average_order_value": _ratio(revenue, len(sold)),
        }
    for (day, number), parts in by_product.items():
        reorders = sum(item["reordered"] for _, item, _ in parts)
        gold["product_performance"][day, number] = {
            "order_date": day,
            "product_id": number,
            **{c: products[number][c] for c in ("product_name", "department_id", "department")},
            "units": len(parts),
            "orders": len({order["order_id"] for order, _, _ in parts}),
            "reorders": reorders,
            "reorder_rate": _ratio(reorders, len(parts)),
            "average_cart_position": _ratio(
                sum(item["add_to_cart_order"] for _, item, _ in parts), len(parts)
            ),
            "allocated_revenue": sum((part for *_, part in parts), Decimal("0.00")),
        }
    for (day, number, name), parts in by_department.items():
        items = [item for _, item, _ in parts if item]
        revenue = sum((part for *_, part in parts), Decimal("0.00"))
        gold["department_analytics"][day, number, name] = {
            "order_date": day,
            "department_id": number,
            "department": name,
            "units": len(items),
            "orders": len({order["order_id"] for order, _, _ in parts}),
            "customers": len({order["user_id"] for order, _, _ in parts}),
            "allocated_revenue": revenue,
            "revenue_share": _ratio(revenue, gold["daily_sales"][day]["revenue"]),
            "reorder_rate": _ratio(sum(item["reordered"] for item in items), len(items)),
        }
    for user, bought in by_user.items():
        gold["customer_insights"][user] = _customer(
            user, bought, [i for o in bought for i in lines[o["order_id"]]], products
        )
    return gold


def _customer(
    user: Value, orders: list[Record], items: list[Record], products: Mapping[int, Record]
) -> Record:
    stamps = sorted(order["order_timestamp"] for order in orders)
    gaps = [(after - before) // timedelta(microseconds=1) for before, after in pairwise(stamps)]
    day = 86_400_000_000  # in microseconds
    spend = sum((order["total_amount"] for order in orders), Decimal("0.00"))
    names = Counter(products[item["product_id"]]["department"] for item in items)
    deviation = None
    if (n := len(gaps)) > 1:
        exact = Context(prec=60, rounding=ROUND_HALF_UP)
        variance = exact.divide(
            Decimal(n * sum(gap * gap for gap in gaps) - sum(gaps) ** 2), Decimal(n * (n - 1))
        )
        deviation = exact.divide(exact.sqrt(variance), Decimal(day)).quantize(
            Decimal("0.000001"), context=exact
        )
    return {
        "user_id": user,
        "first_order_date": stamps[0].date(),
        "last_order_date": stamps[-1].date(),
        "orders": len(orders),
        "items": len(items),
        "spend": spend,
        "average_order_value": _ratio(spend, len(orders)),
        "average_basket_size": _ratio(len(items), len(orders)),
        "average_days_between_orders": _ratio(Fraction(sum(gaps), day), len(gaps)),
        "stddev_days_between_orders": deviation,
        "reorder_rate": _ratio(sum(item["reordered"] for item in items), len(items)),
        "favourite_department": min(names, key=lambda d: (-names[d], d.encode()), default=None),
    }


# ---------------------------------------------------------------------------------------- ledger


class _Standing(NamedTuple):
    """What the ledger says of a path."""

    in_force: str | None
    states: dict[str, str]  # digest → state; no state before a run has read it


@dataclass(frozen=True)
class _Landing:
    """A content landed; never read if its bytes were gone before a run came."""

    seq: int
    digest: str
    read: bool = False


@dataclass
class _Ledger:
    """The facts about one path, and where its bytes are."""

    path: Path
    raw: str | None = None  # the digest of the bytes at the path
    aside: set[str] = field(default_factory=set)
    archive: set[str] = field(default_factory=set)
    landings: list[_Landing] = field(default_factory=list)
    withdrawals: list[int] = field(default_factory=list)  # those that stand
    judged: dict[str, Rules] = field(default_factory=dict)  # digest → under which rules
    readable: set[str] = field(default_factory=set)
    admitted: set[str] = field(default_factory=set)

    @property
    def last(self) -> _Landing | None:
        return self.landings[-1] if self.landings else None

    @property
    def open(self) -> list[_Landing]:
        """What landed since the last standing withdrawal."""
        since = self.withdrawals[-1] if self.withdrawals else -1
        return [landing for landing in self.landings if landing.seq > since]

    @property
    def pending(self) -> bool:
        """Whether other bytes lie at the path than those landed last."""
        return bool(self.raw) and (not self.last or self.raw != self.last.digest)

    def has_bytes(self, digest: str) -> bool:
        return digest == self.raw or digest in self.aside | self.archive

    def standing(self) -> _Standing:
        landed = self.open
        admitted = [x.digest for x in landed if x.read and x.digest in self.admitted]
        states = {}
        for digest in {x.digest for x in self.landings}:
            if admitted and digest == admitted[-1]:
                states[digest] = "in_force"
            elif landed and digest == landed[-1].digest:
                if landed[-1].read:
                    states[digest] = "held" if digest in self.readable else "unreadable"
            else:
                states[digest] = "replaced" if digest in {x.digest for x in landed} else "withdrawn"
        return _Standing(admitted[-1] if admitted else None, states)


_PASSED_OVER = re.compile(r"[._].*|.*(\.tmp|\.part|\.crdownload|~)", re.IGNORECASE | re.DOTALL)


def is_file(event: At) -> bool:
    """Whether an object of this name is a file at all."""
    named = event.file and "/" not in event.file and not _PASSED_OVER.fullmatch(event.file)
    return bool(named) and event.dataset in COLUMNS


class _Lake:
    """The ledger's facts, replayed one by one."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.paths: dict[Path, _Ledger] = {}
        self.bytes: dict[str, bytes] = {}
        self.standing: dict[Path, _Standing] = {}  # as the last run of each date read it
        self.runs: list[tuple[int, dict[Path, _Standing], Rules]] = []
        self.restored: tuple[int, dict[Path, _Standing], Rules] | None = None
        self.failed_runs: dict[int, bool] = {}

    def content(self, path: Path, digest: str) -> Content:
        return read(path.dataset, path.file, self.bytes[digest])

    def apply(self, seq: int, event: Event) -> str | None:
        """Take in one event; a line says why there is no fact."""
        match event:
            case SetRules(rules):
                self.rules = rules
            case Run():
                self.failed_runs[seq] = not self.restored and self.run(seq, event.dates)
            case Restore():
                found = [run for run in self.runs if run[0] <= event.event]
                self.restored = found[-1] if found else self.restored
                return None if found else "no such run"
            case Resume():
                why = None if self.restored else "no restore stands"
                self.restored = None
                return why
            case Land() | Drop() if not is_file(event):
                return "passed over"
            case _:
                ledger = self.paths.setdefault(event.path, _Ledger(event.path))
                return self.about(seq, event, ledger)
        return None

    def about(self, seq: int, event: At, ledger: _Ledger) -> str | None:
        """Take in an event about one path."""
        before, landed = ledger.standing(), ledger.open
        match event:
            case Drop():
                ledger.raw = self.keep(event.content)
            case Land():
                if (last := ledger.last) and not last.read and ledger.raw == last.digest:
                    ledger.aside.add(last.digest)
                ledger.raw = self.keep(event.content)
                if ledger.pending or not landed:
                    ledger.landings.append(_Landing(seq, ledger.raw))
            case Remove():
                ledger.archive |= {ledger.raw} if event.archived and ledger.raw else set()
                ledger.raw = None
            case Withdraw():
                if not landed:
                    return "nothing to be withdrawn"
                ledger.withdrawals.append(seq)
            case Reinstate():
                if not ledger.withdrawals:
                    return "nothing is withdrawn"
                after = replace(ledger, withdrawals=ledger.withdrawals[:-1]).standing().in_force
                if after and after != before.in_force and not ledger.has_bytes(after):
                    return "its bytes are gone"
                ledger.withdrawals.pop()
            case Accept():
                held = [x.digest for x in landed if x.digest in ledger.readable - ledger.admitted]
                digest = event.digest or (landed[-1].digest if landed else "")
                if digest not in held:
                    return "nothing is held"
                after = replace(ledger, admitted=ledger.admitted | {digest}).standing().in_force
                if after == digest and not ledger.has_bytes(digest):
                    return "its bytes are gone"
                ledger.admitted.add(digest)
        return None

    def keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.bytes[digest] = content
        return digest

    def run(self, seq: int, dates: frozenset[date] | None) -> bool:
        """Read, judge, publish; whether the run ends non-zero."""
        fails = False
        for path, ledger in self.paths.items():
            if dates is not None and path.batch_date not in dates:
                continue
            if ledger.pending and ledger.raw:
                ledger.landings.append(_Landing(seq, ledger.raw))
            new = {x.digest for x in ledger.landings if not x.read and ledger.has_bytes(x.digest)}
            ledger.landings = [replace(x, read=x.read or x.digest in new) for x in ledger.landings]
            last = ledger.open[-1] if ledger.open else None
            if (
                last
                and last.digest in ledger.readable - ledger.admitted
                and ledger.judged[last.digest] != self.rules  # held under other rules
                and ledger.has_bytes(last.digest)
            ):
                new.add(last.digest)
            for digest in new - ledger.admitted:
                self.judge(ledger, digest)
            ledger.aside.clear()
            self.standing[path] = ledger.standing()
            if last and last.read:
                bad_sheets = self.content(path, last.digest).bad_sheets
                bad = last.digest not in ledger.admitted or bool(bad_sheets)
                fails |= bad and (last.digest in new or dates is not None)
        self.runs.append((seq, dict(self.standing), self.rules))
        return fails

    def judge(self, ledger: _Ledger, digest: str) -> None:
        """Admit a content, or hold it."""
        content = self.content(ledger.path, digest)
        ledger.judged[digest] = self.rules
        if content.error is None:
            ledger.readable.add(digest)
            if self.rules.admits(ledger.path.dataset, content.lines):
                ledger.admitted.add(digest)


def _tables(lake: _Lake) -> World:
    """What the ledger, as the runs have read it, makes of every table."""
    world = World()
    seen = lake.restored or (lake.runs[-1] if lake.runs else None)
    _, standing, rules = seen or (0, {}, lake.rules)
    rows: dict[str, list[_Row]] = {dataset: [] for dataset in COLUMNS}
    for path, (in_force, states) in standing.items():
        for digest, state in states.items():
            content = lake.content(path, digest)
            receipt = Receipt(state)
            if state in {"in_force", "held", "unreadable"}:
                receipt = receipt._replace(
                    read=len(content.lines),
                    held=len(content.lines) if state == "held" else 0,
                    has_error=state != "in_force" or bool(content.bad_sheets),
                )
                world.unreadable_sheets |= {(path, s): why for s, why in content.bad_sheets}
            world.receipts[*path, digest] = receipt
            if state == "held":
                world.held.add(path)
            elif state == "unreadable":
                world.unreadable[path] = str(content.error)
        if in_force:
            lines = lake.content(path, in_force).lines
            rows[path.dataset] += [_Row(path, in_force, line) for line in lines]
    for dataset in COLUMNS:  # parents first
        inside = sorted(rows[dataset], key=lambda row: row.own)
        fates, world.silver[dataset] = _resolve(dataset, inside, rules, world.silver)
        world.bronze[dataset] = [row.bronze for row in inside]
        world.fates[dataset], world.rejected[dataset] = {}, []
        counts: dict[tuple[str, date, str, str], Counter[str]] = defaultdict(Counter)
        for row, fate in zip(inside, fates, strict=True):
            _, batch_date, file = row.path
            world.fates[dataset][batch_date, file, row.line.sheet_no, row.line.row] = fate
            counts[dataset, batch_date, file, row.digest][fate.fate] += 1
            if fate.fate == "rejected":
                marks = {"_category": fate.category, "_rules": sorted(fate.rules)}
                world.rejected[dataset].append({**row.bronze, **marks})
        for key, count in counts.items():
            world.receipts[key] = world.receipts[key]._replace(
                published=count["published"],
                superseded=count["superseded"],
                duplicates=count["duplicate"],
                rejected=count["rejected"],
            )
    for receipt in world.receipts.values():
        assert receipt.read == sum(receipt[2:7]), receipt
    world.gold = _gold(world.silver)
    world.failed_runs = lake.failed_runs
    return world


DEFAULT = Rules()


def evaluate(events: Sequence[Event], rules: Rules = DEFAULT, *, settle: bool = True) -> World:
    """What everything must hold after these events, and (`settle`) a last run of all pending."""
    lake = _Lake(rules)
    refused = {}
    for seq, event in enumerate(events):
        if why := lake.apply(seq, event):
            refused[seq] = why
    if settle:
        lake.apply(len(events), Run())
    world = _tables(lake)
    world.refused = refused
    return world
