"""Jobs: for each table that is brought up to date, what its job reads and what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse_assets.tables.contract import Dataset, Derived, Layer, Table
from lakehouse_assets.tables.registry import DATASETS, DERIVED, sources


@dataclass(frozen=True)
class TableJob:
    """What brings one table up to date; it alone writes what it writes.

    ``reads`` are the tables that it absorbs (bronze reads files), ``beside`` those that it
    writes with its own, ``checks_read`` those that its checks may ask besides. ``rules`` is the
    identity of all that decides what it writes.
    """

    table: Table
    reads: tuple[Table, ...]
    rules: str
    beside: tuple[Table, ...] = ()
    checks_read: tuple[Table, ...] = ()

    @property
    def id(self) -> str:
        """The job's name, which is its table's."""
        return self.table.id

    @property
    def writes(self) -> tuple[Table, ...]:
        """The tables that no other job writes."""
        return (self.table, *self.beside)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables whose versions tell whether there is anything to do."""
        return (*self.reads, *self.writes)


def bronze_job(dataset: Dataset) -> TableJob:
    """The job that takes in a dataset's files."""
    return TableJob(dataset.bronze, (), dataset.rules_digest)


def silver_job(dataset: Dataset, datasets: Mapping[str, Dataset] = DATASETS) -> TableJob:
    """The job that gives every row its fate: published, rejected or superseded."""
    parents = (datasets[c.references].silver for c in dataset.foreign_keys if c.references)
    history = (dataset.history,) if dataset.keep_history else ()
    return TableJob(
        dataset.silver,
        (dataset.bronze, *parents),
        dataset.rules_digest,
        beside=(dataset.rejected, dataset.superseded, *history),
        checks_read=tuple(d.silver for d in datasets.values()) if dataset.advice else (),
    )


def derived_job(derived: Derived) -> TableJob:
    """The job that follows changed rows of silver."""
    from lakehouse_assets.tables.column_lineage import inputs  # noqa: PLC0415 - SQL is parsed only when asked

    tables = sources()
    return TableJob(
        derived.table,
        tuple(tables[name].table for name in inputs(derived)),
        derived.digest,
        checks_read=tuple(dimension.table for dimension in dimensions(derived).values()),
    )


def dimensions(derived: Derived) -> dict[str, Derived]:
    """The mart that each column of a table refers to, by the column's name."""
    return {c.name: DERIVED[f"{Layer.MART}.{c.references}"] for c in derived.dimensions}


def upstream() -> dict[str, list[str]]:
    """For each job the jobs whose tables it reads, by their tables' ids.

    A fact reads its dimensions too, so that its checks find them.
    """
    every = jobs()
    writers = {table.id: name for name, job in every.items() for table in job.writes}
    return {
        name: list(dict.fromkeys(writers[table.id] for table in _read_before(job)))
        for name, job in every.items()
    }


def _read_before(job: TableJob) -> tuple[Table, ...]:
    return (*job.reads, *(job.checks_read if job.table.layer == Layer.MART else ()))


def jobs(
    datasets: Mapping[str, Dataset] = DATASETS, derived: Mapping[str, Derived] = DERIVED
) -> dict[str, TableJob]:
    """Every job by its table's id, each after those whose tables it reads."""
    found = [
        *(bronze_job(dataset) for dataset in datasets.values()),
        *(silver_job(dataset, datasets) for dataset in datasets.values()),
        *(derived_job(table) for table in derived.values()),
    ]
    return {job.id: job for job in found}
