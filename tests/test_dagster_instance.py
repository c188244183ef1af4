"""Runs of the command line, as the UI's pages find them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import dagster as dg
import pytest

from lakehouse_assets.defs.keys import ATTEMPT_TAG, PLAN_TAG, REPORTED_TAG
from resources.dagster_instance import CODE_LOCATION, open_instance, serve
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


def test_the_ui_is_led_to_this_lakehouse_and_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Messages' links lead to where it listens, unless a setting says otherwise."""
    became: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(
        "os.execve", lambda _, words, environment: became.append((words, environment))
    )
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("subprocess.Popen", lambda _: None)
    monkeypatch.delenv("LAKEHOUSE_UI_URL", raising=False)
    settings = Settings(root=str(tmp_path))
    serve(settings, "127.0.0.1", 3456)
    serve(settings, "::", 3457)
    monkeypatch.setenv("LAKEHOUSE_UI_URL", "https://lake.shop.com")
    serve(settings, "0.0.0.0", 3458)
    assert [environment["LAKEHOUSE_UI_URL"] for _, environment in became] == [
        "http://127.0.0.1:3456",
        "http://127.0.0.1:3457",
        "https://lake.shop.com",
    ]
    for words, environment in became:
        assert environment["LAKEHOUSE_RAW"] == str(tmp_path / "raw")
        assert words[words.index("--log-level") + 1] == "warning"


def test_tags_for_machines_are_hidden() -> None:
    """By their beginning, as Dagster hides its own."""
    assert {tag.partition("/")[0] for tag in (PLAN_TAG, ATTEMPT_TAG, REPORTED_TAG)} == {".dagster"}


def test_the_code_location_is_the_one_that_the_ui_serves() -> None:
    told = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["dagster"]
    assert told["code_location_name"] == CODE_LOCATION
