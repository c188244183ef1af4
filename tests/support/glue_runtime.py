"""A small Glue on this machine: it really runs the script of a job, with its wheels.

An HTTP server that speaks Glue's protocol for jobs and their runs, and passes everything else on
to moto, so that one ``AWS_ENDPOINT_URL`` serves all. A run is a process of its own: a Python that
has what Glue brings and the job's wheels, installed without an index, and nothing else. Its
environment names no credentials and no region: its role's are served as Glue serves them
(`tests/support/metadata.py`). What it prints goes to CloudWatch's log groups while it runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import boto3

from resources.engines import SPARK_CONFIG
from resources.spark_s3 import on_s3
from tests.support.glue_logs import STREAMS, Tail, log_groups, role_of
from tests.support.glue_python import GluePythons
from tests.support.metadata import serving_role
from tests.support.object_store import BUCKET, Handler, Store
from tests.support.recorded import Recorded
from tests.support.recorder import Recorder
from tests.support.servers import at_work

DPUS = {"G.025X": 0.25, "G.1X": 1.0, "G.2X": 2.0, "G.4X": 4.0, "G.8X": 8.0}
ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}


class RefusedError(Exception):
    """An answer with an error code, as Glue gives it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Run:
    """A job run: what Glue says of it, and what it hangs on."""

    told: dict[str, Any]
    job: Mapping[str, Any]
    stop: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)

    @property
    def ended(self) -> bool:
        return self.told["JobRunState"] in ENDED


