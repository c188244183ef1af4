"""Commands that bring the tables up to date, and keep them in shape: run, replay, maintain."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from lakehouse_assets.cli.complete import job_tables
from lakehouse_assets.cli.console import (
    DateOption,
    Format,
    FromOption,
    ToOption,
    app,
    fail,
    gathered,
    out,
    print_rows,
    say,
    tell,
)
from lakehouse_assets.cli.interrupt import interruptible, stopped_by_exception
from lakehouse_assets.cli.progress import Progress, rows_of
from lakehouse_assets.cli.run_books import print_books, print_fates, span
from lakehouse_assets.errors import meant
from lakehouse_assets.operations import maintenance, restore
from lakehouse_assets.planning import pending_files
from lakehouse_assets.planning.run_requests import stretches
from lakehouse_assets.store.facts import Judgement
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.registry import DATASETS, DERIVED, example, table_ids
from resources.settings import RunnerName, Settings

if TYPE_CHECKING:
    from lakehouse_assets.cli.launch import Outcome
    from lakehouse_assets.operations.dry_run import DryRun
    from lakehouse_assets.pipeline.result import Result


T = TypeVar("T")

_SHOWN_GRAINS: Final = 2
"""How many changed grains a dry run names of each table."""


@app.command("run")
def run_command(
    day: DateOption = None,
    since: FromOption = None,
    until: ToOption = None,
    tables: Annotated[
        str | None,
        typer.Option(
            help=f"Only these, such as {example()}, separated by commas.",
            autocompletion=job_tables,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what a run would do, and do nothing.")
    ] = False,
) -> None:
    """Bring the tables up to date, through Dagster: without a date, whatever is pending.

    The run shows in `lakehouse ui`. It ends with 1 where a file of its dates is held or cannot be
    read, or a table's figures do not agree; everything else is published. Ctrl-C ends it at once
    and harms nothing: the next one goes on from there.
    """
    settings = Settings.load()
    asked, selected = _asked_dates(settings, day, since, until), _selected(tables)
    progress = Progress(out)

    def interrupted() -> str:
        progress.stop()
        if dry_run:
            return "Interrupted: nothing was changed."
        told = progress.so_far(selected or table_ids())
        return f"Interrupted: {told}; the next `lakehouse run` goes on from there."

    if dry_run:
        interruptible(lambda: _dry_run(settings, asked, progress), interrupted)
    else:
        _how(settings)(lambda: _run(settings, asked, selected, progress), interrupted)


def _run(
    settings: Settings, asked: Sequence[date], tables: Sequence[str] | None, progress: Progress
) -> None:
    """Run what is asked for or pending, and end with what came of it."""
    ledger = Ledger(settings.lake())
    if ledger.state().unfinished:
        alone(settings, lambda: restore.finish(ledger, new_run()))
    pending = _pending(ledger)
    dates = _due(ledger, pending, asked)
    if not dates:
        return
    if asked and not any(there for day, there in pending.there.items() if day in asked):
        say(f"No file of {span(asked)} has landed: its tables have nothing new to say.")
    outcomes = _materialize(settings, dates, tables, progress, _of_plan(pending))
    waiting = ledger.followed().waiting(ledger.lake.raw)
    # Of the files that wait, these are this run's concern.
    mine = [w for w in waiting if w[0] in pending.files or w[0].batch_date in dates]
    bad = [line for path, judged in mine for line in clear_lines(path, judged)]
    notes = (line for outcome in outcomes for line in outcome.notes)
    for line in gathered(line for line in notes if line not in {*bad, *pending.notices}):
        tell(line)
    for line in (line for outcome in outcomes for line in outcome.warnings):
        say(f"warning: {line}")
    errors = [line for outcome in outcomes for line in outcome.errors]
    print_books(ledger, dates, outcomes, waiting)
    # Last, so that they do not scroll away.
    for line in bad:
        say(line)
    _say_waiting(waiting)
    for line in errors:
        say(f"error: {line}")
    _fail_with(outcomes)
    raise typer.Exit(int(bool(mine or errors)))


def _materialize(
    settings: Settings,
    dates: Sequence[date],
    tables: Sequence[str] | None,
    progress: Progress,
    about: Callable[[Sequence[date]], str],
    *,
    replay: bool = False,
) -> list[Outcome]:
    """A run for each stretch of days, each shown as it goes, by what there is to say about it."""
    outcomes = []
    for days in stretches(dates):
        with progress.of(f"Batch date {span(days)}{about(days)}", tables or table_ids()):
            from lakehouse_assets.cli.launch import materialize  # noqa: PLC0415 - imports Dagster

            outcomes.append(materialize(settings, days, tables, progress, replay=replay))
    return outcomes


def _fail_with(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if outcome.failure:
            fail(outcome.failure)


@app.command("replay")
def replay_command(
    day: DateOption = None,
    since: FromOption = None,
    until: ToOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All batch dates that anything landed on.")
    ] = False,
) -> None:
    """Derive silver and gold again from bronze, for some batch dates or all.

    The tables come out the same: for after a table was changed by hand, or to see that they do.
    """
    settings = Settings.load()
    if everything == bool(day or since or until):
        fail("give --date, or --from and --to, or --all")
    asked = _asked_dates(settings, day, since, until)
    derived = [table for table in table_ids() if not table.startswith(f"{Layer.BRONZE}.")]
    progress = Progress(out)

    def interrupted() -> str:
        progress.stop()
        told = progress.so_far(derived)
        return f"Interrupted: {told}; give the same `lakehouse replay` again to derive all."

    _how(settings)(lambda: _replay(settings, asked, derived, progress), interrupted)


def _how(settings: Settings) -> Callable[[Callable[[], None], Callable[[], str]], None]:
    """How a run is interrupted: what Glue has begun is stopped there before all else."""
    return interruptible if settings.runner is RunnerName.LOCAL else stopped_by_exception


def _replay(
    settings: Settings, asked: Sequence[date], derived: Sequence[str], progress: Progress
) -> None:
    """Derive tables again for those dates, or all, on which anything has landed."""
    ledger = Ledger(settings.lake())
    lake = ledger.lake
    landed = {path.batch_date for path in ledger.state().paths}
    if early := [day for day in landed if lake.outside(day)]:
        say(f"{len(early)} date(s) before {lake.first_date} (LAKEHOUSE_FIRST_DATE) are left alone.")
    dates = sorted(landed & set(asked) if asked else landed - set(early))
    if not dates:
        tell("Nothing has landed on those dates.")
        return
    outcomes = _materialize(settings, dates, derived, progress, lambda _: "", replay=True)
    print_books(ledger, dates, outcomes, ledger.followed().waiting(lake.raw))
    _fail_with(outcomes)


@app.command("maintain")
def maintain_command() -> None:
    """Compact and order files, remove what no restore needs, shorten logs: rows stay the same."""
    settings = Settings.load()
    done = interruptible(
        lambda: maintenance.maintain(settings.lake(), new_run(), settings.locks.one_writer),
        lambda: "Interrupted: what is done stays; `lakehouse maintain` goes on from there.",
    )
    print_rows(
        ["table", "files before", "files after", "rewritten", "removed"],
        [(d.table, d.before, d.after, d.rewritten, d.removed) for d in done],
        Format.TABLE,
    )


def new_run() -> str:
    """An id for what is done outside Dagster."""
    return str(uuid.uuid4())


def alone(settings: Settings, work: Callable[[], T]) -> T:
    """Do it while nobody else writes a table. Raises BusyError."""
    with settings.locks.all_tables():
        return work()


def _pending(ledger: Ledger) -> pending_files.Plan:
    """What is pending; what is out of place, and what else there is to know, is said."""
    pending = pending_files.of(ledger, DATASETS, DERIVED)
    for line in (*map(str, pending.misplaced), *pending.notices):
        say(line)
    return pending


def _due(ledger: Ledger, pending: pending_files.Plan, asked: Sequence[date]) -> Sequence[date]:
    """The dates to work on: those asked for, or all that is pending; says so where there are none.

    While a restore stands there are none.
    """
    dates = [] if pending.frozen else asked or pending.due
    if not dates:
        if not pending.frozen:  # then a notice has said why nothing goes on
            tell(nothing_pending(ledger, _last_run(ledger)))
        _say_waiting(pending.waiting)
    return dates


def nothing_pending(ledger: Ledger, more: str = "") -> str:
    """The sentence for when there is nothing to do; where nothing ever came, what to do."""
    if not ledger.state().paths:
        return "Nothing has landed yet: lakehouse land FILE puts files in."
    return f"Nothing is pending{more}."


def _last_run(ledger: Ledger) -> str:
    """Which run ended last, if any: it may be the sensor's, and news to who reads this."""
    published = ledger.state().published
    if not published:
        return ""
    run = published[-1]
    when = f" of {run.recorded_at:%Y-%m-%d %H:%M} UTC" if run.recorded_at else ""
    return f"; the last run to end was {(run.run_id or '')[:8]}{when}"


