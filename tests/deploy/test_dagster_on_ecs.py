"""Dagster as its tasks on ECS are: one instance in PostgreSQL, each process with its own home.

The processes, the database, gRPC and the commands are real; the cluster is moto's, and what is
launched on it is carried out by the test.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from lakehouse_assets.dashboards.registry import dashboards
from lakehouse_assets.tables.registry import table_ids
from resources.dagster_instance import bury_dead_runs
from resources.settings import Settings
from tests.support import PROJECT, SAMPLE
from tests.support.ecs import Cluster
from tests.support.machine import needs_postgres
from tests.support.object_store import BUCKET, Store
from tests.support.postgres import Postgres
from tests.support.processes import until
from tests.support.servers import own_port
from tests.support.tasks import DEPLOY, Platform, graphql

pytestmark = [pytest.mark.deploy, needs_postgres, pytest.mark.timeout(600)]


@pytest.fixture
def platform(
    postgres: Postgres,
    store: Store,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    variables = store.environment(failing=False) | postgres.environment | cluster.environment
    with own_port() as port:
        own = {
            "DAGSTER_LOGS_BUCKET": BUCKET,
            "LAKEHOUSE_ROOT": str(tmp_path / "lake"),
            "LAKEHOUSE_SETTLE_SECONDS": "0",
            "LAKEHOUSE_SENSOR_INTERVAL_SECONDS": "1",
        }
        made = Platform(tmp_path, variables | own, port)
        for name, value in made.environment("here").items():
            monkeypatch.setenv(name, value)
        yield made


def test_the_instance_is_what_the_file_says(platform: Platform, cluster: Cluster) -> None:
    with dg.DagsterInstance.get() as instance:
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert type(instance.schedule_storage).__name__ == "PostgresScheduleStorage"
        assert type(instance.compute_log_manager).__name__ == "S3ComputeLogManager"
        launcher: Any = instance.run_launcher
        assert type(launcher).__name__ == "EcsRunLauncher"
        assert launcher.task_definition.endswith(":task-definition/lakehouse-run:1")
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        limits = instance.get_concurrency_config()
        assert limits.run_queue_config
        assert limits.run_queue_config.max_concurrent_runs == 1
        assert limits.pool_config.default_pool_limit == 1
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_max_resume_run_attempts == 0
        assert not instance.telemetry_enabled
        assert instance.freshness_enabled


def test_a_missing_variable_is_named(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_PG_HOST")
    with pytest.raises(dg.DagsterInvalidConfigError, match="DAGSTER_PG_HOST"):
        dg.DagsterInstance.get()


def test_every_table_has_a_pool_of_its_own(platform: Platform) -> None:
    from definitions import defs

    pools = {
        asset.op.pool
        for asset in defs.assets or ()
        if isinstance(asset, dg.AssetsDefinition) and asset.is_executable and asset.op.pool
    }
    # The Glue Catalog and each page have one writer as well.
    pages = {f"dashboard_{name}" for name in dashboards()}
    assert pools == {table.replace(".", "_") for table in table_ids()} | pages | {"catalog"}
    with dg.DagsterInstance.get() as instance:
        storage = instance.event_log_storage
        for pool in pools:
            if pool not in storage.get_concurrency_keys():  # as a run's executor does
                storage.initialize_concurrency_limit_to_default(pool)
            claims = [storage.claim_concurrency_slot(pool, run, "step") for run in ("one", "other")]
            assert [claim.is_claimed for claim in claims] == [True, False]
            for run in ("one", "other"):
                storage.free_concurrency_slots_for_run(run)


def test_a_run_of_another_task_is_not_taken_for_dead(platform: Platform) -> None:
    settings = Settings.load()

    @dg.job
    def work() -> None:
        """Nothing: only its record counts."""

    started = dg.DagsterRunStatus.STARTED
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(work, status=started)
        bury_dead_runs(instance, settings)
        assert instance.get_run_by_id(run.run_id).status is started  # type: ignore[union-attr]
        instance.report_run_failed(run)
    # A laptop's instance has nobody else who watches.
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(work, status=started)
        bury_dead_runs(instance, settings)
        assert instance.get_run_by_id(run.run_id).is_failure  # type: ignore[union-attr]


def test_from_a_file_to_the_tables_over_tasks(platform: Platform, cluster: Cluster) -> None:
    """The daemon asks the code location, and launches a task that does the work."""
    lake = Path(platform.variables["LAKEHOUSE_ROOT"])
    shutil.copytree(SAMPLE, lake / "raw")
    with platform.at_work() as ui:
        [task] = until(cluster.runs, 300, "a task")
        tags = {tag["key"]: tag["value"] for tag in task["tags"]}
        assert tags["dagster/job_name"] == "lakehouse"
        [interface] = [a for a in task["attachments"] if a["type"] == "ElasticNetworkInterface"]
        assert {"name": "subnetId", "value": cluster.subnet} in interface["details"]
        [override] = task["overrides"]["containerOverrides"]
        assert override["name"] == "run"
        assert override["command"][:3] == ["dagster", "api", "execute_run"]
        # What the override carries is read by anyone who may describe tasks.
        assert platform.variables["DAGSTER_PG_PASSWORD"] not in str(task)
        assert platform.carry_out(task) == 0
        answer = graphql(ui, "{ runsOrError { ... on Runs { results { runId status } } } }")
    runs = {r["runId"]: r["status"] for r in answer["runsOrError"]["results"]}
    assert runs[tags["dagster/run_id"]] in {"SUCCESS", "FAILURE"}  # the sample has bad files
    assert list((lake / "processed" / "gold").glob("*/_delta_log"))


# ------------------------------------------------------------------------------------- the image


def _entries(lock: Path) -> dict[str, str]:
    parts = re.split(r"\n(?=\S)", lock.read_text().strip())
    return {re.split(r"[=\[]", part, maxsplit=1)[0]: part for part in parts}


def test_the_image_installs_what_was_tested_and_no_more() -> None:
    tested, image = _entries(PROJECT / "requirements.lock"), _entries(DEPLOY / "requirements.lock")
    assert image.items() <= tested.items()
    assert {"dagster-postgres", "dagster-aws", "dagster-webserver", "setuptools"} <= set(image)
    assert not {"pytest", "moto", "mypy", "ruff", "hypothesis"} & set(image)


def test_docker_is_given_all_that_the_image_copies() -> None:
    """What its ignore file keeps out fails the build, which nobody here can try."""
    let_in = [
        line[1:]
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = [
        source
        for line in (DEPLOY / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert len(copied) >= 10
    for source in copied:
        assert any(source == it or source.startswith(f"{it}/") for it in let_in), source


def test_all_processes_are_of_one_image() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    workspace = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    [location] = workspace["load_from"]
    command = dockerfile.split("\nCMD ")[1]
    assert f'"--port", "{location["grpc_server"]["port"]}"' in command
    assert f'"--location-name", "{location["grpc_server"]["location_name"]}"' in command


def test_dagster_finds_its_configuration_where_it_may_write(tmp_path: Path) -> None:
    """Dagster makes folders in its home, and a task's root filesystem is read-only."""
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert "DAGSTER_HOME=/tmp/dagster " in dockerfile
    assert 'ENTRYPOINT ["/opt/dagster/start.sh"]' in dockerfile
    home = tmp_path / "home" / "dagster"
    done = subprocess.run(
        [DEPLOY / "start.sh", "sh", "-c", "echo started; exit 7"],
        env={**os.environ, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (7, "started\n")
    assert (home / "dagster.yaml").read_text() == (DEPLOY / "dagster.yaml").read_text()


def test_the_database_is_brought_up_to_date_and_then_left_alone(
    platform: Platform, postgres: Postgres
) -> None:
    """By the command that the daemon's task begins with: on a new database, and on a good one."""
    command = [sys.executable, "-m", "dagster", "instance", "migrate"]
    for _ in range(2):
        done = subprocess.run(
            command, env=platform.environment("migrate"), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
