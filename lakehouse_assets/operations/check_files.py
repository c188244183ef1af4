"""What would become of files if they landed: read and judged as a run does, without a lake.

What is read goes into a temporary folder, which is thrown away; the files stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse_assets.operations.mended import Repair, repair
from lakehouse_assets.pipeline.bronze_judging import (
    NO_FAULTS,
    BrokenRule,
    broken_rules,
    faults,
    judge,
)
from lakehouse_assets.pipeline.bronze_reading import Staged
from lakehouse_assets.pipeline.scratch import staged_in_scratch
from lakehouse_assets.planning.pending_files import ToRead
from lakehouse_assets.store.facts import Judgement
from lakehouse_assets.store.lake import (
    PASSED_OVER,
    FilePath,
    Source,
    Zone,
    content_id,
    is_passed_over,
)
from lakehouse_assets.store.ledger import Ledger, State
from lakehouse_assets.store.storage import LocalStorage, Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse_assets.parse import Limits
    from lakehouse_assets.tables.contract import Dataset

_DAY: Final = date(2025, 1, 1)


@dataclass(frozen=True)
class Checked:
    """What would become of a file as one of a dataset.

    ``faulty`` counts the rows that would be rejected, if the file were in force; ``broken`` are
    the rules that they break, the commonest first. Foreign keys are not judged. ``repair`` is there
    where rows of it mend others.
    """

    file: Path
    dataset: str
    judgement: Judgement
    faulty: int
    broken: tuple[BrokenRule, ...]
    repair: Repair | None


def cannot_be_read(file: Path) -> str | None:
    """Why a run would not even open a file, as a clear line; None where it would."""
    name = str(file).encode(errors="backslashreplace").decode()
    if name != str(file):  # as Python holds such a name; no message could have it
        return f"{name}: its name is not UTF-8; rename the file"
    if is_passed_over(file.name):
        return f"{file.name}: {PASSED_OVER}; rename the file"
    try:
        with file.open("rb"):
            return None
    except OSError as error:
        return f"{file}: {error.strerror}; name a file that can be read"


def check(
    spark: SparkSession,
    dataset: Dataset,
    files: Sequence[Path],
    limits: Limits | None = None,
    ledger: Ledger | None = None,
) -> list[Checked]:
    """Judge files, which can be opened, by a dataset's contract; in the order that they are given.

    Each is judged by itself: they may have the same name, and do not supersede one another. What
    mends rows is compared with those that the lake of a ``ledger`` rejects, where there is one.
    """
    with staged_files(spark, dataset, files, limits) as staged:
        judgements = {
            fact.path: (content_id(fact.path, fact.digest or ""), fact.detail)
            for fact in judge(dataset, State(), staged, {}, "check")
            if fact.path and isinstance(fact.detail, Judgement)
        }
        contents = [content for content, _ in judgements.values()]
        found = faults(dataset, staged, contents)
        broken = broken_rules(dataset, staged, found)
    return [
        Checked(
            file,
            dataset.name,
            judgement,
            found.get(content, NO_FAULTS).rows,
            tuple(broken.get(content, ())),
            repair(file, dataset, ledger) if judgement.repairs else None,
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
    zones: dict[str, Storage] = {Zone.RAW: LocalStorage("/")}
    with staged_in_scratch(spark, dataset, items, zones, limits=limits) as staged:
        yield staged


def _paths(dataset: Dataset, files: Iterable[Path]) -> list[FilePath]:
    """A path for each file, under a date of its own."""
    return [
        FilePath(dataset.name, _DAY + timedelta(days=at), file.name)
        for at, file in enumerate(files)
    ]
