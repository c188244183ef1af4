"""Commands that move the tables: run, replay, history, restore, resume, maintain."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Annotated, NoReturn

import typer

from lakehouse_assets.cli.console import (
    DateOption,
    Format,
    FormatOption,
    FromOption,
    ToOption,
    app,
    fail,
    out,
    print_rows,
    say,
    tell,
)
from lakehouse_assets.operations import maintenance, restore
from lakehouse_assets.planning import pending_files
from lakehouse_assets.store import receipts
from lakehouse_assets.store.facts import Absorbed, Judgement, Kind, Published, Restored
from lakehouse_assets.store.file_state import clear_lines
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import Counts
from lakehouse_assets.tables.contract import Layer
from lakehouse_assets.tables.registry import DATASETS, GOLD, example, table_ids
from resources.settings import Settings


@app.command("run")
def run_command(
    day: DateOption = None,
    since: FromOption = None,
    until: ToOption = None,
    tables: Annotated[
        str | None, typer.Option(help=f"Only these, such as {example()}, separated by commas.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what a run would do, and do nothing.")
    ] = False,
) -> None:
    """Bring the tables up to date, through Dagster: without a date, whatever is pending.

    The run shows in `lakehouse ui`. It ends non-zero where a file that it judged (or, given
    dates, any file of those dates) is held or cannot be read; everything else is published.
    """
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    if ledger.state().unfinished:
        if dry_run:
            tell("A restore, or its end, was left halfway; a run finishes it before anything else.")
            return
        _finish_restore(settings, ledger)
    pending = pending_files.of(ledger, DATASETS, GOLD)
    for line in (*map(str, pending.misplaced), *pending.notices):
        say(line)
    asked = _asked_dates(settings, day, since, until)
    selected = _selected(tables)
    dates = asked or pending.due
    if not dates or pending.frozen:
        tell("Nothing is pending.")
        _say_waiting(pending.waiting)
    elif dry_run:
        _dry_run(settings, ledger, pending, dates)
    else:
        _run(settings, ledger, dates, selected, asked or pending.files.keys())


def _run(
    settings: Settings,
    ledger: Ledger,
    dates: Sequence[date],
    tables: Sequence[str] | None,
    concerning: Collection[date | FilePath],
) -> NoReturn:
    """Run, and end with what came of it; of files that wait, these are this run's concern."""
    from lakehouse_assets.cli.launch import materialize  # noqa: PLC0415 - imports Dagster

    outcome = materialize(settings, dates, tables, out)
    waiting = ledger.followed().waiting(ledger.lake.raw)
    mine = [w for w in waiting if w[0] in concerning or w[0].batch_date in concerning]
    bad = [line for path, judged in mine for line in clear_lines(path, judged)]
    for line in outcome.notes:
        if line not in bad:
            tell(line)
    for line in outcome.warnings:
        say(f"warning: {line}")
    _print_books(ledger, dates)
    for line in bad:
        say(line)
    _say_waiting(waiting)
    if outcome.failure:
        fail(outcome.failure)
    raise typer.Exit(int(bool(mine)))


@app.command("replay")
def replay_command(
    since: FromOption = None,
    until: ToOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All batch dates that anything landed on.")
    ] = False,
) -> None:
    """Derive silver and gold again from bronze, for some batch dates or all.

    The tables come out the same: for those who doubt it, or have touched a table by hand.
    """
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    if everything == bool(since or until):
        fail("give --from and --to, or --all")
    asked = _asked_dates(settings, None, since, until)
    lake = ledger.lake
    landed = {path.batch_date for path in ledger.state().paths}
    if early := [day for day in landed if lake.outside(day)]:
        say(f"{len(early)} date(s) before {lake.first_date} (LAKEHOUSE_FIRST_DATE) are left alone.")
    dates = sorted(landed - set(early) if everything else landed & set(asked))
    if not dates:
        tell("Nothing has landed on those dates.")
        raise typer.Exit(0)

    from lakehouse_assets.cli.launch import materialize  # noqa: PLC0415 - imports Dagster

    derived = [table for table in table_ids() if not table.startswith(f"{Layer.BRONZE}.")]
    outcome = materialize(settings, dates, derived, out, replay=True)
    _print_books(ledger, dates)
    if outcome.failure:
        fail(outcome.failure)