def _dry_run(settings: Settings, asked: Sequence[date], progress: Progress) -> None:
    """Print the plan, and what a run by it would do to the tables."""
    ledger = Ledger(settings.lake())
    if ledger.state().unfinished:
        tell("A restore, or its end, was left halfway; a run finishes it before anything else.")
        return
    pending = _pending(ledger)
    dates = _due(ledger, pending, asked)
    if not dates:
        return
    title = f"Dry run of batch date {span(dates)}{_of_plan(pending)(dates)}"
    with progress.of(title, table_ids()):
        done = _rehearse(settings, ledger, dates, progress)
    rows = [
        (path.batch_date, str(path), found.reason, done.rows.get(path, ""))
        for path, found in sorted(pending.files.items())
        if path.batch_date in dates
    ]
    print_rows(["batch date", "file", "why", "rows"], rows, Format.TABLE)
    changes = [
        (
            r.table,
            r.metadata.get("reason", ""),
            r.metadata.get("rows_added", 0),
            r.metadata.get("rows_removed", 0),
            r.metadata.get("changed_grains", ""),
            _few(r.metadata.get("changed", "")),
        )
        for r in done.results
        if "reason" in r.metadata
    ]
    names = ["table", "why", "rows added", "rows removed", "grains", "such as"]
    print_rows(names, changes, Format.TABLE)
    print_fates(dates, done.receipts, done.waiting, "would be then")
    for line in dict.fromkeys(line for r in done.results for line in r.lines):
        say(line)


