"""An AWS on this machine, and the platform at work on it: `python -m tests.aws.local [--stay]`.

S3, SQS, SNS, EventBridge, CloudWatch and the Glue catalog are moto's; Glue jobs really run, each
in a process of its own with Spark and the wheels. With ``--frugal`` there are none: the run does
the tables' work itself, as in an environment of that profile. Webserver and daemon run as they
would on AWS, led there by their settings alone. Files are copied into the raw bucket; what follows
is told as it happens. Then Dagster is stopped, and a state machine carries the next day's files.
With ``--stay`` the UI is left open until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.glue.build import build
from deploy.glue.standby import definition
from lakehouse_assets.tables.registry import queryable, table_ids
from resources.dagster_instance import open_instance
from resources.settings import Settings
from tests.aws.account import LOOK_SECONDS, NAMESPACE, PROCESSED, RAW, Account
from tests.support import PROJECT, SAMPLE
from tests.support.commands import Lakehouse, put
from tests.support.glue_runtime import LocalGlue
from tests.support.object_store import Store
from tests.support.processes import until
from tests.support.recorded import Recorded
from tests.support.servers import lakehouse_ui, own_port
from tests.support.state_machines import carried_out

if TYPE_CHECKING:
    import dagster as dg

DAYS = ("2025-04-15", "2025-04-16")
_PATIENCE_SECONDS = 1800
_LOOKS, _MOST = 10, 20
"""Looks that are counted, and requests that one with nothing new may take."""


def main() -> int:
    """Tell the story; returns 1 where something did not happen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frugal", action="store_true", help="without Glue jobs")
    parser.add_argument("--stay", action="store_true", help="leave the UI open until Ctrl-C")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Store() as store,
        LocalGlue(Path(folder, "glue"), store) as glue,
    ):
        wheels = None
        if not options.frugal:
            say("Building the wheels that travel to Glue")
            wheels = build(Path(folder, "wheels"))
        account = Account(glue, wheels, Path(folder, "home"))
        with own_port() as port:
            os.environ |= account.environment(f"http://127.0.0.1:{port}")
            dagster = partial(lakehouse_ui, Path(folder, "ui.log"), os.environ, port)
            with dagster():
                story(account)
                idle_looks(account)
            if not options.frugal:
                standby(account, Path(folder))
                with dagster():
                    nothing_twice(account)
            if options.stay:
                with dagster():
                    say(f"The UI is open on http://127.0.0.1:{port}; Ctrl-C ends everything")
                    wait_for_ctrl_c()
    return 0


def story(account: Account) -> None:
    """From a file in the raw bucket to an answer; raises where a step does not happen."""
    say(f"Files arrive in s3://{RAW}")
    for key in account.arrive(DAYS[0]):
        print(f"   {key}")
    say("The sensor starts a run")
    run = finished_run()
    for record in run_steps(run):
        print(f"   {record}")
    print(f"   {run.status.value}: {os.environ['LAKEHOUSE_UI_URL']}/runs/{run.run_id}")
    say("What it was told of, in a queue that is subscribed to the topics")
    for message in until(account.messages, _PATIENCE_SECONDS, "a message"):
        print(f"   [{message['TopicArn'].rpartition(':')[2]}] {message.get('Subject')}")
        print("      " + "\n      ".join(message["Message"].splitlines()[:6]))
    say("Its figures in CloudWatch")
    for line in until(lambda: figures(account), _PATIENCE_SECONDS, "a figure"):
        print(f"   {line}")
    say("What was processed lies in the archive; what a person must look at does not")
    for key in account.keys(RAW):
        print(f"   {key}")
    say("The tables in the Glue catalog")
    glue = account.aws.client("glue")
    for database in sorted(d["Name"] for d in glue.get_databases()["DatabaseList"]):
        tables = sorted(t["Name"] for t in glue.get_tables(DatabaseName=database)["TableList"])
        print(f"   {database}: {', '.join(tables)}")
    say("Queries: Athena's dialect, here on the embedded engine over the same S3")
    for name in ("daily_revenue", "rejected_by_reason"):
        print(lakehouse("query", "--name", name))
    assert account.keys(PROCESSED, "gold/daily_sales/")


def idle_looks(account: Account) -> None:
    """What the sensor asks of S3 in ten looks while nothing comes; raises where it is too much."""
    say(f"Ten looks of the sensor while nothing comes, {LOOK_SECONDS} s apart")

    looks(account, 2)  # at everything, after the run, and an idle one
    counts = Counter(looks(account, _LOOKS))
    print("   " + ", ".join(f"{number} {kind}" for kind, number in counts.items()))
    assert counts.total() <= _LOOKS * _MOST, counts


