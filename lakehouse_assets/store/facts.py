"""Facts: each says one thing that happened, and is never changed.

What a kind of fact says is a dataclass of its own; the ledger stores it as JSON, with the
version of its format. A format that changes gets the next number, and its dataclass still
reads the ones before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Self

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.parse.model import shown
from lakehouse_assets.store.delta import TableVersion
from lakehouse_assets.store.lake import FilePath
from lakehouse_assets.tables.contract import Column, Table

FACTS: Final = Table(
    layer="ledger",
    name="ledger",
    description="Append-only facts: what landed, what was decided, what was absorbed.",
    columns=(
        Column(name="seq", type="BIGINT", description="Order of all facts and receipts."),
        Column(name="kind", type="STRING", description="What happened."),
        Column(name="recorded_at", type="TIMESTAMP", description="When, UTC; for people only."),
        Column(name="run_id", type="STRING", description="Run that recorded it, if any."),
        Column(name="dataset", type="STRING", description="Dataset of the file; null for tables."),
        Column(name="batch_date", type="DATE", description="Folder of the file."),
        Column(name="file", type="STRING", description="Name of the file."),
        Column(name="digest", type="STRING", description="SHA-256 of the bytes, in hex."),
        Column(name="detail", type="STRING", description="What else is known, as JSON."),
    ),
)


class NewerFactError(LakehouseError):
    """A fact in a format that this program does not know yet."""


class Kind(StrEnum):
    """What a fact says, by the word that ledgers hold."""

    LANDED = "landed"
    ADMITTED = "admitted"
    HELD = "held"
    UNREADABLE = "unreadable"
    ACCEPTED = "accepted"
    WITHDRAWN = "withdrawn"
    REINSTATED = "reinstated"
    ARCHIVED = "archived"
    ABSORBED = "absorbed"
    RECEIPTS = "receipts"
    PUBLISHED = "published"
    RESTORED = "restored"
    RESUMED = "resumed"
    RESTORE_DONE = "rewound"
    MAINTAINED = "maintained"


@dataclass(frozen=True)
class Detail:
    """What a fact says beyond the file that it is about."""

    kind: ClassVar[Kind]
    format: ClassVar[int] = 1

    def to_detail(self) -> dict[str, Any]:
        """As the ledger stores it, ready for JSON."""
        return {"format": self.format, **asdict(self)}

    @classmethod
    def from_detail(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_detail` gave, of this format or an earlier one. Raises NewerFactError."""
        told = dict(stored)
        found = told.pop("format", 1)
        if found > cls.format:
            raise NewerFactError(
                f"ledger: a fact {cls.kind} has format {found}, this program reads up to "
                f"{cls.format}; use the release that wrote it, or a later one"
            )
        return cls(**cls._arguments(told, found))

    @classmethod
    def _arguments(cls, told: dict[str, Any], found: int) -> dict[str, Any]:
        """The constructor's arguments from what was stored in format ``found``.

        Fields that later formats have no more are passed over.
        """
        del found
        return {f.name: told[f.name] for f in fields(cls) if f.name in told}


@dataclass(frozen=True)
class Landed(Detail):
    """A content came to lie at a path: ``by`` the command `land`, or because a ``run`` read it.

    ``stamp`` is the storage's own mark of the bytes; ``size`` is in bytes.
    """

    kind = Kind.LANDED

    by: str
    stamp: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Judgement(Detail):
    """What a run found in a content: whether it can be read, and what share of it is faulty.

    ``error`` is of the whole file; ``sheets`` are the unreadable sheets of a readable one, by
    name, each with its problem. ``repairs`` counts the rows that name the row they mend.
    ``headers`` are those that the contract asked for. ``warnings`` and ``notes`` are lines about a
    readable file, without its name. ``reading`` and ``dialect`` are how it was read: then's
    `parse.model.READING`, and what the dataset's dialect had to say about that.
    """

    read: int = 0
    faulty: int = 0
    error: str | None = None
    sheets: tuple[tuple[str, str], ...] = ()
    rules: str = ""
    unexpected: tuple[str, ...] = ()
    repairs: int = 0
    headers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reading: int = 1
    dialect: str = ""

    def is_read_like(self, other: Judgement) -> bool:
        """Whether both come of reading the same way."""
        return (self.reading, self.dialect) == (other.reading, other.dialect)

    @classmethod
    def _arguments(cls, told: dict[str, Any], found: int) -> dict[str, Any]:
        del found
        return told | {
            "sheets": tuple((sheet, problem) for sheet, problem in told["sheets"]),
            "unexpected": tuple(told["unexpected"]),
            "headers": tuple(told.get("headers", ())),
            "warnings": tuple(told.get("warnings", ())),
            "notes": tuple(told.get("notes", ())),
        }

    @property
    def bad(self) -> bool:
        """Whether there is something that a person must look at."""
        return self.kind is not Kind.ADMITTED or bool(self.sheets)

    @property
    def reason(self) -> str | None:
        """Why it is held or cannot be read, wholly or in some sheets; None where all is well."""
        told = (
            [self.error]
            if self.error
            else [f"[{shown(sheet)}] {why}" for sheet, why in self.sheets]
        )
        return "; ".join(told) or None


@dataclass(frozen=True)
class Admitted(Judgement):
    """The content's rows are in the tables."""

    kind = Kind.ADMITTED


@dataclass(frozen=True)
class Held(Judgement):
    """Too large a share of its rows is faulty: they are in no table."""

    kind = Kind.HELD


@dataclass(frozen=True)
class Unreadable(Judgement):
    """It has no rows that could be read."""

    kind = Kind.UNREADABLE


@dataclass(frozen=True)
class Accepted(Detail):
    """A person let in a content that was held."""

    kind = Kind.ACCEPTED

    why: str
    who: str


