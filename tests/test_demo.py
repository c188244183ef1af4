"""The dates of the demo: what a UI shows by default is about the last days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from data import demo


def test_the_last_batch_is_yesterday_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(tmp_path / "none"))
    demo._generate(tmp_path, demo._seed_date())
    dates = sorted({file.parent.name for file in tmp_path.glob("*/*/*")})
    assert dates[-1] == str(datetime.now(UTC).date() - timedelta(days=1))
    assert len(dates) == 4


def test_a_second_demo_lands_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another day, too: the dates are those of the first."""
    first, second = tmp_path / "first", tmp_path / "second"
    demo._generate(first / "raw", demo._seed_date() - timedelta(days=40))
    monkeypatch.setenv("LAKEHOUSE_ROOT", str(first))
    demo._generate(second / "raw", demo._seed_date())
    files = {file.relative_to(first): file.read_bytes() for file in first.rglob("*.*")}
    assert files
    assert files == {f.relative_to(second): f.read_bytes() for f in second.rglob("*.*")}
