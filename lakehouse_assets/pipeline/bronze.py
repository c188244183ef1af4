"""Bronze: read the files, judge each by its own content, and keep the rows of those in force."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from statistics import median
from typing import TYPE_CHECKING, Any

from lakehouse_assets.parse import Limits, Unreadable, parse
from lakehouse_assets.pipeline.publish import AuditError, commit
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.pipeline.result import Check, Result, Severity
from lakehouse_assets.pipeline.workspace import Workspace, among
from lakehouse_assets.planning.pending_files import (
    BronzeWork,
    ToRead,
    bronze_work,
    clear_lines,
    made,
    missing,
    waiting,
)
from lakehouse_assets.planning.settled_files import contents
from lakehouse_assets.store import receipts
from lakehouse_assets.store.lake import ASIDE, FilePath, Lake, RawFile, Source, Zone, content_id
from lakehouse_assets.store.ledger import Fact, Judgement, Kind, Ledger, PathState, State, absorbed
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from lakehouse_assets.store.storage import Storage, StoredObject

CHECKS = {
    "structure": "Every file of the batch can be read, and has no unexpected columns.",
    "reject_rate": "No file is held: faulty rows stay within the contract's limit.",
    "volume": "Rows of the batch lie between half and twice the median of the batches before.",
}
"""Bronze's checks by name, with what each says when it passes."""

_VOLUME_WINDOW = 28
_VOLUME_LEAST = 3


def run(
    work: Workspace, ledger: Ledger, dataset: Dataset, dates: Sequence[date], limits: Limits | None
) -> Result:
    """Take in the files of these batch dates; see `run_table`."""
    state = ledger.followed()
    result = Result(dataset.bronze.id, version=work.lake.create(dataset.bronze))
    if not state.frozen:
        state = _bring_up_to_date(work, ledger, state, dataset, dates, limits, result)
    _report(result, state, dataset, dates)
    result.metadata["rows_read"] = sum(d.get("read", 0) for d in result.days.values())
    return result


def _bring_up_to_date(
    work: Workspace,
    ledger: Ledger,
    state: State,
    dataset: Dataset,
    dates: Sequence[date],
    limits: Limits | None,
    result: Result,
) -> State:
    """Do what the plan says for these dates; returns the state with what was found out."""
    lake = work.lake
    files = [
        f
        for f in lake.raw_files(dates)
        if isinstance(f, RawFile) and f.path.dataset == dataset.name
    ]
    pending = bronze_work(lake, state, dataset, files, contents(lake, dataset, dates), dates)
    result.lines += pending.notices
    result.metadata["files_read"] = len(pending.read)
    kept = [s for d in dates for s in lake.storage.list(f"{ASIDE}/{dataset.name}/{d}")]
    if pending:
        result.version = _take_in(work, ledger, state, dataset, dates, files, pending, limits)
        state = ledger.state()
    _forget(lake, state, dataset, dates, kept)
    receipts.record(ledger, receipts.outside_tables(lake, state, dataset, dates), work.run_id)
    return state


def _forget(
    lake: Lake, state: State, dataset: Dataset, dates: Sequence[date], kept: Sequence[StoredObject]
) -> None:
    """Remove the bytes kept aside that no run needs any more."""
    present = contents(lake, dataset)
    needed = set()
    for past in state.of(dataset.name, dates) if kept else []:
        coming = missing(past, present)
        wanted = [*past.unjudged, *([coming] if coming else [])]
        needed |= {lake.aside(past.path, digest) for digest in wanted}
    for stored in kept:
        if stored.path not in needed:
            lake.storage.delete(stored.path)


