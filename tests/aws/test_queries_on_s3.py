"""The embedded engine on S3: it answers as from a folder, and encrypts what it writes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from _aws import Aws
from commands import Lakehouse

from lakehouse_assets import job
from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.queries import named
from resources.queries import query, query_engine
from resources.settings import Settings
from tests.torture._store import BUCKET

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.aws

PRODUCTS = b"product_id,department_id,department,product_name\n1,1,Toys,It's a kite\n"


def test_tables_and_named_queries_on_s3(aws: Aws, spark: SparkSession) -> None:
    settings = Settings.load()
    lake = settings.lake()
    lake.raw.write("products/2025-04-15/products.csv", PRODUCTS)
    for table in ("bronze.products", "silver.products"):
        job.run(spark, lake, table, [date(2025, 4, 15)], "a test")
    assert query(lake, "SELECT product_name FROM silver.products") == (
        ["product_name"],
        [("It's a kite",)],
    )
    _, rows = query_engine(settings).answer_named(named("data_quality_history"))
    assert len(rows) == 1


def test_no_credentials_is_one_clear_line(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(LakehouseError, match=r"^S3: no AWS credentials found; sign in"):
        query(Settings.load().lake(), "SELECT 1")


def test_everything_is_written_with_the_key(aws: Aws, tmp_path: Path) -> None:
    """By boto3, delta-rs and Sail alike, in a process that is told of it by its settings."""
    key = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    house = Lakehouse(tmp_path, **aws.environment, LAKEHOUSE_KMS_KEY=key)
    file = tmp_path / "products.csv"
    file.write_bytes(PRODUCTS)
    house.ok("land", str(file), "--date", "2025-04-15")
    house.ok("run")
    s3, found = aws.client("s3"), []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for stored in page["Contents"]:
            head = s3.head_object(Bucket=BUCKET, Key=stored["Key"])
            found.append((head.get("ServerSideEncryption"), head.get("SSEKMSKeyId"), stored["Key"]))
    assert any(key.endswith(".parquet") for *_, key in found)
    assert [it for it in found if it[:2] != ("aws:kms", key)] == []
