"""What a recovery needs beside the product's own commands; see docs/recovery.md.

`python -m deploy.recovery undelete | copy | check | heal`; where the lakehouse is, settings say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from boto3.s3.transfer import TransferConfig
from deltalake.exceptions import DeltaError

from lakehouse_assets.cli.console import fail, say, tell
from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.planning.pending_files import missing
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.facts import FACTS, Absorbed
from lakehouse_assets.store.lake import ARCHIVE, FilePath, Lake
from lakehouse_assets.store.ledger import Ledger
from lakehouse_assets.store.receipts import RECEIPTS
from lakehouse_assets.tables.contract import Table
from lakehouse_assets.tables.registry import queryable
from resources.aws import CONNECTIONS, clear_errors, client
from resources.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)


@app.command()
def undelete(
    place: Annotated[str, typer.Argument(help="s3://<bucket>/<prefix>")],
    since: Annotated[datetime, typer.Option(help="When the mistake began, UTC.")],
) -> None:
    """Bring back what was deleted below a prefix since then; what was written since stays."""
    bucket, prefix = _split(place)
    moment = since if since.tzinfo else since.replace(tzinfo=UTC)
    with clear_errors(place):
        s3 = client("s3")
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
        markers = [
            {"Key": marker["Key"], "VersionId": marker["VersionId"]}
            for page in pages
            for marker in page.get("DeleteMarkers", ())
            # Not only the latest: what was deleted twice since has two.
            if marker["LastModified"] >= moment
        ]
        for at in range(0, len(markers), 1000):
            some = {"Objects": markers[at : at + 1000], "Quiet": True}
            # Refusals of single objects come in an answer that is no error.
            for refused in s3.delete_objects(Bucket=bucket, Delete=some).get("Errors", ()):
                fail(
                    f"s3://{bucket}/{refused['Key']}: {refused['Code']}: {refused['Message']}; "
                    "allow s3:DeleteObjectVersion on it, then again"
                )
    tell(f"{place}: {len({marker['Key'] for marker in markers})} objects are back")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="s3://<bucket>[/<prefix>], such as a replica")],
    target: Annotated[str, typer.Argument(help="s3://<bucket>[/<prefix>]")],
) -> None:
    """Copy every object that the target lacks; what it has stays."""
    (bucket, prefix), (to, below) = _split(source), _split(target)
    with clear_errors(f"{source} to {target}"):
        s3 = client("s3")
        alone = TransferConfig(use_threads=False)  # this thread is one of many already
        there = {key.removeprefix(below) for key in _keys(s3, to, below)}
        wanted = [k for k in _keys(s3, bucket, prefix) if k.removeprefix(prefix) not in there]

        def one(key: str) -> None:
            new = below + key.removeprefix(prefix)
            s3.copy({"Bucket": bucket, "Key": key}, to, new, SourceClient=s3, Config=alone)

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(one, wanted))
    tell(f"{target}: {len(wanted)} objects copied, {len(there)} were there")


@app.command()
def check() -> None:
    """Say which tables are not whole, or older than the ledger knows them."""
    lake = Settings.load().lake()
    told = _told(lake)
    broken = [
        (name, what) for name, table in _tables().items() if (what := _wrong(lake, table, told))
    ]
    for name, what in broken:
        say(f"{name}: {what}; python -m deploy.recovery heal, then lakehouse run")
    if broken:
        raise typer.Exit(1)
    tell("Every table is whole.")


@app.command()
def heal() -> None:
    """Take away what is not whole or set back, so that the next run makes it anew; nothing else.

    The ledger is cut where it breaks off, and with it go the receipts. What it then knows nothing
    of comes back from the archive into the raw zone, and lands again.
    """
    for line in healed(Settings.load().lake()):
        tell(line)


def healed(lake: Lake) -> Iterator[str]:
    """What `heal` does, a line for each thing done."""
    if what := _missing(lake, FACTS):
        at = _cut(lake)
        lake.storage.delete(lake.path(RECEIPTS))
        yield f"ledger.facts: {what}; cut after version {at}"
        lake = lake.fresh()
    told = _told(lake)
    for name, table in _tables().items():
        what = _wrong(lake, table, told)
        if what and (kept := _only_here(lake, table)):
            yield (
                f"{name}: {what}; left alone, for the bytes of {len(kept)} files are nowhere else, "
                f"such as {kept[0]}; copy them into the raw zone or its archive, then heal again"
            )
        elif what:
            lake.storage.delete(lake.path(table))
            yield f"{name}: {what}; removed"
    for path in _unarchived(lake.fresh()):
        yield f"{path}: back from the archive"


def _tables() -> dict[str, Table]:
    """The ledger first: the rest follows from it."""
    return {"ledger.facts": FACTS, "ledger.receipts": RECEIPTS, **queryable()}


@dataclass(frozen=True)
class _Told:
    """What the ledger tells of the tables' logs.

    ``newest`` is the newest version of each log by its id, ``written`` when who writes a table
    first told of a version, ``heard`` when a run was first heard of; both as ``seq``.
    """

    newest: dict[str, int] = field(default_factory=dict)
    written: dict[TableVersion, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)


def _told(lake: Lake) -> _Told:
    told = _Told()
    if _missing(lake, FACTS):
        return told
    ledger = Ledger(lake)
    for fact in ledger.facts():
        if fact.run_id:
            told.heard.setdefault(fact.run_id, fact.seq)
        if isinstance(fact.detail, Absorbed):
            for version in fact.detail.written.values():
                told.written.setdefault(version, fact.seq)
    for taken in ledger.state().absorbed.values():
        for then in (*taken.written.values(), *taken.inputs.values()):
            told.newest[then.log_id] = max(then.version, told.newest.get(then.log_id, -1))
    return told


def _wrong(lake: Lake, table: Table, told: _Told) -> str | None:
    """Why a table must be made anew, in words; None where it is good."""
    if what := _missing(lake, table):
        return what
    found = lake.delta(table)
    if found is None:
        return None
    log = str(found.metadata().id)
    then = told.newest.get(log, -1)
    # Its next version would pass for the one that is gone, in which something else may stand.
    if found.version() < then:
        return f"set back to version {found.version()}, the ledger knows {then}"
    for commit in found.history():
        heard = told.heard.get(commit.get("userMetadata", ""))
        if heard and heard > told.written.get(TableVersion(log, commit["version"]), heard):
            return f"set back, and a run has written another version {commit['version']} since"
    return None


def _only_here(lake: Lake, table: Table) -> list[FilePath]:
    """The files in force whose rows no bytes could bring back into a bronze table."""
    if table.layer != "bronze":
        return []
    return [
        path
        for path, past in sorted(Ledger(lake).state().paths.items())
        if path.dataset == table.name
        and missing(past, ())
        and not lake.raw.find(str(path))
        and not lake.bytes_of(path, past.in_force or "")
    ]


def _missing(lake: Lake, table: Table) -> str | None:
    """What a table lacks, in words; None where it is whole, or is not there at all."""
    there = _files(lake, table)
    if not there:
        return None
    try:
        version = lake.version(table)
        named = {f["path"] for f in lake.files(table, version)}
    except (DeltaError, OSError) as error:
        return f"its log cannot be read ({' '.join(str(error).split())[:200]})"
    if version is None:
        return "its log is gone"
    gone = len(named - there)
    return f"{gone} of {len(named)} files are not there" if gone else None


def _cut(lake: Lake) -> int:
    """Take the ledger back to its newest whole version; returns that, -1 for none."""
    folder = f"{lake.path(FACTS)}/_delta_log"
    log = {f.path: _version_of(f.path) for f in lake.storage.list(folder)}
    there = _files(lake, FACTS)
    for version in sorted({v for v in log.values() if v is not None}, reverse=True):
        try:
            named = {f["path"] for f in lake.fresh().files(FACTS, version)}
        except (DeltaError, OSError):
            continue
        if named <= there:
            for path, of in log.items():
                if of is None or of > version:  # what has no version only points to a checkpoint
                    lake.storage.delete(path)
            return version
    lake.storage.delete(lake.path(FACTS))
    return -1


def _files(lake: Lake, table: Table) -> set[str]:
    folder = lake.path(table)
    return {f.path.removeprefix(f"{folder}/") for f in lake.storage.list(folder)}


def _version_of(path: str) -> int | None:
    found = re.match(r"([0-9]{20})\.", path.rsplit("/", 1)[-1])
    return int(found[1]) if found else None


def _unarchived(lake: Lake) -> Iterator[FilePath]:
    """Put back what is in the archive and the ledger knows nothing of; the newest of each path."""
    state = Ledger(lake).state()
    newest: dict[FilePath, tuple[float, str]] = {}
    for stored in lake.raw.list(ARCHIVE):
        _, dataset, day, digest, file = stored.path.split("/")
        path = lake.placed(f"{dataset}/{day}/{file}")
        if not isinstance(path, FilePath):
            continue
        if digest not in {f.digest for f in state.at(path).landings}:
            newest[path] = max(newest.get(path, (0.0, "")), (stored.modified, stored.path))
    for path, (_, archived) in sorted(newest.items()):
        if lake.raw.find(str(path)) is None:
            with lake.raw.open(archived) as stream:
                lake.raw.write(str(path), stream)
            yield path


def _split(place: str) -> tuple[str, str]:
    if not place.startswith("s3://"):
        fail(f"{place}: no place on S3; write it as s3://<bucket>/<prefix>")
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    return bucket, f"{prefix.rstrip('/')}/" if prefix else ""


def _keys(s3: Any, bucket: str, prefix: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (found["Key"] for found in page.get("Contents", ()))


def main() -> None:
    """Run a command; what is wrong with the request is one clear line."""
    try:
        app()
    except LakehouseError as error:
        fail(str(error))


if __name__ == "__main__":
    main()
