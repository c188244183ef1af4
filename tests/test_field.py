"""Every case of the inputs from the field; `python -m tests.field DIR` plays others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import field

_CASES = field.cases(field.FIELD)

if os.environ.get("LAKEHOUSE_DEMAND_ALL") and not _CASES:
    raise RuntimeError(f"no field data at {field.FIELD}, and no suite may be skipped")


@pytest.mark.skipif(not _CASES, reason=f"no field data at {field.FIELD}: set LAKEHOUSE_FIELD_DATA")
@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_what_comes_of_an_input_from_the_field(case: Path, tmp_path: Path) -> None:
    assert field.play(case, tmp_path) == []
