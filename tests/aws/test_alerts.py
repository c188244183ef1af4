"""Runs are told of once, in the topics that people subscribe to, and their figures are kept.

The runs are real ones of the command line: they belong to no code location, and are told of all
the same, by the sensors' own ticks.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
import requests

from lakehouse_assets.defs import run_messages, run_sensors
from lakehouse_assets.ports import Alerts, Message, Metrics, Topic
from resources.alerts import LogAlerts, SnsAlerts, alerts
from resources.aws import AwsError
from resources.dagster_instance import home
from resources.metrics import CloudWatchMetrics, LogMetrics, metrics
from resources.settings import Settings
from tests.support import Once
from tests.support.aws import Aws
from tests.support.commands import Lakehouse
from tests.support.instances import instance_in
from tests.support.logged import logged

pytestmark = [pytest.mark.aws, pytest.mark.timeout(900)]

UI = "https://dagster.example.com"
D1, D2, D3 = "2025-04-15", "2025-04-16", "2025-04-17"
PRODUCTS = "product_id,department_id,department,product_name\n"
ORDERS = "order_num,order_id,user_id,order_timestamp,total_amount,date\n"


@dataclass
class Ran:
    """A lakehouse whose command line has run twice: well on two days, then on a day with faults.

    ``cursors`` are the sensors' from before the runs.
    """

    home: Path
    cursors: dict[str, str]


@pytest.fixture(scope="session")
def ran(once: Once) -> Ran:
    def make(folder: Path) -> None:
        lakehouse = Lakehouse(folder)
        with instance_in(home(Settings(root=str(lakehouse.root)))) as instance:
            cursors = {s.name: str(tick(instance, s, LogAlerts(ui_url=UI))) for s in SENSORS}
        (folder / "cursors.json").write_text(json.dumps(cursors))
        product, order = "1,1,food,apple\n2,1,food,pear\n", "1,{},7,{}T10:00:00,12.50,{}\n"
        for day, number in ((D1, 1), (D2, 2)):
            land(lakehouse, day, PRODUCTS + product, ORDERS + order.format(number, day, day))
        lakehouse.ok("run")
        land(lakehouse, D3, "nonsense\n", ORDERS + f"1,3,7,{D3}T10:00:00,abc,{D3}\n")
        assert lakehouse("run").code == 1

    folder = once("shop-of-alerts", make)
    dagster = home(Settings(root=str(Lakehouse(folder).root)))
    return Ran(dagster, json.loads((folder / "cursors.json").read_text()))


def land(lakehouse: Lakehouse, day: str, products: str, orders: str) -> None:
    folder = lakehouse.root.parent
    files = folder / "products.csv", folder / "orders.csv"
    for file, text in zip(files, (products, orders), strict=True):
        file.write_text(text)
    lakehouse.ok("land", *map(str, files), "--date", day)


@pytest.fixture
def instance(ran: Ran, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The instance as the runs left it; nothing has been told yet."""
    shutil.copytree(ran.home, tmp_path / "dagster")
    with instance_in(tmp_path / "dagster") as found:
        yield found


SENSORS = run_sensors.SENSORS
REPOSITORY = dg.Definitions(sensors=SENSORS, resources={"alerts": None, "metrics": None})


def tick(
    instance: dg.DagsterInstance,
    sensor: dg.RunStatusSensorDefinition,
    told: Alerts,
    figures: Metrics | None = None,
    cursor: str | None = None,
) -> str | None:
    """Let the daemon's next tick of a sensor happen; returns its cursor afterwards."""
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=REPOSITORY.get_repository_def(),
        resources={"alerts": told, "metrics": figures or LogMetrics()},
    )
    with context:
        done = sensor.evaluate_tick(context)
    for reaction in done.dagster_run_reactions or ():
        assert reaction.error is None, reaction.error
    return done.cursor


def ticks(
    instance: dg.DagsterInstance,
    cursors: dict[str, str],
    told: Alerts,
    figures: Metrics | None = None,
) -> dict[str, str]:
    """Two ticks of each sensor; returns their cursors."""
    for _ in range(2):
        found = {s.name: tick(instance, s, told, figures, cursors[s.name]) for s in SENSORS}
        cursors = {name: str(cursor) for name, cursor in found.items()}
    return cursors


class Inbox:
    """Somebody who subscribes to every topic."""

    def __init__(self, aws: Aws) -> None:
        sns, self._sqs = aws.client("sns"), aws.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="inbox")["QueueUrl"]
        named = {"QueueUrl": self._queue, "AttributeNames": ["QueueArn"]}
        arn = self._sqs.get_queue_attributes(**named)["Attributes"]["QueueArn"]
        for topic in Topic:
            made = sns.create_topic(Name=f"shop-{topic}")["TopicArn"]
            sns.subscribe(TopicArn=made, Protocol="sqs", Endpoint=arn)
        self.topics = made.removesuffix(f"-{topic}")

    def all(self) -> list[tuple[str, str, str]]:
        """What has come since: topic, subject and text of each."""
        found = []
        while got := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in got:
                receipt = message["ReceiptHandle"]
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=receipt)
                body = json.loads(message["Body"])
                topic = body["TopicArn"].removeprefix(f"{self.topics}-")
                assert body["MessageAttributes"]["topic"]["Value"] == topic
                found.append((topic, body["Subject"], body["Message"]))
        return sorted(found)


