"""What Sail 0.7.2 does otherwise than Spark, and the way around: one function for each fault.

tests/test_sail_quirks.py shows every fault at work. A test that fails there says that the engine
has mended one, and which function can go.

Four faults have no function here, because the feature is used nowhere:

- ``partitionOverwriteMode=dynamic`` is taken for static: the other partitions are removed.
- ``replaceWhere`` accepts rows outside its predicate: `publish.commit` asks its callers for none.
- ``mergeSchema`` with ``replaceWhere`` adds no column. `store.table_schema` adds it beforehand.
- ``txnAppId`` and ``txnVersion`` do nothing, and neither does ``cache()``
  (https://github.com/lakehq/sail/issues/482): what is read more than once is staged.

Two are met elsewhere: `tables.contract.delta_schema` gives the project's own columns no comment,
and `select` asks with as little text as it can.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse_assets.store.lake import Lake
    from lakehouse_assets.store.storage import Storage
    from lakehouse_assets.tables.contract import Table

_PLAIN = re.compile(r"[A-Za-z0-9._/-]*")


def is_sail(spark: SparkSession) -> bool:
    """Whether a session may be Sail's: one behind Spark Connect."""
    return type(spark).__module__.startswith("pyspark.sql.connect.")


def let_read_version(spark: SparkSession, lake: Lake, table: Table, version: int) -> None:
    """Remove the hint to a log's last checkpoint before an older version is read.

    With that hint Sail lists no commit before the checkpoint, and fails for older versions with
    "Missing commit file: expected version 0, found 4" unless they are a checkpoint themselves.
    Readers find the checkpoint without it. To be filed: time travel must not start its listing at
    ``_last_checkpoint`` when the version asked for is older (``delta_log/listing.rs``).

    Not where the engine is another: Glue's jobs may remove nothing of other tables.
    """
    if is_sail(spark) and version < (lake.version(table) or 0):
        lake.forget_checkpoint_hint(table)


def stage_with_maps(spark: SparkSession, rows: DataFrame, uri: str) -> DataFrame:
    """Write rows with a map column down and read them back, as Delta and not as Parquet.

    Sail calls a map's parts ``key_value`` where it read Parquet and ``entries`` in a Delta table;
    a ``replaceWhere``, which unites the new rows with the table's others, fails with
    "UnionExec/InterleaveExec requires all inputs to have the same data type per column". To be
    filed: the names of a map's parts must not count when types are compared.
    """
    rows.write.format("delta").save(uri)
    return spark.read.format("delta").load(uri)


def plain_uri(storage: Storage, path: str) -> str:
    """Where an engine finds a path of a storage: by a link, if a name has a space, ``#`` or such.

    Sail encodes the characters of a local path that a URL cannot have, and then takes the encoded
    text for the name of a folder: the log of ``/a b/t`` is written to ``/a%20b/t``. DuckDB does
    the same with ``%``. A link without such characters leads to the same files: what stands in a
    Delta log is relative to it. The link belongs to this process and goes with it. Akin to
    https://github.com/lakehq/sail/issues/1096, which was about partitions' values.
    """
    uri = storage.uri(path)
    if "://" in uri or _PLAIN.fullmatch(uri):
        return uri
    return f"{_link_to(storage.root)}/{path}"


@cache
def _link_to(folder: str) -> Path:
    parent = Path(tempfile.mkdtemp(prefix="lakehouse-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)  # the link, and not what it leads to
    link = parent / "lake"
    link.symlink_to(Path(folder).absolute(), target_is_directory=True)
    return link
