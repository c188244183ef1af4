"""Facts: each says one thing that happened, and is never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

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


class Kind(StrEnum):
    """What a fact says."""

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
    REWOUND = "rewound"
    MAINTAINED = "maintained"


@dataclass(frozen=True)
class Fact:
    """One thing that happened. ``seq`` is 0 until it is recorded."""

    kind: Kind
    path: FilePath | None = None
    digest: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    seq: int = 0
    recorded_at: datetime | None = None
