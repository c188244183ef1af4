"""What the platform does, told once on this machine's AWS, with every request on record.

It is the platform as an environment's templates make it: buckets, queue, topics and jobs by their
names, each task with the variables of its definition and, in its role's place, a key of its own.
Dagster's tasks are processes, Glue's jobs run on the local Glue, the rest is moto's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.support import PROJECT, SAMPLE
from tests.support.ecs import Cluster
from tests.support.glue_runtime import LocalGlue
from tests.support.postgres import Postgres
from tests.support.processes import until
from tests.support.recorded import Asked, asked
from tests.support.resolved import Resolved
from tests.support.servers import own_port
from tests.support.tasks import Platform, graphql

DAY: Final = "2025-04-15"
LATER: Final = "2025-04-16"
_SECONDS: Final = 1800
_PARTS: Final = {"web": "webserver", "daemon": "daemon", "code": "code", "run": "run"}
_HERE: Final = {
    "LAKEHOUSE_SENSOR_INTERVAL_SECONDS": "2",
    "LAKEHOUSE_SETTLE_SECONDS": "0",
    "LAKEHOUSE_GLUE_POLL_SECONDS": "2",
}
"""What is not as deployed: nobody waits here as long as there."""
_KEPT: Final = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION"})


@dataclass(frozen=True)
class Told:
    """What happened: every request of the platform's own roles, and the runs' states."""

    requests: Sequence[Asked]
    runs: Mapping[str, str]


class Story:
    """An environment's platform on this machine; `tell` lets it happen.

    ``wheels`` is what its Glue jobs install, where it has jobs.
    """

    def __init__(self, folder: Path, account: Resolved, glue: LocalGlue, wheels: Path) -> None:
        self._folder, self._account, self._glue, self._wheels = folder, account, glue, wheels
        self._names = {
            kind: [it[key] for it in account.all(f"AWS::{kind}")]
            for kind, key in (
                ("S3::Bucket", "BucketName"),
                ("SQS::Queue", "QueueName"),
                ("SNS::Topic", "TopicName"),
            )
        }

    def tell(self, postgres: Postgres) -> Told:
        """Files land, a run brings the tables up to date, people look and decide."""
        self._make()
        with self._platform(postgres) as (platform, cluster), platform.at_work() as ui:
            self._arrive(DAY)
            [task] = until(cluster.runs, _SECONDS, "a run's task")
            assert platform.carry_out(task) == 0
            self._look(ui)
            self._decide(platform)
            until(self._has_told, _SECONDS, "the notifications")
            runs = _runs(ui)
        return Told(self.requests(), runs)

    # ------------------------------------------------------------------------- what is deployed

    def _make(self) -> None:
        """What the templates make, as far as requests meet it."""
        region = {"LocationConstraint": self._glue.region}
        s3 = self._glue.client("s3")
        for bucket in self._names["S3::Bucket"]:
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        for queue in self._names["SQS::Queue"]:
            self._glue.client("sqs").create_queue(QueueName=queue)
        for topic in self._names["SNS::Topic"]:
            self._glue.client("sns").create_topic(Name=topic)
        for job in self._account.all("AWS::Glue::Job"):
            made = {name: it for name, it in job.items() if name not in {"Arn", "Tags"}}
            self._glue.client("glue").create_job(**made)
            [bucket, key] = job["Command"]["ScriptLocation"].removeprefix("s3://").split("/", 1)
            script = (PROJECT / "deploy" / "glue" / "job.py").read_bytes()
            s3.put_object(Bucket=bucket, Key=key, Body=script)
            wheels = f"{key.rpartition('/')[0]}/{self._wheels.name}"
            s3.put_object(Bucket=bucket, Key=wheels, Body=self._wheels.read_bytes())
        self._announce()

    def _announce(self) -> None:
        """S3 tells EventBridge, whose rule puts a message into the queue."""
        events = self._glue.client("events")
        [rule] = [it for it in self._account.all("AWS::Events::Rule") if "raw-files" in it["Name"]]
        events.put_rule(Name=rule["Name"], EventPattern=json.dumps(rule["EventPattern"]))
        targets = [{"Id": it["Id"], "Arn": it["Arn"]} for it in rule["Targets"]]
        events.put_targets(Rule=rule["Name"], Targets=targets)
        told: dict[str, Any] = {"EventBridgeConfiguration": {}}
        self._glue.client("s3").put_bucket_notification_configuration(
            Bucket=self._zone("RAW"), NotificationConfiguration=told
        )

    def _zone(self, name: str) -> str:
        return self._account.task("run")[0][f"LAKEHOUSE_{name}"].removeprefix("s3://")

    @contextmanager
    def _platform(self, postgres: Postgres) -> Iterator[tuple[Platform, Cluster]]:
        """The tasks, each with its definition's variables and its role's key."""
        led = {k: v for k, v in self._glue.environment.items() if k not in _KEPT}
        own = {}
        for task, part in _PARTS.items():
            told, role = self._account.task(part)
            own[task] = {**told, **led, "AWS_ACCESS_KEY_ID": role}
        [name] = (it["ClusterName"] for it in self._account.all("AWS::ECS::Cluster"))
        with ExitStack() as stack:
            cluster = stack.enter_context(Cluster(self._glue.environment, name))
            port = stack.enter_context(own_port())
            variables = postgres.environment | cluster.environment | _HERE
            yield Platform(self._folder, variables, port, own), cluster

    # ----------------------------------------------------------------------------- what happens

    def _arrive(self, day: str) -> None:
        """A producer puts a day's files into the raw bucket."""
        for file in sorted(SAMPLE.glob(f"*/{day}/*")):
            key = file.relative_to(SAMPLE).as_posix()
            self._glue.client("s3").put_object(
                Bucket=self._zone("RAW"), Key=key, Body=file.read_bytes()
            )

    def _look(self, ui: str) -> None:
        """A person reads what a run's steps printed."""
        [run] = _runs(ui)
        keys = graphql(ui, _LOG_KEYS, run=run)["runOrError"]["eventConnection"]["events"]
        for event in keys:
            if key := event.get("fileKey"):
                graphql(ui, _LOGS, key=[run, "compute_logs", key])

    def _decide(self, platform: Platform) -> None:
        """A person's commands, each in a task with a run's rights."""
        files = sorted(map(str, SAMPLE.glob(f"*/{LATER}/*")))
        landed = f"orders/{LATER}/orders_17h.csv"
        for command in (
            ("history",),
            ("restore", "--to", datetime.now(UTC).isoformat()),
            ("resume",),
            ("land", *files, "--date", LATER),
            ("withdraw", landed),
            ("reinstate", landed),
            ("status",),
            ("rejected", "orders"),
            ("tables",),
            ("query", "--name", "daily_revenue"),
        ):
            ended = platform.run(["lakehouse_assets.cli", *command])
            # moto's Athena answers nothing: what is asked is what counts here.
            assert ended == 0 or command[0] == "query", command

    def _has_told(self) -> bool:
        """Whether the code location has told people of a run."""
        code = self._account.task("code")[1]
        return {"sns", "monitoring"} <= {it.service for it in self._glue.recorded if it.key == code}

    def requests(self) -> list[Asked]:
        """Those that roles of the platform made."""
        roles = self._account.identities
        return [asked(it) for it in [*self._glue.recorded] if it.key in roles]


_LOG_KEYS: Final = """
query Keys($run: ID!) {
  runOrError(runId: $run) {
    ... on Run { eventConnection { events { ... on LogsCapturedEvent { fileKey } } } }
  }
}
"""
_LOGS: Final = "query Logs($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }"


def _runs(ui: str) -> dict[str, str]:
    found = graphql(ui, "{ runsOrError { ... on Runs { results { runId status } } } }")
    return {it["runId"]: it["status"] for it in found["runsOrError"]["results"]}
