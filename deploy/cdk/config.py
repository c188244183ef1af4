"""What differs between environments, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SERVERLESS_ZONES: Final = 3


class Profile(StrEnum):
    """What an environment is for, and so what it may cost while nothing happens (docs/cost.md)."""

    FRUGAL = "frugal"
    """One small task for all of Dagster, the tables' work on each run's own task, no door to AWS's
    services but the internet's. For trying things, and for a shop with one environment."""
    GUARDED = "guarded"
    """A Glue job for each table, two zones, no way to the internet, and nothing that can be
    deleted by mistake."""


class WarehouseKind(StrEnum):
    """How Redshift is paid for."""

    SERVERLESS = "serverless"
    """While it works."""
    PROVISIONED = "provisioned"
    """By the hour, for two nodes of ra3.xlplus."""


WAREHOUSE_RPUS: Final = (8, 64)
"""What a Serverless warehouse is scaled between: no more can be spent on a question by mistake."""
WAREHOUSE_NODES: Final = (2, "ra3.xlplus")
"""What a provisioned one has."""


@dataclass(frozen=True, kw_only=True)
class QuickSightGroups:
    """Who has the dashboards in QuickSight: groups of one of its namespaces, by their names.

    ``readers`` look at dashboards; ``authors`` may build others on the same data sets, too.
    ``identity_region`` is where the account's users and groups are: the region that QuickSight was
    signed up in.
    """

    readers: tuple[str, ...]
    identity_region: str
    authors: tuple[str, ...] = ()
    namespace: str = "default"


@dataclass(frozen=True, kw_only=True)
class Balancer:
    """The UI under a name, for people whose network leads into the VPC.

    ``host`` is a name that the company owns, with a certificate in ACM and a record of its own;
    ``people_from`` the ranges of addresses that people come from, as the VPC sees them: those of
    an office or a VPN behind a peering or a transit gateway, or the VPC's own.
    https://docs.aws.amazon.com/acm/latest/userguide/domain-ownership-validation.html
    """

    host: str
    people_from: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One deployment of the platform. The account is whichever the deploying role belongs to.

    ``account_guards`` says whether this deployment also sets up what an account has once in a
    region (GuardDuty, Security Hub, Config, CloudTrail). Of those that share an account one does,
    and none where its owner has them already. People are told where the account's month costs
    more than ``budget_usd``; of none unless set. ``standby_by_alarm`` lets the alarm that Dagster
    is still start the standby, where it is guarded; else a person does. ``warehouse`` is the
    Redshift that the marts are loaded into, none unless set: only where it is guarded (nothing
    leads from the other's private subnets to S3), and Serverless only in three zones.
    https://docs.aws.amazon.com/redshift/latest/mgmt/serverless-known-issues.html
    With ``quicksight`` the dashboards are in QuickSight as well, whose users are paid for each
    month (docs/dashboards.md). Whoever has the operators' role reaches the UI by Session Manager
    (docs/operation.md); with ``balancer``, which needs the guarded profile, people reach it under a
    name as well.
    """

    name: str
    cidr: str
    people: tuple[str, ...]
    region: str = "ap-south-1"
    replica_region: str = "ap-southeast-1"
    zones: int = 2
    profile: Profile = Profile.GUARDED
    account_guards: bool = False
    standby_by_alarm: bool = False
    budget_usd: int | None = None
    log_days: int = 90
    audit_days: int = 400
    old_version_days: int = 30
    archive_cold_days: int = 90
    backup_days: int = 35
    first_date: str = "2024-01-01"
    delay_minutes: int = 120
    warehouse: WarehouseKind | None = None
    quicksight: QuickSightGroups | None = None
    balancer: Balancer | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a warehouse, or a load balancer, that could not be made."""
        if self.balancer and not self.guarded:
            raise ValueError(f"{self.name}: a load balancer needs the guarded profile")
        if self.warehouse and not self.guarded:
            raise ValueError(f"{self.name}: a warehouse needs the guarded profile")
        if self.warehouse is WarehouseKind.SERVERLESS and self.zones < _SERVERLESS_ZONES:
            raise ValueError(f"{self.name}: Redshift Serverless needs {_SERVERLESS_ZONES} zones")

    @property
    def ui_url(self) -> str:
        """Where messages' links lead: the name of the UI, or the port that an operator forwards."""
        return f"https://{self.balancer.host}" if self.balancer else "http://localhost:3000"

    @property
    def guarded(self) -> bool:
        """Whether it has the profile of that name."""
        return self.profile is Profile.GUARDED


ENVIRONMENTS: Final = {
    environment.name: environment
    for environment in (
        Environment(
            name="dev",
            cidr="10.20.0.0/16",
            people=("lakehouse-dev@example.com",),
            profile=Profile.FRUGAL,
            budget_usd=150,
            log_days=30,
            backup_days=7,
        ),
        Environment(
            name="staging",
            cidr="10.30.0.0/16",
            people=("lakehouse-staging@example.com",),
        ),
        Environment(
            name="prod",
            cidr="10.40.0.0/16",
            people=("lakehouse@example.com", "on-call@example.com"),
            account_guards=True,
            log_days=365,
        ),
    )
}
"""Every environment by its name."""