@pytest.fixture
def inbox(aws: Aws) -> Inbox:
    return Inbox(aws)


def run_ids(instance: dg.DagsterInstance) -> list[str]:
    """Of the good run and the bad one."""
    bad, good = instance.get_runs()
    assert (good.is_success, bad.is_failure) == (True, True)
    return [good.run_id, bad.run_id]


# ------------------------------------------------------------------------------------- messages


def test_every_run_is_told_of_once(ran: Ran, instance: dg.DagsterInstance, inbox: Inbox) -> None:
    told = SnsAlerts(topics=inbox.topics, ui_url=UI)
    good, bad = run_ids(instance)
    cursors = ticks(instance, ran.cursors, told)
    quality, failure, success = inbox.all()

    topic, subject, text = success
    assert topic == "success"
    assert subject == f"lakehouse {D1} to {D2} succeeded: 6 rows in its dates' files, 4 published"
    assert text.splitlines() == [
        "silver.orders: 2 read, 2 published",
        "silver.products: 4 read, 2 published, 2 duplicates",
        "silver.order_items: 0 read",
        f"{UI}/runs/{good}",
    ]

    topic, subject, text = failure
    assert topic == "failure"
    assert subject == f"lakehouse {D3} failed: 1 bad file(s)"
    line, *books, link = text.splitlines()
    assert line.startswith(f"products/{D3}/products.csv: missing column(s) product_id, ")
    assert "silver.orders: 1 read, 1 rejected" in books
    assert link == f"{UI}/runs/{bad}"

    topic, subject, text = quality
    assert topic == "data-quality"
    assert subject == f"lakehouse {D3}: 2 check(s) failed, 1 bad file(s)"
    lines = text.splitlines()
    assert lines[0] == line
    rejected = f"silver.orders {D3}: valid_total_amount (warning): rejected rows: "
    assert f"{rejected}total_amount.type 1" in lines
    assert sum(line in other for other in lines) == 1  # the check of it says no more
    assert lines[-1] == f"{UI}/runs/{bad}"

    # Later ticks have nothing new, and a cursor that is set back finds what has been told of.
    ticks(instance, cursors, told)
    ticks(instance, ran.cursors, told)
    assert inbox.all() == []


def test_what_ends_without_a_step_that_failed_is_told_of(aws: Aws, inbox: Inbox) -> None:
    """Canceled, or dead without a word."""

    @dg.job
    def idle() -> None:
        pass

    told = SnsAlerts(topics=inbox.topics, ui_url=UI)
    with dg.DagsterInstance.ephemeral() as instance:
        cursors = {s.name: str(tick(instance, s, told)) for s in SENSORS}
        instance.report_run_canceled(instance.create_run_for_job(idle))
        instance.report_run_failed(instance.create_run_for_job(idle), "its process has died")
        ticks(instance, cursors, told)
    canceled, died = sorted(inbox.all(), key=lambda m: m[1])
    assert canceled[:2] == ("failure", "idle failed: 1 error(s)")
    assert "its process has died" in canceled[2]
    assert died[:2] == ("failure", "idle was canceled")


def test_what_waits_too_long_is_told_of(inbox: Inbox) -> None:
    late = {"orders/2025-04-15/o.csv": timedelta(minutes=50), "silver.orders": timedelta(hours=2)}
    SnsAlerts(topics=inbox.topics, ui_url=UI).send(run_messages.delay(late))
    [(topic, subject, text)] = inbox.all()
    assert (topic, subject) == ("delay", "lakehouse: 2 pending for up to 2 h 0 min")
    assert text.splitlines() == [
        "silver.orders: pending for 2 h 0 min",
        "orders/2025-04-15/o.csv: pending for 50 min",
        UI,
    ]


def test_a_topic_in_another_region_is_told_there(aws: Aws) -> None:
    sns = boto3.session.Session().client("sns", region_name="eu-west-1")
    arn = sns.create_topic(Name="shop-success")["TopicArn"]
    told = SnsAlerts(topics=arn.removesuffix("-success"), ui_url=UI)
    told.send(Message(Topic.SUCCESS, "done", ()))
    with pytest.raises(AwsError, match=r"SNS topic arn:aws:sns:eu-west-1:.*-delay: .*its name"):
        told.send(Message(Topic.DELAY, "late", ()))


