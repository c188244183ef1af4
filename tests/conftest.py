"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resources.engines import SailEngine
from tests.support.harness import World

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
