"""Dagster's instance in a folder, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import dagster as dg


@contextmanager
def instance_in(home: Path) -> Iterator[dg.DagsterInstance]:
    """The instance of a folder, as who has it for DAGSTER_HOME opens it."""
    with (
        patch.dict(os.environ, DAGSTER_HOME=str(home)),
        dg.DagsterInstance.from_config(str(home)) as found,
    ):
        yield found
