"""Jobs through the Glue runner: what they tell arrives, however they end, and nothing stays."""

# No `from __future__ import annotations` here: Dagster reads the annotations of assets.
import gc
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import pytest

from deploy.glue.definition import job_definition
from lakehouse_assets.defs.table_assets import run as run_table
from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.tables.registry import DATASETS
from resources.glue_jobs import WORK
from resources.glue_pipes import GlueJob
from resources.runners import GlueRunner, runner
from resources.settings import Settings, SettingsError
from tests.support.glue_runtime import LocalGlue
from tests.support.processes import until

pytestmark = [
    pytest.mark.aws,
    # As in assets.py: single-run backfills are beta, checks per partition a preview.
    pytest.mark.filterwarnings("ignore::dagster.BetaWarning", "ignore::dagster.PreviewWarning"),
]

TABLE = DATASETS["products"].bronze
NAME = "lakehouse-bronze-products"
KEY = dg.AssetKey(["bronze", "products"])
D1, D2 = date(2025, 4, 1), date(2025, 4, 2)
DAYS = dg.DailyPartitionsDefinition("2025-01-01", end_offset=1)
RESULT = Result(
    TABLE.id,
    version=3,
    days={D1: {"read": 7}, D2: {"read": 5}},
    checks=[
        Check("one", passed=True, day=D1),
        Check("two", passed=False, day=D2, severity=Severity.WARN, metadata={"rows": 3}),
    ],
    metadata={"seconds": 1.5, "sample": ["a", None]},
    lines=["products/2025-04-01/p.csv: wrong; mend it"],
)
TELL = f"pipes.report_custom_message({{'result': {RESULT.to_json()!r}}})"
# Waits for a word from the test; what never comes ends as a time-out.
WAIT = """
while "Contents" not in s3.list_objects_v2(Bucket="lake", Prefix="go"):
    time.sleep(0.05)
"""
JOB = """
import json, time
import boto3
from dagster_pipes import *
s3 = boto3.client("s3")
with open_dagster_pipes(
    params_loader=PipesCliArgsParamsLoader(),
    context_loader=PipesS3ContextLoader(client=s3),
    message_writer=PipesS3MessageWriter(client=s3, interval=0),
) as pipes:
    exec({body!r})
"""


