"""The one kind of error that is for people."""

from __future__ import annotations


class LakehouseError(Exception):
    """Something a person asked for that cannot be; its text is one clear line for them."""


class ContractError(LakehouseError):
    """A contract that contradicts itself or others; the registry names its file in front."""
