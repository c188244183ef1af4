"""A seeded shop that writes the lakehouse's input files, and knows what becomes of every row.

    shop = Shop(seed=7)
    files = shop.seed_files(date(2025, 4, 1))   # products.csv and two workbooks, clean
    files += shop.day(date(2025, 4, 16))        # late, corrected, repeated, orphaned, broken
    shop.truth                                  # the fate of every row, once all of it is landed

The truth is kept by construction: whoever writes a row notes its key, its version and the rules
that it breaks. It shares no code with the product and never reads a file back.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray

from data.files import (
    COLUMNS,
    DIALECTS,
    KEY,
    PARENTS,
    Cells,
    Dialect,
    Row,
    csv_file,
    faults,
    open_quote,
    plain_csv,
    respelled,
    workbook,
    wrong_value,
)

T = TypeVar("T")
PARENT_OF = {"order_id": "orders", "product_id": "products"}
MAX_MESS = 0.04  # a larger share of broken rows could reach the 5 % at which a file is held
SMALL_FILE = 100  # rows; below it no file is held, so it may take three broken rows
POOL = 1000  # how many delivered rows of a dataset the shop remembers, to correct or repeat
MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
NOBODY = 900_000_000  # ids from here on belong to nothing that will ever come

NOUNS = {
    "Books": "Atlas,Cookbook,Crime Novel,Diary,Dictionary,Fairy Tales,Garden Guide,Poems",
    "Sports": "Badminton Set,Bike Lock,Climbing Rope,Football,Rain Jacket,Swim Goggles,Yoga Mat",
    "Toys": "Building Blocks,Jigsaw,Kite,Marbles,Puppet,Spinning Top,Teddy Bear,Toy Tractor",
    "Home": "Apples,Bananas,Coffee,Honey,Oats,Olive Oil,Red Lentils,Soap,Tomatoes",
    "Clothing": "Cardigan,Jeans,Linen Shirt,Raincoat,Scarf,Socks,Sun Hat,T-Shirt",
    "Electronics": "Charger,Desk Lamp,Headphones,Keyboard,Kitchen Scale,Radio,Speaker,Torch",
}
KINDS = "Organic,Classic,Little,Everyday,Northern,Summer,Fine,Handmade"
SIZES = {
    "Books": "hardcover,paperback,2nd edition",
    "Home": "250 g,500 g,1 kg",
    "Clothing": "S,M,L,XL",
}
ODD_NAMES = (
    ("Home", "Crème brûlée 2 x 100 g"),
    ("Books", 'The "Real" Cookbook, hardcover'),
    ("Toys", "=SUM Game for Ages 8+"),
    ("Books", "Pippi Långstrump, paperback"),
    ("Electronics", "+1 Travel Adapter"),
    ("Home", "東方美人 Oolong Tea 100 g"),
    ("Clothing", "N/A"),  # text as it stands, not a null
    ("Sports", "-5 °C Sleeping Bag"),
    ("Clothing", "@home Slippers"),
    ("Toys", "'t Koe Spel"),
)


@dataclass(frozen=True)
class Size:
    """How much the seed files hold, and what the shop draws from. The defaults are the real April.

    `days` is the number of sheets in each workbook. An order has `items_per_order` lines on
    average; their number over a day is exact.
    """

    products: int = 1000
    users: int = 9000
    orders_per_day: int = 500
    items_per_order: float = 5.44
    days: int = 15


@dataclass(frozen=True)
class LandedFile:
    """A file for `<dataset>/<batch_date>/<name>`; `state` is what its receipt will say."""

    dataset: str
    batch_date: date
    name: str
    content: bytes
    state: str = "in_force"  # or held, or unreadable

    @property
    def path(self) -> str:
        """Where it lands, under raw/; also how the product's messages name it."""
        return f"{self.dataset}/{self.batch_date}/{self.name}"


class Fate(NamedTuple):
    """What becomes of one row, once every file written so far is landed and run.

    `sheet_no` is 0 in CSV; `row` is the (first) physical line or sheet row, the header's being 1.
    `fate` is published, superseded, duplicate, rejected or held. `rules` are all that it breaks,
    whatever its fate; in a held file without the foreign keys, which are not judged there.
    """

    dataset: str
    batch_date: date
    file: str
    sheet_no: int
    row: int
    fate: str
    rules: frozenset[str]


class _Entry(NamedTuple):
    """What the books say of a written row; see `Row`."""

    row: int
    key: int
    version: int = 0
    rules: frozenset[str] = frozenset()
    parents: tuple[int, ...] = ()