def test_a_message_that_cannot_be_sent_fails_nothing(
    ran: Ran,
    instance: dg.DagsterInstance,
    inbox: Inbox,
    unprivileged: None,
    said: list[logging.LogRecord],
) -> None:
    """One clear line each; the runs stay as they are, and no tick tries again for ever."""
    before = run_ids(instance)
    ticks(instance, ran.cursors, SnsAlerts(topics=inbox.topics, ui_url=UI))
    subject = f"lakehouse {D1} to {D2} succeeded: 6 rows in its dates' files, 4 published"
    assert [it.getMessage().partition(": SNS")[0] for it in said] == [
        f"message not sent ({subject})",
        f"message not sent (lakehouse {D3} failed: 1 bad file(s))",
        f"message not sent (lakehouse {D3}: 2 check(s) failed, 1 bad file(s))",
    ]
    for line in (it.getMessage() for it in said):
        assert f"SNS topic {inbox.topics}-" in line
        assert "Publish refused: AccessDenied: " in line
        assert line.endswith("; allow the role Publish on it")
        assert "\n" not in line
    assert run_ids(instance) == before


@pytest.fixture
def unprivileged(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Who works here from now on may do nothing."""
    iam = aws.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    permissions = f"{aws.environment['AWS_ENDPOINT_URL']}/moto-api/reset-auth"
    requests.post(permissions, data="0", timeout=30).raise_for_status()
    yield
    requests.post(permissions, data="inf", timeout=30).raise_for_status()


def test_figures_that_cannot_be_sent_fail_nothing(
    ran: Ran,
    instance: dg.DagsterInstance,
    aws: Aws,
    inbox: Inbox,
    said: list[logging.LogRecord],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    figures = CloudWatchMetrics(namespace="Lakehouse")
    ticks(instance, ran.cursors, SnsAlerts(topics=inbox.topics, ui_url=UI), figures)
    good, bad = run_ids(instance)
    told = "CloudWatch namespace Lakehouse: You must specify a region.; check"
    assert [it.getMessage().partition("; check")[0] + "; check" for it in said] == [
        f"metrics of run {run} not sent: {told}" for run in (good, bad)
    ]
    assert len(inbox.all()) == 3


@pytest.fixture
def said() -> Iterator[list[logging.LogRecord]]:
    """The errors that our loggers log."""
    with logged("lakehouse", logging.ERROR) as records:
        yield records


# -------------------------------------------------------------------------------------- figures


def test_figures_of_a_run_can_be_read_back(
    ran: Ran, instance: dg.DagsterInstance, aws: Aws
) -> None:
    figures = CloudWatchMetrics(namespace="Lakehouse", environment="test")
    cursors = ticks(instance, ran.cursors, LogAlerts(ui_url=UI), figures)
    ticks(instance, cursors, LogAlerts(ui_url=UI), figures)
    # Both runs, in one period: of the good one and of the one with faults.
    assert points(aws, "RecordsProcessed", "silver.orders") == [1, 2]
    assert points(aws, "RecordsProcessed", "silver.products") == [0, 4]
    assert points(aws, "RecordsProcessed", "bronze.orders") == [1, 2]
    assert points(aws, "ErrorRate", "silver.orders") == [0, 1]
    assert points(aws, "DataQualityScore", "silver.orders") == [0, 1]
    assert points(aws, "DataQualityScore", "silver.products") == [1]  # none was read of the other
    assert points(aws, "RecordsProcessed", "gold.daily_sales") == [0, 2]
    assert points(aws, "DataQualityScore", "gold.daily_sales") == []
    assert min(points(aws, "ProcessingTime", "gold.daily_sales")) > 0


def points(aws: Aws, name: str, table: str) -> list[float]:
    """The least and the greatest value of a figure, once if there is one only."""
    now = datetime.now(UTC)
    found: dict[str, Any] = aws.client("cloudwatch").get_metric_statistics(
        Namespace="Lakehouse",
        MetricName=name,
        Dimensions=[{"Name": "Table", "Value": table}, {"Name": "Environment", "Value": "test"}],
        StartTime=now - timedelta(days=1),
        EndTime=now + timedelta(days=1),
        Period=172800,
        Statistics=["Minimum", "Maximum", "SampleCount"],
    )
    values: set[float] = set()
    for point in found["Datapoints"]:
        assert point["SampleCount"] <= 2
        values |= {point["Minimum"], point["Maximum"]}
    return sorted(values)


# ------------------------------------------------------------------------------------- settings


def test_settings_choose_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert alerts(Settings()) == LogAlerts(ui_url="http://127.0.0.1:3000")
    assert metrics(Settings()) == LogMetrics()
    monkeypatch.setenv("LAKEHOUSE_SNS_TOPICS", "arn:aws:sns:eu-west-1:123456789012:shop")
    monkeypatch.setenv("LAKEHOUSE_METRICS_NAMESPACE", "Lakehouse")
    monkeypatch.setenv("LAKEHOUSE_ENVIRONMENT", "dev")
    chosen = alerts(Settings())
    assert isinstance(chosen, SnsAlerts)
    assert chosen.topics == "arn:aws:sns:eu-west-1:123456789012:shop"
    assert metrics(Settings()) == CloudWatchMetrics(namespace="Lakehouse", environment="dev")
    monkeypatch.setenv("LAKEHOUSE_SNS_TOPICS", "shop")
    with pytest.raises(Exception, match="LAKEHOUSE_SNS_TOPICS"):
        Settings.load()
