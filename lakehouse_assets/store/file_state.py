"""What the ledger says of one path, and what follows: in force, held, waiting for a person."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote

from lakehouse_assets.parse.model import shown
from lakehouse_assets.store.facts import (
    Accepted,
    Admitted,
    Archived,
    Fact,
    Judgement,
    Kind,
    Landed,
    Reinstated,
    Withdrawn,
)
from lakehouse_assets.store.lake import FilePath


@dataclass
class PathState:
    """All that the ledger says of one path, and what follows from it."""

    path: FilePath
    landings: list[Fact] = field(default_factory=list)
    withdrawals: list[int] = field(default_factory=list)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    admitted: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    read_at: dict[str, int] = field(default_factory=dict)  # digest → when a run last read it
    archived: dict[str, str] = field(default_factory=dict)  # digest → where its bytes went
    newest: Fact | None = None

    def take(self, fact: Fact) -> None:
        """Take in the next fact about this path."""
        digest = fact.digest or ""
        self.newest = fact
        match fact.detail:
            case Landed():
                self.landings.append(fact)
            case Judgement() as judged:
                self.read_at[digest] = fact.seq
                self.judgements[digest] = judged
                if judged.kind is Kind.ADMITTED:
                    self.admitted.add(digest)
            case Accepted():
                self.admitted.add(digest)
                self.accepted.add(digest)
            case Archived(at=place):
                self.archived[digest] = place
            case Withdrawn():
                self.withdrawals.append(fact.seq)
            case Reinstated() if self.withdrawals:
                self.withdrawals.pop()
            case _:
                pass

    def copy(self) -> PathState:
        """The same, to take in more; facts and judgements never change."""
        return replace(
            self,
            landings=[*self.landings],
            withdrawals=[*self.withdrawals],
            judgements={**self.judgements},
            admitted={*self.admitted},
            accepted={*self.accepted},
            read_at={**self.read_at},
            archived={**self.archived},
        )

    def after(self, fact: Fact) -> PathState:
        """The state once a further fact, which has no number yet, is recorded."""
        later = self.copy()
        later.take(fact)
        return later

    @property
    def last(self) -> Fact | None:
        """What landed last, withdrawn or not."""
        return self.landings[-1] if self.landings else None

    @property
    def open(self) -> list[Fact]:
        """What landed since the last withdrawal that stands."""
        since = self.withdrawals[-1] if self.withdrawals else 0
        return [f for f in self.landings if f.seq > since]

    @property
    def in_force(self) -> str | None:
        """Digest of the admitted content landed last since the last standing withdrawal."""
        known = [f for f in self.open if f.digest in self.admitted and self._is_read(f)]
        return known[-1].digest if known else None

    @property
    def unjudged(self) -> list[str]:
        """Landed contents that no run has read since they landed, oldest first."""
        newest = {f.digest: f for f in self.landings if f.digest}
        return [d for d, f in newest.items() if not self._is_read(f)]

    @property
    def acceptable(self) -> list[str]:
        """What landed since the last standing withdrawal and a person may accept as it is.

        It is held, or has unreadable sheets; also where other content has taken its place since.
        """
        found = dict.fromkeys(f.digest for f in self.open if f.digest)
        return [digest for digest in found if self._is_acceptable(digest)]

    def _is_acceptable(self, digest: str) -> bool:
        judged = self.judgement(digest)
        return judged is not None and judged.bad and judged.kind is not Kind.UNREADABLE

    def judgement(self, digest: str) -> Judgement | None:
        """What was found in a content, without what a person has accepted of it."""
        judged = self.judgements.get(digest)
        if judged is None or judged.kind is Kind.UNREADABLE or digest not in self.admitted:
            return judged
        sheets = () if digest in self.accepted else judged.sheets
        return Admitted(**{**vars(judged), "error": None, "sheets": sheets})

    def _is_read(self, landed: Fact) -> bool:
        return landed.seq < self.read_at.get(landed.digest or "", 0)

    def state(self, digest: str) -> str | None:
        """The receipt's state of a content; None before a run has read it."""
        if digest == self.in_force:
            return "in_force"
        landed = [f.digest for f in self.open]
        if landed and digest == landed[-1]:
            judged = self.judgements.get(digest)
            return str(judged.kind) if judged and self._is_read(self.open[-1]) else None
        return "replaced" if digest in landed else "withdrawn"

    @property
    def standing(self) -> Judgement | None:
        """The judgement of what stands last at the path; None where nothing does."""
        landed = self.open
        if not landed or landed[-1].digest is None or not self._is_read(landed[-1]):
            return None
        return self.judgement(landed[-1].digest)


def clear_lines(path: FilePath | Path, judgement: Judgement) -> list[str]:
    """``<file>: <what is wrong>; <what to do>``, a line for each unreadable sheet.

    Of a held file that has landed the line ends in the command that lets it in, whole.
    """
    lines = [f"{path}: {judgement.error}"] if judgement.error else []
    if judgement.kind is Kind.HELD and isinstance(path, FilePath):
        lines = [f"{line} {quote(str(path))} --why REASON" for line in lines]
    return lines + [f"{path} [{shown(sheet)}]: {problem}" for sheet, problem in judgement.sheets]
