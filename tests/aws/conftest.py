"""An empty AWS account for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _aws import Aws

from tests.torture._store import BUCKET, Store


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    with Store() as store:
        yield store


@pytest.fixture
def aws(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An empty account with one bucket; the lakehouse is in it, its home in a folder."""
    store.clear()
    environment = store.environment(failing=False)
    environment |= {"LAKEHOUSE_ROOT": f"s3://{BUCKET}/shop", "LAKEHOUSE_HOME": str(tmp_path)}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Aws(environment)
