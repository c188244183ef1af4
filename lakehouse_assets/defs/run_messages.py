"""What people are told: of a run that has ended, and of what waits for too long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from lakehouse_assets.ports import Message, Topic

if TYPE_CHECKING:
    from lakehouse_assets.defs.run_report import FailedCheck, RunReport, TableReport

_MOST_LINES: Final = 20
"""Of one kind in a message: who wants more follows the link."""


def of_run(report: RunReport) -> list[Message]:
    """The messages that a run gives rise to: how it ended and, apart, what its data is like."""
    ended = _success(report) if report.outcome == "success" else _failure(report)
    return [ended, *([_data_quality(report)] if report.checks or report.files else [])]


def delay(pending: Mapping[str, timedelta], misplaced: Sequence[str] = ()) -> Message:
    """What no run has taken in: files pending for too long, and the lines of misplaced ones."""
    waits = sorted(pending, key=lambda name: -pending[name])
    told = [f"{len(misplaced)} misplaced"] if misplaced else []
    if waits:
        told.insert(0, f"{len(pending)} pending for up to {_span(pending[waits[0]])}")
    lines = _some([f"{name}: pending for {_span(pending[name])}" for name in waits])
    return Message(Topic.DELAY, f"lakehouse: {', '.join(told)}", (*lines, *_some(misplaced)))


def _success(report: RunReport) -> Message:
    subject = f"{_where(report)} succeeded: {_rows(report)}"
    return Message(Topic.SUCCESS, subject, _books(report), report.run_id)


def _failure(report: RunReport) -> Message:
    wrong = [
        f"{len(found)} {what}"
        for found, what in ((report.errors, "error(s)"), (report.files, "bad file(s)"))
        if found
    ]
    how = "was canceled" if report.outcome == "canceled" else "failed"
    subject = ": ".join([f"{_where(report)} {how}", *([", ".join(wrong)] if wrong else [])])
    lines = (*_some(report.errors), *_some(report.files), *_books(report))
    return Message(Topic.FAILURE, subject, lines, report.run_id)


def _data_quality(report: RunReport) -> Message:
    """Failed checks and bad files; a check that says no more than a bad file's line is left out."""
    checks = [c for c in report.checks if _says_more(c.description, report.files)]
    subject = f"{_where(report)}: {len(checks)} check(s) failed, {len(report.files)} bad file(s)"
    lines = (*_some(report.files), *_some([_check(c) for c in checks]))
    return Message(Topic.DATA_QUALITY, subject, lines, report.run_id)


def _says_more(text: str, lines: Sequence[str]) -> bool:
    for line in lines:
        text = text.replace(line, "")
    return bool(text.strip("; \n"))


def _where(report: RunReport) -> str:
    days = report.dates
    span = f"{days[0]} to {days[-1]}" if len(days) > 1 else "".join(days)
    return f"{report.job} {span}".rstrip()


def _rows(report: RunReport) -> str:
    silver = _silver(report).values()
    if not silver:
        count = len(report.tables)
        return f"{count} table{'' if count == 1 else 's'} up to date"
    read = sum(table.total("read") for table in silver)
    published = sum(table.total("published") for table in silver)
    return f"{read:,} rows in its dates' files, {published:,} published"


def _books(report: RunReport) -> tuple[str, ...]:
    """A line for each dataset: what became of its rows."""
    return tuple(
        f"{name}: "
        + ", ".join(f"{table.total(n):,} {n}" for n in _FATES if n == "read" or table.total(n))
        for name, table in _silver(report).items()
    )


_FATES: Final = ("read", "published", "superseded", "duplicates", "rejected", "held")


def _silver(report: RunReport) -> dict[str, TableReport]:
    return {name: t for name, t in report.tables.items() if name.startswith("silver.")}


def _check(check: FailedCheck) -> str:
    where = f"{check.table} {check.day}" if check.day else check.table
    severity = "error" if check.severe else "warning"
    return f"{where}: {check.name} ({severity}): {check.description}"


def _some(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - _MOST_LINES
    return (*lines[:_MOST_LINES], *([f"... and {more} more"] if more > 0 else []))


def _span(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - minutes of an hour
