"""Redshift by its Data API: no driver, no connection that a network could break in a statement."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lakehouse_assets.operations.load_warehouse import WarehouseError
from resources.aws import clear_errors, client

_RUNNING: Final = frozenset({"SUBMITTED", "PICKED", "STARTED"})
_ADVICE: Final = (
    (("disk full", "no space", "storage limit"), "make room in it"),
    (("connect", "resuming", "paused", "not available", "timed out"), "see that it is up"),
    (("permission denied", "not authorized", "access denied"), "grant its role what it needs"),
    (("1023", "isolation violation", "deadlock"), "let what else writes there end"),
)
"""What a statement may fail by, and what to do before the next run."""


@dataclass(frozen=True)
class RedshiftData:
    """A database of a Serverless ``workgroup`` or a provisioned ``cluster``.

    ``secret`` is the one that holds its administrator's password, by name or ARN; without it the
    database knows who asks by their IAM role. Statements are looked at every ``poll_seconds``.

    What was begun goes on where who began it dies: a transaction of Redshift's, not ours.
    """

    database: str
    workgroup: str | None = None
    cluster: str | None = None
    secret: str | None = None
    poll_seconds: float = 0.5

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that a question is answered with. Raises AwsError, WarehouseError."""
        with clear_errors(self._name):
            data = client("redshift-data")
            begun = data.execute_statement(Sql=sql, **self._target)["Id"]
            self._wait(data, begun)
            pages = data.get_paginator("get_statement_result").paginate(Id=begun)
            return [tuple(_values(record)) for page in pages for record in page["Records"]]

    def execute(self, statements: Sequence[str]) -> None:
        """Carry statements out as one transaction. Raises AwsError, WarehouseError."""
        with clear_errors(self._name):
            data = client("redshift-data")
            if len(statements) == 1:  # some of Redshift's run in no transaction of several
                begun = data.execute_statement(Sql=statements[0], **self._target)
            else:
                begun = data.batch_execute_statement(Sqls=[*statements], **self._target)
            self._wait(data, begun["Id"])

    @property
    def _name(self) -> str:
        kind = "workgroup" if self.workgroup else "cluster"
        return f"Redshift {kind} {self.workgroup or self.cluster}"

    @property
    def _target(self) -> Mapping[str, str]:
        named = {
            "Database": self.database,
            "WorkgroupName": self.workgroup,
            "ClusterIdentifier": self.cluster,
            "SecretArn": self.secret,
        }
        return {name: value for name, value in named.items() if value}

    def _wait(self, data: Any, begun: str) -> None:
        while (found := data.describe_statement(Id=begun))["Status"] in _RUNNING:
            time.sleep(self.poll_seconds)
        if found["Status"] == "FINISHED":
            return
        told = " ".join(str(found.get("Error", "no reason given")).split())
        failed = [
            i
            for i, statement in enumerate(found.get("SubStatements", ()), 1)
            if statement.get("Status") in {"FAILED", "ABORTED"}
        ]
        which = f"statement {failed[0]} of {len(found['SubStatements'])}: " if failed else ""
        advice = next(
            (what for marks, what in _ADVICE if any(mark in told.lower() for mark in marks)),
            f"look up statement {begun} in its console",
        )
        raise WarehouseError(
            f"{self._name}: {which}{told}; {advice}, then run again: its tables are as they were"
        )


def _values(record: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    for field in record:
        [(kind, value)] = field.items()
        yield None if kind == "isNull" else value
