"""The embedded engine answers from S3 what it answers from a folder."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest
from _aws import Aws

from lakehouse_assets import job
from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.queries import named
from resources.queries import query, query_engine
from resources.settings import Settings

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
