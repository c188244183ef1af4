"""More than one ordinary day: `python -m tests.bench.scenarios`, a part of them by their names.

The product on Sail and the script with DuckDB by hand do the same work on the same files, each in
a process of its own, and what they publish is compared by value. `daily` is days one after the
other, `backfill` the same files at once; a hundredth of their rows comes a day late, a fiftieth
comes twice, a hundredth is broken. `correction` and `scattered` are one day after them. The script
reads no workbook.
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Final

import xlsxwriter
from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import new_shop, timed
from tests.bench.measure import FIRST, hashes

_CONTENDERS: Final = ("sail", "duckdb")
_ORDERS: Final = 200
"""A day, with ten items each."""
_A_PROCESS: Final = 60
"""Days that one process does, where nothing is measured."""

_Rows = list[list[str]]
_Figures = dict[str, float]


class Shop:
    """Days of a shop, as rows of its files; the header is the first of them."""

    def __init__(self) -> None:
        """Begin on the day before the first, with products alone."""
        self._shop = new_shop()
        files = self._shop.seed_files(FIRST)
        [self.products] = [_rows(f.content) for f in files if f.dataset == "products"]
        self._late: dict[str, _Rows] = {}

    def day(self, day: date, orders: int = _ORDERS) -> Iterator[tuple[str, _Rows]]:
        """What comes on a day, by dataset: all that is clean."""
        for file in self._shop.day(day, orders=orders, items_per_order=10, mess=0):
            yield file.dataset, _rows(file.content)

    def messy_day(self, day: date) -> Iterator[tuple[str, _Rows]]:
        """What comes on a day: late, repeated and broken rows too."""
        for dataset, (header, *rows) in self.day(day):
            late, here = self._late.pop(dataset, []), []
            for at, row in enumerate(rows):
                if at % 100 == 7:
                    self._late.setdefault(dataset, []).append(row)
                else:
                    here.append(_broken(header, row) if at % 100 == 50 else row)
            yield dataset, [header, *late, *here, *here[10::50]]


def _broken(header: list[str], row: list[str]) -> list[str]:
    """A row with a value that no rule takes."""
    at = next(i for i, name in enumerate(header) if name in {"total_amount", "add_to_cart_order"})
    return [*row[:at], "many", *row[at + 1 :]]


def _rows(content: bytes) -> _Rows:
    return list(csv.reader(io.StringIO(content.decode())))


def _put(root: Path, dataset: str, day: date, rows: _Rows, name: str = "") -> None:
    """Let rows land as a CSV file."""
    path = root / "raw" / dataset / day.isoformat() / f"{name or dataset}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _put_days(root: Path, days: list[date]) -> None:
    """So many messy days, with their products on the first."""
    shop = Shop()
    _put(root, "products", days[0], shop.products)
    for day in days:
        for dataset, rows in shop.messy_day(day):
            if dataset != "products":
                _put(root, dataset, day, rows)


class Bench:
    """Where scenarios keep their lakes, and what they have found."""

    def __init__(self, folder: Path, days: int) -> None:
        """A history of so many days, made when it is asked for."""
        self.days = [FIRST + timedelta(days=n) for n in range(days)]
        self.found: list[tuple[str, dict[str, _Figures]]] = []
        self._folder = folder

    def compare(self, what: str, lakes: dict[str, Path], days: list[date]) -> None:
        """Let each do the work, compare what it published, and keep its figures."""
        figures = {name: timed(name, root, days) for name, root in lakes.items()}
        self.agree(lakes)
        self.keep(what, figures)

    def keep(self, what: str, figures: dict[str, _Figures]) -> None:
        """Keep figures that were found."""
        self.found.append((what, figures))
        print(what, figures, flush=True)

    def agree(self, lakes: dict[str, Path]) -> None:
        """End where two lakes are not the same."""
        told = {name: hashes(root) for name, root in lakes.items()}
        if any(other != told[next(iter(told))] for other in told.values()):
            raise SystemExit(f"the contenders disagree: {told}")

    def lakes(self, make: Callable[[Path], None]) -> dict[str, Path]:
        """The same raw files for each contender."""
        with tempfile.TemporaryDirectory(dir=self._folder) as made:
            make(Path(made))
            return {name: self._copy(Path(made)) for name in _CONTENDERS}

    def after_days(self) -> dict[str, Path]:
        """Each contender's lake once the history has been taken in, in one go."""
        if not (self._folder / "history").exists():
            made = self.lakes(lambda root: _put_days(root, self.days))
            self.compare(f"backfill of {len(self.days)} days", made, self.days)
            (self._folder / "history").mkdir()
            for name, root in made.items():
                shutil.move(root, self._folder / "history" / name)
        return {name: self._copy(self._folder / "history" / name) for name in _CONTENDERS}

    def _copy(self, lake: Path) -> Path:
        return Path(shutil.copytree(lake, tempfile.mkdtemp(dir=self._folder), dirs_exist_ok=True))


