"""What a run, or a dry run, says in the end: what became of rows, what changed in the tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from lakehouse_assets.cli.console import Format, print_rows, say, tell
from lakehouse_assets.store import receipts
from lakehouse_assets.store.facts import Absorbed, Judgement
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import Counts, Receipt
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.registry import DATASETS, table_ids

if TYPE_CHECKING:
    from lakehouse_assets.cli.launch import Outcome


_GONE: Final = ("replaced", "withdrawn")
"""States of receipts whose content is no file of a date any more."""


def print_books(
    ledger: Ledger,
    dates: Sequence[date],
    outcomes: Sequence[Outcome],
    waiting: Sequence[tuple[FilePath, Judgement]],
) -> None:
    """What became of the rows of these dates' files, by dataset; what the runs did, by table.

    Of other dates' files, too, where the runs have given rows another fate: other rules do that,
    and parents that come late. Rejected rows are named here alone: each breaks rules of its own,
    and has a place to look.
    """
    runs = {outcome.run_id for outcome in outcomes}
    dates = sorted({*dates, *receipts.dates_told(ledger.lake, runs)})
    found = receipts.current(ledger.lake, dates=dates)
    rejected = print_fates(dates, found, [path for path, _ in waiting], "are now")
    moved: dict[str, tuple[int, int]] = {}
    for fact in ledger.facts():
        if fact.run_id in runs and isinstance(done := fact.detail, Absorbed):
            added, removed = moved.get(done.table, (0, 0))
            moved[done.table] = (
                added + (done.rows_added or 0),
                removed + (done.rows_removed or 0),
            )
    rows = [
        (table, *moved[table])
        for table in table_ids()
        if any(moved.get(table, ())) and not table.startswith(f"{Layer.BRONZE}.")
    ]
    if rows:
        tell("What changed in the tables:")
        print_rows(["table", "rows added", "rows removed"], rows, Format.TABLE)
    if rejected:
        shown = ", ".join(f"lakehouse rejected {name}" for name in rejected)
        say(f"Rejected rows: {sum(rejected.values()):,}; to see them, and why: {shown}")


def print_fates(
    dates: Sequence[date], found: Sequence[Receipt], waiting: Sequence[FilePath], are: str
) -> dict[str, int]:
    """What became of the rows of these dates' files, by dataset; how many of each are rejected.

    Args:
        dates: The batch dates.
        found: The receipts of their files.
        waiting: The files that wait for a person, of whatever date.
        are: The words for when that is so, such as "are now".
    """
    tell(f"All files of batch date {span(dates)}, and what their rows {are}:")
    waits = [path.dataset for path in waiting if path.batch_date in dates]
    rows: list[tuple[object, ...]] = []
    rejected: dict[str, int] = {}
    for name in DATASETS:
        mine = [r for r in found if r.path.dataset == name]
        total = sum((r.counts for r in mine), Counts())
        rejected |= {name: total.rejected} if total.rejected else {}
        files = {r.path for r in mine if r.state not in _GONE}
        rows.append((name, len(files), waits.count(name), *total.__dict__.values()))
    print_rows(["dataset", "files", "waiting", *Counts().__dict__], rows, Format.TABLE)
    return rejected


def span(days: Sequence[date]) -> str:
    """Batch dates as a message has them."""
    if len(days) == 1:
        return f"{days[0]}"
    gaps = "" if len(days) == (days[-1] - days[0]).days + 1 else f" ({len(days)} dates)"
    return f"{days[0]} to {days[-1]}{gaps}"