def _few(grains: str) -> str:
    """The first of the grains that a result names: enough for a line of a table."""
    named = grains.split("; ")
    more = " …" if len(named) > _SHOWN_GRAINS else ""
    return "; ".join(named[:_SHOWN_GRAINS]) + more


def _rehearse(
    settings: Settings, ledger: Ledger, dates: Sequence[date], progress: Progress
) -> DryRun:
    from lakehouse_assets.operations.dry_run import dry_run  # noqa: PLC0415 - all of a run
    from lakehouse_assets.tables import sql_checks  # noqa: PLC0415 - parses all SQL
    from resources.session import session_of  # noqa: PLC0415 - imports the engine

    sql_checks.check_all()  # as a run does when it loads the definitions

    def told(table: str, result: Result | None) -> None:
        if result is None:
            progress.begin(table)
        else:
            progress.end(table, rows=rows_of(result.metadata))

    return dry_run(session_of(settings), ledger.lake, dates, settings.limits, told)


def _of_plan(pending: pending_files.Plan) -> Callable[[Sequence[date]], str]:
    """What makes a run of dates: files, or else tables that are behind."""

    def about(days: Sequence[date]) -> str:
        files = sum(path.batch_date in days for path in pending.files)
        if files:
            return f": {files} file(s) pending"
        return f": {len(pending.tables)} table(s) behind" if pending.tables else ""

    return about


def _asked_dates(
    settings: Settings, day: date | None, since: date | None, until: date | None
) -> list[date]:
    if day and (since or until):
        fail("--date and --from/--to together; give one or the other")
    if bool(since) != bool(until):
        fail("--from and --to go together; give both")
    first, last = (day, day) if day else (since, until)
    if first is None or last is None:
        return []
    if last < first:
        fail(f"--to {last} lies before --from {first}; swap them")
    for end in (first, last):
        if problem := settings.lake().outside(end):
            fail(problem)
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


def _selected(tables: str | None) -> list[str] | None:
    if tables is None:
        return None
    known = table_ids()
    names = [name.strip() for name in tables.split(",") if name.strip()]
    for name in names:
        if name not in known:
            fail(f"no table is named {name!r}; {meant(name, known, 'use some of')}")
    return names


def _say_waiting(waiting: Sequence[tuple[FilePath, Judgement]]) -> None:
    if waiting:
        say(f"{len(waiting)} file(s) wait for you: lakehouse status names them.")
