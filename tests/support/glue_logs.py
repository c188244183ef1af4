"""The logs of a Glue job's run: in which groups they are, and how they come there."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Final

STREAMS: Final = ("output", "error")


def role_of(job: Mapping[str, Any]) -> str:
    """The name of a job's role."""
    return str(job["Role"]).rpartition("/")[2]


def log_groups(job: Mapping[str, Any]) -> str:
    """What the names of a job's log groups begin by.

    https://docs.aws.amazon.com/glue/latest/dg/monitor-continuous-logging.html
    """
    prefix = job.get("DefaultArguments", {}).get("--custom-logGroup-prefix", "/aws-glue/jobs")
    security = job.get("SecurityConfiguration")
    return f"{prefix}/{security}-role/{role_of(job)}" if security else str(prefix)


@dataclass
class Tail:
    """One of a run's two streams on its way to CloudWatch; ``last`` is its newest line."""

    client: Any
    group: str
    run_id: str
    last: str = ""

    def follow(self, stream: IO[bytes] | None) -> None:
        """Pass it on until it ends."""
        assert isinstance(stream, io.BufferedReader)
        place = {"logGroupName": self.group, "logStreamName": self.run_id}
        with suppress(self.client.exceptions.ResourceAlreadyExistsException):
            self.client.create_log_group(logGroupName=self.group)
        self.client.create_log_stream(**place)
        while chunk := stream.read1(65536):
            lines = [line for line in chunk.decode(errors="replace").splitlines() if line.strip()]
            now = int(time.time() * 1000)
            if lines:
                self.last = lines[-1]
                events = [{"timestamp": now, "message": line} for line in lines]
                self.client.put_log_events(**place, logEvents=events)
