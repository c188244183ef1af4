"""Jobs: for each table that is brought up to date, what its job reads and what it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakehouse_assets.tables.contract import Dataset, Gold, Table
from lakehouse_assets.tables.registry import DATASETS, GOLD


@dataclass(frozen=True)
class Job:
    """What brings one table up to date; it alone writes what it writes.

    ``reads`` are the tables that it absorbs (bronze reads files), ``beside`` those that it
    writes with its own, ``advice_reads`` those that its warnings may ask besides. ``rules`` is
    the identity of all that decides what it writes.
    """

    table: Table
    reads: tuple[Table, ...]
    rules: str
    beside: tuple[Table, ...] = ()
    advice_reads: tuple[Table, ...] = ()

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


def bronze_job(dataset: Dataset) -> Job:
    """The job that takes in a dataset's files."""
    return Job(dataset.bronze, (), dataset.rules_digest)


def silver_job(dataset: Dataset, datasets: Mapping[str, Dataset] = DATASETS) -> Job:
    """The job that gives every row its fate: published, rejected or superseded."""
    parents = (datasets[c.references].silver for c in dataset.foreign_keys if c.references)
    return Job(
        dataset.silver,
        (dataset.bronze, *parents),
        dataset.rules_digest,
        beside=(dataset.rejected, dataset.superseded),
        advice_reads=tuple(d.silver for d in datasets.values()) if dataset.advice else (),
    )


def gold_job(gold: Gold, datasets: Mapping[str, Dataset] = DATASETS) -> Job:
    """The job that follows changed rows of silver."""
    from lakehouse_assets.tables.column_lineage import inputs  # noqa: PLC0415 - SQL is parsed only when asked

    return Job(gold.table, tuple(datasets[name].silver for name in inputs(gold)), gold.digest)


def jobs(
    datasets: Mapping[str, Dataset] = DATASETS, gold: Mapping[str, Gold] = GOLD
) -> dict[str, Job]:
    """Every job by its table's id, each after those whose tables it reads."""
    found = [
        *(bronze_job(dataset) for dataset in datasets.values()),
        *(silver_job(dataset, datasets) for dataset in datasets.values()),
        *(gold_job(table, datasets) for table in gold.values()),
    ]
    return {job.id: job for job in found}
