"""Receipts: for every landed content, where its rows are now; appended, never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from datetime import date
from typing import Final

from lakehouse_assets.store.facts import Fact, ReceiptsRecorded
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Lake, content_id
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.tables.contract import Column, Dataset, Table
from lakehouse_assets.tables.sql import literal

RECEIPTS: Final = Table(
    layer="ledger",
    name="receipts",
    description="Where the rows of every landed content are: the newest line of each counts.",
    columns=(
        Column(name="seq", type="BIGINT", description="Order of all facts and receipts."),
        Column(name="dataset", type="STRING", description="Dataset of the file."),
        Column(name="batch_date", type="DATE", description="Folder that it landed in."),
        Column(name="file", type="STRING", description="The file's name."),
        Column(name="digest", type="STRING", description="SHA-256 of its bytes, in hex."),
        Column(
            name="state",
            type="STRING",
            description="in_force, held, unreadable, replaced or withdrawn.",
        ),
        Column(name="read", type="BIGINT", description="Records with any value."),
        Column(name="published", type="BIGINT", description="Rows in silver."),
        Column(name="superseded", type="BIGINT", description="Rows hidden by a newer version."),
        Column(name="duplicates", type="BIGINT", description="Hidden rows that say the same."),
        Column(name="rejected", type="BIGINT", description="Rows in quarantine."),
        Column(name="held", type="BIGINT", description="Rows of a held file, in no table."),
        Column(name="error", type="STRING", description="Why it is held or unreadable."),
        Column(name="run_id", type="STRING", description="Run that said so."),
        Column(name="recorded_at", type="TIMESTAMP", description="When, UTC."),
    ),
)


@dataclass(frozen=True)
class Counts:
    """Rows of one content by fate."""

    read: int = 0
    published: int = 0
    superseded: int = 0
    duplicates: int = 0
    rejected: int = 0
    held: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether every row read has exactly one fate."""
        return self.read == (
            self.published + self.superseded + self.duplicates + self.rejected + self.held
        )

    def __add__(self, other: Counts) -> Counts:
        """Both contents' rows together."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Counts(*(a + b for a, b in pairs))


@dataclass(frozen=True)
class Receipt:
    """The newest word on one content at one path."""

    path: FilePath
    digest: str
    state: str
    counts: Counts
    error: str | None = None


def current(
    lake: Lake,
    dataset: str | None = None,
    dates: Sequence[date] | None = None,
    through: int | None = None,
) -> list[Receipt]:
    """The newest receipt of every content (of a dataset and those batch dates), by path.

    With ``through``, as it was when the ledger had come to that ``seq``.
    """
    if dates is not None and not dates:
        return []  # delta-rs passes over `IN (NULL)` beside another condition
    where = ["true"]
    if dataset is not None:
        where.append(f"dataset = '{dataset}'")
    if dates is not None:
        days = ", ".join(f"DATE '{d}'" for d in dates)
        where.append(f"batch_date IN ({days})")
    if through is not None:
        where.append(f"seq <= {through}")
    rows = lake.rows(RECEIPTS, f"SELECT * FROM t WHERE {' AND '.join(where)} ORDER BY seq")
    newest: dict[tuple[FilePath, str], Receipt] = {}
    for row in rows:
        path = FilePath(row["dataset"], row["batch_date"], row["file"])
        counts = Counts(*(row[name] for name in asdict(Counts())))
        newest[path, row["digest"]] = Receipt(
            path, row["digest"], row["state"], counts, row["error"]
        )
    return sorted(newest.values(), key=lambda r: (r.path, r.digest))


def dates_told(lake: Lake, runs: Iterable[str]) -> set[date]:
    """The batch dates of which runs have recorded a receipt."""
    listed = ", ".join(literal(run) for run in runs)
    rows = lake.rows(RECEIPTS, f"SELECT DISTINCT batch_date FROM t WHERE run_id IN ({listed})")
    return {row["batch_date"] for row in rows}


def due_without_tables(
    lake: Lake, state: State, dataset: Dataset, dates: Sequence[date] | None
) -> list[Receipt]:
    """The receipts due for which no table need be asked.

    Those of contents without rows in any table: held, unreadable, gone or empty. What silver still
    holds rows of keeps its receipt until silver has let them go; but for what is wrong with it,
    where a person has accepted that since.
    """
    in_tables = said_in_tables(lake, dataset, dates)
    due = receipts_due(state, dataset, dates, PathState.state, lambda _: Counts())
    outside = [r for r in due if (r.path, r.digest) not in in_tables and not _is_in_tables(r)]
    accepted = [
        replace(said, error=r.error)
        for r in due
        if (said := in_tables.get((r.path, r.digest)))
        and _is_in_tables(r)
        and r.counts.read == said.counts.read
        and r.digest in state.at(r.path).accepted
    ]
    return outside + accepted


def behind(lake: Lake, state: State, dataset: Dataset) -> list[FilePath]:
    """The paths of contents whose receipt does not say yet what it can say without the tables."""
    dates = sorted({past.path.batch_date for past in state.of(dataset.name)})
    known = {(r.path, r.digest): r for r in current(lake, dataset.name, dates)}
    due = due_without_tables(lake, state, dataset, dates)
    return [r.path for r in due if known.get((r.path, r.digest)) != r]


def said_in_tables(
    lake: Lake, dataset: Dataset, dates: Sequence[date] | None
) -> dict[tuple[FilePath, str], Receipt]:
    """The newest receipts that say that tables have rows, by their contents (path and digest)."""
    return {(r.path, r.digest): r for r in current(lake, dataset.name, dates) if _is_in_tables(r)}


def _is_in_tables(receipt: Receipt) -> bool:
    return bool(receipt.state == "in_force" and receipt.counts.read)


def receipts_due(
    state: State,
    dataset: Dataset,
    dates: Sequence[date] | None,
    standing: Callable[[PathState, str], str | None],
    counts: Callable[[str], Counts],
) -> list[Receipt]:
    """The receipts due of contents (by digest) that are in a state of ``standing``."""
    return [
        _receipt(past, digest, stands, counts)
        for past in state.of(dataset.name, dates)
        for digest in dict.fromkeys(f.digest for f in past.landings if f.digest)
        if (stands := standing(past, digest))
    ]


def _receipt(past: PathState, digest: str, state: str, counts: Callable[[str], Counts]) -> Receipt:
    judged = past.judgement(digest)
    if state in ("replaced", "withdrawn") or judged is None:
        return Receipt(past.path, digest, state, Counts())
    if state == "in_force":
        fates = counts(content_id(past.path, digest))
        whole = Counts(judged.read, *astuple(fates)[1:])
        return Receipt(past.path, digest, state, whole, judged.reason)
    held = judged.read if state == "held" else 0
    return Receipt(past.path, digest, state, Counts(read=held, held=held), judged.reason)


def record(ledger: Ledger, due: Iterable[Receipt], run_id: str) -> list[Receipt]:
    """Append those receipts that say something new; returns them.

    A fact takes their numbers first: where the process dies between the two, the next run
    finds the receipts still due.
    """
    lake = ledger.lake
    due = list(due)
    dates = sorted({r.path.batch_date for r in due})
    known = {(r.path, r.digest): r for r in current(lake, dates=dates)}
    new = [r for r in due if known.get((r.path, r.digest)) != r]
    if not new:
        return []
    [fact] = ledger.append([Fact(ReceiptsRecorded(len(new)), run_id=run_id)])
    rows = [
        {
            "seq": fact.seq + 1 + i,
            "dataset": r.path.dataset,
            "batch_date": r.path.batch_date,
            "file": r.path.file,
            "digest": r.digest,
            "state": r.state,
            **asdict(r.counts),
            "error": r.error,
            "run_id": run_id,
            "recorded_at": fact.recorded_at,
        }
        for i, r in enumerate(new)
    ]
    while not lake.append(RECEIPTS, rows, on=lake.create(RECEIPTS)):
        pass  # another run's receipts came first; these have their numbers already
    return new
