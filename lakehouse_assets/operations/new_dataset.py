"""A first contract for a dataset, out of samples of its files.

Everything guessed is said, for a person to confirm. What the values are is judged by the code
that a run reads and judges files with; so the samples pass `lakehouse check` as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.operations.check_files import Checked, check, staged_files
from lakehouse_assets.operations.sample_dialect import Look, look
from lakehouse_assets.operations.sample_keys import key
from lakehouse_assets.operations.sample_types import Profile, profile
from lakehouse_assets.parse import Dialect, Limits, Unreadable
from lakehouse_assets.pipeline.resolve import judged
from lakehouse_assets.pipeline.select import select
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.tables.contract import Column, Dataset
from lakehouse_assets.tables.contract_checks import check_dataset
from lakehouse_assets.tables.rules import typed

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from lakehouse_assets.store.lake import Lake

_OTHERS: Final = (0.05, 0.01, 0.0)
"""Shares of values that may be of another type than their column's: the first that does."""
_FEW: Final = 12
_EACH: Final = 10
_WORD: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_. -]{1,30}")
# Words that are no names of columns to one of the engines, or have to be quoted in most queries.
_SQL: Final = {
    "all", "and", "as", "asc", "between", "by", "case", "cast", "create", "cross", "current_date",
    "current_time", "current_timestamp", "desc", "distinct", "else", "end", "except", "exists",
    "false", "for", "from", "full", "group", "having", "in", "inner", "intersect", "into", "is",
    "join", "left", "like", "limit", "natural", "not", "null", "offset", "on", "or", "order",
    "outer", "right", "select", "set", "table", "then", "to", "true", "union", "unique", "using",
    "values", "when", "where", "window", "with",
}  # fmt: skip


class SampleError(LakehouseError):
    """Samples that no contract can be made of."""


@dataclass(frozen=True)
class Draft:
    """A contract, what is not sure about it, and how the samples do by it."""

    dataset: Dataset
    doubts: tuple[str, ...]
    checked: tuple[Checked, ...]


@dataclass(frozen=True)
class Parent:
    """Another dataset, and the values of its key as far as there are any."""

    dataset: Dataset
    keys: DataFrame | None


def draft(
    spark: SparkSession,
    name: str,
    files: Sequence[Path],
    parents: Sequence[Parent],
    limits: Limits,
) -> Draft:
    """Make a contract of sample files.

    Raises SampleError, naming the file, where one cannot be read at all.
    """
    guessed, headers, doubts = _headers(files, limits)
    names = _names(headers)
    doubts += [f"{h}: begins with _, so it is left out" for h in headers if h not in names]
    probe = _contract(
        name, next(iter(names.values())), guessed,
        [Column(name=c, type="STRING", source=h, description="") for h, c in names.items()],
    )  # fmt: skip
    with staged_files(spark, probe, files, limits) as staged:
        if errors := [s for s in staged.summaries if s.error]:
            raise SampleError(f"{errors[0].path.file}: {errors[0].error}")
        rows = judged(staged.rows, probe).where("size(_own) = 0").select(*names.values())
        found = profile(rows, list(names.values()), guessed)
        sample = _Sample(name, names, rows, rows.toArrow(), found, parents)
        for others in _OTHERS:
            dataset, more = sample.contract(others)
            checked = check(spark, dataset, files, limits)
            if not any(it.judgement.bad for it in checked):
                break
    more += [
        f"{rule.rule.split('.')[0]}: {rule.rows:,} row(s) of {it.file.name} would be rejected by "
        f"{rule.rule}, the first in {rule.place}: {rule.value}"
        for it in checked
        for rule in it.broken
    ]
    return Draft(dataset, (*doubts, *found.doubts, *more), tuple(checked))


