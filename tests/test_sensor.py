"""The sensor as Dagster evaluates it, and its queue on a real SQS protocol."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from moto.server import ThreadedMotoServer

from lakehouse_assets.defs.file_sensor import daily, raw_files
from lakehouse_assets.defs.keys import ATTEMPT_TAG, PLAN_TAG
from lakehouse_assets.defs.run_sensors import delay_sensor
from lakehouse_assets.ports import Message
from lakehouse_assets.tables import registry
from resources import dagster_instance
from resources.s3_events import Queue
from resources.settings import Settings
from tests.support import PROJECT, SAMPLE
from tests.support.logged import logged

RANGE = {
    "dagster/asset_partition_range_start": "2025-04-15",
    "dagster/asset_partition_range_end": "2025-04-18",
}
DAILY = dg.DailyPartitionsDefinition("2024-01-01", end_offset=2)


@dg.asset(partitions_def=DAILY)
def table() -> None:
    """Stands for all tables: what runs do is no matter here."""


class Eye:
    """The sensor on a folder of files, with an instance; evaluated tick by tick."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, **more: Any) -> None:
        self.raw = folder / "raw"
        self.instance = instance
        self.cursor: str | None = None
        self.settings = Settings(root=str(folder), settle_seconds=0, **more)
        self.sensor = raw_files(self.settings)
        self.defs = dg.Definitions(
            assets=[table],
            jobs=[dg.define_asset_job("lakehouse", selection="*")],
            sensors=[self.sensor],
        )

    def tick(self) -> list[dg.RunRequest] | str:
        """The requests of an evaluation, or why there are none."""
        context = dg.build_sensor_context(
            self.instance, self.cursor, definitions=self.defs, sensor_name="raw_files"
        )
        found = self.sensor.evaluate_tick(context)
        self.cursor = found.cursor
        return list(found.run_requests or ()) or str(found.skip_message)

    def requests(self) -> list[dg.RunRequest]:
        """An evaluation that starts something: what."""
        found = self.tick()
        assert not isinstance(found, str), found
        return found

    def reason(self) -> str:
        """An evaluation that starts nothing: why."""
        found = self.tick()
        assert isinstance(found, str), found
        return found

    def launch(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """Make a run of a request, as the daemon does."""
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        job = self.defs.resolve_job_def("lakehouse")
        return self.instance.create_run_for_job(job, tags=tags, status=status)


@pytest.fixture
def eye(tmp_path: Path) -> Iterator[Eye]:
    shutil.copytree(SAMPLE, tmp_path / "raw")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Eye(tmp_path, instance)


def test_what_is_pending_is_started(eye: Eye) -> None:
    [request] = eye.requests()
    assert RANGE.items() <= request.tags.items()
    assert request.partition_key is None
    assert request.run_key == f"{request.tags[PLAN_TAG]}-{request.tags[ATTEMPT_TAG]}"


def test_a_few_dates_are_partitions(eye: Eye) -> None:
    for dataset in ("products", "orders", "order_items"):
        shutil.rmtree(eye.raw / dataset / "2025-04-16")
    found = eye.requests()
    assert [r.partition_key for r in found] == [
        "2025-04-15",
        "2025-04-17",
        "2025-04-18",
    ]


def test_a_run_that_fails_prints_no_stack_trace(
    eye: Eye, capfd: pytest.CaptureFixture[str]
) -> None:
    @dg.asset(partitions_def=DAILY)
    def receipts() -> None:
        raise dg.Failure("a file waits")

    [request] = eye.requests()
    capfd.readouterr()  # what the sensor has to say
    done = dg.materialize(
        [receipts],
        instance=eye.instance,
        partition_key="2025-04-15",
        run_config=request.run_config,
        raise_on_error=False,
    )
    assert not done.success
    assert capfd.readouterr() == ("", "")


def test_nothing_starts_while_a_run_is_under_way(eye: Eye) -> None:
    [request] = eye.requests()
    run = eye.launch(request, dg.DagsterRunStatus.STARTED)
    with eye.settings.locks.alive(run.run_id):
        assert f"run {run.run_id} is queued or under way" in eye.reason()
    eye.instance.report_run_failed(run)
    # The same plan waits before its next attempt.
    assert "pending still after attempt 1; the next in" in eye.reason()


def test_a_run_that_died_before_it_had_started_keeps_nobody_waiting(
    eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    [request] = eye.requests()
    run = eye.launch(request, dg.DagsterRunStatus.STARTING)
    assert "is queued or under way" in eye.reason()  # its process may be about to come
    monkeypatch.setattr(dagster_instance, "_START_SECONDS", 0.0)
    monkeypatch.setattr(dagster_instance, "_GRACE_SECONDS", 0.0)
    assert "pending still after attempt 1; the next in" in eye.reason()
    found = eye.instance.get_run_by_id(run.run_id)
    assert found
    assert found.status is dg.DagsterRunStatus.FAILURE


def test_misplaced_files_are_named(eye: Eye) -> None:
    for path in eye.raw.rglob("*.*"):
        path.unlink()
    astray = eye.raw / "order" / "2025-04-18" / "o.csv"
    astray.parent.mkdir(parents=True)
    astray.write_text("order_id\n")
    assert "order/2025-04-18/o.csv: no dataset is named 'order'; move it to one of" in eye.reason()


def test_a_daemon_that_dies_before_the_submission_asks_for_the_same_run(eye: Eye) -> None:
    [request] = eye.requests()
    eye.launch(request, dg.DagsterRunStatus.NOT_STARTED)
    [again] = eye.requests()
    assert again.run_key == request.run_key


def test_another_file_makes_another_plan(eye: Eye) -> None:
    [request] = eye.requests()
    run = eye.launch(request, dg.DagsterRunStatus.STARTED)
    (eye.raw / "orders" / "2025-04-18" / "late.csv").write_text("order_id\n")
    eye.instance.report_run_failed(run)
    [other] = eye.requests()
    assert other.tags[PLAN_TAG] != request.tags[PLAN_TAG]
    assert other.tags[ATTEMPT_TAG] == "1"


def test_a_contract_that_has_changed_since_the_sensor_read_it_stops_it(
    eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs read the contracts anew: each look would find the other's rules, and start again."""
    monkeypatch.setattr(registry, "_read_from", [registry.OUR_OWN, "another digest"])
    with logged("lakehouse.sensor") as told:
        for _ in range(3):
            assert "reload it" in eye.reason()
    [once] = told
    assert once.levelno == logging.WARNING
    assert "a contract has changed" in once.getMessage()
    monkeypatch.undo()
    assert eye.requests()


def test_contracts_on_disk_are_those_that_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until one is edited, or one comes."""
    assert not registry.changed_on_disk()
    here = PROJECT / registry.OUR_OWN.replace(".", "/")
    folder = shutil.copytree(here, tmp_path / "own_tables")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        registry, "_read_from", ("own_tables", registry._digest_of_files("own_tables"))
    )
    assert not registry.changed_on_disk()
    contract = folder / "silver" / "orders.py"
    text = contract.read_text()
    contract.write_text(text + "# edited\n")
    assert registry.changed_on_disk()
    contract.write_text(text)
    assert not registry.changed_on_disk()
    (folder / "gold" / "more.py").write_text("")
    assert registry.changed_on_disk()


def test_the_sensor_is_on_from_the_start_and_looks_by_the_settings(tmp_path: Path) -> None:
    sensor = raw_files(Settings(root=str(tmp_path), sensor_interval_seconds=45))
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 45
    assert sensor.job_name == "lakehouse"


# ----------------------------------------------------------------------------------- the queue


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an SQS that answers on this machine, where the product finds it too.

    Queues outlive it, in this process: each test has one of its own name.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("sqs")
    yield client
    client.close()
    server.stop()


def waiting(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[name]) for name in names)


def test_a_message_wakes_the_sensor_early_and_goes_after_the_look(tmp_path: Path, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="arrivals")["QueueUrl"]
    with dg.DagsterInstance.ephemeral() as instance:
        eye = Eye(tmp_path, instance, queue_url=url, sensor_interval_seconds=3600)
        assert eye.reason() == "nothing is pending"
        shutil.copytree(SAMPLE, tmp_path / "raw")
        assert eye.reason().startswith("the next look is in")
        for _ in range(12):  # repeated, as SQS may do
            sqs.send_message(
                QueueUrl=url, MessageBody=json.dumps({"detail-type": "Object Created"})
            )
        [request] = eye.requests()
        assert RANGE.items() <= request.tags.items()
        assert waiting(sqs, url) == 0


def test_while_a_run_is_under_way_messages_are_taken_all_the_same(tmp_path: Path, sqs: Any) -> None:
    """So an alarm hears that the sensor is alive; and the look after the run sees the files."""
    url = sqs.create_queue(QueueName="meanwhile")["QueueUrl"]
    with dg.DagsterInstance.ephemeral() as instance:
        eye = Eye(
            tmp_path, instance, queue_url=url, sensor_interval_seconds=3600, patience_minutes=0
        )
        shutil.copytree(
            SAMPLE / "orders" / "2025-04-16", tmp_path / "raw" / "orders" / "2025-04-16"
        )
        [request] = eye.requests()
        run = eye.launch(request, dg.DagsterRunStatus.STARTED)
        with eye.settings.locks.alive(run.run_id):
            shutil.copytree(SAMPLE, tmp_path / "raw", dirs_exist_ok=True)
            sqs.send_message(QueueUrl=url, MessageBody="{}")
            assert "is queued or under way" in eye.reason()
            assert waiting(sqs, url) == 0
        instance.report_run_failed(run)
        [request] = eye.requests()
        assert RANGE.items() <= request.tags.items()


def test_a_look_that_fails_leaves_its_messages(
    tmp_path: Path, sqs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = sqs.create_queue(QueueName="unanswered")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")

    def broken(*_: object) -> None:
        raise OSError("no such disk")

    with dg.DagsterInstance.ephemeral() as instance:
        eye = Eye(tmp_path, instance, queue_url=url)
        monkeypatch.setattr("lakehouse_assets.defs.file_sensor.pending_files.of", broken)
        with pytest.raises(OSError, match="no such disk"):
            eye.tick()
    assert waiting(sqs, url) == 1


def test_a_broken_message_is_told_of_and_removed(
    sqs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url = sqs.create_queue(QueueName="broken")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{no json")
    assert not Queue(url).receive()
    [line] = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert "is no JSON; removed" in line
    assert waiting(sqs, url) == 0


def test_a_queue_that_is_not_there_does_not_stop_the_listing(
    eye: Eye, sqs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url = sqs.create_queue(QueueName="gone")["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)
    other = Eye(eye.raw.parent, eye.instance, queue_url=url)
    [request] = other.requests()
    assert RANGE.items() <= request.tags.items()
    assert "cannot be asked" in caplog.text


# ------------------------------------------------------------------------------- by the clock


def at_two(eye: Eye, **more: Any) -> Sequence[dg.RunRequest | str]:
    """What the daily schedule starts, or why nothing."""
    settings = eye.settings.model_copy(update=more)
    schedule = daily(settings)
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 2 * * *", "UTC")
    found = schedule.evaluate_tick(dg.build_schedule_context(eye.instance))
    return [*(found.run_requests or ())] or [str(found.skip_message)]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Eye]:
    """As `eye`, on an instance that is kept on disk: schedules ask for one."""
    with dg.instance_for_test() as instance:
        yield Eye(tmp_path, instance)


def test_once_a_day_nothing_is_waited_for(kept: Eye) -> None:
    """A half-landed day, and a file that came this second."""
    eye = kept
    shutil.copytree(SAMPLE, eye.raw, ignore=shutil.ignore_patterns("orders"))
    waits = {"settle_seconds": 3600.0, "patience_minutes": 600.0}
    eye.sensor = raw_files(eye.settings.model_copy(update=waits))
    assert eye.reason()
    [request] = at_two(eye, **waits)
    assert isinstance(request, dg.RunRequest)
    assert RANGE.items() <= request.tags.items()
    eye.launch(request, dg.DagsterRunStatus.STARTED)
    assert "under way" in str(at_two(eye, **waits))


def test_nothing_pending_starts_nothing_at_two(kept: Eye) -> None:
    assert at_two(kept) == ["nothing is pending"]


class Told:
    """Messages as they are sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(self, message: Message) -> None:
        self.messages.append(message)


def test_what_is_late_is_told_once(eye: Eye) -> None:
    """Each file, when it has been pending for too long; again only after it was through."""
    (eye.raw / "truth.csv").unlink()
    told, cursor = Told(), None

    def tick(minutes: float) -> None:
        nonlocal cursor
        sensor = delay_sensor(eye.settings.model_copy(update={"delay_minutes": minutes}))
        context = dg.build_sensor_context(
            eye.instance, cursor, resources={"alerts": told}, sensor_name=sensor.name
        )
        sensor.evaluate_tick(context)
        cursor = context.cursor

    tick(60)
    assert not told.messages
    tick(0)
    [message] = told.messages
    count = sum(1 for _ in eye.raw.glob("*/*/*"))
    assert f"{count} pending" in message.subject
    tick(0)
    assert len(told.messages) == 1
    late = eye.raw / "orders" / "2025-04-18" / "late.csv"
    late.write_text("x")
    tick(0)
    assert [m.subject.split(" pending")[0] for m in told.messages][1:] == ["lakehouse: 1"]
    assert "orders/2025-04-18/late.csv (new)" in told.messages[-1].lines[0]
    (eye.raw / "astray.csv").write_text("x")
    tick(60)
    tick(60)
    assert [m.subject for m in told.messages][2:] == ["lakehouse: 1 misplaced"]
    assert told.messages[-1].lines[0].startswith("astray.csv: not directly in a date folder")