def standby(account: Account, folder: Path) -> None:
    """A state machine carries the next day's files; raises where gold is not as on a laptop."""
    say("Dagster is stopped; files arrive, and a person starts the state machine")
    for key in account.arrive(DAYS[1]):
        print(f"   {key}")
    settings = Settings.load()
    machine = definition(settings.glue_job_prefix, json.dumps(settings.of_a_job()))
    ended = carried_out(machine, account.aws, folder)
    print(f"   {ended['status']}: {len(table_ids())} jobs, one after the other")
    assert ended["status"] == "SUCCEEDED", (ended["error"], ended["cause"])
    answer = lakehouse("query", "--name", "daily_revenue")
    print(answer)
    laptop = Lakehouse(folder / "laptop")
    for path in (path for day in DAYS for path in sorted(SAMPLE.glob(f"*/{day}/*"))):
        put(laptop, path.name, path.read_bytes(), path.parent.name)
    laptop.ok("run")
    assert answer == laptop.ok("query", "--name", "daily_revenue")


def nothing_twice(account: Account) -> None:
    """Dagster looks about itself again; raises where it repeats what the state machine did."""
    say("Dagster is started again: it finds everything done")
    tables = list(queryable().values())

    def done() -> tuple[int, int, object]:
        jobs = account.aws.requests.count("StartJobRun")
        runs = open_instance(Settings.load()).get_runs_count()
        return jobs, runs, Settings.load().lake().versions(tables)

    before = done()
    looks(account, 3)
    jobs, runs, versions = done()
    print(f"   {jobs - before[0]} jobs and {runs - before[1]} runs started")
    assert (jobs, runs, versions) == before
    print(lakehouse("status"))


def looks(account: Account, number: int) -> list[str]:
    """Wait for looks of the sensor; returns what they asked of the buckets."""

    def asked() -> list[str]:
        return [_kind(request) for request in account.aws.recorded if _of_lake(request)]

    before = len(asked())
    until(lambda: asked()[before:].count("LIST") >= number, _PATIENCE_SECONDS, f"{number} looks")
    return asked()[before:]


def _of_lake(request: Recorded) -> bool:
    return request.path.startswith((f"/{RAW}", f"/{PROCESSED}"))


def _kind(request: Recorded) -> str:
    return "LIST" if "list-type=2" in request.target else request.method


def run_steps(run: dg.DagsterRun) -> Iterator[str]:
    """What each step did, and what it cost."""
    import dagster as dg

    instance = open_instance(Settings.load())
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = entry.get_dagster_event()
        metadata = event.step_materialization_data.materialization.metadata
        if "version" not in metadata:
            continue
        told = {
            name: metadata[name].value
            for name in ("dagster/row_count", "dpu_seconds", "cost_usd")
            if name in metadata
        }
        yield f"{event.step_key}: " + ", ".join(f"{k.split('/')[-1]} {v}" for k, v in told.items())


def finished_run() -> dg.DagsterRun:
    """The run that the sensor started, once it is through."""
    import dagster as dg

    instance = open_instance(Settings.load())
    ended = dg.RunsFilter(
        job_name="lakehouse",
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
    )
    run: dg.DagsterRun
    [run] = until(lambda: list(instance.get_runs(ended)), _PATIENCE_SECONDS, "the end of a run")
    return run


def figures(account: Account) -> list[str]:
    """The newest value of each figure of gold's and silver's tables."""
    cloudwatch = account.aws.client("cloudwatch")
    now = datetime.now(UTC)
    found = []
    for metric in cloudwatch.list_metrics(Namespace=NAMESPACE)["Metrics"]:
        points = cloudwatch.get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=metric["MetricName"],
            Dimensions=metric["Dimensions"],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=5),
            Period=3600,
            Statistics=["Maximum"],
        )["Datapoints"]
        table = next(d["Value"] for d in metric["Dimensions"] if d["Name"] == "Table")
        found += [f"{table} {metric['MetricName']} {p['Maximum']:g}" for p in points]
    return sorted(found)


def lakehouse(*arguments: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "lakehouse_assets.cli", *arguments],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def wait_for_ctrl_c() -> None:
    """Until a person has seen enough."""
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def say(line: str) -> None:
    print(f"\n== {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