def job(*body: str) -> str:
    """A job's script that opens Pipes, and then does this."""
    return JOB.format(body="\n".join(body))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster waits ten seconds for words of a job that did not close; here they come at once.

    It counts whole seconds, and waits for more than so many: for none, it looks once again.
    """
    monkeypatch.setattr("dagster._core.pipes.utils.WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", -1)


@dataclass(frozen=True)
class Outcome:
    """What came of a run of the one asset here.

    `line` is the text that the failed step shows; `checks` the evaluations on record.
    """

    success: bool
    results: list[Result]
    line: str
    checks: dict[str, bool]


def run(
    dates: Sequence[date] = (D1,), retries: int = 0, between: Callable[[], None] = lambda: None
) -> Outcome:
    """Run the table's asset through the Glue runner; `between` comes after each failure."""
    os.environ["LAKEHOUSE_GLUE_RETRIES"] = str(retries)  # the fixture puts it back
    results: list[Result] = []
    specs = [dg.AssetCheckSpec(name, asset=KEY, partitions_def=DAYS) for name in ("one", "two")]

    @dg.asset(
        key=KEY,
        partitions_def=DAYS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=specs,
    )
    def table(context: dg.AssetExecutionContext, runner: dg.ResourceParam[GlueRunner]) -> Any:
        try:
            results.append(run_table(context, runner, TABLE.id))
        except (dg.Failure, dg.RetryRequested):
            between()
            raise
        yield dg.MaterializeResult()
        for check in results[-1].checks:
            yield dg.AssetCheckResult(check_name=check.name, passed=check.passed)

    first, last = str(dates[0]), str(dates[-1])
    ranged = {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [table],
            instance=instance,
            resources={"runner": runner(Settings.load())},
            partition_key=first if first == last else None,
            tags=ranged if first != last else {},
            raise_on_error=False,
        )
        failures = _events(instance, done.run_id, dg.DagsterEventType.STEP_FAILURE)
        told = [f.user_failure_data.description for f in failures if f.user_failure_data]
        checks = _events(instance, done.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        passed = {check.check_name: check.passed for check in checks}
        return Outcome(done.success, results, "".join(told[-1:]), passed)


def _events(instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType) -> list[Any]:
    found = [record.dagster_event for record in instance.all_logs(run_id, of_type=kind)]
    return [event.event_specific_data for event in found if event]


@pytest.fixture
def deploy(glue: LocalGlue) -> Callable[..., None]:
    """Deploys a script as the table's job, which there is work for."""
    glue.put("raw/products/2025-04-01/p.csv", b"product_id\n")

    def deployed(script: str, **more: Any) -> None:
        at = glue.put("deployment/etl_scripts/job.py", script.encode())
        wheels = "s3://lake/deployment/etl_scripts/lakehouse.gluewheels.zip"
        role = "arn:aws:iam::123456789012:role/glue"
        asked = job_definition(NAME, TABLE, role, "us-east-1", at, wheels)
        glue.client("glue").create_job(**asked | more)

    return deployed


@pytest.fixture(autouse=True)
def _nothing_stays(glue: LocalGlue) -> Any:
    yield
    assert not glue.keys("deployment/pipes"), "the context, or messages, stayed in the bucket"
    assert glue.running == [], "a job still runs"


# --------------------------------------------------------------------------- what a job is told


def test_a_range_reaches_the_job_and_its_result_comes_back_whole(
    glue: LocalGlue, deploy: Callable[..., None]
) -> None:
    told = "pipes.log.info('asked: ' + json.dumps(pipes.extras['dates']))"
    deploy(
        job(
            "assert pipes.extras['dates'] == ['2025-04-01', '2025-04-02'], pipes.extras", told, TELL
        )
    )
    done = run([D1, D2])
    assert done.success
    (result,) = done.results
    assert result.metadata.pop("dpu_seconds") == 600  # ten workers, a minute at least
    assert result.metadata.pop("cost_usd") == pytest.approx(0.0733)
    assert result == RESULT


def test_each_run_has_a_reader_of_its_own(glue: LocalGlue, deploy: Callable[..., None]) -> None:
    deploy(job(TELL))
    assert [run().success, run().success] == [True, True]


# --------------------------------------------------------------------------- how a job can end


def test_a_job_that_says_nothing_is_not_done(glue: LocalGlue, deploy: Callable[..., None]) -> None:
    deploy("print('all is well')")
    done = run()
    assert not done.success
    assert f"{NAME}, run jr_" in done.line
    assert "succeeded without its closing message; check" in done.line


def test_a_job_that_lacks_a_declared_check_fails(
    glue: LocalGlue, deploy: Callable[..., None]
) -> None:
    lacking = Result(TABLE.id, checks=RESULT.checks[:1])
    deploy(job(f"pipes.report_custom_message({{'result': {lacking.to_json()!r}}})"))
    done = run()
    assert not done.success
    assert done.line.startswith("bronze.products: its job reported no outcome of two;")
    assert done.checks == {"one": True}


def test_checks_told_before_a_failure_are_on_record(
    glue: LocalGlue, deploy: Callable[..., None]
) -> None:
    deploy(job(TELL, "raise RuntimeError('disk full')"))
    done = run()
    assert not done.success
    assert "FAILED, RuntimeError: disk full; see" in done.line
    assert done.checks == {"one": True, "two": False}


def test_what_may_pass_is_tried_again_and_refused_data_is_not(
    glue: LocalGlue, deploy: Callable[..., None]
) -> None:
    deploy(job("raise RuntimeError('lost an executor')"))
    assert not run(retries=2).success
    assert glue.requests.count("StartJobRun") == 3
    deploy(job("pipes.report_custom_message({'refused': 'silver.orders: key is null'})", "1 / 0"))
    done = run(retries=2)
    assert not done.success
    assert done.line == "silver.orders: key is null"
    assert glue.requests.count("StartJobRun") == 4


def test_a_job_that_takes_too_long_is_one_line(
    glue: LocalGlue, deploy: Callable[..., None]
) -> None:
    deploy(job(WAIT), Timeout=6)
    assert "ran out of its time; give the table's contract more capacity" in run(retries=1).line
    assert glue.requests.count("StartJobRun") == 1


def test_a_job_that_expires_ends(glue: LocalGlue, deploy: Callable[..., None]) -> None:
    glue.capacity.clear()
    glue.expiry = 1
    deploy(job(TELL))
    assert "EXPIRED, The run waited for too long." in run().line


def test_a_job_that_never_starts_is_stopped(
    glue: LocalGlue, deploy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    glue.capacity.clear()
    monkeypatch.setenv("LAKEHOUSE_GLUE_START_MINUTES", "0.01")
    deploy(job(TELL))
    assert "not started within 0.01 minutes; check the account's limits" in run().line
    assert glue.states == ["STOPPED"]


def test_someone_stops_a_job(glue: LocalGlue, deploy: Callable[..., None]) -> None:
    deploy(job(WAIT))
    threading.Thread(target=_stop_when_running, args=(glue,)).start()
    assert "someone stopped it;" in run(retries=1).line


def _stop_when_running(glue: LocalGlue) -> None:
    while not glue.running:
        time.sleep(0.05)
    glue.client("glue").batch_stop_job_run(JobName=NAME, JobRunIds=glue.running)


# ---------------------------------------------------------------------------- while it runs


def test_what_a_job_prints_comes_while_it_runs(
    glue: LocalGlue, deploy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reader(io.StringIO):
        def write(self, text: str) -> int:
            if "half way" in text:
                glue.put("go", b"on")
            return super().write(text)

    monkeypatch.setattr("sys.stdout", output := Reader())
    deploy(job("print('half way')", WAIT, "print('through')", TELL), Timeout=60)
    assert run().success
    assert "half way\n" in output.getvalue()
    assert "through\n" in output.getvalue()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_cancelling_stops_the_job_first(glue: LocalGlue, deploy: Callable[..., None]) -> None:
    over = threading.Event()

    def cancel() -> None:
        while not over.wait(0.05):
            # Once the run has been told which job is its own.
            if "RUNNING" in glue.states and "GetJobRun" in glue.requests:
                os.kill(os.getpid(), signal.SIGINT)
                return

    deploy(job(WAIT))
    threading.Thread(target=cancel).start()
    try:
        assert not run().success
    finally:
        over.set()
        # The signal may come in the middle of a request, whose socket nobody can close then: it is
        # to go now, and not to be found in the middle of another test.
        gc.collect()
    assert glue.states == ["STOPPED"]


def test_stopping_what_has_ended_is_no_error(glue: LocalGlue, deploy: Callable[..., None]) -> None:
    deploy("")
    run_id = glue.client("glue").start_job_run(JobName=NAME)["JobRunId"]
    while glue.running:
        time.sleep(0.05)
    context = dg.build_op_context()
    found = GlueJob(NAME, "s3://lake/deployment/pipes", poll_seconds=0.1)._stop(context, run_id)
    assert found["JobRunState"] == "SUCCEEDED"


# ---------------------------------------------------------------------------- after a dead run


def test_the_job_of_a_lost_step_is_adopted(glue: LocalGlue, deploy: Callable[..., None]) -> None:
    """The step dies while its job runs on; the same run's next attempt takes the job over."""
    glue.refusals["GetJobRun"] = ("InternalServiceException", "not now")

    def recover() -> None:
        glue.refusals.clear()
        glue.put("go", b"on")

    deploy(job(WAIT, TELL), Timeout=60)
    done = run(retries=1, between=recover)
    assert done.success
    assert done.results[0].days == RESULT.days
    assert glue.requests.count("StartJobRun") == 1


def test_the_job_of_another_run_is_stopped_first(
    glue: LocalGlue, deploy: Callable[..., None]
) -> None:
    deploy("import time; time.sleep(60)")
    glue.client("glue").start_job_run(JobName=NAME, Arguments={WORK: "another-run/1"})
    # Until then it may still fetch the script that comes now.
    until(lambda: glue.states == ["RUNNING"], 60, "the other run has begun")
    deploy(job(TELL))
    assert run().success
    assert glue.states == ["STOPPED", "SUCCEEDED"]


# -------------------------------------------------------------------------- what AWS refuses


@pytest.mark.parametrize(
    ("operation", "code", "advice"),
    [
        ("StartJobRun", "AccessDeniedException", "allow it in the policy of Dagster's role"),
        ("GetJobRuns", "ExpiredTokenException", "renew the credentials of Dagster's role"),
        ("StartJobRun", "ThrottlingException", "the account's limits are reached"),
        ("StartJobRun", "ResourceNumberLimitExceededException", "the account's limits are"),
        ("StartJobRun", "InvalidInputException", "check the job's role"),
    ],
)
def test_a_refusal_is_one_clear_line(
    glue: LocalGlue, deploy: Callable[..., None], operation: str, code: str, advice: str
) -> None:
    deploy(job(TELL))
    glue.refusals[operation] = (code, "No.")
    line = run().line
    assert line.startswith(f"Glue job {NAME}: {operation} in us-east-1 was refused: {code}, No; ")
    assert advice in line
    assert "\n" not in line


def test_a_job_that_is_not_there_is_one_clear_line(glue: LocalGlue) -> None:
    line = run().line
    assert line.startswith(f"Glue job {NAME}: GetJobRuns in us-east-1 was refused: EntityNot")
    assert "deploy it, or correct LAKEHOUSE_GLUE_JOB_PREFIX or AWS_REGION" in line


def test_a_bucket_that_is_not_there_is_one_clear_line(
    glue: LocalGlue, deploy: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(job(TELL))
    monkeypatch.setenv("LAKEHOUSE_DEPLOYMENT", "s3://no-such-bucket")
    line = run().line
    assert line.startswith("s3://no-such-bucket/pipes: ")
    assert "create the bucket, or correct LAKEHOUSE_DEPLOYMENT" in line


def test_a_role_that_is_not_there_is_one_clear_line(
    glue: LocalGlue, deploy: Callable[..., None]
) -> None:
    said = "Role arn:aws:iam::123456789012:role/glue should be given assume role permissions"
    deploy(f"raise SystemExit({said!r})")
    assert "check that the job's role exists and that Glue may assume it" in run(retries=1).line
    assert glue.requests.count("StartJobRun") == 1


def test_a_lake_in_a_folder_is_out_of_a_jobs_reach(
    glue: LocalGlue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_RAW", "here")
    with pytest.raises(SettingsError, match="LAKEHOUSE_RAW: a Glue job cannot reach the folder"):
        Settings.load().of_a_job()
