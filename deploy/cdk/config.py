"""What differs between environments, typed; whatever is not here is the same in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One deployment of the platform.

    ``owner`` begins the buckets' names, which are unique in the world: a team that deploys this
    sets its own. ``region`` is where all runs, ``replica_region`` where copies go. Days and
    terabytes are counted in whole ones.
    """

    name: str
    owner: str = "example"
    region: str = "ap-south-1"
    replica_region: str = "ap-southeast-1"
    repository: str = "example/ecommerce-lakehouse"
    zones: int = 2
    log_days: int = 30
    # Longer than Delta's thirty days of history, so that any of it can be restored.
    old_version_days: int = 35
    backup_days: int = 35
    database_class: str = "t4g.micro"
    database_in_two_zones: bool = False
    protected_from_deletion: bool = True
    query_limit_gigabytes: int = 100
    # Guards of the whole account: one environment of an account has them.
    guards_account: bool = True

    @property
    def critical(self) -> bool:
        """Whether people's business hangs on it."""
        return self.name == "prod"


ENVIRONMENTS: Final = {
    e.name: e
    for e in (
        Environment(name="dev", log_days=7, protected_from_deletion=False),
        Environment(name="staging"),
        Environment(
            name="prod",
            log_days=365,
            database_class="t4g.medium",
            database_in_two_zones=True,
            query_limit_gigabytes=1000,
        ),
    )
}
"""Each environment is meant for an account of its own."""
