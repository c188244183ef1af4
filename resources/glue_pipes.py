"""One run of a Glue job as a Dagster Pipes session: started or adopted, watched, stopped, priced.

It stands where dagster-aws's `PipesGlueClient` would, on the same public pieces: that client is
one method from start to end, so a subclass would have to write all of it anew. What is mended:
a run's logs come while it runs; cancelling ends the job before the step; a job that expires or
never starts ends the wait; a job left behind by a dead run is adopted or stopped; what was told
before a failure is handed over all the same; nothing stays behind in the bucket.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TextIO

import boto3
import dagster as dg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from dagster_aws.pipes import PipesS3MessageReader
from dagster_pipes import decode_param

from resources.glue_jobs import WORK

if TYPE_CHECKING:
    from dagster_pipes import PipesContextData

_ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"})
_NOT_STARTED: Final = frozenset({"STARTING", "WAITING"})
_MESSAGES: Final = "--dagster-pipes-messages"
_LEAST_SECONDS: Final = 60
"""What a run is billed for at least."""


@dataclass(frozen=True)
class Ended:
    """A job run at its end: Glue's own description of it, and what the job told."""

    job_run: Mapping[str, Any]
    told: dict[str, Any]
    closed: bool

    @property
    def dpu_seconds(self) -> float:
        """Data processing units times seconds, as billed; Glue tells them of autoscaled runs."""
        billed = max(self.job_run.get("ExecutionTime", 0), _LEAST_SECONDS)
        capacity: float = self.job_run.get("MaxCapacity", 0.0)
        return float(self.job_run.get("DPUSeconds") or capacity * billed)

    def raise_for_state(self) -> None:
        """Raise dagster's Failure, one clear line, unless the job did all it was asked to.

        Refused data is never tried again, nor what would take as long again.
        """
        name, run_id = self.job_run["JobName"], self.job_run["Id"]
        state, message = self.job_run["JobRunState"], self.job_run.get("ErrorMessage", "no message")
        this = f"Glue job {name}, run {run_id}"
        if "refused" in self.told:
            raise dg.Failure(self.told["refused"], allow_retries=False)
        if state == "TIMEOUT":
            advice = "give the table's contract more capacity, or fewer dates to a run"
            raise dg.Failure(f"{this}: ran out of its time; {advice}", allow_retries=False)
        if state == "STOPPED":
            advice = "start the Dagster run again if that was not meant"
            raise dg.Failure(f"{this}: someone stopped it; {advice}", allow_retries=False)
        if state != "SUCCEEDED" and "role" in message.lower():
            advice = "check that the job's role exists and that Glue may assume it"
            raise dg.Failure(f"{this}: {state}, {message}; {advice}", allow_retries=False)
        if state != "SUCCEEDED":
            raise dg.Failure(f"{this}: {state}, {message}; see the step's logs")
        if not self.closed:
            raise dg.Failure(
                f"{this}: succeeded without its closing message; check that its script is "
                "deploy/glue/job.py and that its role may write to the deployment bucket"
            )


