"""The one kind of error that is for people."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class LakehouseError(Exception):
    """Something a person asked for that cannot be; its text is one clear line for them."""


class ContractError(LakehouseError):
    """A contract that contradicts itself or others; the registry names its file in front."""


def meant(name: str, known: Iterable[str], otherwise: str = "use one of") -> str:
    """What to do about a name that is not known: take the nearest, or one of those there are."""
    there = list(known)
    near = get_close_matches(name.lower(), there, n=1)
    return f"did you mean {near[0]}?" if near else f"{otherwise} {', '.join(there) or 'none'}"
