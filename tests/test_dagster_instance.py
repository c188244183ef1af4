"""Runs of the command line, as the UI's pages find them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import dagster as dg
import pytest

from resources.dagster_instance import CODE_LOCATION, open_instance
from resources.settings import Settings
from tests.support import PROJECT


@dg.op
def nothing() -> None:
    """Stand for a table's work."""


@dg.job(name="lakehouse")
def lakehouse() -> None:
    """Stand for the job of all tables."""
    nothing()


def test_runs_of_this_process_stand_under_their_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs asks by this tag, and Overview by the run's origin."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    with open_instance(Settings(root=str(tmp_path))) as instance:
        done = lakehouse.execute_in_process(instance=instance)
        tags = {".dagster/repository": f"__repository__@{CODE_LOCATION}"}
        [run] = instance.get_runs(dg.RunsFilter(job_name="lakehouse", tags=tags))
    assert run.run_id == done.run_id
    assert run.remote_job_origin
    assert run.remote_job_origin.location_name == CODE_LOCATION


def test_the_code_location_is_the_one_that_the_ui_serves() -> None:
    told = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert told["code_location_name"] == CODE_LOCATION
