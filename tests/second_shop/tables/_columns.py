"""Columns that several datasets of the shop have."""

from __future__ import annotations

from typing import Any

from lakehouse_assets.tables.contract import Column

HEX = "[0-9a-f]{32}"


def identity(name: str, description: str, **more: Any) -> Column:
    """A text of 32 hexadecimal digits, as the shop names things by."""
    return Column(
        name=name, type="STRING", required=True, pattern=HEX, description=description, **more
    )


def place(prefix: str) -> tuple[Column, ...]:
    """Postcode, city and state of someone."""
    return (
        Column(
            name=f"{prefix}_zip_code_prefix",
            type="STRING",
            required=True,
            pattern="[0-9]{4,5}",
            description="First digits of the postcode; a text, for it may begin with 0.",
        ),
        Column(name=f"{prefix}_city", type="STRING", description="City, as they wrote it."),
        Column(
            name=f"{prefix}_state",
            type="STRING",
            required=True,
            pattern="[A-Z]{2}",
            description="State, two letters.",
        ),
    )
