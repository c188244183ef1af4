"""Every case of the inputs from the field; `python -m tests.field DIR` plays others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import field
from tests.support.machine import FIELD, needs_field_data

_CASES = field.cases(FIELD)

if os.environ.get("TESTS_DEMAND_ALL") and not _CASES:
    raise RuntimeError(f"no field data at {FIELD}, and no suite may be skipped")


@needs_field_data
@pytest.mark.slow
@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_what_comes_of_an_input_from_the_field(case: Path, tmp_path: Path) -> None:
    assert field.play(case, tmp_path) == []
