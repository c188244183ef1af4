"""A task of ECS has no keys: its role's are served, and whoever asks S3 in it finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.aws import Aws
from tests.support.commands import GOOD, Lakehouse
from tests.support.metadata import serving_task
from tests.support.object_store import BUCKET

pytestmark = pytest.mark.aws


@pytest.mark.slow
def test_a_run_and_a_query_need_no_keys(aws: Aws, tmp_path: Path) -> None:
    """The SDK, delta-rs, Sail and DuckDB."""
    told = {name: text for name, text in aws.environment.items() if "KEY" not in name}
    with serving_task("dagster-run") as (served, asked):
        house = Lakehouse(tmp_path, **served, **told)
        for name in told.keys() ^ aws.environment.keys():
            del house.environment[name]
        assert not [name for name in house.environment if name.startswith("AWS_") and "KEY" in name]
        for name, content in GOOD.items():
            key = f"shop/raw/{Path(name).stem}/2025-04-15/{name}"
            aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content.encode())
        house.ok("run")
        assert asked
        found = house.ok("query", "SELECT count(*) AS n FROM silver.orders", "--format", "csv")
        assert int(found.split()[1]) > 0
