"""What Spark loads beyond pyspark is what was looked at: Maven's jars by their checksums."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import PROJECT
from tests.support.machine import needs_java

pytestmark = [pytest.mark.spark, needs_java, pytest.mark.timeout(600)]

LOCK = PROJECT / "deploy" / "locks" / "jars.sha256"
"""As `sha256sum` writes and checks it, in the folder that Ivy puts jars into."""

_LOADED = """
from resources.engines import spark_session
print(spark_session().sparkContext.getConf().get("spark.jars"))
"""


@pytest.mark.slow
def test_every_jar_is_the_one_in_the_lock() -> None:
    """Those of this session, and whatever other session's lie beside them (S3's)."""
    locked = {name: digest for digest, name in map(str.split, LOCK.read_text().splitlines())}
    asked = [sys.executable, "-c", _LOADED]  # alone: a process has one kind of session
    # The Sail session of this process leaves its address in the environment.
    env = {k: v for k, v in os.environ.items() if not k.startswith("SPARK")}
    done = subprocess.run(asked, cwd=PROJECT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout
    loaded = [Path(url.removeprefix("file://")) for url in said.split()[-1].split(",")]
    assert any(jar.name.startswith("io.delta_delta-spark") for jar in loaded)
    beside = [jar for jar in loaded[0].parent.glob("*.jar") if jar.name in locked]
    for jar in {*loaded, *beside}:
        assert hashlib.sha256(jar.read_bytes()).hexdigest() == locked.get(jar.name), jar.name