def _take_in(
    work: Workspace,
    ledger: Ledger,
    state: State,
    dataset: Dataset,
    dates: Sequence[date],
    files: list[RawFile],
    pending: BronzeWork,
    limits: Limits | None,
) -> int:
    lake, table = work.lake, dataset.bronze
    facts: list[Fact] = []
    staged: DataFrame | None = None
    lengths: dict[str, int] = {}
    if pending.read:
        staged = work.stage(
            _parsed(work, dataset, state, pending.read, limits or Limits()), with_maps=True
        )
        found = _summaries(staged)
        lengths = {content_id(path, s["digest"]): s["read"] for path, s in found}
        facts = _judge(work, dataset, state, staged, found, files)
    after = _as_if(state, facts)
    wanted = {
        content_id(past.path, past.in_force)
        for past in after.of(dataset.name, dates)
        if past.in_force
    }
    present = set(contents(lake, dataset, dates))
    leaving = present - wanted
    coming = {c for c in wanted - present if lengths.get(c)}
    if staged is not None and coming:
        _audit(dataset, staged, coming, lengths)
    if coming or leaving:
        # A content belongs to one path and so to one date: the product of both lists is exact.
        where = f"{among('_batch_date', dates)} AND {among('_content', leaving | coming)}"
        rows = staged.where("_summary IS NULL").drop("_summary") if staged is not None else None
        rows = work.read(table, lake.version(table)).where("false") if rows is None else rows
        commit(work, table, rows.where(among("_content", coming)), where)
    version = lake.create(table)
    # Facts after the rows: were it the other way round, a crash between the two could leave a
    # content in force whose bytes have been overwritten since.
    which = made(lake, [table.id])
    facts.append(absorbed(table.id, version, {}, dataset.rules_digest, work.run_id, made=which))
    ledger.decide(lambda now: [f for f in facts if not _landed_meanwhile(now, f)])
    return version


def _landed_meanwhile(now: State, fact: Fact) -> bool:
    """Whether what this run would land by reading it has been landed by someone since."""
    if fact.kind is not Kind.LANDED or fact.path is None:
        return False
    last = now.at(fact.path).last
    return last is not None and last.digest == fact.digest


# ------------------------------------------------------------------------------------ reading


def _may_lack(dataset: Dataset, past: PathState, digest: str | None) -> list[str]:
    """The headers that have come into the contract since a content was admitted."""
    judged = past.judgements.get(digest or "")
    if judged is None or digest not in past.admitted or not judged.headers:
        return []
    return [header for header in dataset.headers if header not in judged.headers]


def _parsed(
    work: Workspace, dataset: Dataset, state: State, items: Sequence[ToRead], limits: Limits
) -> DataFrame:
    """Every row of the files, and one row a file with its summary as JSON in ``_summary``."""
    listed = work.spark.createDataFrame(
        [
            (
                item.path.dataset,
                item.path.batch_date,
                item.path.file,
                *item.source,
                json.dumps(_may_lack(dataset, state.at(item.path), item.digest)),
            )
            for item in items
        ],
        "dataset string, batch_date date, file string, zone string, source string, lacking string",
    ).repartition(min(len(items), 64))
    columns = ", ".join(f"`{c.name}` {c.type}" for c in dataset.bronze.columns)
    reader = _reader(work.lake.zones, dataset.headers, dataset.bronze.names, limits)
    return listed.mapInArrow(reader, f"{columns}, `_summary` STRING")