def backfill(bench: Bench) -> None:
    """All days in one run."""
    bench.after_days()


def daily(bench: Bench) -> None:
    """One day after the other: the medians of its first week, of one in its middle, of its last."""
    lakes = bench.lakes(lambda root: _put_days(root, bench.days))
    done, last = 0, len(bench.days)
    for begin in (1, last // 2, last - 7):
        week = range(begin, begin + 7)
        figures: dict[str, _Figures] = {}
        for name, root in lakes.items():
            # In several processes: Sail keeps some memory of each run.
            for some in range(done, begin, _A_PROCESS):
                timed(name, root, *([day] for day in bench.days[some:begin][:_A_PROCESS]))
            runs = [timed(name, root, [bench.days[at]]) for at in week]
            figures[name] = {it: median(run[it] for run in runs) for it in runs[0]}
        done = begin + 7
        bench.keep(f"day {begin + 1} of {last}, and the six after", figures)
    bench.agree(lakes)


def correction(bench: Bench) -> None:
    """One file corrects a twentieth of all orders."""
    _changed(bench, "correction of a twentieth of the orders", "orders", "total_amount", "1.25", 20)


def scattered(bench: Bench) -> None:
    """Some two thousand items from all over the history, with another place in their carts."""
    apart = max(1, len(bench.days) * _ORDERS * 10 // 2_000)
    _changed(bench, "2,000 scattered items", "order_items", "add_to_cart_order", "77", apart)


def _changed(bench: Bench, what: str, dataset: str, column: str, value: str, apart: int) -> None:
    """After the history, one file with a value for rows from all of it, so far ``apart``."""
    lakes, day = bench.after_days(), bench.days[-1] + timedelta(days=1)
    for root in lakes.values():
        rows: _Rows = []
        for past in sorted((root / "raw" / dataset).iterdir()):
            header, *found = _rows((past / f"{dataset}.csv").read_bytes())
            at = header.index(column)
            rows += [[*it[:at], value, *it[at + 1 :]] for it in found[3::apart]]
        _put(root, dataset, day, [header, *rows])
    bench.compare(what, lakes, [day])


def small_files(bench: Bench) -> None:
    """A day in ten thousand files, one or ten rows each."""
    day = FIRST + timedelta(days=1)

    def make(root: Path) -> None:
        shop = Shop()
        _put(root, "products", FIRST, shop.products)
        for dataset, (header, *rows) in shop.day(day, orders=5_000):
            size = len(rows) // 5_000
            for at in range(0, len(rows), size) if size else ():
                _put(root, dataset, day, [header, *rows[at : at + size]], f"{dataset}_{at}")

    bench.compare("10,000 small files", bench.lakes(make), [FIRST, day])


def workbook(bench: Bench) -> None:
    """A million items in one workbook; for the script, which reads none, the same as CSV."""
    day = FIRST + timedelta(days=1)
    shop = Shop()
    files = dict(shop.day(day, orders=100_000))

    def make(root: Path) -> None:
        _put(root, "products", FIRST, shop.products)
        _put(root, "orders", day, files["orders"])

    lakes = bench.lakes(make)
    _put(lakes["duckdb"], "order_items", day, files["order_items"])
    path = lakes["sail"] / "raw" / "order_items" / day.isoformat() / "order_items.xlsx"
    path.parent.mkdir(parents=True)
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(files["order_items"]):
            for column, text in enumerate(row):
                if text.isdigit():
                    sheet.write_number(at, column, int(text))
                elif text:
                    sheet.write_string(at, column, text)
    bench.compare("a workbook of a million rows", lakes, [FIRST, day])


SCENARIOS: Final = {
    it.__name__: it for it in (backfill, correction, scattered, small_files, workbook, daily)
}


def main() -> None:
    """Run them, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(SCENARIOS)}")
    parser.add_argument("--days", type=int, default=365, help="of the history")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakehouse-scenarios-") as folder:
        bench = Bench(Path(folder), options.days)
        for name in options.names or SCENARIOS:
            SCENARIOS[name](bench)
        columns = ("CPU s", "× DuckDB", "marts, CPU s", "wall s", "peak MiB")
        shown = Table("work", "contender", *columns)
        for what, figures in bench.found:
            for name, told in figures.items():
                ratio = told["work_cpu"] / figures["duckdb"]["work_cpu"]
                cells = f"{told['work_cpu']:.1f}", f"{ratio:.1f}", f"{told['marts_cpu']:.1f}"
                shown.add_row(
                    what, name, *cells, f"{told['work_wall']:.1f}", f"{told['peak_mib']:,.0f}"
                )
        Console(width=120).print(shown)


if __name__ == "__main__":
    main()