@dataclass(frozen=True)
class Withdrawn(Detail):
    """A person took what had landed at a path out of force."""

    kind = Kind.WITHDRAWN

    who: str


@dataclass(frozen=True)
class Reinstated(Detail):
    """A person undid the last withdrawal that stood."""

    kind = Kind.REINSTATED

    who: str


@dataclass(frozen=True)
class Archived(Detail):
    """A content's bytes are ``at`` that path of the raw zone now."""

    kind = Kind.ARCHIVED

    at: str


@dataclass(frozen=True)
class Absorbed(Detail):
    """A table's job has brought what it writes to these versions of its inputs, by these rules.

    ``written`` holds the versions that the table and those written with it came to, ``inputs``
    those of what was read, as far as they existed. ``rows_added`` and ``rows_removed`` are what the
    job changed in its table; None where the versions moved without a job.
    """

    kind = Kind.ABSORBED
    format = 3

    table: str
    written: dict[str, TableVersion]
    inputs: dict[str, TableVersion]
    rules: str
    rows_added: int | None = None
    rows_removed: int | None = None

    @classmethod
    def _arguments(cls, told: dict[str, Any], found: int) -> dict[str, Any]:
        if found in {1, 2}:
            told["rows_added"] = told.pop("rows_come", None)
            told["rows_removed"] = told.pop("rows_gone", None)
        if found == 1:
            logs = told.pop("made")
            written = {told["table"]: told.pop("version"), **told.pop("beside")}
            return told | {
                "written": _of_format_1(written, logs),
                "inputs": _of_format_1(told["inputs"], logs),
            }
        return told | {name: _table_versions(told[name]) for name in ("written", "inputs")}


@dataclass(frozen=True)
class ReceiptsRecorded(Detail):
    """So many receipts follow: the numbers after this fact's ``seq`` are theirs."""

    kind = Kind.RECEIPTS
    format = 2

    count: int


@dataclass(frozen=True)
class Published(Detail):
    """A run's end: what the tables have absorbed by now belongs together.

    ``dates`` are the batch dates that the run was asked for.
    """

    kind = Kind.PUBLISHED
    format = 2

    dates: Sequence[str] = ()


@dataclass(frozen=True)
class Restored(Detail):
    """All tables go to what they had absorbed at ``as_of``, a ``seq``; ``run_id`` published that.

    ``before_seq`` is where the ledger stood before the first restore of those that stand.
    """

    kind = Kind.RESTORED
    format = 2

    run_id: str
    as_of: int
    before_seq: int


@dataclass(frozen=True)
class Resumed(Detail):
    """The restore to ``run_id`` ends: all tables go to what they had absorbed at ``as_of``."""

    kind = Kind.RESUMED
    format = 2

    run_id: str
    as_of: int


@dataclass(frozen=True)
class RestoreDone(Detail):
    """All tables are where the restore, or its end, that was announced last takes them."""

    kind = Kind.RESTORE_DONE
    format = 2


@dataclass(frozen=True)
class Maintained(Detail):
    """A table's files were compacted and ordered: the result is that version."""

    kind = Kind.MAINTAINED

    table: str
    version: int


_DETAILS: Final[Mapping[str, type[Detail]]] = {
    detail.kind: detail
    for detail in (
        Landed,
        Admitted,
        Held,
        Unreadable,
        Accepted,
        Withdrawn,
        Reinstated,
        Archived,
        Absorbed,
        ReceiptsRecorded,
        Published,
        Restored,
        Resumed,
        RestoreDone,
        Maintained,
    )
}


@dataclass(frozen=True)
class Fact:
    """One thing that happened. ``seq`` is 0 until it is recorded."""

    detail: Detail
    path: FilePath | None = None
    digest: str | None = None
    run_id: str | None = None
    seq: int = 0
    recorded_at: datetime | None = None

    @property
    def kind(self) -> Kind:
        """Which kind of fact it is."""
        return self.detail.kind

    def to_row(self) -> dict[str, Any]:
        """Its row in the ledger's table."""
        return {
            "seq": self.seq,
            "kind": str(self.kind),
            "recorded_at": self.recorded_at,
            "run_id": self.run_id,
            "dataset": self.path.dataset if self.path else None,
            "batch_date": self.path.batch_date if self.path else None,
            "file": self.path.file if self.path else None,
            "digest": self.digest,
            "detail": json.dumps(self.detail.to_detail()),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The fact of a row of the ledger's table. Raises NewerFactError."""
        if row["kind"] not in _DETAILS:
            raise NewerFactError(
                f"ledger: a fact {row['kind']} is not known to this program; use the release that "
                "wrote it, or a later one"
            )
        path = FilePath(row["dataset"], row["batch_date"], row["file"]) if row["file"] else None
        return cls(
            detail=_DETAILS[row["kind"]].from_detail(json.loads(row["detail"])),
            path=path,
            digest=row["digest"],
            run_id=row["run_id"],
            seq=row["seq"],
            recorded_at=row["recorded_at"],
        )


def in_sql(detail: type[Detail], name: str) -> str:
    """SQL (DuckDB's) for a field of a fact's detail as text, in a query of the ledger's table."""
    assert name in {f.name for f in fields(detail)}, f"{detail.kind} has no {name}"
    return f"(detail ->> '$.{name}')"


def _table_versions(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, TableVersion]:
    return {name: TableVersion(**version) for name, version in stored.items()}


def _of_format_1(
    versions: Mapping[str, int], logs: Mapping[str, str | None]
) -> dict[str, TableVersion]:
    """Versions and, apart from them, their logs; -1 stood for a table that did not exist."""
    return {n: TableVersion(logs.get(n) or "", v) for n, v in versions.items() if v >= 0}