@app.command("history")
def history_command(form: FormatOption = Format.TABLE) -> None:
    """List the runs that published something, restores, and maintenance; newest first.

    Each run is a point that `restore --to` and `query --as-of` can name.
    """
    facts = Ledger(Settings.load().lake()).facts()
    told = {Kind.PUBLISHED, Kind.RESTORED, Kind.RESUMED, Kind.MAINTAINED}
    rows = []
    newest = {(f.run_id, f.kind): f for f in facts if f.kind in told}  # maintenance has many
    for fact in sorted(newest.values(), key=lambda f: -f.seq):
        mine = [f for f in facts if f.run_id == fact.run_id and f.seq <= fact.seq]
        absorbed = [f.detail for f in mine if isinstance(f.detail, Absorbed)]
        silver = [d for d in absorbed if d.table.startswith("silver.")]
        gold = [d for d in absorbed if d.table.startswith("gold.")]
        days = fact.detail.dates if isinstance(fact.detail, Published) else ()
        about = fact.detail.run_id if isinstance(fact.detail, Restored) else ""
        rows.append(
            (
                (fact.run_id or "")[:8],
                fact.recorded_at.strftime("%Y-%m-%d %H:%M:%S") if fact.recorded_at else "",
                f"{fact.kind} to {about[:8]}" if about else str(fact.kind),
                f"{days[0]} to {days[-1]}" if len(days) > 1 else "".join(days),
                sum(isinstance(f.detail, Judgement) for f in mine),
                *(
                    sum(rows or 0 for rows in moved)
                    for layer in (silver, gold)
                    for moved in ([d.rows_come for d in layer], [d.rows_gone for d in layer])
                ),
            )
        )
    names = ["run", "ended (UTC)", "what", "batch dates", "files read"]
    names += ["silver +", "silver -", "gold +", "gold -"]
    print_rows(names, rows, form)


@app.command("restore")
def restore_command(
    to: Annotated[
        str, typer.Option(metavar="RUN|TIME", help="A run of `history`, or a time (UTC).")
    ],
) -> None:
    """Take all tables back, together, to what a run had published (for 30 days).

    What lands, or is decided, later waits until `lakehouse resume`. Files and ledger are kept.
    """
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    with settings.locks.all_tables():
        run = restore.restore(ledger, to, _new_run())
    when = f" of {run.recorded_at:%Y-%m-%d %H:%M:%S} UTC" if run.recorded_at else ""
    tell(f"All tables are as run {run.run_id}{when} left them; lakehouse resume undoes it.")


@app.command("resume")
def resume_command() -> None:
    """End a restore: tables as they were before it; what has waited is pending again."""
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    with settings.locks.all_tables():
        restore.resume(ledger, _new_run())
    tell("All tables are as before the restore; lakehouse run takes in what has waited.")


@app.command("maintain")
def maintain_command() -> None:
    """Compact and order files, remove what no restore needs, shorten logs; rows stay the same."""
    settings = Settings.load()
    done = maintenance.maintain(settings.lake(), _new_run(), settings.locks.one_writer)
    print_rows(
        ["table", "files before", "files after", "rewritten", "removed"],
        [(d.table, d.before, d.after, d.rewritten, d.removed) for d in done],
        Format.TABLE,
    )


def _new_run() -> str:
    return str(uuid.uuid4())


def _finish_restore(settings: Settings, ledger: Ledger) -> None:
    with settings.locks.all_tables():
        restore.finish(ledger, _new_run())


def _dry_run(
    settings: Settings, ledger: Ledger, pending: pending_files.Plan, dates: Sequence[date]
) -> None:
    """Print the plan, and what a run by it would do to the tables."""
    tell(f"A run would work on {len(dates)} batch date(s): {', '.join(map(str, dates))}")

    from lakehouse_assets.operations.dry_run import dry_run  # noqa: PLC0415
    from resources.engines import engine  # noqa: PLC0415 - imports Dagster

    done = dry_run(engine(settings).session(), ledger.lake, dates, settings.limits)
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
            r.metadata.get("rows_come", 0),
            r.metadata.get("rows_gone", 0),
            r.metadata.get("changed_grains", ""),
            r.metadata.get("changed", ""),
        )
        for r in done.results
        if "reason" in r.metadata
    ]
    names = ["table", "why", "rows in", "rows out", "grains", "such as"]
    print_rows(names, changes, Format.TABLE)
    for line in dict.fromkeys(line for r in done.results for line in r.lines):
        say(line)


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
            fail(f"no table is named {name!r}; use some of {', '.join(known)}")
    return names


def _say_waiting(waiting: Sequence[tuple[FilePath, Judgement]]) -> None:
    if waiting:
        say(f"{len(waiting)} file(s) wait for you: lakehouse status names them.")


def _print_books(ledger: Ledger, dates: Sequence[date]) -> None:
    """Per dataset, what became of the rows of the files of these dates."""
    found = receipts.current(ledger.lake, dates=dates)
    rows = []
    for name in DATASETS:
        mine = [r for r in found if r.path.dataset == name]
        total = sum((r.counts for r in mine), Counts())
        rows.append((f"silver.{name}", len(mine), *(f"{n:,}" for n in total.__dict__.values())))
    print_rows(["table", "files", *Counts().__dict__], rows, Format.TABLE)