def _reader(
    zones: Mapping[str, Storage], headers: tuple[str, ...], names: tuple[str, ...], limits: Limits
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                path = FilePath(row["dataset"], row["batch_date"], row["file"])
                source = Source(Zone(row["zone"]), row["source"])
                lacking = json.loads(row["lacking"])
                zone = zones[source.zone]
                yield from _read_file(zone, path, source, headers, lacking, names, limits)

    return read


def _read_file(
    storage: Storage,
    path: FilePath,
    source: Source,
    headers: tuple[str, ...],
    lacking: list[str],
    names: tuple[str, ...],
    limits: Limits,
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa  # noqa: PLC0415 - in the worker

    summary: dict[str, Any] = {
        "path": [path.dataset, path.batch_date.isoformat(), path.file],
        "at_path": source == (Zone.RAW, str(path)),
    }
    try:
        data = storage.read(source.path)
    except FileNotFoundError:
        return  # it went after the listing: it never landed
    summary["digest"] = hashlib.sha256(data).hexdigest()
    try:
        parsed = parse(path.file, data, headers, limits, lacking)
    except Unreadable as error:
        summary |= {"read": 0, "error": str(error), "sheets": [], "unexpected": [], "repairs": 0}
        rows = None
    else:
        sheets = [[p.sheet, p.problem] for p in parsed.sheet_problems]
        rows = parsed.rows
        summary |= {
            "read": rows.num_rows,
            "error": None,
            "sheets": sheets,
            "unexpected": list(parsed.unexpected),
            "repairs": parsed.repairs,
        }
    types = {
        "_batch_date": pa.date32(),
        "_sheet_no": pa.int32(),
        "_row": pa.int64(),
        "_extra": pa.map_(pa.string(), pa.string()),
    }
    schema = pa.schema([(n, types.get(n, pa.string())) for n in (*names, "_summary")])
    if rows is not None and rows.num_rows:
        constants = {
            "_batch_date": path.batch_date,
            "_file": path.file,
            "_content": content_id(path, summary["digest"]),
            "_summary": None,
        }
        arrays = [
            pa.repeat(pa.scalar(constants[f.name], f.type), rows.num_rows)
            if f.name in constants
            else rows.column(f.name).cast(f.type)
            for f in schema
        ]
        yield from pa.Table.from_arrays(arrays, schema=schema).to_batches(max_chunksize=65_536)
    nothing: dict[str, Any] = dict.fromkeys(schema.names)
    yield pa.RecordBatch.from_pylist([{**nothing, "_summary": json.dumps(summary)}], schema=schema)


def _summaries(staged: DataFrame) -> list[tuple[FilePath, dict[str, Any]]]:
    rows = staged.where("_summary IS NOT NULL").select("_summary").collect()
    found = []
    for row in rows:
        summary = json.loads(row["_summary"])
        dataset, day, file = summary["path"]
        found.append((FilePath(dataset, date.fromisoformat(day), file), summary))
    return sorted(found, key=lambda pair: pair[0])


# ------------------------------------------------------------------------------------ judging


def _judge(
    work: Workspace,
    dataset: Dataset,
    state: State,
    staged: DataFrame,
    found: list[tuple[FilePath, dict[str, Any]]],
    files: list[RawFile],
) -> list[Fact]:
    """Facts: what landed by being read, and what was found in each content."""
    stamps = {f.path: f.stored.stamp for f in files}
    large = [content_id(p, s["digest"]) for p, s in found if s["read"] >= dataset.hold.least_rows]
    faulty: dict[str, int] = {}
    if large:
        rows = staged.where(f"_summary IS NULL AND {among('_content', large)}")
        counted = judged(rows, dataset).where("size(_own) > 0").groupBy("_content").count()
        faulty = {row["_content"]: row["count"] for row in counted.collect()}
    landed: list[Fact] = []
    verdicts: list[Fact] = []
    for path, summary in found:
        digest, past = summary["digest"], state.at(path)
        # Bytes at the path itself that are not those landed last land by being read.
        if summary["at_path"] and (not past.last or past.last.digest != digest):
            detail = {"by": "run", "stamp": stamps.get(path, "")}
            landed.append(Fact(Kind.LANDED, path, digest, detail, work.run_id))
        verdict = _verdict(dataset, summary, faulty.get(content_id(path, digest), 0))
        if digest in past.admitted:  # a recorded decision; what is new is that it has been read
            verdict = past.judgements.get(digest, verdict)
        found_out: dict[str, Any] = {
            "read": verdict.read,
            "faulty": verdict.faulty,
            "error": verdict.error,
            "sheets": verdict.sheets,
            "rules": verdict.rules,
            "unexpected": verdict.unexpected,
            "repairs": verdict.repairs,
            "headers": verdict.headers,
        }
        verdicts.append(Fact(verdict.kind, path, digest, found_out, work.run_id))
    return landed + verdicts


def _verdict(dataset: Dataset, summary: dict[str, Any], faulty: int) -> Judgement:
    read, error, kind = summary["read"], summary["error"], Kind.ADMITTED
    limit = dataset.hold
    if error is not None:
        kind = Kind.UNREADABLE
    elif read >= limit.least_rows and faulty > Fraction(str(limit.share)) * read:
        kind = Kind.HELD
        error = (
            f"held: {faulty:,} of {read:,} rows break a rule, more than {limit.share:.0%}; "
            "mend the file and land it again, or let it in with lakehouse accept"
        )
    return Judgement(
        kind=kind,
        read=read,
        faulty=faulty,
        error=error,
        sheets=tuple((sheet, problem) for sheet, problem in summary["sheets"]),
        rules=dataset.rules_digest,
        unexpected=tuple(summary["unexpected"]),
        repairs=summary["repairs"],
        headers=dataset.headers,
    )


def _as_if(state: State, facts: Sequence[Fact]) -> State:
    """The state once these facts are recorded."""
    after = copy.deepcopy(state)
    for i, fact in enumerate(facts):
        after.take(Fact(fact.kind, fact.path, fact.digest, fact.detail, seq=state.seq + 1 + i))
    return after


def _audit(dataset: Dataset, staged: DataFrame, coming: set[str], lengths: dict[str, int]) -> None:
    rows = staged.where(f"_summary IS NULL AND {among('_content', coming)}")
    counted = {r["_content"]: r["count"] for r in rows.groupBy("_content").count().collect()}
    for content in coming:
        if counted.get(content) != lengths[content]:
            raise AuditError(
                f"{dataset.bronze.id}: {lengths[content]} rows parsed but "
                f"{counted.get(content)} staged of upload {content}; nothing published"
            )


# ---------------------------------------------------------------------------------- reporting


def _report(result: Result, state: State, dataset: Dataset, dates: Sequence[date]) -> None:
    standing = dict(waiting(state, dates))
    read_per_day: dict[date, int] = {}
    for past in state.of(dataset.name):
        digest = past.in_force
        if digest and digest in past.judgements:
            day = past.path.batch_date
            read_per_day[day] = read_per_day.get(day, 0) + past.judgements[digest].read
    for path, judgement in standing.items():
        if path.dataset == dataset.name:
            result.lines += clear_lines(path, judgement)
    for day in dates:
        paths = [past for past in state.of(dataset.name, [day]) if past.standing]
        verdicts = {past.path: past.standing for past in paths if past.standing}
        held = {p: v for p, v in verdicts.items() if v.kind is Kind.HELD}
        broken = {p: v for p, v in verdicts.items() if v.bad and v.kind is not Kind.HELD}
        unexpected = {str(p): list(v.unexpected) for p, v in verdicts.items() if v.unexpected}
        result.days[day] = {
            "files": len(paths),
            "read": read_per_day.get(day, 0),
            "held": sum(v.read for v in held.values()),
        }
        lines = [line for p, v in sorted(broken.items()) for line in clear_lines(p, v)]
        extra = [f"{p}: unexpected columns {', '.join(c)}" for p, c in sorted(unexpected.items())]
        result.checks.append(
            Check(
                "structure",
                not broken and not unexpected,
                day,
                Severity.ERROR if broken else Severity.WARN,
                "\n".join(lines + extra) or CHECKS["structure"],
                {"files": len(paths), "unreadable": lines, "unexpected_columns": unexpected},
            )
        )
        held_lines = [line for p, v in sorted(held.items()) for line in clear_lines(p, v)]
        result.checks.append(
            Check(
                "reject_rate",
                not held,
                day,
                Severity.ERROR,
                "\n".join(held_lines) or CHECKS["reject_rate"],
                {
                    "limit": dataset.hold.share,
                    "held_rows": result.days[day]["held"],
                    "faulty_rows": sum(v.faulty for v in verdicts.values()),
                },
            )
        )
        result.checks.append(_volume(read_per_day, day))


def _volume(read_per_day: dict[date, int], day: date) -> Check:
    before = [read_per_day[d] for d in sorted(read_per_day) if d < day][-_VOLUME_WINDOW:]
    rows = read_per_day.get(day, 0)
    if len(before) < _VOLUME_LEAST:
        note = f"{len(before)} batches before, too few to compare"
        return Check("volume", True, day, Severity.WARN, note, {"rows": rows})
    usual = median(before)
    passed = usual / 2 <= rows <= usual * 2
    note = CHECKS["volume"] if passed else f"{rows:,} rows where {usual:,.0f} are usual"
    return Check("volume", passed, day, Severity.WARN, note, {"rows": rows, "median": usual})
