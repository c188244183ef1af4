"""Settled files, found by one query for all of them; a plan looks at the others only.

A lake knows every file that ever landed, and hardly any has news. Settled is a file of which
nothing can be pending: it landed once, the last run that read it read it whole, as such files are
read now, and found nothing for a person, its rows are in bronze, nobody has decided about it, and
its bytes have not been touched since. What is not certain is not settled: the plan looks, and says
what it finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from lakehouse_assets.parse.model import READING
from lakehouse_assets.store.facts import FACTS, Admitted, Kind, Landed, in_sql
from lakehouse_assets.store.lake import ARCHIVE, Lake, Misplaced, RawFile
from lakehouse_assets.store.ledger import Ledger, State, folded
from lakehouse_assets.store.storage import StoredObject
from lakehouse_assets.tables.contract import Dataset

if TYPE_CHECKING:
    import pyarrow as pa

SETTLED_SECONDS: Final = 2.0
"""A stamp taken this soon after a change may hide another one within the clock's grain."""

# The twin, in SQL, of what `PathState` says of a file that landed once and was admitted whole (also
# again, where it was read again): columns and fields carry the names of the facts' own types.
_PATHS: Final = f"""
CREATE TABLE paths AS
SELECT
    dataset, batch_date, file,
    count(*) FILTER (kind = '{Kind.LANDED}') = 1
        AND bool_and(kind IN ('{Kind.LANDED}', '{Kind.ADMITTED}', '{Kind.ARCHIVED}'))
        AND count(DISTINCT digest) = 1
        AND max(seq) FILTER (kind = '{Kind.LANDED}') < max(seq) FILTER (kind = '{Kind.ADMITTED}')
        AND arg_max(coalesce({in_sql(Admitted, "sheets")} = '[]'
            AND CAST({in_sql(Admitted, "read")} AS BIGINT) > 0
            AND CAST(coalesce({in_sql(Admitted, "reading")}, '1') AS INT) = {READING}, false), seq)
            FILTER (kind = '{Kind.ADMITTED}') AS plain,
    arg_max(coalesce({in_sql(Admitted, "dialect")}, ''), seq)
        FILTER (kind = '{Kind.ADMITTED}') AS dialect,
    max(digest) AS digest,
    max({in_sql(Landed, "stamp")}) FILTER (kind = '{Kind.LANDED}') AS stamp,
    max(epoch(recorded_at)) FILTER (kind = '{Kind.LANDED}') AS recorded,
    bool_or(kind = '{Kind.LANDED}' AND {in_sql(Landed, "by")} = 'land') AS by_land
FROM facts
WHERE file IS NOT NULL
GROUP BY dataset, batch_date, file
"""

# A content's name is `content_id`, in SQL.
_SETTLED: Final = """
CREATE TABLE settled AS
SELECT p.dataset, p.batch_date, p.file, b._content, l.number
FROM (
    SELECT *, concat(dataset, '/', CAST(batch_date AS VARCHAR), '/', file) AS path
    FROM paths
    WHERE plain AND batch_date BETWEEN $first AND $last AND list_contains($datasets, dataset)
        AND list_contains($readings, concat(dataset, ':', dialect))
) AS p
JOIN bronze AS b ON b._content = left(sha256(concat(p.path, chr(0), p.digest)), 16)
LEFT JOIN listed AS l USING (path)
WHERE l.path IS NULL
    OR (l.readable AND l.stamp = p.stamp
        AND (p.by_land OR p.recorded - l.modified > $settled))
"""


@dataclass(frozen=True)
class Look:
    """What a plan is made from, as far as it is not settled.

    ``state`` is the ledger's word on such paths, ``files`` are those in the raw zone, and
    ``present`` the contents in bronze by dataset, each with its batch date. ``there`` names
    the datasets of each date that anything ever landed on.
    """

    state: State
    files: Iterable[RawFile | Misplaced]
    present: Mapping[str, Mapping[str, date]]
    there: Mapping[date, set[str]]


def listed(lake: Lake) -> list[StoredObject]:
    """What lies in the raw zone now, but for the archive."""
    return list(lake.raw.list("", without=ARCHIVE))


