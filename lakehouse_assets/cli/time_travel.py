"""Commands that go back in time, and forth: history, restore, resume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from lakehouse_assets.cli.complete import runs
from lakehouse_assets.cli.console import Format, FormatOption, app, print_rows, tell
from lakehouse_assets.cli.interrupt import interruptible
from lakehouse_assets.cli.runs import alone, new_run
from lakehouse_assets.operations import restore
from lakehouse_assets.store.facts import (
    Absorbed,
    Fact,
    Judgement,
    Kind,
    Published,
    Restored,
    Resumed,
)
from lakehouse_assets.store.ledger import Ledger
from resources.settings import Settings


@app.command("history")
def history_command(
    form: FormatOption = Format.TABLE,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many, the newest; all unless given.")
    ] = None,
) -> None:
    """List what runs published, restores, and maintenance; newest first.

    A run that ended is a point that `restore --to` and `query --as-of` can name. One that was
    stopped, or failed, halfway is none; what it published stays, and the next one goes on.
    """
    facts = Ledger(Settings.load().lake()).facts()
    told = {Kind.PUBLISHED, Kind.RESTORED, Kind.RESUMED, Kind.MAINTAINED}
    rows = []
    newest = {(f.run_id, f.kind): f for f in facts if f.kind in told}  # maintenance has many
    ended = {run_id for run_id, _ in newest}
    # Of a run without an end, the last that it did.
    halfway = {f.run_id: f for f in facts if f.run_id not in ended and _moves_rows(f)}
    of_run: dict[str | None, list[Fact]] = {}
    for fact in facts:
        of_run.setdefault(fact.run_id, []).append(fact)
    points = sorted([*newest.values(), *halfway.values()], key=lambda f: -f.seq)
    for fact in points[:limit]:
        mine = [f for f in of_run[fact.run_id] if f.seq <= fact.seq]
        absorbed = [f.detail for f in mine if isinstance(f.detail, Absorbed)]
        silver = [d for d in absorbed if d.table.startswith("silver.")]
        gold = [d for d in absorbed if d.table.startswith("gold.")]
        days = fact.detail.dates if isinstance(fact.detail, Published) else _dates_of(mine)
        rows.append(
            (
                (fact.run_id or "")[:8],
                fact.recorded_at.strftime("%Y-%m-%d %H:%M:%S") if fact.recorded_at else "",
                _what(fact, absorbed, halfway=fact.run_id in halfway),
                f"{days[0]} to {days[-1]}" if len(days) > 1 else "".join(days),
                sum(isinstance(f.detail, Judgement) for f in mine),
                *(
                    _moved(fact, moved)
                    for layer in (silver, gold)
                    for moved in ([d.rows_added for d in layer], [d.rows_removed for d in layer])
                ),
            )
        )
    if not rows and form is Format.TABLE:
        tell("Nothing has run yet; lakehouse run is the first.")
        return
    names = ["run", "ended (UTC)", "what", "batch dates", "files read"]
    names += ["silver +", "silver -", "gold +", "gold -"]
    print_rows(names, rows, form)


def _moved(fact: Fact, rows: Sequence[int | None]) -> int | None:
    """How many rows a run moved; None where tables were put back: nobody has counted those."""
    put_back = isinstance(fact.detail, Restored | Resumed)
    return None if put_back else sum(moved or 0 for moved in rows)


def _moves_rows(fact: Fact) -> bool:
    """Whether a run has read a file, or changed a table, by this."""
    done = fact.detail
    return isinstance(done, Judgement) or (isinstance(done, Absorbed) and bool(done.rows_added))


def _what(fact: Fact, absorbed: Sequence[Absorbed], *, halfway: bool) -> str:
    """What a line of the history is about."""
    if isinstance(fact.detail, Restored):
        return f"{fact.kind} to {fact.detail.run_id[:8]}"
    moved = any(done.rows_added or done.rows_removed for done in absorbed)
    if isinstance(fact.detail, Published) and not moved:
        return "nothing published"
    return "published in part" if halfway else str(fact.kind)


def _dates_of(facts: Sequence[Fact]) -> Sequence[str]:
    return sorted({str(f.path.batch_date) for f in facts if f.path})


@app.command("restore")
def restore_command(
    to: Annotated[
        str,
        typer.Option(
            metavar="RUN|TIME",
            help="A run of `history`, or a time (UTC).",
            autocompletion=runs,
        ),
    ],
) -> None:
    """Take all tables back, together, to what any run of the last 30 days had published.

    What lands, or is decided, later waits until `lakehouse resume`. Files and ledger are kept.
    """
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    run = interruptible(
        lambda: alone(settings, lambda: restore.restore(ledger, to, new_run())), _restoring
    )
    when = f" of {run.recorded_at:%Y-%m-%d %H:%M:%S} UTC" if run.recorded_at else ""
    tell(f"All tables are as run {run.run_id}{when} left them; lakehouse resume undoes it.")


@app.command("resume")
def resume_command() -> None:
    """End a restore: tables as they were before it; what has waited is pending again."""
    settings = Settings.load()
    ledger = Ledger(settings.lake())
    interruptible(lambda: alone(settings, lambda: restore.resume(ledger, new_run())), _restoring)
    tell("All tables are as before the restore; lakehouse run takes in what has waited.")


def _restoring() -> str:
    return "Interrupted: what was announced is finished by the next `lakehouse run` or `restore`."