@dataclass
class GlueJob:
    """A Glue job, by name, and the place on S3 where Dagster and it exchange messages.

    ``exchange`` is ``s3://<bucket>[/<prefix>]``.
    """

    name: str
    exchange: str
    start_minutes: float = 15.0
    poll_seconds: float = 5.0

    def __str__(self) -> str:
        return f"Glue job {self.name}"

    def run(self, context: dg.OpExecutionContext, work: str, extras: Mapping[str, Any]) -> Ended:
        """Do this work, and wait for its end, whatever that is.

        ``work`` identifies it among all work of all runs: a job run that is at it already is
        adopted; one at anything else is a dead run's, and is stopped first. Raises dagster's
        Failure, one clear line, where AWS refuses or the job does not start.
        """
        with self._clear_lines():
            orphan = self._settle(context, work)
            exchange = _Exchange.of(orphan, self.exchange, self._s3)
            try:
                with dg.open_pipes_session(
                    context=context,
                    context_injector=_Injector(exchange, adopted=orphan is not None),
                    message_reader=_Reader(exchange, self.poll_seconds),
                    extras=dict(extras),
                ) as session:
                    arguments = {WORK: work, **session.get_bootstrap_cli_arguments()}
                    run_id = orphan["Id"] if orphan else self._start(context, arguments)
                    job_run = self._watch(context, run_id, exchange)
            finally:
                exchange.clear()
            told: dict[str, Any] = {}
            for message in session.get_custom_messages():
                told |= message
            return Ended(job_run, told, session.message_handler.received_closed_message)

    def stop_orphans(self, context: dg.OpExecutionContext) -> None:
        """Stop what has not ended, and await it: it is a dead run's.

        Raises dagster's Failure, one clear line, where AWS refuses.
        """
        with self._clear_lines():
            self._settle(context, None)

    # ------------------------------------------------------------------------------- one run

    def _settle(self, context: dg.OpExecutionContext, work: str | None) -> dict[str, Any] | None:
        """The run that is at this work already; any other that has not ended is stopped."""
        for run in self._runs():
            state, run_id = run["JobRunState"], run["Id"]
            if state in _ENDED:
                continue
            if work and run.get("Arguments", {}).get(WORK) == work and state != "STOPPING":
                context.log.warning("%s: run %s is at this work; adopted", self, run_id)
                return run
            context.log.warning("%s: run %s is a dead run's; stopping it", self, run_id)
            self._stop(context, run_id)
            _Exchange.of(run, self.exchange, self._s3).clear()
        return None

    def _runs(self) -> Iterator[dict[str, Any]]:
        for page in self._glue.get_paginator("get_job_runs").paginate(JobName=self.name):
            yield from page["JobRuns"]

    def _start(self, context: dg.OpExecutionContext, arguments: Mapping[str, str]) -> str:
        try:
            started = self._glue.start_job_run(JobName=self.name, Arguments=dict(arguments))
            run_id: str = started["JobRunId"]
        except self._glue.exceptions.ConcurrentRunsExceededException:
            # An answer that got lost: the request went twice, and the first one counts.
            mine = [run for run in self._runs() if arguments.items() <= run["Arguments"].items()]
            if not mine:
                raise
            run_id = mine[0]["Id"]
        region = self._glue.meta.region_name
        console = f"https://{region}.console.aws.amazon.com/gluestudio/home?region={region}"
        context.log.info("%s: run %s, %s#/job/%s/run/%s", self, run_id, console, self.name, run_id)
        return run_id

    def _watch(
        self, context: dg.OpExecutionContext, run_id: str, exchange: _Exchange
    ) -> dict[str, Any]:
        """Wait for the end, passing its logs on; stop the job where the step is cancelled."""
        logs = _Logs(self._logs, run_id)
        deadline = time.monotonic() + 60 * self.start_minutes
        try:
            while True:
                job_run = self._look(run_id)
                logs.pass_on(job_run)
                if job_run["JobRunState"] in _ENDED:
                    return job_run
                late = time.monotonic() > deadline
                if late and job_run["JobRunState"] in _NOT_STARTED:
                    self._stop(context, run_id)
                    raise dg.Failure(
                        f"{self}, run {run_id}: not started within "
                        f"{self.start_minutes:g} minutes; check the account's limits of DPUs and "
                        "the free addresses of the job's subnets, or raise "
                        "LAKEHOUSE_GLUE_START_MINUTES"
                    )
                time.sleep(self.poll_seconds)
        except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
            logs.pass_on(self._stop(context, run_id))
            raise
        except (BotoCoreError, ClientError):
            exchange.kept = True  # the job goes on, and so can whoever adopts it
            raise

    def _stop(self, context: dg.OpExecutionContext, run_id: str) -> dict[str, Any]:
        """Stop a run, and wait until it has ended: until then it may write."""
        answer = self._glue.batch_stop_job_run(JobName=self.name, JobRunIds=[run_id])
        for error in answer.get("Errors", ()):
            detail = error.get("ErrorDetail", {}).get("ErrorMessage", "no reason given")
            context.log.warning("%s, run %s: cannot be stopped: %s", self, run_id, detail)
        while (job_run := self._look(run_id))["JobRunState"] not in _ENDED:
            time.sleep(self.poll_seconds)
        context.log.info("%s, run %s: %s", self, run_id, job_run["JobRunState"])
        return job_run

    def _look(self, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self._glue.get_job_run(JobName=self.name, RunId=run_id)["JobRun"]
        return found

    # ------------------------------------------------------------------------------- clients

    @cached_property
    def _glue(self) -> Any:
        return _client("glue")

    @cached_property
    def _s3(self) -> Any:
        return _client("s3")

    @cached_property
    def _logs(self) -> Any:
        return _client("logs")

    @contextmanager
    def _clear_lines(self) -> Iterator[None]:
        """What AWS refuses as one clear line: which resource, and what to check."""
        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            where = self.exchange if error.operation_name in _OF_S3 else str(self)
            region = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            region = region.get("x-amz-bucket-region", boto3.session.Session().region_name)
            advice, again = _ADVICE.get(code, ("see what AWS says of it", True))
            message = error.response["Error"].get("Message") or code
            raise dg.Failure(
                f"{where}: {error.operation_name} in {region} was refused: {code}, "
                f"{message.rstrip('.')}; {advice}",
                allow_retries=again,
            ) from error
        except BotoCoreError as error:
            raise dg.Failure(
                f"{self}: AWS cannot be reached: {error}; check AWS_REGION, the "
                "credentials and the way there (endpoints, security groups)"
            ) from error


_OF_S3: Final = frozenset({"PutObject", "HeadObject", "GetObject", "ListObjectsV2"})

_PERMISSION: Final = ("allow it in the policy of Dagster's role (see docs/glue.md)", False)
_CREDENTIALS: Final = ("renew the credentials of Dagster's role, or sign in again", False)
_ABSENT: Final = ("deploy it, or correct LAKEHOUSE_GLUE_JOB_PREFIX or AWS_REGION", False)
_REGION: Final = ("set AWS_REGION to the region of the bucket", False)
_BUCKET: Final = ("create the bucket, or correct LAKEHOUSE_DEPLOYMENT", False)
_BUSY: Final = ("the account's limits are reached; it is tried again", True)
_ADVICE: Final[dict[str, tuple[str, bool]]] = {
    "AccessDenied": _PERMISSION,
    "AccessDeniedException": _PERMISSION,
    "403": _PERMISSION,
    "ExpiredToken": _CREDENTIALS,
    "ExpiredTokenException": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidClientTokenId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "UnrecognizedClientException": _CREDENTIALS,
    "EntityNotFoundException": _ABSENT,
    "NoSuchBucket": _BUCKET,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "ConcurrentRunsExceededException": ("a run that is not of this table's step is at it", True),
    "ResourceNumberLimitExceededException": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "SlowDown": _BUSY,
    "InvalidInputException": ("check the job's role, script and arguments", False),
}


def _client(service: str) -> Any:
    retries = Config(retries={"mode": "standard"})
    return boto3.client(service, config=retries)


# -------------------------------------------------------------------------- context and messages


@dataclass
class _Exchange:
    """Where one run's context and messages lie: all below one prefix, so that all can go."""

    s3: Any
    bucket: str
    prefix: str
    kept: bool = False

    @classmethod
    def of(cls, run: Mapping[str, Any] | None, place: str, s3: Any) -> _Exchange:
        """A run's exchange as its arguments name it; a new one for None."""
        if run and (told := run.get("Arguments", {}).get(_MESSAGES)):
            params = decode_param(told)
            return cls(s3, params["bucket"], params["key_prefix"])
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        return cls(s3, bucket, f"{prefix}/{uuid.uuid4().hex}".lstrip("/"))

    @property
    def context(self) -> str:
        return f"{self.prefix}/context.json"

    def clear(self) -> None:
        """Remove all of it, unless it is kept for a job that may still run."""
        if self.kept:
            return
        pages = self.s3.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/"):
            for found in page.get("Contents", ()):
                self.s3.delete_object(Bucket=self.bucket, Key=found["Key"])


class _Injector(dg.PipesContextInjector):
    """Hands the context over at the exchange; an adopted job has had it."""

    def __init__(self, exchange: _Exchange, *, adopted: bool) -> None:
        self._exchange = exchange
        self._adopted = adopted

    @contextmanager
    def inject_context(self, context: PipesContextData) -> Iterator[dict[str, Any]]:
        there = {"Bucket": self._exchange.bucket, "Key": self._exchange.context}
        if not self._adopted:
            self._exchange.s3.put_object(**there, Body=json.dumps(context).encode())
        yield {"bucket": self._exchange.bucket, "key": self._exchange.context}

    def no_messages_debug_text(self) -> str:
        return f"The context lay at {self._exchange.context}."


class _Reader(PipesS3MessageReader):
    """Reads the messages at the exchange, from the first one on. One for each run."""

    def __init__(self, exchange: _Exchange, interval: float) -> None:
        super().__init__(bucket=exchange.bucket, client=exchange.s3, interval=interval)
        self._exchange = exchange

    @property
    def expected_writer_count(self) -> int:
        """One job: Dagster's own answer too, which warns that it is a preview."""
        return 1

    @contextmanager
    def get_params(self) -> Iterator[dict[str, Any]]:
        yield {"bucket": self.bucket, "key_prefix": self._exchange.prefix}


# ------------------------------------------------------------------------------------------ logs


@dataclass
class _Logs:
    """What a run prints, from CloudWatch to the step's own output, as far as it has come.

    dagster-aws's reader asks without a pause, and never ends where nothing more is printed.
    """

    client: Any
    run_id: str
    _tokens: dict[str, str] = field(default_factory=dict)

    def pass_on(self, job_run: Mapping[str, Any]) -> None:
        """Print what has come since it was last asked."""
        group = job_run.get("LogGroupName", "/aws-glue/jobs")
        self._pass_on(f"{group}/output", sys.stdout)
        self._pass_on(f"{group}/error", sys.stderr)

    def _pass_on(self, group: str, target: TextIO) -> None:
        while True:
            token = self._tokens.get(group)
            since = {"nextToken": token} if token else {}
            try:
                page = self.client.get_log_events(
                    logGroupName=group, logStreamName=self.run_id, startFromHead=True, **since
                )
            except ClientError as error:  # nothing printed yet, or nobody may look
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    print(f"{group}: {error}", file=target)
                return
            for event in page["events"]:
                print(event["message"].rstrip("\n"), file=target, flush=True)
            self._tokens[group] = page["nextForwardToken"]
            if page["nextForwardToken"] == token:
                return
