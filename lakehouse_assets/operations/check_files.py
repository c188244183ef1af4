"""What would become of files if they landed: read and judged as a run does, without a lake.

The tables are those of a lake in a temporary folder, which is thrown away; the files are read
where they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse_assets.pipeline.bronze_judging import BrokenRule, broken_rules, faulty_rows, judge
from lakehouse_assets.pipeline.bronze_reading import Staged, stage_files
from lakehouse_assets.pipeline.workspace import Workspace
from lakehouse_assets.planning.pending_files import ToRead
from lakehouse_assets.store.facts import Judgement
from lakehouse_assets.store.lake import (
    PASSED_OVER,
    FilePath,
    Lake,
    Source,
    Zone,
    content_id,
    is_passed_over,
)
from lakehouse_assets.store.ledger import State
from lakehouse_assets.store.storage import LocalStorage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse_assets.parse import Limits
    from lakehouse_assets.tables.contract import Dataset

_DAY: Final = date(2025, 1, 1)


@dataclass(frozen=True)
class Checked:
    """What would become of a file as one of a dataset.

    ``faulty`` counts the rows that would be rejected, if the file were in force; ``broken`` are
    the rules that they break, the commonest first. Foreign keys are not judged.
    """

    file: Path
    dataset: str
    judgement: Judgement
    faulty: int
    broken: tuple[BrokenRule, ...]


def cannot_be_read(file: Path) -> str | None:
    """Why a run would not even open a file, as a clear line; None where it would."""
    if is_passed_over(file.name):
        return f"{file.name}: {PASSED_OVER}; rename the file"
    try:
        with file.open("rb"):
            return None
    except OSError as error:
        return f"{file}: {error.strerror}; name a file that can be read"


def check(
    spark: SparkSession, dataset: Dataset, files: Sequence[Path], limits: Limits | None = None
) -> list[Checked]:
    """Judge files, which can be opened, by a dataset's contract; in the order that they are given.

    Each is judged by itself: they may have the same name, and do not supersede one another.
    """
    with staged_files(spark, dataset, files, limits) as staged:
        judgements = {
            fact.path: (content_id(fact.path, fact.digest or ""), fact.detail)
            for fact in judge(dataset, State(), staged, {}, "check")
            if fact.path and isinstance(fact.detail, Judgement)
        }
        contents = [content for content, _ in judgements.values()]
        faulty = faulty_rows(dataset, staged, contents)
        broken = broken_rules(dataset, staged, contents)
    return [
        Checked(
            file, dataset.name, judgement, faulty.get(content, 0), tuple(broken.get(content, ()))
        )
        for file, path in zip(files, _paths(dataset, files), strict=True)
        if path in judgements  # a file that has just gone has no judgement
        for content, judgement in [judgements[path]]
    ]


@contextmanager
def staged_files(
    spark: SparkSession, dataset: Dataset, files: Sequence[Path], limits: Limits | None = None
) -> Iterator[Staged]:
    """The rows of files, read as a run reads them; they go when the block ends."""
    items = [
        ToRead(path, Source(Zone.RAW, str(file.absolute())), None, "check")
        for file, path in zip(files, _paths(dataset, files), strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="lakehouse-") as folder:
        lake = Lake(
            raw=LocalStorage("/"),
            storage=LocalStorage(folder),
            first_date=_DAY,
            last_date=_DAY + timedelta(days=len(files)),
            datasets=frozenset({dataset.name}),
        )
        with Workspace(spark, lake, "check", dataset.bronze.id) as work:
            yield stage_files(work, dataset, State(), items, limits)


def _paths(dataset: Dataset, files: Iterable[Path]) -> list[FilePath]:
    """A path for each file, under a date of its own."""
    return [
        FilePath(dataset.name, _DAY + timedelta(days=at), file.name)
        for at, file in enumerate(files)
    ]
