"""What a run has reported: read from Dagster's event log, whoever started the run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from lakehouse_assets.defs.checks import out_of_ui
from lakehouse_assets.defs.keys import ASSET_JOB, FAILING_DATES, JOB, LINES

if TYPE_CHECKING:
    from collections.abc import Mapping

_EVENTS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
}


_CLASS: Final = re.compile(r"\A(?:\w+\.)+\w+: ")
"""The name of an error's class, with its module, before what it says."""


@dataclass
class TableReport:
    """One table's part of a run.

    ``days`` has, per batch date, counts in rows by name; ``rows_added`` is what was written anew,
    None where nothing was; ``seconds`` is how long its job took.
    """

    days: dict[str, dict[str, int]] = field(default_factory=dict)
    rows_added: int | None = None
    seconds: float = 0.0

    def total(self, name: str) -> int:
        """Rows of all batch dates together."""
        return sum(counts.get(name, 0) for counts in self.days.values())


@dataclass(frozen=True)
class FailedCheck:
    """A check that did not pass, of one batch date or (without one) of the whole run."""

    table: str
    name: str
    day: str | None
    severe: bool
    description: str


@dataclass(frozen=True)
class RunReport:
    """All that a run has reported.

    ``errors`` are of steps that failed; ``files`` are the clear lines of files that are held or
    cannot be read; ``lines`` is what the tables' jobs had to say besides.
    """

    run_id: str
    job: str
    outcome: str
    ended: datetime
    dates: tuple[str, ...]
    tables: Mapping[str, TableReport]
    checks: tuple[FailedCheck, ...]
    errors: tuple[str, ...]
    files: tuple[str, ...]
    lines: tuple[str, ...] = ()


def read(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunReport:
    """Read what a run that has ended has reported."""
    entries = instance.all_logs(run.run_id, of_type=_EVENTS)
    made = [m for e in entries if (m := e.asset_materialization)]
    failed = [
        e.dagster_event
        for e in entries
        if e.dagster_event and e.dagster_event.is_step_failure and e.step_key
    ]
    ends = [e.message for e in entries if e.dagster_event_type is dg.DagsterEventType.RUN_FAILURE]
    errors = [cause(event) for event in failed if not waiting_files(event)]
    files = [line for event in failed for line in waiting_files(event)]
    return RunReport(
        run_id=run.run_id,
        # Dagster's own name for a run of assets that somebody picked tells people nothing.
        job=JOB if run.job_name == ASSET_JOB else run.job_name,
        outcome=run.status.value.lower(),
        ended=datetime.fromtimestamp(entries[-1].timestamp if entries else 0, tz=UTC),
        dates=tuple(sorted({m.partition for m in made if m.partition})),
        tables=_tables(made),
        checks=_failed_checks(c for e in entries if (c := e.asset_check_evaluation)),
        # A run whose process died has no step that failed.
        errors=tuple(errors if failed else ends),
        files=tuple(files),
        lines=tuple(dict.fromkeys(line for m in made for line in _lines_of(m.metadata))),
    )


def cause(event: dg.DagsterEvent) -> str:
    """Why a step failed, in one line: ``<table>: <what is wrong>``."""
    step = (event.step_key or "").replace("__", ".")  # as Dagster names the step of an asset
    said = " ".join(_description(event).split())
    return said if said.startswith(f"{step}: ") else f"{step}: {said}"


def waiting_files(event: dg.DagsterEvent) -> list[str]:
    """The clear lines of files, where it is for them that a step failed: all else is published."""
    told = event.step_failure_data.user_failure_data
    return _lines_of(told.metadata if told else {})


def _description(event: dg.DagsterEvent) -> str:
    """What a failed step says itself, or else its innermost error."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error and error.cause:
        error = error.cause
    # Where in Python an error is from says nothing to who reads a line.
    return _CLASS.sub("", error.message) if error else "failed"


def _tables(made: Iterable[dg.AssetMaterialization]) -> dict[str, TableReport]:
    found: dict[str, TableReport] = {}
    for materialization in made:
        layer, *name = materialization.asset_key.path
        if not name:
            continue
        values = {key: value.value for key, value in materialization.metadata.items()}
        report = found.setdefault(f"{layer}.{name[0]}", TableReport())
        report.rows_added = _number(values.get("rows_added"))
        # Of the whole run, and so the same at each of its dates.
        report.seconds = float(str(values.get("seconds", 0.0)))
        counts = {n: c for n in _COUNTS if (c := _number(values.get(n))) is not None}
        report.days[materialization.partition or ""] = counts
    return found


_COUNTS = ("files", "read", "published", "superseded", "duplicates", "rejected", "held")


def _lines_of(metadata: Mapping[str, dg.MetadataValue[Any]]) -> list[str]:
    found = metadata.get(LINES)
    value = found.value if isinstance(found, dg.JsonMetadataValue) else None
    return [str(line) for line in value or ()]


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _failed_checks(outcomes: Iterable[dg.AssetCheckEvaluation]) -> tuple[FailedCheck, ...]:
    """Each check that failed once a date; an outcome of the whole run only where it stands alone.

    What all dates of a check come to is no outcome of this run.
    """
    by_check: dict[tuple[str, str], list[FailedCheck]] = {}
    for found in outcomes:
        if not found.passed and FAILING_DATES not in found.metadata:
            check = FailedCheck(
                table=".".join(found.asset_key.path),
                name=found.check_name,
                day=found.partition,
                severe=found.severity is dg.AssetCheckSeverity.ERROR,
                description=out_of_ui(found.description),
            )
            by_check.setdefault((check.table, check.name), []).append(check)
    return tuple(
        check for checks in by_check.values() for check in ([c for c in checks if c.day] or checks)
    )
