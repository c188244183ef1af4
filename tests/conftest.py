"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

from resources.engines import SailEngine
from tests.support import PROJECT, Once
from tests.support.commands import GOOD, Lakehouse, put
from tests.support.object_store import Store
from tests.support.world import World

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> SparkSession:
    """The embedded engine's session."""
    return SailEngine().session()


@pytest.fixture
def lake(tmp_path: Path, spark: SparkSession) -> Iterator[World]:
    """An empty lake, with whatever a test does to it; contracts are put back afterwards."""
    with World(tmp_path, spark) as world:
        yield world


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    """The one object store of this process: Sail goes on asking the first that it was led to."""
    with Store() as store:
        yield store


@pytest.fixture(scope="module")
def s3(store: Store) -> Iterator[Store]:
    """The object store with an empty bucket, which this process's clients find."""
    before = dict(os.environ)
    os.environ |= store.environment(failing=False)
    try:
        yield store
    finally:
        os.environ.clear()
        os.environ |= before
        store.clear()


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make a folder of this name once for all workers; who changes it takes a copy."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if shared.name.startswith("popen-") else shared

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder = shared / "once" / name
        folder.parent.mkdir(exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                unfinished = folder.with_suffix(".unfinished")
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return made


_FETCH = """
from dagster_pyspark import LazyPySparkResource
from resources.engines import SPARK_CONFIG
from resources.spark_s3 import on_s3
LazyPySparkResource(spark_config=on_s3(SPARK_CONFIG, environment={})).spark_session
"""


def pytest_collection_finish() -> None:
    """All is imported now, and stays: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever starts Spark has its jars first."""
    for item in items:
        if item.get_closest_marker("spark") and isinstance(item, pytest.Function):
            item.fixturenames.insert(0, "jars")


@pytest.fixture(scope="session")
def jars(once: Once) -> None:
    """Spark's jars, S3's among them: fetched by one process, for two spoil each other's cache.

    https://github.com/NVIDIA/cudf-spark/issues/6580
    """

    def fetch(_: Path) -> None:
        # The Sail session of this process leaves its address in the environment.
        env = {k: v for k, v in os.environ.items() if not k.startswith("SPARK")}
        subprocess.run([sys.executable, "-c", _FETCH], cwd=PROJECT, env=env, check=True)

    once("jars", fetch)


@pytest.fixture(scope="session")
def good_day(once: Once) -> Path:
    """Where a lakehouse is in which a day of good files has run: for `Lakehouse.copied`."""

    def make(folder: Path) -> None:
        house = Lakehouse(folder)
        for name, content in GOOD.items():
            put(house, name, content)
        house.ok("run")

    return once("good-day", make)
