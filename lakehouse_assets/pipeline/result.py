"""What a table's job reports: counts, outcomes of checks, and lines about files for people."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Self


class Severity(StrEnum):
    """How bad a failed check is: people should look at a warning, and must act on an error."""

    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Check:
    """The outcome of one check, for one batch date or (without a date) for the run."""

    name: str
    passed: bool
    day: date | None = None
    severity: Severity = Severity.ERROR
    description: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class Result:
    """What a table's job did, on whatever machine it ran.

    ``version`` is the table's after the job. ``days`` has the numbers of rows and files of each
    batch date, by name; ``metadata`` is of the whole run; ``lines`` are for people,
    ``<file>: <what is wrong>; <what to do>``.
    """

    table: str
    version: int | None = None
    days: dict[date, dict[str, int]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """The result as JSON. Raises TypeError where metadata holds what JSON cannot."""
        return json.dumps(
            {
                **self.__dict__,
                "days": {str(day): counts for day, counts in self.days.items()},
                "checks": [
                    {**asdict(check), "day": check.day and str(check.day)} for check in self.checks
                ],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The result that ``to_json`` wrote."""
        told = json.loads(text)
        days = {date.fromisoformat(day): counts for day, counts in told.pop("days").items()}
        return cls(**told | {"days": days, "checks": [_check(**c) for c in told["checks"]]})


def _check(*, day: str | None, severity: str, **more: Any) -> Check:
    return Check(day=date.fromisoformat(day) if day else None, severity=Severity(severity), **more)