class _Sheet(NamedTuple):
    """The books of one file or sheet. `keys`: its rows are good first versions, from row 2 on."""

    batch_date: date
    file: str
    sheet_no: int
    held: bool
    keys: range
    odd: list[_Entry]

    def entries(self) -> Iterator[_Entry]:
        yield from (_Entry(row, key) for row, key in enumerate(self.keys, 2))
        yield from self.odd


class Dice:
    """The same numbers from a seed on every Python and every numpy.

    That is promised for PCG64's raw stream (NEP 19), not for numpy's distributions.
    """

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def ints(self, low: int, high: int, n: int) -> NDArray[np.int64]:
        """`n` whole numbers from `low` to `high`, both included."""
        raw = np.asarray(self._bits.random_raw(n)) >> np.uint64(1)
        return raw.astype(np.int64) % (high - low + 1) + low

    def roll(self, low: int, high: int) -> int:
        """One whole number from `low` to `high`, both included."""
        return int(self.ints(low, high, 1)[0])

    def places(self, n: int, k: int) -> list[int]:
        """`k` different indices below `n` (all of them if there are fewer), in random order."""
        order: list[int] = np.argsort(self.ints(0, 2**62, n), kind="stable").tolist()
        return order[:k]

    def pick(self, things: Sequence[T], k: int) -> list[T]:
        """`k` of the things (all of them if there are fewer), in random order."""
        return [things[i] for i in self.places(len(things), k)]