def _headers(files: Sequence[Path], limits: Limits) -> tuple[Dialect, list[str], list[str]]:
    """The dialect and the headers that all samples have, and what is doubtful about them."""
    doubts: list[str] = []
    looks: dict[Path, Look] = {}
    for file in files:
        try:
            looks[file] = look(file, limits)
        except Unreadable as error:
            raise SampleError(f"{file}: {error}") from None
        if not looks[file].headers:
            raise SampleError(f"{file}: has no rows to learn from; give a sample that has some")
        doubts += [line for line in looks[file].doubts if line not in doubts]
    # What a dialect says beside rows above the header is of CSV alone.
    first = next((file for file in files if not _is_workbook(file)), files[0])
    dialect = looks[first].dialect
    for file, it in looks.items():
        mine = (
            replace(dialect, skip_rows=it.dialect.skip_rows) if _is_workbook(file) else it.dialect
        )
        if mine != dialect:
            doubts.append(
                f"dialect: {file.name} seems to be written otherwise than {first.name}; "
                "files of a dataset are written alike, so make two datasets, or save it again"
            )
    headers = [it.headers for it in looks.values()]
    common = [h for h in headers[0] if all(h in others for others in headers)]
    if not common:
        raise SampleError(
            f"{files[-1]}: has no column in common with {files[0]}; "
            "give samples of one dataset alone"
        )
    some = sorted({h for others in headers for h in others} - {*common})
    doubts += [f"{h}: is not in all samples, so it is left out" for h in some]
    return dialect, common, doubts


def _is_workbook(file: Path) -> bool:
    return file.name.lower().endswith(".xlsx")


def _names(headers: Sequence[str]) -> dict[str, str]:
    """A column's name for each header that a contract can ask for."""
    found: dict[str, str] = {}
    for at, header in enumerate(headers, start=1):
        if header.startswith("_"):
            continue
        words = re.sub(r"[^a-z0-9]+", "_", _plain(header)).strip("_")
        name = words if re.match("[a-z]", words) else f"column_{words or at}"
        name += "_" if name in _SQL else ""
        while name in found.values():
            name += f"_{at}"
        found[header] = name
    return found


def _plain(header: str) -> str:
    """A header without accents."""
    decomposed = unicodedata.normalize("NFKD", header.replace("ß", "ss"))
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _contract(
    name: str, key_: str | tuple[str, ...], dialect: Dialect, columns: Sequence[Column]
) -> Dataset:
    of = key_ if isinstance(key_, str) else "key"
    return Dataset(
        name=name,
        description=f"One row per {of}: say what a row is.",
        key=key_,
        columns=tuple(columns),
        dialect=dialect,
    )


@dataclass(frozen=True)
class _Sample:
    """All rows of the samples as trimmed texts, in the engine and here."""

    name: str
    names: Mapping[str, str]
    rows: DataFrame
    texts: pa.Table
    profile: Profile
    parents: Sequence[Parent]

    def contract(self, others: float) -> tuple[Dataset, list[str]]:
        """The contract, where a share of ``others`` may have another type; and the doubts."""
        types = {name: self.profile.type_of(name, others) for name in self.names.values()}
        doubts = [f"{name}: {it.doubt}" for name, it in types.items() if it.doubt]
        plain = {name: it.name for name, it in types.items()}
        full = {name for name in plain if not self.texts.column(name).null_count}
        found = key(self.texts, self.name, plain, full)
        doubts.append(f"key ({', '.join(found.columns)}): {found.doubt}")
        formats = dict.fromkeys(it.format for it in types.values() if it.format)
        dialect = replace(self.profile.dialect, timestamp_formats=tuple(formats))
        columns = []
        for header, name in self.names.items():
            column = Column(
                name=name,
                type=plain[name],
                source=header if header != name else None,
                required=name in full or name in found.columns,
                description=f"{name.replace('_', ' ').capitalize()}: say what it means.",
            )
            column, said = self._referring(column, dialect)
            doubts += said
            if name not in found.columns and not column.references:
                column, said = self._with_allowed(column)
                doubts += said
            columns.append(column)
        dataset = _contract(
            self.name, found.columns[0] if len(found.columns) == 1 else found.columns,
            dialect, columns,
        )  # fmt: skip
        dataset = replace(_partitioned(dataset), zorder_by=found.columns)
        if dataset.partition_by:
            doubts.append(
                f"partition_by ({dataset.partition_by[0]}): the first day that every row has; "
                "take the one that most rows of a file have in common"
            )
        if any(c.type == "TIMESTAMP" for c in columns):
            doubts.append("dialect: times without a zone are taken as UTC; else give a timezone")
        check_dataset(dataset)
        return dataset, doubts

    def _with_allowed(self, column: Column) -> tuple[Column, list[str]]:
        """The column, with its values as those allowed where they are few."""
        values = self.texts.column(column.name).drop_null()
        found = sorted(values.unique().to_pylist())
        few = len(values) >= _EACH * len(found) > 0
        allowed: tuple[int, ...] | tuple[str, ...] = ()
        if few and column.type == "BIGINT" and {*found} <= {"0", "1"}:
            allowed = (0, 1)
        elif few and column.type == "STRING" and len(found) <= _FEW:
            allowed = tuple(found) if all(map(_WORD.fullmatch, found)) else ()
        if not allowed:
            return column, []
        line = (
            f"{column.name}: only the {len(found)} values of the samples are allowed; "
            "add those that may come, or take `allowed` out"
        )
        return replace(column, allowed=allowed), [line]

    def _referring(self, column: Column, dialect: Dialect) -> tuple[Column, list[str]]:
        """The column as a foreign key, where its values are keys of a dataset that it names."""
        for parent in self.parents:
            [of, *more] = parent.dataset.key_columns
            if more or parent.dataset.silver.column(of).type != column.type:
                continue
            if not _names_parent(column.name, parent.dataset):
                continue
            same = column.name == of != "id"
            if parent.keys is None:
                if same:
                    return column, [f"{column.name}: {_maybe(parent)} there are no rows to compare"]
                continue
            missing = self._missing(column, dialect, parent.keys)
            if not missing and self.profile.columns[column.name].values:
                return replace(column, references=parent.dataset.name), []
            if same:
                return column, [f"{column.name}: {_maybe(parent)} {missing:,} value(s) are none"]
        return column, []

    def _missing(self, column: Column, dialect: Dialect, keys: DataFrame) -> int:
        """How many different values are no key."""
        value = typed(column, f"`{column.name}`", dialect)
        values = select(self.rows, _key=value).where("_key IS NOT NULL").distinct()
        return values.join(keys, "_key", "left_anti").count()


