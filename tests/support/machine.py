"""What this machine lacks: optional parts are named in one line, and demanded where CI asks."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lakehouse_assets.cli.doctor import java
from tests.support import PROJECT

_JAVA = java()

if os.environ.get("TESTS_DEMAND_ALL") and not _JAVA.ok:
    raise RuntimeError(f"Java is {_JAVA.found}, and no suite may be skipped: {_JAVA.advice}")

needs_java = pytest.mark.skipif(not _JAVA.ok, reason=f"Java is {_JAVA.found}: {_JAVA.advice}")

_POSTGRES = bool([*Path("/usr/lib/postgresql").glob("*/bin/initdb")] or shutil.which("initdb"))

if os.environ.get("TESTS_DEMAND_ALL") and not _POSTGRES:
    raise RuntimeError("no PostgreSQL, and no suite may be skipped (Debian: postgresql)")

needs_postgres = pytest.mark.skipif(
    not _POSTGRES, reason="no PostgreSQL to record Dagster's runs in (Debian: postgresql)"
)

REAL = Path(os.environ.get("TESTS_REAL_DATA", PROJECT.parent / "shared" / "data" / "april_2025"))
"""The real input, which is not ours to copy."""

_BESIDE = [parent / "shared" / "data" / "field" for parent in PROJECT.parents]
FIELD = Path(
    os.environ.get("TESTS_FIELD_DATA")
    or next((folder for folder in _BESIDE if folder.is_dir()), _BESIDE[0])
)
"""Cases of real trouble: a folder each, with its files and what must come of them."""

needs_field_data = pytest.mark.skipif(
    not FIELD.is_dir(), reason=f"no cases at {FIELD}: set TESTS_FIELD_DATA to read them"
)

needs_real_data = pytest.mark.skipif(
    not REAL.is_dir(), reason=f"no real data at {REAL}: set TESTS_REAL_DATA to read it"
)