class LocalGlue:
    """The runtime before a moto; a context manager that ends it, and every run.

    ``minute`` is how many seconds a job's minute lasts. Without ``capacity`` runs wait, and
    expire after ``expiry`` minutes. ``refusals`` are answers that operations give instead of
    their own: operation → (code, message).
    """

    def __init__(
        self, folder: Path, store: Store, minute: float = 60.0, region: str = "us-east-1"
    ) -> None:
        self.minute = minute
        self.region = region
        self.expiry = 60.0
        self.capacity = threading.Event()
        self.capacity.set()
        self.refusals: dict[str, tuple[str, str]] = {}
        self.requests: list[str] = []
        self._folder, self._store = folder, store
        self._jobs: dict[str, dict[str, Any]] = {}
        self._runs: list[Run] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._pythons = GluePythons(folder)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._server = _Server(self._store.port, _Handler)
            self._server.glue = self
            self._url = stack.enter_context(at_work(self._server))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._stack.close()

    @property
    def recorded(self) -> list[Recorded]:
        """All requests that came through here."""
        return self._server.recorded

    @property
    def environment(self) -> dict[str, str]:
        """What leads the boto3, delta-rs, Sail and Spark of other processes here."""
        return {**self._environment, "AWS_ENDPOINT_URL": self._url}

    @property
    def own_environment(self) -> dict[str, str]:
        """The same for the process that this lives in: only what is Glue's comes here.

        delta-rs keeps the interpreter while it waits, and nothing here could answer it.
        """
        return {**self._environment, "AWS_ENDPOINT_URL_GLUE": self._url}

    @property
    def port(self) -> str:
        """Where it listens on 127.0.0.1."""
        return self._url.rpartition(":")[2]

    @property
    def _environment(self) -> dict[str, str]:
        here = dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION"), self.region)
        return self._store.environment(failing=False) | here

    def client(self, service: str, key: str = "test") -> Any:
        """A client of this AWS, of somebody else or of whom the key's id names."""
        told = self.environment
        return boto3.client(
            service,
            endpoint_url=told["AWS_ENDPOINT_URL"],
            region_name=told["AWS_REGION"],
            aws_access_key_id=key,
            aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
        )

    # -------------------------------------------------------------------------- what tests do

    def put(self, key: str, data: bytes) -> str:
        """Put an object into the bucket; returns its ``s3://`` place."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=data)
        return f"s3://{BUCKET}/{key}"

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix of the bucket."""
        found = self.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [content["Key"] for content in found.get("Contents", ())]

    @property
    def states(self) -> list[str]:
        """The state of every run, in their order."""
        return [run.told["JobRunState"] for run in self._runs]

    @property
    def running(self) -> list[str]:
        """The ids of the runs that have not ended."""
        return [run.told["Id"] for run in self._runs if not run.ended]

    def reset(self) -> None:
        """End all runs; forget them, the jobs and the objects, but keep what is deployed."""
        self.capacity.set()
        for run in self._runs:
            run.stop.set()
        for thread in self._threads:
            thread.join()
        self._runs, self._threads, self._jobs = [], [], {}
        self.refusals, self.requests, self.expiry = {}, [], 60.0
        self._server.recorded.clear()
        for key in [key for key in self.keys("") if not key.endswith(".zip")]:
            self.client("s3").delete_object(Bucket=BUCKET, Key=key)

    # ------------------------------------------------------------------------------- protocol

    def answer(self, operation: str, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Glue's answer; None for an operation that is not about jobs. Raises RefusedError."""
        self.requests.append(operation)
        if operation in self.refusals:
            raise RefusedError(*self.refusals[operation])
        with self._lock:
            match operation:
                case "CreateJob":
                    self._jobs[asked["Name"]] = asked
                    return {"Name": asked["Name"]}
                case "GetJob":
                    return {"Job": self._job(asked["JobName"])}
                case "StartJobRun":
                    return {"JobRunId": self._start(**asked)}
                case "GetJobRun":
                    return {"JobRun": self._run(asked["JobName"], asked["RunId"]).told}
                case "GetJobRuns":
                    self._job(asked["JobName"])
                    runs = [r.told for r in self._runs if r.told["JobName"] == asked["JobName"]]
                    return {"JobRuns": runs[::-1]}
                case "BatchStopJobRun":
                    return self._stop(**asked)
        return None

    def _job(self, name: str) -> dict[str, Any]:
        if name not in self._jobs:
            raise RefusedError("EntityNotFoundException", f"Job {name} is not found.")
        return self._jobs[name]

    def _run(self, name: str, run_id: str) -> Run:
        for run in self._runs:
            if (run.told["JobName"], run.told["Id"]) == (name, run_id):
                return run
        raise RefusedError("EntityNotFoundException", f"Run {run_id} of job {name} is not found.")

    def _start(self, JobName: str, Arguments: dict[str, str] | None = None) -> str:  # noqa: N803
        job = self._job(JobName)
        alive = [r for r in self._runs if r.told["JobName"] == JobName and not r.ended]
        if len(alive) >= job.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1):
            raise RefusedError(
                "ConcurrentRunsExceededException", f"Concurrent runs exceeded for {JobName}"
            )
        told: dict[str, Any] = {
            "Id": f"jr_{uuid.uuid4().hex}",
            "JobName": JobName,
            "StartedOn": time.time(),
            "JobRunState": "STARTING",
            "Arguments": Arguments or {},
            "LogGroupName": log_groups(job),
            "ExecutionTime": 0,
            "MaxCapacity": job.get("NumberOfWorkers", 2) * DPUS[job.get("WorkerType", "G.1X")],
        }
        run = Run(told, job)
        self._runs.append(run)
        thread = threading.Thread(target=self._carry_out, args=(run,))
        self._threads.append(thread)
        thread.start()
        return str(told["Id"])

    def _stop(self, JobName: str, JobRunIds: list[str]) -> dict[str, Any]:  # noqa: N803
        done: list[dict[str, str]] = []
        errors: list[dict[str, Any]] = []
        for run_id in JobRunIds:
            this = {"JobName": JobName, "JobRunId": run_id}
            run = self._run(JobName, run_id)
            if run.ended:
                detail = {"ErrorCode": "IllegalState", "ErrorMessage": "Job run has ended"}
                errors.append({**this, "ErrorDetail": detail})
            else:
                run.told["JobRunState"] = "STOPPING"
                run.stop.set()
                done.append(this)
        return {"SuccessfulSubmissions": done, "Errors": errors}

    # ------------------------------------------------------------------------------- one run

    def _carry_out(self, run: Run) -> None:
        try:
            self._wait_for_capacity(run)
            if not run.ended:
                self._work(run)
        except Exception as error:  # noqa: BLE001 - Glue tells of its own faults this way
            self._end(run, "ERROR", f"{type(error).__name__}: {error}")

    def _wait_for_capacity(self, run: Run) -> None:
        while not self.capacity.wait(0.05):
            if run.stop.is_set():
                self._end(run, "STOPPED")
                return
            if time.monotonic() - run.began > self.expiry * self.minute:
                self._end(run, "EXPIRED", "The run waited for too long.")
                return
            if run.told["JobRunState"] == "STARTING":
                run.told["JobRunState"] = "WAITING"

    def _work(self, run: Run) -> None:
        arguments = {**run.job.get("DefaultArguments", {}), **run.told["Arguments"]}
        folder = self._folder / run.told["Id"]
        folder.mkdir(parents=True)
        script = folder / "script.py"
        role = role_of(run.job)

        def fetch(uri: str) -> bytes:
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            found: bytes = self.client("s3", role).get_object(Bucket=bucket, Key=key)["Body"].read()
            return found

        script.write_bytes(fetch(run.job["Command"]["ScriptLocation"]))
        python = self._pythons.of(arguments, fetch)
        given = {"--JOB_NAME": run.told["JobName"], "--JOB_RUN_ID": run.told["Id"], **arguments}
        with self._lock:
            if not run.stop.is_set():
                run.told["JobRunState"] = "RUNNING"
        began = time.monotonic()
        with (
            serving_role(role) as credentials,
            subprocess.Popen(
                [python, script, *(part for pair in given.items() for part in pair)],
                env=self._job_environment(folder, python) | credentials,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as process,
        ):
            logs = self.client("logs", role)
            groups = log_groups(run.job)
            tails = [Tail(logs, f"{groups}/{kind}", run.told["Id"]) for kind in STREAMS]
            pairs = zip(tails, (process.stdout, process.stderr), strict=True)
            readers = [threading.Thread(target=tail.follow, args=(s,)) for tail, s in pairs]
            for reader in readers:
                reader.start()
            state = self._await(run, process, began)
            for reader in readers:
                reader.join()
        run.told["ExecutionTime"] = round(time.monotonic() - began)
        self._end(run, state, tails[1].last if state == "FAILED" else None)

    def _await(self, run: Run, process: subprocess.Popen[bytes], began: float) -> str:
        state = None
        while process.poll() is None:
            if run.stop.wait(0.05):
                state = "STOPPED"
            elif time.monotonic() - began > run.job.get("Timeout", 2880) * self.minute:
                state = "TIMEOUT"
            if state:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return state
        return "FAILED" if process.returncode else "SUCCEEDED"

    def _end(self, run: Run, state: str, message: str | None = None) -> None:
        with self._lock:
            if message:
                run.told["ErrorMessage"] = message
            run.told["CompletedOn"] = time.time()
            run.told["JobRunState"] = state

    def _job_environment(self, folder: Path, python: Path) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "JAVA_HOME", "LANG"}}
        led = {name: self.environment[name] for name in ("AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP")}
        config = on_s3(SPARK_CONFIG, environment=self.environment)
        defaults = folder / "spark-defaults.conf"
        defaults.write_text("".join(f"{key} {value}\n" for key, value in config.items()))
        spark = {"SPARK_CONF_DIR": str(folder), "PYSPARK_PYTHON": str(python)}
        return {**kept, **led, **spark, "PYTHONUNBUFFERED": "1"}


class _Server(Recorder):
    glue: LocalGlue


class _Handler(Handler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802 - http.server's name
        service, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
        if service != "AWSGlue" or operation not in _MINE:
            self.pass_on()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = 200, {}
        try:
            answer = self.server.glue.answer(operation, json.loads(body)) or {}
        except RefusedError as refused:
            status, answer = 400, {"__type": refused.code, "Message": str(refused)}
        data = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.server.saw(self, body, status, data)


_MINE = {"CreateJob", "GetJob", "StartJobRun", "GetJobRun", "GetJobRuns", "BatchStopJobRun"}