def _maybe(parent: Parent) -> str:
    return (
        f'looks like the key of {parent.dataset.name}; give it references="{parent.dataset.name}" '
        "if it is:"
    )


def _names_parent(column: str, parent: Dataset) -> bool:
    """Whether a column is called like a dataset's key, or has the dataset in its name."""
    one = parent.name.removesuffix("s")
    return column == parent.key_columns[0] or f"_{one}_" in f"_{column}_"


def _partitioned(dataset: Dataset) -> Dataset:
    """The dataset, partitioned by the day of its first moment that every row has."""
    required = [column for column in dataset.columns if column.required]
    names = dataset.silver.names
    moment = next((c for c in required if c.type == "TIMESTAMP"), None)
    if moment is None:
        days = tuple(c.name for c in required if c.type == "DATE")
        return replace(dataset, partition_by=days[:1])
    base = re.sub("_(timestamp|datetime|time|at|date)$", "", moment.name)
    day = next(d for d in (f"{base}_date", f"{base}_day", f"{base}_utc_day") if d not in names)
    derived = Column(
        name=day,
        type="DATE",
        derived=f"to_date({moment.name})",
        description=f"UTC day of {moment.name}.",
    )
    return replace(dataset, columns=(*dataset.columns, derived), partition_by=(day,))


def find_parents(
    spark: SparkSession,
    lake: Lake,
    datasets: Mapping[str, Dataset],
    samples: Mapping[str, Sequence[Path]],
    limits: Limits,
) -> Iterator[Parent]:
    """Other datasets with the keys that their samples have, or else the lake's silver tables."""
    for name, dataset in datasets.items():
        of = dataset.key_columns[0]
        keys = None
        if name in samples:
            keys = _sampled_keys(spark, dataset, samples[name], limits)
        elif lake.version(dataset.silver) is not None:
            work = Workspace(spark, lake, "new dataset", dataset.silver.id)
            keys = select(work.now(dataset.silver), _key=f"`{of}`")
        yield Parent(dataset, keys if keys and keys.take(1) else None)


def _sampled_keys(
    spark: SparkSession, dataset: Dataset, files: Sequence[Path], limits: Limits
) -> DataFrame:
    with staged_files(spark, dataset, files, limits) as staged:
        if errors := [s for s in staged.summaries if s.error]:
            raise SampleError(f"{errors[0].path.file}: {errors[0].error}")
        of = dataset.key_columns[0]
        keys = select(judged(staged.rows, dataset), _key=f"`{of}`").distinct().toArrow()
    return spark.createDataFrame(keys)


def taken(name: str, datasets: Collection[str]) -> str | None:
    """Why a new dataset cannot have a name; None where it can."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return f"{name!r} is no name of a dataset; use a-z, 0-9 and _, such as web_sales"
    if name in datasets:
        return f"{name} is a dataset already; give the new one another name"
    return None