def whole(
    lake: Lake,
    state: State,
    datasets: Mapping[str, Dataset],
    stored: Sequence[StoredObject] | None = None,
) -> Look:
    """A look at everything, settled or not."""
    stored = listed(lake) if stored is None else stored
    present = {d.name: contents(lake, d) for d in datasets.values()}
    there = _by_date((path.batch_date, path.dataset) for path in state.paths)
    return Look(state, lake.what_are(stored), present, there)


def contents(lake: Lake, dataset: Dataset, dates: Sequence[date] | None = None) -> dict[str, date]:
    """The contents that bronze holds rows of (for those dates), each with its batch date."""
    found = lake.contents(dataset.bronze, lake.version(dataset.bronze))
    return {c: day for c, day in found.items() if dates is None or day in dates}


def look(
    ledger: Ledger,
    datasets: Mapping[str, Dataset],
    stored: Sequence[StoredObject] | None = None,
) -> Look:
    """A look at what is not settled; at everything while a restore stands.

    ``stored`` is what lies in the raw zone, where that has been listed already.
    """
    lake = ledger.lake
    stored = listed(lake) if stored is None else stored
    version = lake.version(FACTS)
    if version is None:
        return whole(lake, State(), datasets, stored)
    import duckdb  # noqa: PLC0415 - only where there is something to ask

    with duckdb.connect() as query:
        query.execute("SET TimeZone = 'UTC'")
        query.register("facts", lake.stream(FACTS, version))
        query.execute(_PATHS)
        query.register("listed", _as_table(stored))
        query.register("bronze", _bronze(lake, datasets.values()))
        within: dict[str, Any] = {"first": lake.first_date, "last": lake.last_date}
        readings = [f"{it.name}:{it.dialect.reading}" for it in datasets.values()]
        within |= {"datasets": sorted(lake.datasets), "readings": readings}
        within |= {"settled": SETTLED_SECONDS}
        query.execute(_SETTLED, within)
        query.register("facts", lake.stream(FACTS, version))
        news = "SELECT f.* FROM facts AS f ANTI JOIN settled USING (dataset, batch_date, file)"
        state = folded(query.sql(news).to_arrow_table().to_pylist())
        if state.restored:
            return whole(lake, ledger.followed(), datasets, stored)
        others = query.execute(
            "SELECT number FROM listed ANTI JOIN settled USING (number) ORDER BY number"
        )
        numbers: Any = others.fetchnumpy()["number"]
        files = lake.what_are([stored[n] for n in numbers.tolist()])
        present: dict[str, dict[str, date]] = {name: {} for name in datasets}
        for row in query.execute(
            "SELECT dataset, _content, _batch_date FROM bronze ANTI JOIN settled USING (_content)"
        ).fetchall():
            present[row[0]][row[1]] = row[2]
        there = query.execute("SELECT DISTINCT batch_date, dataset FROM paths").fetchall()
    return Look(state, files, present, _by_date(there))


def _as_table(stored: Sequence[StoredObject]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - only where there is something to ask

    return pa.table(
        {
            "number": pa.array(range(len(stored)), pa.int64()),
            "path": pa.array([_text(s.path) for s in stored], pa.string()),
            "stamp": pa.array([s.stamp for s in stored], pa.string()),
            "modified": pa.array([s.modified for s in stored], pa.float64()),
            "readable": pa.array([s.readable for s in stored], pa.bool_()),
        }
    )


def _text(path: str) -> str | None:
    """A path; None where its name is not UTF-8, which no file of the ledger has."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return None
    return path


def _bronze(lake: Lake, datasets: Iterable[Dataset]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - only where there is something to ask

    schema = pa.schema(
        [("_content", pa.string()), ("_batch_date", pa.date32()), ("dataset", pa.string())]
    )
    found = []
    for dataset in datasets:
        files = lake.file_table(dataset.bronze, lake.version(dataset.bronze))
        if files is not None:
            name = pa.array([dataset.name] * len(files), pa.string())
            columns = [files[c] for c in schema.names[:2]]
            found.append(pa.table([*columns, name], schema.names).cast(schema))
    return pa.concat_tables([schema.empty_table(), *found])


def _by_date(found: Iterable[tuple[date, str]]) -> dict[date, set[str]]:
    there: dict[date, set[str]] = {}
    for day, dataset in found:
        there.setdefault(day, set()).add(dataset)
    return there
