"""What differs between environments, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One deployment of the platform. The account is whichever the deploying role belongs to.

    ``guarded`` environments keep stacks and databases from being deleted and their databases in
    two zones. ``account_guards`` says whether this deployment also sets up what an account has
    once in a region (GuardDuty, Security Hub, Config, CloudTrail): one of those that share an
    account does.
    """

    name: str
    cidr: str
    people: tuple[str, ...]
    ui_url: str
    region: str = "ap-south-1"
    replica_region: str = "ap-southeast-1"
    zones: int = 2
    guarded: bool = True
    account_guards: bool = True
    log_days: int = 90
    audit_days: int = 400
    old_version_days: int = 30
    archive_cold_days: int = 90
    backup_days: int = 35
    first_date: str = "2024-01-01"
    delay_minutes: int = 120


ENVIRONMENTS: Final = {
    environment.name: environment
    for environment in (
        Environment(
            name="dev",
            cidr="10.20.0.0/16",
            people=("lakehouse-dev@example.com",),
            ui_url="https://lakehouse.dev.example.internal",
            guarded=False,
            log_days=30,
            backup_days=7,
        ),
        Environment(
            name="staging",
            cidr="10.30.0.0/16",
            people=("lakehouse-staging@example.com",),
            ui_url="https://lakehouse.staging.example.internal",
        ),
        Environment(
            name="prod",
            cidr="10.40.0.0/16",
            people=("lakehouse@example.com", "on-call@example.com"),
            ui_url="https://lakehouse.example.internal",
            log_days=365,
        ),
    )
}
"""Every environment by its name."""
