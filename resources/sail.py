"""The embedded engine's session, and those of other Spark Connect servers; light: no Dagster."""

from __future__ import annotations

import logging
import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@cache
def sail_session(kms_key: str | None = None) -> SparkSession:
    """This process's embedded session, started when first asked for.

    What it writes to S3 is encrypted by ``kms_key``, or else by the bucket's default.
    """
    # Sail 0.7.2 is configured by its process's environment alone, which it reads as it starts.
    # Its log: a run's own says what a person needs to know.
    os.environ.setdefault("RUST_LOG", "error")
    # Its allocator gives back at once what is no longer used. By default it waits, and then for the
    # thread to ask again: of a first load of ten million rows, 1.5 GiB stayed held to the end.
    # https://microsoft.github.io/mimalloc/environment.html
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "0")
    if kms_key:
        # No option of a session or of a write reaches its object store.
        os.environ |= {"AWS_SERVER_SIDE_ENCRYPTION": "aws:kms", "AWS_SSE_KMS_KEY_ID": kms_key}
    from pysail.spark import SparkConnectServer  # noqa: PLC0415 - only where Sail is asked for

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    _SERVERS.append(server)  # it ends when nothing holds it
    session = connect(f"sc://127.0.0.1:{port}")
    # Executions stay reattachable, though that costs each a second request: without it pyspark
    # takes an answer that breaks off, as when the engine panics, for a success.
    # Where in Python a query was made is nowhere told, and finding out costs each of its calls.
    session.conf.set("spark.python.sql.dataFrameDebugging.enabled", "false")
    return session


def connect(url: str) -> SparkSession:
    """A session on a Spark Connect server."""
    from pyspark.sql import SparkSession  # noqa: PLC0415 - takes long to import

    # At the end of a process pyspark logs, with a stack trace, that Sail has no cache of ML models
    # to clean. It disables this logger itself, but whoever configures logging later enables it.
    logging.getLogger("pyspark.sql.connect.logging").setLevel(logging.CRITICAL + 1)
    session = SparkSession.builder.remote(url).getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    return session


_SERVERS: list[Any] = []
