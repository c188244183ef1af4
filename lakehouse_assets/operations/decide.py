"""Decisions of people about files: withdraw one, bring it back, let a held one in.

Each is a fact in the ledger; tables follow with the next run. What cannot be done is refused
in one clear line, and leaves no fact.
"""

from __future__ import annotations

import getpass
from pathlib import Path

from lakehouse_assets.errors import LakehouseError
from lakehouse_assets.operations.land import keep_bytes
from lakehouse_assets.store.facts import Accepted, Fact, Kind, Reinstated, Withdrawn
from lakehouse_assets.store.file_state import PathState
from lakehouse_assets.store.lake import FilePath, Lake
from lakehouse_assets.store.ledger import Ledger, State


class DecisionError(LakehouseError):
    """A decision that cannot be taken."""


def named(lake: Lake, text: str) -> FilePath:
    """The file that a person names: as messages print it, or by its path.

    Raises DecisionError where the text names none.
    """
    relative = text
    root = lake.raw.root
    for whole in (text, str(Path(text).absolute())):
        if whole.startswith(f"{root}/"):
            relative = whole.removeprefix(f"{root}/")
    found = lake.placed(relative.removeprefix("raw/"))
    if isinstance(found, FilePath):
        return found
    if "/" not in text:
        raise DecisionError(f"{text}: not the name of a file; write <dataset>/<YYYY-MM-DD>/<file>")
    problem = found.problem if found else "a file of that name is passed over"
    raise DecisionError(
        f"{text}: not the name of a file ({problem}); write <dataset>/<YYYY-MM-DD>/<file>"
    )


def withdraw(ledger: Ledger, path: FilePath) -> None:
    """Take what landed at a path so far out of force. Raises DecisionError."""

    def facts(state: State) -> list[Fact]:
        past = state.at(path)
        if not past.open:
            found = "all that landed is withdrawn already" if past.landings else "nothing landed"
            raise DecisionError(f"{path}: {found}; nothing is there to be withdrawn")
        return [Fact(Withdrawn(_who()), path)]

    ledger.transact(facts)


def reinstate(ledger: Ledger, path: FilePath) -> None:
    """Undo the last withdrawal that stands. Raises DecisionError."""

    def facts(state: State) -> list[Fact]:
        past = state.at(path)
        if not past.withdrawals:
            raise DecisionError(f"{path}: nothing is withdrawn; there is nothing to bring back")
        fact = Fact(Reinstated(_who()), path)
        _keep_what_comes(ledger, past, fact)
        return [fact]

    ledger.transact(facts)


def accept(ledger: Ledger, path: FilePath, why: str, digest: str | None = None) -> str:
    """Let a held content in, or a workbook without its unreadable sheets.

    The one that landed last, or the one of that digest.

    ``digest`` may be cut short as long as it means one content. Returns the whole digest.
    Raises DecisionError.
    """
    accepted = ""

    def facts(state: State) -> list[Fact]:
        nonlocal accepted
        past = state.at(path)
        accepted = _acceptable(past, digest)
        fact = Fact(Accepted(why, _who()), path, accepted)
        _keep_what_comes(ledger, past, fact)
        return [fact]

    ledger.transact(facts)
    return accepted


def _acceptable(past: PathState, digest: str | None) -> str:
    """The content that is meant, among those that can be accepted."""
    known = past.acceptable
    found = [d for d in known if d.startswith(digest)] if digest else known[-1:]
    last = past.open[-1].digest if past.open else None
    if not found or (digest is None and found != [last]):
        elsewhere = f"; held are {', '.join(d[:12] for d in known)}" if known else ""
        if digest is None and past.standing and past.standing.kind is Kind.UNREADABLE:
            raise DecisionError(
                f"{past.path}: what landed last cannot be read, so there is nothing to let in"
                f"{elsewhere}; land it mended, or withdraw it"
            )
        last_one = "what landed last is not held" if past.landings else "nothing landed"
        what = f"no held content has the digest {digest}" if digest else last_one
        raise DecisionError(
            f"{past.path}: {what}{elsewhere}; lakehouse status names the files that wait"
        )
    if len(found) > 1:
        raise DecisionError(
            f"{past.path}: {digest} may mean {' or '.join(sorted(found))}; give more of it"
        )
    return found[0]


def _keep_what_comes(ledger: Ledger, past: PathState, fact: Fact) -> None:
    """Keep the bytes of what the fact brings into force: they may go before a run reads them."""
    before = past.in_force
    after = past.after(fact).in_force
    if after is None or after == before:
        return
    lake = ledger.lake
    if lake.bytes_of(past.path, after) is None and not keep_bytes(lake, past.path, {after}):
        raise DecisionError(
            f"{past.path}: its bytes ({after[:12]}) are no longer in the raw zone; "
            "land the file again"
        )


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
