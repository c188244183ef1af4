"""How Spark reaches S3 outside AWS's own runtimes: Hadoop's S3A, and no more than it needs.

S3A takes credentials from the same places as every AWS tool, but neither endpoint nor region.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

_SDK: Final = "2.29.52"

PACKAGES: Final = (
    "org.apache.hadoop:hadoop-aws:3.4.2",
    *(
        f"software.amazon.awssdk:{module}:{_SDK}"
        for module in ("s3", "s3-transfer-manager", "sts", "apache-client")
    ),
)
# All of the SDK in one jar: 600 MB for what the four above do.
EXCLUDES: Final = "software.amazon.awssdk:bundle"


def on_s3(
    spark: Mapping[str, str],
    kms_key: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Spark's settings with those for ``s3://``, at the endpoint and region that ``AWS_*`` name."""
    config = {
        **spark,
        "spark.jars.packages": ",".join([spark["spark.jars.packages"], *PACKAGES]),
        "spark.jars.excludes": EXCLUDES,
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
    }
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if kms_key:
        config["spark.hadoop.fs.s3a.encryption.algorithm"] = "SSE-KMS"
        config["spark.hadoop.fs.s3a.encryption.key"] = kms_key
    if region:
        config["spark.hadoop.fs.s3a.endpoint.region"] = region
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if endpoint:
        config["spark.hadoop.fs.s3a.endpoint"] = endpoint
        # A bucket is no host name there.
        config["spark.hadoop.fs.s3a.path.style.access"] = "true"
    return config
