"""The embedded engine on S3: it answers as from a folder, and encrypts what it writes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.store.receipts import RECEIPTS
from resources.duckdb_engine import query
from resources.settings import Settings
from tests.support.aws import Aws
from tests.support.commands import Lakehouse
from tests.support.object_store import BUCKET

pytestmark = pytest.mark.aws

PRODUCTS = b"product_id,department_id,department,product_name\n1,1,Toys,It's a kite\n"


@pytest.mark.slow
def test_tables_and_named_queries_on_s3(aws: Aws, tmp_path: Path) -> None:
    house = Lakehouse(tmp_path, **aws.environment)
    land_and_run(house, tmp_path)
    rows = house.rows("SELECT product_name FROM silver.products")
    assert rows == [{"product_name": "It's a kite"}]
    found = json.loads(house.ok("query", "--name", "data_quality_history", "--format", "json"))
    assert len(found) == 1


def land_and_run(house: Lakehouse, folder: Path) -> None:
    """In processes of their own: Sail remembers where a bucket was."""
    file = folder / "products.csv"
    file.write_bytes(PRODUCTS)
    house.ok("land", str(file), "--date", "2025-04-15")
    house.ok("run")


def test_no_credentials_is_one_clear_line(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(LakehouseError, match=r"^S3: no AWS credentials found; sign in"):
        query(Settings.load().lake(), "SELECT 1")


KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def encryption(aws: Aws) -> dict[str, tuple[str | None, str | None]]:
    """How each object of the bucket is encrypted, and by which key."""
    s3, found = aws.client("s3"), {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for stored in page["Contents"]:
            head = s3.head_object(Bucket=BUCKET, Key=stored["Key"])
            found[stored["Key"]] = (head.get("ServerSideEncryption"), head.get("SSEKMSKeyId"))
    return found


def test_delta_logs_are_written_with_the_key(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """By options of each table: the process's environment stays as it was."""
    monkeypatch.setenv("LAKEHOUSE_KMS_KEY", KEY)
    before = dict(os.environ)
    lake = Settings.load().lake()
    lake.create(RECEIPTS)
    assert lake.append(RECEIPTS, [dict.fromkeys(RECEIPTS.names) | {"seq": 1}], on=0)
    found = encryption(aws)
    assert sum(name.endswith(".json") for name in found) == 2
    assert any(name.endswith(".parquet") for name in found)
    assert set(found.values()) == {("aws:kms", KEY)}
    assert dict(os.environ) == before


@pytest.mark.slow
def test_everything_is_written_with_the_key(aws: Aws, tmp_path: Path) -> None:
    """By boto3, delta-rs and Sail alike, in a process that is told of it by its settings."""
    house = Lakehouse(tmp_path, **aws.environment, LAKEHOUSE_KMS_KEY=KEY)
    land_and_run(house, tmp_path)
    found = encryption(aws)
    assert any(name.endswith(".parquet") for name in found)
    assert {name: how for name, how in found.items() if how != ("aws:kms", KEY)} == {}