def _money(cents: int) -> str:
    """As the real files have it: the shortest text, whole amounts without a point."""
    return str(cents // 100) if cents % 100 == 0 else str(cents / 100)


def _row(dataset: str, cells: Cells) -> Row:
    named = dict(zip(COLUMNS[dataset], cells, strict=True))
    row = Row(cells, int(named[KEY[dataset]]))
    if dataset != "order_items":
        return row
    return replace(row, order_id=int(named["order_id"]), product_id=int(named["product_id"]))


def _edited(dataset: str, row: Row, **changes: str) -> Row:
    """The row with other values in some columns, still good."""
    cells = (changes.get(c, v) for c, v in zip(COLUMNS[dataset], row.cells, strict=True))
    return replace(_row(dataset, tuple(cells)), version=row.version)


class Shop:
    """An online shop with a memory: each call writes the files of one more batch.

    Batch dates usually rise from call to call, but the truth holds in any order. The catalogue
    (products 1 to `size.products`) comes with the seed files, or else with the first day.
    """

    def __init__(self, seed: int = 7, size: Size | None = None) -> None:
        self.size = size or Size()
        self._dice = Dice(seed)
        self._paths: set[str] = set()
        self._next = {"products": 1, "orders": 10_000, "order_items": 1}
        self._books: dict[str, list[_Sheet]] = {d: [] for d in COLUMNS}
        self._faults = {d: faults(d) for d in COLUMNS}
        self._dialect = dict.fromkeys(COLUMNS, -1)
        self._pool: dict[str, list[Row]] = {d: [] for d in COLUMNS}  # good rows to correct, repeat
        self._broken: dict[str, list[Row]] = {d: [] for d in COLUMNS}  # good forms, to repair
        self._postponed: dict[str, list[Row]] = {d: [] for d in COLUMNS}  # parents still to come
        self._versions: dict[tuple[str, int], dict[Cells, int]] = {}

    # ------------------------------------------------------------------------------- rows

    def _ids(self, dataset: str, n: int) -> range:
        first = self._next[dataset]
        self._next[dataset] = first + n
        return range(first, first + n)

    def _products(self, n: int) -> list[Cells]:
        departments = self._dice.ints(1, 6, n).tolist()  # does not determine the department's name
        shown = self._dice.pick(list(NOUNS) * (n // len(NOUNS) + 1), n)
        rows: list[Cells] = []
        for i, number, usual in zip(self._ids("products", n), departments, shown, strict=True):
            if i % 9 == 4 and i // 9 < len(ODD_NAMES):
                department, name = ODD_NAMES[i // 9]
            else:
                department = usual
                words = [KINDS, NOUNS[department], SIZES.get(department, "")]
                picked = (self._dice.pick(w.split(","), 1)[0] for w in words)
                name = " ".join(picked).strip()
            rows.append((str(i), str(number), department, name))
        return rows

    def _orders(self, day: date, n: int, late: int = 0) -> list[Cells]:
        """`n` orders of `day`; `late` of them are of one to six days before."""
        back = np.zeros(n, np.int64)
        back[self._dice.places(n, late)] = self._dice.ints(1, 6, min(n, late))
        dates = [(day - timedelta(days=b)).isoformat() for b in range(7)]
        clock = [f"T{m // 60:02}:{m % 60:02}:00" for m in range(24 * 60)]
        columns = zip(
            self._dice.ints(1, 100, n).tolist(),
            self._ids("orders", n),
            self._dice.ints(1001, 1000 + self.size.users, n).tolist(),
            back.tolist(),
            self._dice.ints(0, len(clock) - 1, n).tolist(),
            self._dice.ints(2000, 50_000, n).tolist(),
            strict=True,
        )
        return [
            (str(num), str(i), str(user), dates[b] + clock[m], _money(cents), dates[b])
            for num, i, user, b, m, cents in columns
        ]

    def _items(self, orders: list[Cells], per_order: float) -> list[Cells]:
        """One line or more for each order, `per_order` on average, with random products."""
        n = max(len(orders), round(len(orders) * per_order))
        weights = self._dice.ints(1, 1000, len(orders)).cumsum()
        sizes = 1 + np.diff(weights * (n - len(orders)) // weights[-1], prepend=0)
        index = np.repeat(np.arange(len(orders)), sizes)
        position = 1 + np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        products = self._dice.ints(1, self.size.products, n)
        reordered = self._dice.ints(0, 1, n)
        pair = int(np.argmax(position == 2)) if n > len(orders) else 0
        if pair:  # a product twice in one order, disagreeing on `reordered`, on every day
            products[pair], reordered[pair] = products[pair - 1], 1 - reordered[pair - 1]
        columns = zip(
            self._ids("order_items", n),
            (orders[i] for i in index.tolist()),
            self._dice.ints(0, 30, n).tolist(),
            products.tolist(),
            position.tolist(),
            reordered.tolist(),
            strict=True,
        )
        return [
            (str(i), o[1], o[2], str(gap), str(product), str(at), str(again), o[3], o[5])
            for i, o, gap, product, at, again in columns
        ]

    # ------------------------------------------------------------------------------- files

    def seed_files(self, first_day: date) -> list[LandedFile]:
        """The three seed files: one batch, dated the last of their days, nothing to reject."""
        days = [first_day + timedelta(days=d) for d in range(self.size.days)]
        books: dict[str, dict[str, list[Cells]]] = {"orders": {}, "order_items": {}}
        for day in days:
            orders = books["orders"][day.isoformat()] = self._orders(day, self.size.orders_per_day)
            items = self._items(orders, self.size.items_per_order)
            books["order_items"][day.isoformat()] = items
        month = MONTHS[3 * first_day.month - 3 :][:3]  # strftime's follow the locale
        files = [
            self._clean("products", days[-1], "products.csv", self._products(self.size.products))
        ]
        for dataset, sheets in books.items():
            name = f"{dataset}_{month}_{first_day.year}.xlsx"
            for number, rows in enumerate(sheets.values(), 1):
                self._enter_clean(dataset, days[-1], name, number, rows)
            files.append(self._file(dataset, days[-1], name, workbook(dataset, sheets)))
        return files

    def day(
        self,
        day: date,
        orders: int | None = None,
        items_per_order: float | None = None,
        mess: float = 0.02,
    ) -> list[LandedFile]:
        """One day's CSV files, with a share of `mess` of everything that goes wrong.

        `mess` (0 to 0.04) is the share of broken rows, and about that of late, corrected, repeated
        and orphaned rows each. No file of it is held. With 0 it is one clean, plain file of orders
        and one of items, fast.
        """
        if not 0 <= mess <= MAX_MESS:
            raise ValueError(f"mess is a share from 0 to {MAX_MESS}, not {mess}")
        n = self.size.orders_per_day if orders is None else orders
        per_order = self.size.items_per_order if items_per_order is None else items_per_order
        if n < 1:
            raise ValueError(f"a day has one order or more, not {n}")
        files = []
        if self._next["products"] == 1:
            catalogue = self._products(self.size.products)
            files.append(self._clean("products", day, "products.csv", catalogue))
        if mess:
            return files + self._messy_day(day, n, per_order, mess)
        new = self._orders(day, n)
        items = self._items(new, per_order)
        files.append(self._clean("orders", day, f"orders_{day}.csv", new))
        files.append(self._clean("order_items", day, f"order_items_{day}.csv", items))
        return files

    def _messy_day(self, day: date, n: int, per_order: float, mess: float) -> list[LandedFile]:
        k = max(1, round(mess * n))
        new = self._orders(day, n, late=k)
        orders = [_row("orders", cells) for cells in new]
        items = [_row("order_items", cells) for cells in self._items(new, per_order)]
        products = [_row("products", cells) for cells in self._products(k + 4)]
        for i in self._dice.places(len(orders), k):
            orders[i] = _edited("orders", orders[i], order_num="")
        for i in self._dice.places(len(items), k):
            items[i] = _edited("order_items", items[i], days_since_prior_order="")
        # Orphans: some orders and two products come with the next messy day, some never.
        coming = products[-2:]
        for i in self._dice.places(len(items), k):
            product = str(coming[i % 2].key)
            items[i] = _edited("order_items", items[i], product_id=product)
        never = ({"order_id": NOBODY}, {"product_id": NOBODY}, dict.fromkeys(PARENTS, NOBODY + 1))
        for i, lost in zip(self._dice.places(len(items), len(never)), never, strict=False):
            items[i] = _edited("order_items", items[i], **{c: str(v) for c, v in lost.items()})
        waiting = set(self._dice.places(len(orders), k))
        batch = {
            "products": products[:-2] + self._postponed["products"],
            "orders": [o for i, o in enumerate(orders) if i not in waiting],
            "order_items": items,
        }
        batch["orders"] += self._postponed["orders"]
        self._postponed |= {"products": coming, "orders": [orders[i] for i in sorted(waiting)]}
        return [
            file for dataset in COLUMNS for file in self._messy(dataset, day, batch[dataset], mess)
        ]

    def _messy(self, dataset: str, day: date, rows: list[Row], mess: float) -> Iterator[LandedFile]:
        """One file, or two on even days: 17h counts as later, though its bytes sort before 9h."""
        parts = {"9h": rows[::2], "17h": rows[1::2]} if day.day % 2 == 0 else {str(day): rows}
        for part, some in parts.items():
            self._dialect[dataset] += 1
            turn = self._dialect[dataset] + 2 * list(COLUMNS).index(dataset)
            dialect = DIALECTS[turn % len(DIALECTS)]
            name = f"{dataset}_{part}{dialect.ending}"
            yield self._write(dataset, day, name, self._messed(dataset, some, mess), dialect)

    def _messed(self, dataset: str, fresh: list[Row], mess: float) -> list[Row]:
        """A file's new rows, with corrections, repeats and repairs of older ones; some broken."""
        dice, pool, k = self._dice, self._pool[dataset], max(1, round(mess * len(fresh)))
        changed = [self._corrected(dataset, row) for row in dice.pick(pool, 2 * k)]
        repairs, self._broken[dataset] = self._broken[dataset][::2], self._broken[dataset][1::2]
        again = dice.pick(pool, k)
        self._remember(dataset, fresh + changed)
        rows = fresh + changed
        at_most = max(round(mess * len(rows)), 3 if len(rows) < SMALL_FILE else 0)
        for i in dice.places(len(rows), at_most):
            broken = next(self._faults[dataset])(rows[i])
            if broken.mangle is open_quote and any(row.mangle is open_quote for row in rows):
                broken = next(self._faults[dataset])(rows[i])  # the first would swallow the second
            self._broken[dataset].append(rows[i])
            rows[i] = broken
        rows += again + repairs + dice.pick(fresh, k)
        good = [i for i, row in enumerate(rows) if not row.rules]
        for form, i in enumerate(dice.pick(good, 2 * k)):
            rows[i] = replace(rows[i], spelling=respelled(dataset, rows[i].cells, form % 4))
        for i in range(len(fresh), len(rows)):  # scatter them; the rest stays in the keys' order
            j = dice.roll(0, i)
            rows[i], rows[j] = rows[j], rows[i]
        return sorted(rows, key=lambda row: row.mangle is open_quote)

    def _corrected(self, dataset: str, row: Row) -> Row:
        """A good row with other values, and the version number that these values have."""
        old, kind = dict(zip(COLUMNS[dataset], row.cells, strict=True)), self._dice.roll(0, 1)
        changes: dict[str, str]
        if dataset == "products" and kind:
            changes = {"department_id": str(int(old["department_id"]) % 6 + 1)}
        elif dataset == "products":
            changes = {"product_name": f"{old['product_name']}, new recipe"}
        elif dataset == "orders" and kind:
            changes = {"total_amount": _money(self._dice.roll(2000, 50_000))}
        elif dataset == "orders":
            moved = datetime.fromisoformat(old["order_timestamp"]) - timedelta(days=1)
            changes = {"order_timestamp": moved.isoformat(), "date": str(moved.date())}
        elif kind:
            changes = {"reordered": str(1 - int(old["reordered"]))}
        else:
            changes = {"add_to_cart_order": str(int(old["add_to_cart_order"]) + 1)}
        new = _edited(dataset, row, **changes)
        known = self._versions.setdefault((dataset, row.key), {row.cells: row.version})
        return replace(new, version=known.setdefault(new.cells, len(known)))

    def broken_files(self, day: date) -> list[LandedFile]:
        """Files that no rule can save, one held (10 % of its rows are broken), and its orphans.

        The orphans, items of the held file's orders, are in a good file and wait for `accept`.
        """
        orders = self._orders(day, 120)
        lost = self._orders(day, 30)
        text = plain_csv("orders", lost).decode()
        first, rest = text.split("\n", 1)
        no_amount = [",".join(line.split(",")[:4]) for line in text.splitlines()]
        items = plain_csv("order_items", self._items(lost, self.size.items_per_order))
        accents = "".join(f"{i},1,Home,Café au lait {i} g\n" for i in self._ids("products", 5))
        product_file = ",".join(COLUMNS["products"]) + "\n" + accents
        unreadable = (
            ("orders", "orders_semicolons.csv", text.replace(",", ";").encode()),
            ("orders", "orders_without_amount.csv", "\n".join(no_amount).encode()),
            ("orders", "orders_header_twice.csv", f"{first},user_id\n{rest}".encode()),
            ("orders", "orders_preamble.csv", f"Export of {day}\n{text}".encode()),
            ("orders", "orders_no_workbook.xlsx", text.encode()),
            ("orders", "orders_plain_text.csv.gz", text.encode()),
            ("order_items", "order_items_truncated.csv.gz", gzip.compress(items, mtime=0)[:-99]),
            ("order_items", "order_items.json", b"[]\n"),
            ("products", "products_empty.csv", b""),
            ("products", "products_latin-1.csv", product_file.encode("latin-1")),
            ("products", "products_nul.csv", product_file.replace("Caf", "Caf\0").encode()),
        )
        files = [self._file(d, day, name, content, "unreadable") for d, name, content in unreadable]
        spoil = wrong_value("orders", {"total_amount.type": "n/a"})
        rows = [_row("orders", cells) for cells in orders]
        rows = [spoil(row) if i % 10 == 3 else row for i, row in enumerate(rows)]
        files.append(self._write("orders", day, "orders_held.csv", rows, Dialect(), "held"))
        orphans = [_row("order_items", cells) for cells in self._items(orders[:5], 3)]
        name = "order_items_of_held_orders.csv"
        return [*files, self._write("order_items", day, name, orphans, Dialect())]

    # ------------------------------------------------------------------------------- books

    def _file(
        self, dataset: str, day: date, name: str, content: bytes, state: str = "in_force"
    ) -> LandedFile:
        file = LandedFile(dataset, day, name, content, state)
        if file.path in self._paths:
            raise ValueError(f"{file.path} is written already: one call per date and method")
        self._paths.add(file.path)
        return file

    def _remember(self, dataset: str, rows: list[Row]) -> None:
        self._pool[dataset] = self._dice.pick(self._pool[dataset] + rows, POOL)

    def _enter_clean(self, dataset: str, day: date, name: str, no: int, rows: list[Cells]) -> None:
        """Into the books: rows whose keys are new and rising, with nothing wrong."""
        first = _row(dataset, rows[0]).key if rows else 0
        keys = range(first, first + len(rows))
        self._books[dataset].append(_Sheet(day, name, no, False, keys, []))
        self._remember(dataset, [_row(dataset, cells) for cells in self._dice.pick(rows, POOL)])

    def _clean(self, dataset: str, day: date, name: str, rows: list[Cells]) -> LandedFile:
        self._enter_clean(dataset, day, name, 0, rows)
        return self._file(dataset, day, name, plain_csv(dataset, rows))

    def _write(
        self,
        dataset: str,
        day: date,
        name: str,
        rows: list[Row],
        dialect: Dialect,
        state: str = "in_force",
    ) -> LandedFile:
        content, places = csv_file(dataset, rows, dialect)
        entries = [
            _Entry(line, row.key, row.version, row.rules, (row.order_id, row.product_id))
            for row, lines in zip(rows, places, strict=True)
            for line in (lines if "row.unsplittable" in row.rules else lines[:1])
        ]
        sheet = _Sheet(day, name, 0, state == "held", range(0), entries)
        self._books[dataset].append(sheet)
        return self._file(dataset, day, name, content, state)

    @property
    def truth(self) -> list[Fate]:
        """The fate of every row of every readable file so far, in version order."""
        fates = []
        published: dict[str, dict[int, tuple[int, int]]] = {}
        for dataset in COLUMNS:  # parents come first
            newest = published[dataset] = {}  # key → its newest qualifying row: place and version
            judged: list[tuple[_Sheet, _Entry, frozenset[str]]] = []
            books = self._books[dataset]
            # Within a day, files are written in the order in which they count.
            for sheet in sorted(books, key=lambda s: s.batch_date):
                for entry in sheet.entries():
                    rules = entry.rules
                    if any(entry.parents) and not sheet.held:
                        rules |= {
                            f"{column}.foreign_key"
                            for column, parent in zip(PARENTS, entry.parents, strict=True)
                            if parent and parent not in published[PARENT_OF[column]]
                        }
                    if entry.key and not rules and not sheet.held:
                        newest[entry.key] = len(judged), entry.version
                    judged.append((sheet, entry, rules))
            for place, (sheet, entry, rules) in enumerate(judged):
                best, version = newest.get(entry.key, (-1, 0))
                if sheet.held:
                    fate = "held"
                elif place > best:
                    fate = "rejected"
                elif place == best:
                    fate = "published"
                else:
                    fate = "superseded" if rules or entry.version != version else "duplicate"
                origin = (dataset, sheet.batch_date, sheet.file, sheet.sheet_no, entry.row)
                fates.append(Fate(*origin, fate, rules))
        return fates


def write(out: Path, files: Sequence[LandedFile], truth: Sequence[Fate]) -> None:
    """Writes `<out>/<dataset>/<date>/<file>` and `<out>/truth.csv` (rules parted by blanks)."""
    for file in files:
        path = out / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    with (out / "truth.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(Fate._fields)
        writer.writerows((*fate[:-1], " ".join(sorted(fate.rules))) for fate in truth)


def main(
    out: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 7,
    first_day: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="Of the seed.")
    ] = datetime(2025, 4, 1),
    seed_days: Annotated[int, typer.Option(min=1, help="Sheets in each seed workbook.")] = 15,
    seed_orders: Annotated[int, typer.Option(min=1, help="Orders in each of these sheets.")] = 25,
    days: Annotated[int, typer.Option(min=0, help="Daily CSV batches after the seed.")] = 3,
    orders: Annotated[int, typer.Option(min=1, help="Orders in each of these days.")] = 100,
    items_per_order: Annotated[
        float, typer.Option(min=1, help="Lines per order, on average.")
    ] = 5.4,
    products: Annotated[int, typer.Option(min=1, help="Products in the catalogue.")] = 150,
    users: Annotated[int, typer.Option(min=1, help="Customers to draw from.")] = 400,
    mess: Annotated[bool, typer.Option(help="Late, corrected, repeated, broken rows.")] = True,
    broken_files: Annotated[
        bool, typer.Option("--broken-files", help="Unreadable files too, and one that is held.")
    ] = False,
) -> None:
    """Write input files for the lakehouse, and truth.csv: what must become of every row of them.

    The seed files (products.csv and two workbooks) land on the last of their days; the daily CSV
    batches follow. Copy the dataset folders to raw/, run, and compare with truth.csv.

    The defaults write data/sample.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise typer.BadParameter(f"{out} is not an empty folder; truth.csv would not be the truth")
    shop = Shop(seed, Size(products, users, seed_orders, items_per_order, seed_days))
    files = shop.seed_files(first_day.date())
    last = first_day.date() + timedelta(days=seed_days - 1)
    for number in range(1, days + 1):
        day = last + timedelta(days=number)
        files += shop.day(day, orders, items_per_order, MAX_MESS if mess else 0)
    if broken_files:
        files += shop.broken_files(last + timedelta(days=days))
    truth = shop.truth
    write(out, files, truth)
    fates = Counter(fate.fate for fate in truth)
    size = sum(len(file.content) for file in files)
    typer.echo(f"{out}: {len(files)} files, {size:,} bytes; of {len(truth):,} rows in truth.csv:")
    for name, n in fates.most_common():
        typer.echo(f"{n:>10,} {name}")


if __name__ == "__main__":
    typer.run(main)
