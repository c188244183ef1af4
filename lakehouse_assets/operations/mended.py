"""Files of mended rows: whose rows they mend, and which of these nobody has mended yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakehouse_assets.operations.export_rejected import exported
from lakehouse_assets.parse import Unreadable, parse
from lakehouse_assets.parse.model import BLANKS, ORIGIN
from lakehouse_assets.pipeline.bronze_reading import expectation
from lakehouse_assets.store.lake import content_id
from lakehouse_assets.tables.sql import literal

if TYPE_CHECKING:
    from lakehouse_assets.store.lake import FilePath
    from lakehouse_assets.store.ledger import Ledger
    from lakehouse_assets.tables.contract import Dataset

_FILE: Final = ORIGIN[0]
_NAMED: Final = 3

_Line = tuple[str, ...]
"""An exported row: the four cells of its origin, the source's columns, the line's text."""


@dataclass(frozen=True)
class Repair:
    """The rows of a file that mend others.

    ``origins`` counts them by the file that they come from. Of a lakehouse's own rejected rows
    ``as_exported`` are those that say what they said; ``settled`` are those whose origin is not
    rejected there any more, ``lost`` those whose origin is not in force; all are 0 where no
    lakehouse was asked. ``absent`` are the columns of an origin that none of the rows has.
    """

    origins: dict[str, int]
    as_exported: int = 0
    settled: int = 0
    lost: int = 0
    absent: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows mend one."""
        return sum(self.origins.values())

    def lines(self) -> Iterator[str]:
        """What there is to say about them, without the file's name."""
        most = sorted(self.origins.items(), key=lambda it: (-it[1], it[0]))
        named = ", ".join(f"{rows:,} of {file}" for file, rows in most[:_NAMED])
        more = f", and those of {len(most) - _NAMED} more files" if len(most) > _NAMED else ""
        yield f"mends rejected rows: {named}{more}"
        yield from self.warnings()

    def warnings(self) -> Iterator[str]:
        """What a person may want to do before, or after, the file lands."""
        if self.absent:
            yield (
                f"none of its rows has {' or '.join(self.absent)}, without which nothing tells "
                "what they mend; export them again, and leave all columns _origin_* as they are"
            )
            return
        if self.as_exported:
            yield (
                f"{self.as_exported:,} of its {self.rows:,} rows are as they were exported: they "
                "break the same rules, and so does each that they come from; mend them, or take "
                "them out"
            )
        if self.settled:
            yield (
                f"{self.settled:,} of its {self.rows:,} rows come from rows that are not rejected "
                "any more, as where they are mended already; take them out, unless they are to be "
                "mended once more"
            )
        if self.lost:
            yield (
                f"{self.lost:,} of its {self.rows:,} rows come from what is not in force here; "
                "they are rejected (origin) until it is"
            )


def repair(file: Path, dataset: Dataset, ledger: Ledger | None) -> Repair:
    """The rows of a file that mend some of a dataset's; none where it cannot be read.

    With a ledger they are compared with the rows that its lake rejects now.
    """
    found = Counter(_lines(file, dataset))
    origins = Counter[str]()
    for (path, *_), rows in found.items():
        origins[path.strip() or "nowhere"] += rows
    absent = tuple(
        name for at, name in enumerate(ORIGIN) if found and not any(line[at] for line in found)
    )
    if ledger is None:
        return Repair(dict(origins), absent=absent)
    state = ledger.state()
    in_force = {(str(past.path), past.in_force) for past in state.of(dataset.name)}
    same, rejected = 0, set()
    for row in exported(ledger.lake, state, dataset):
        cells = tuple(cell or "" for cell in row[:-1])  # the last are its rules
        same += found.get(cells, 0)
        rejected.add(cells[: len(ORIGIN)])
    lost = settled = 0
    for (path, digest, *place), rows in ((line[: len(ORIGIN)], n) for line, n in found.items()):
        origin = (path.strip(), digest.strip(), *place)
        if origin[:2] not in in_force:
            lost += rows
        elif origin not in rejected:
            settled += rows
    return Repair(dict(origins), same, settled, lost, absent)


def mending(ledger: Ledger, dataset: Dataset, path: FilePath) -> dict[str, int]:
    """How many rows of other files mend rows of what is in force at a path, by those files."""
    state = ledger.state()
    origin = (str(path), state.at(path).in_force)
    in_force = {content_id(p.path, p.in_force) for p in state.of(dataset.name) if p.in_force}
    repairing = state.repairing(dataset.name, in_force)
    if origin[1] is None or not repairing:
        return {}
    listed = ", ".join(map(literal, sorted(repairing)))
    sql = f"SELECT _content, _extra FROM t WHERE _content IN ({listed})"
    landed, found = state.landed(dataset.name), Counter[str]()
    for row in ledger.lake.rows(dataset.bronze, sql):
        extra = dict(row["_extra"] or ())
        if tuple((extra.get(name) or "").strip(BLANKS) for name in ORIGIN[:2]) == origin:
            found[str(landed[row["_content"]].path)] += 1
    return dict(sorted(found.items()))


def _lines(file: Path, dataset: Dataset) -> list[_Line]:
    """The rows of a file that mend one, as `exported` has them but for the rules."""
    lines: list[_Line] = []
    try:
        with file.open("rb") as stream:
            for batch in parse(file.name, stream, expectation(dataset)):
                for row in batch.to_pylist():
                    extra = dict(row["_extra"] or ())
                    origin = [extra.get(name) for name in ORIGIN]
                    if any(origin):
                        cells = (*origin, *(row[h] for h in dataset.headers), extra.get("_raw"))
                        lines.append(tuple(cell or "" for cell in cells))
    except (Unreadable, OSError):
        return []
    return lines
