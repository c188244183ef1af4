"""An AWS on this machine for the tests here: moto, and before it a Glue that runs jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.glue.build import build
from tests.support import Once
from tests.support.aws import Aws
from tests.support.glue_runtime import LocalGlue
from tests.support.object_store import BUCKET, Store

WHEELS = "deployment/etl_scripts/lakehouse.gluewheels.zip"


@pytest.fixture(scope="session")
def wheels(once: Once) -> Path:
    """What jobs install, for this Python."""
    return once("wheels", build) / "lakehouse.gluewheels.zip"


@pytest.fixture(scope="session")
def _glue(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGlue]:
    # A minute of half a second: what times out does so soon.
    with LocalGlue(tmp_path_factory.mktemp("glue"), store, minute=0.5) as glue:
        yield glue


@pytest.fixture
def glue(
    _glue: LocalGlue, store: Store, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalGlue]:
    """A Glue without jobs and a bucket with the wheels; everything leads there."""
    for name, value in _glue.own_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LAKEHOUSE_ROOT", f"s3://{BUCKET}")
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("LAKEHOUSE_RUNNER", "glue")
    monkeypatch.setenv("LAKEHOUSE_GLUE_POLL_SECONDS", "0.2")
    monkeypatch.setenv("LAKEHOUSE_GLUE_RETRIES", "0")
    monkeypatch.setenv("LAKEHOUSE_GLUE_RETRY_SECONDS", "0")
    _glue.put(WHEELS, wheels.read_bytes())
    yield _glue
    _glue.reset()
    store.clear()


@pytest.fixture
def aws(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """An empty account with one bucket; the lakehouse is in it, its home in a folder."""
    environment = store.environment(failing=False)
    environment |= {"LAKEHOUSE_ROOT": f"s3://{BUCKET}/shop", "LAKEHOUSE_HOME": str(tmp_path)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    yield Aws(environment)
    store.clear()
