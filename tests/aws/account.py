"""An account as a team has it: buckets, queue, topics and Glue jobs, on the AWS of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from deploy.glue.definition import job_definition
from lakehouse_assets.tables.registry import DATASETS, DERIVED
from resources.glue_jobs import glue_job
from resources.settings import Settings
from tests.support import PROJECT
from tests.support.glue_runtime import LocalGlue

SAMPLE: Final = PROJECT / "data" / "sample"
ACCOUNT: Final = "123456789012"
RAW, PROCESSED, DEPLOYMENT = (f"shop-{zone}" for zone in ("raw", "processed", "deployment"))
TOPICS: Final = ("success", "failure", "data-quality", "delay")
NAMESPACE: Final = "Lakehouse"
LOOK_SECONDS: Final = 5
"""How often the sensor looks here; in an account every 15 minutes."""
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/lakehouse-glue"


class Account:
    """Everything that is deployed before the first file comes.

    Without ``wheels`` it is a frugal environment's: the tables' work is done where the run is.
    """

    def __init__(self, glue: LocalGlue, wheels: Path | None, home: Path) -> None:
        self.aws = glue
        self._home = home
        self.region = glue.environment["AWS_REGION"]
        self._buckets()
        self.hints = self._queue("raw-files")
        self._announce_raw_files()
        self.inbox = self._queue("inbox")
        self._topics()
        self._runner = "glue" if wheels else "local"
        if wheels:
            self._jobs(wheels)

    def environment(self, ui_url: str) -> dict[str, str]:
        """The settings that lead the product here; nothing else differs from a laptop."""
        return {
            **self.aws.environment,
            "LAKEHOUSE_RAW": f"s3://{RAW}",
            "LAKEHOUSE_PROCESSED": f"s3://{PROCESSED}",
            "LAKEHOUSE_DEPLOYMENT": f"s3://{DEPLOYMENT}",
            "LAKEHOUSE_HOME": str(self._home),
            "LAKEHOUSE_RUNNER": self._runner,
            "LAKEHOUSE_GLUE_JOBS_AT_ONCE": "2",
            "LAKEHOUSE_GLUE_POLL_SECONDS": "1",
            "LAKEHOUSE_CATALOG": "glue",
            "LAKEHOUSE_ARCHIVE": "true",
            "LAKEHOUSE_QUEUE_URL": self.hints,
            "LAKEHOUSE_SETTLE_SECONDS": "2",
            "LAKEHOUSE_SENSOR_INTERVAL_SECONDS": str(LOOK_SECONDS),
            "LAKEHOUSE_SNS_TOPICS": f"arn:aws:sns:{self.region}:{ACCOUNT}:lakehouse",
            "LAKEHOUSE_METRICS_NAMESPACE": NAMESPACE,
            "LAKEHOUSE_UI_URL": ui_url,
        }

    # ------------------------------------------------------------------------ what happens there

    def arrive(self, day: str) -> list[str]:
        """Let the sample's files of a day arrive in the raw bucket; returns their keys."""
        keys = []
        for file in sorted(SAMPLE.glob(f"*/{day}/*")):
            keys.append(file.relative_to(SAMPLE).as_posix())
            self.aws.client("s3").put_object(Bucket=RAW, Key=keys[-1], Body=file.read_bytes())
        return keys

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys that a bucket shows below a prefix."""
        pages = self.aws.client("s3").get_paginator("list_objects_v2")
        return [
            found["Key"]
            for page in pages.paginate(Bucket=bucket, Prefix=prefix)
            for found in page.get("Contents", ())
        ]

    def messages(self) -> list[dict[str, Any]]:
        """What has come to the inbox since it was last asked: SNS's envelopes."""
        sqs, found = self.aws.client("sqs"), []
        while some := sqs.receive_message(QueueUrl=self.inbox, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in some:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.inbox, ReceiptHandle=message["ReceiptHandle"])
        return found

    # -------------------------------------------------------------------------- what is deployed

    def _buckets(self) -> None:
        s3 = self.aws.client("s3")
        for bucket in (RAW, PROCESSED, DEPLOYMENT):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def _queue(self, name: str) -> str:
        url: str = self.aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
        return url

    def _announce_raw_files(self) -> None:
        """S3 tells EventBridge, whose rule puts a message into the queue."""
        events = self.aws.client("events")
        pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"]}
        events.put_rule(Name="raw-files", EventPattern=json.dumps(pattern))
        queue = f"arn:aws:sqs:{self.region}:{ACCOUNT}:raw-files"
        events.put_targets(Rule="raw-files", Targets=[{"Id": "queue", "Arn": queue}])
        self.aws.client("s3").put_bucket_notification_configuration(
            Bucket=RAW, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )

    def _topics(self) -> None:
        sns = self.aws.client("sns")
        inbox = f"arn:aws:sqs:{self.region}:{ACCOUNT}:inbox"
        for topic in TOPICS:
            arn = sns.create_topic(Name=f"lakehouse-{topic}")["TopicArn"]
            sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=inbox)

    def _jobs(self, wheels: Path) -> None:
        s3, glue = self.aws.client("s3"), self.aws.client("glue")
        files = {"job.py": PROJECT / "deploy/glue/job.py", wheels.name: wheels}
        for name, file in files.items():
            s3.put_object(Bucket=DEPLOYMENT, Key=f"etl_scripts/{name}", Body=file.read_bytes())
        script, bundle = (f"s3://{DEPLOYMENT}/etl_scripts/{name}" for name in files)
        tables = [t for d in DATASETS.values() for t in (d.bronze, d.silver)]
        for table in [*tables, *(t.table for t in DERIVED.values())]:
            name = glue_job(Settings().glue_job_prefix, table.id)
            glue.create_job(**job_definition(name, table, ROLE, self.region, script, bundle))
